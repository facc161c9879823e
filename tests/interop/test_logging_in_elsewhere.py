"""One logs in to the real tiled server by a code that is entered where an OpenID Connect provider says who one is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.interop.tiled_server import ROOT, clean_environment, tiled_python, tiled_server

pytestmark = [pytest.mark.peer, pytest.mark.slow]

_VARIABLE = "DATABROKER_LIKE_OIDC_PYTHON"
_CONFIG = """
authentication:
  providers:
    - provider: lab
      authenticator: tiled.authenticators:OIDCAuthenticator
      args:
        audience: tiled
        client_id: tiled
        client_secret: not much of a secret
        well_known_uri: http://localhost:{port}/.well-known/openid-configuration
  secret_keys: [not much of a secret]
database:
  uri: "sqlite:///authn.db"
  init_if_not_exists: true
trees:
  - path: /
    tree: catalog
    args:
      uri: "sqlite:///catalog.db"
      writable_storage: data
      init_if_not_exists: true
"""
_LOG_IN = """
import sys
from {package} import {name}
context = {name}.from_any_uri(sys.argv[1])[0]
context.login()
print("this is", context.whoami()["identities"][0]["id"])
"""
#: For so many seconds a client may wait for its tokens: it asks every five.
_PATIENCE = 120


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A tiled server that knows its users by a provider."""
    tiled_python()
    python = os.environ.get(_VARIABLE)
    if python is None:
        pytest.skip(f"{_VARIABLE} names no python that has oidc-provider-mock 0.3.4")
    place = tmp_path_factory.mktemp("tiled")
    with (place / "provider-log").open("wb") as log:
        asked = [python, str(ROOT / "scripts" / "peers" / "oidc_provider.py")]
        provider = subprocess.Popen(
            asked, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=clean_environment(), text=True
        )
    with provider:
        assert provider.stdin is not None
        assert provider.stdout is not None
        try:
            port = provider.stdout.readline().strip()
            assert port, (place / "provider-log").read_text()[-1000:]
            (place / "config.yml").write_text(_CONFIG.format(port=port))
            with tiled_server(place, "config", "config.yml") as uri:
                yield uri
        finally:
            provider.stdin.close()


@pytest.mark.parametrize("client", ["ours", "tiled's"])
def test_a_code_that_is_entered_elsewhere_lets_one_in(client: str, server: str, tmp_path: Path) -> None:
    package, python = "databroker_like.client", sys.executable
    if client != "ours":
        package, python = "tiled.client.context", str(tiled_python())
    environment = {
        **clean_environment(),
        "TILED_FORCE_PROMPT": "1",
        "TILED_CACHE_DIR": str(tmp_path),
        # That of tiled would open a browser.
        "BROWSER": "true",
    }
    script = _LOG_IN.format(package=package, name="Context")
    asked = [python, "-u", "-c", script, server]
    with subprocess.Popen(
        asked, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        given_up = threading.Timer(_PATIENCE, process.kill)
        given_up.start()
        try:
            assert process.stdout is not None
            said = ""
            for line in process.stdout:
                said += line
                code = re.search(r"^\s*([0-9A-F]{4}-[0-9A-F]{4})\s*$", said, re.MULTILINE)
                address = re.search(r"https?://\S+/authorize\S*", said)
                if code and address:
                    break
            else:
                pytest.fail(f"there was no code: {said[-1000:]}")
            _enter(address[0], code[1], "ann")
            said += process.stdout.read()
        finally:
            given_up.cancel()
    assert said.strip().endswith("this is ann"), said[-1000:]
    assert sorted(file.name for file in tmp_path.rglob("*_token")) == ["access_token", "refresh_token"]


def _enter(address: str, code: str, user: str) -> None:
    """What a user does in a browser: say who he is to the provider, and enter the code that he was told."""
    with httpx.Client(follow_redirects=True, timeout=60) as browser:
        page = browser.post(browser.get(address).url, data={"sub": user})
        assert page.status_code == 200
        hidden = re.search(r'name="code"[^>]*value="([^"]+)"', page.text)
        assert hidden is not None, page.text[-1000:]
        # Others enter codes that they were not told.
        wrong = browser.post(page.url, data={"code": hidden[1], "user_code": "0000-0000"})
        assert wrong.status_code == 401
        entered = browser.post(page.url, data={"code": hidden[1], "user_code": code})
        assert entered.status_code == 200, entered.text[-1000:]
