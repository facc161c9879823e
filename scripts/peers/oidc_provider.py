"""Runs where oidc-provider-mock 0.3.4 is: an OpenID Connect provider on loopback, until its input ends.

It says its port. Tokens name the key that they are signed with, as tiled wants it of a provider.
"""

from __future__ import annotations

import sys
from typing import Any

from oidc_provider_mock import _app, _storage, run_server_in_thread

_NAME = {"kid": "1"}
_made, _config = _storage.jose.RSAKey.generate_key, _app.OpenIDCode.get_jwt_config


def _named(*args: Any, **options: Any) -> Any:
    return _made(*args, **{**options, "options": _NAME})


def _with_name(self: Any, *args: Any) -> dict[str, Any]:
    return {**_config(self, *args), **_NAME}


_storage.jose.RSAKey.generate_key = _named
_app.OpenIDCode.get_jwt_config = _with_name
with run_server_in_thread() as server:
    print(server.server_port, flush=True)
    sys.stdin.read()
