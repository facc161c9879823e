"""What may stand in a profile."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from databroker_like.errors import InvalidConfig, listed, nearest

__all__ = ["check_profile"]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _is_count(value: Any) -> bool:
    return _is_number(value) and isinstance(value, int)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_mapping(value: Any) -> bool:
    return isinstance(value, dict)


#: Key -> (what it may be, and how that is called).
_Kinds = Mapping[str, tuple[Callable[[Any], bool], str]]
_PROFILE: _Kinds = {
    "uri": (_is_text, "an address such as http://localhost:8000"),
    "direct": (_is_mapping, "a mapping with 'trees'"),
    "headers": (_is_mapping, "a mapping of names to values"),
    "structure_clients": (
        lambda value: value in ("numpy", "dask") if isinstance(value, str) else _is_mapping(value),
        "'numpy', 'dask', or a mapping of structure families and specs to 'package.module:Class'",
    ),
    "cache": (_is_mapping, "a mapping with 'filepath', 'capacity', 'max_item_size', 'readonly'"),
    "timeout": (_is_mapping, "a mapping with 'connect', 'read', 'write', 'pool' in seconds"),
    "token_cache": (_is_text, "a folder"),
    "max_connections": (_is_count, "a whole number above 0"),
    "verify": (lambda value: isinstance(value, bool), "true or false"),
    "username": (_is_text, "a name"),
    "auth_provider": (_is_text, "a name"),
}
_CACHE: _Kinds = {
    "filepath": (_is_text, "a file"),
    "capacity": (_is_number, "a number of bytes"),
    "max_item_size": (_is_number, "a number of bytes"),
    "readonly": (lambda value: isinstance(value, bool), "true or false"),
}
_SECONDS = (lambda value: value is None or _is_number(value), "a number of seconds")
_TIMEOUT: _Kinds = dict.fromkeys(("connect", "connection", "read", "write", "pool"), _SECONDS)
#: What older clients knew: it is asked for now, and remembered.
_IGNORED = ("username", "auth_provider")
_SECRETS = ("api_key", "password", "token", "access_token", "refresh_token")


def check_profile(name: str, content: Any, where: str) -> dict[str, Any]:
    """A profile with ``$VARIABLES`` of the environment filled in, if it can be meant.

    Parameters
    ----------
    name : str
    content : object
        As read from YAML.
    where : str
        The file.

    Returns
    -------
    dict

    Raises
    ------
    InvalidConfig
        When it cannot be meant.

    Examples
    --------
    >>> check_profile("lab", {"uri": "http://localhost:8000"}, "lab.yml")
    {'uri': 'http://localhost:8000'}
    """
    place = f"the profile {name!r} in {where}"
    if not isinstance(content, dict):
        raise InvalidConfig(f"{place} is no mapping of settings")
    secret = next((key for key in content if key in _SECRETS), None)
    if secret is not None:
        raise InvalidConfig(
            f"{place} has {secret!r}, which does not stand in a profile; set TILED_API_KEY, or give "
            "from_profile(..., api_key=...)"
        )
    if ("uri" in content) == ("direct" in content):
        # A misspelt one is nothing else.
        _check_names(content, _PROFILE, place)
        there = "both" if "uri" in content else "neither"
        raise InvalidConfig(f"{place} has either 'uri' or 'direct'; it has {there}")
    filled = _filled(content)
    _check(filled, _PROFILE, place)
    _check(filled.get("cache", {}), _CACHE, f"'cache' in {place}")
    _check(filled.get("timeout", {}), _TIMEOUT, f"'timeout' in {place}")
    for key, value in filled.get("headers", {}).items():
        if not isinstance(key, str) or not isinstance(value, str | int | float):
            raise InvalidConfig(f"'headers' in {place} has {key!r}, whose value is no text")
    clients = filled.get("structure_clients", "numpy")
    if isinstance(clients, dict) and not all(isinstance(path, str) for path in clients.values()):
        raise InvalidConfig(f"'structure_clients' in {place} names classes as 'package.module:Class'")
    if "headers" in filled:
        filled["headers"] = {key: str(value) for key, value in filled["headers"].items()}
    ignored = [key for key in _IGNORED if key in filled]
    if ignored:
        warnings.warn(f"{listed(ignored)} in {place} says nothing any more: .login() asks", UserWarning, stacklevel=2)
    return {key: value for key, value in filled.items() if key not in _IGNORED}


def _check_names(content: Mapping[str, Any], kinds: _Kinds, place: str) -> None:
    for key in content:
        if key not in kinds:
            near = listed(nearest(str(key), kinds) or kinds)
            raise InvalidConfig(f"{place} has {key!r}, which is nothing; there is {near}")


def _check(content: Mapping[str, Any], kinds: _Kinds, place: str) -> None:
    _check_names(content, kinds, place)
    for key, value in content.items():
        is_right, called = kinds[key]
        if not is_right(value):
            raise InvalidConfig(f"{key!r} in {place} is {called}, not {value!r}")


def _filled(value: Any) -> Any:
    if isinstance(value, str):
        return os.path.expandvars(value)
    if isinstance(value, dict):
        return {key: _filled(inner) for key, inner in value.items()}
    return [_filled(inner) for inner in value] if isinstance(value, list) else value
