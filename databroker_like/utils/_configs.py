"""Configuration files of versions 0 and 1: where they lie, which there are, and what is in one."""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from databroker_like.errors import InvalidConfig, NoSuchConfig, listed, nearest

__all__ = ["SPECIAL_NAME", "Secret", "config_search_path", "describe_configs", "list_configs", "lookup_config"]

#: The name that databroker gave a configuration made of environment variables.
SPECIAL_NAME = "_legacy_config"

_ENDINGS = (".yml", ".yaml")
_NAME = re.compile(r"[^/\\\0]+")
#: Nobody writes that much by hand.
_MOST_BYTES = 1_000_000
_SECRET_KEY = re.compile(r"(?i).*(pwd|passw|secret|token)")
_PASSWORD_IN_URI = re.compile(r"(?<=://)([^/@:]*):[^/]*@")


class Secret(str):
    """Text that is itself and is not shown: its ``repr`` has stars where the password is.

    Examples
    --------
    >>> password = Secret("swordfish")
    >>> password == "swordfish"
    True
    >>> {"mongo_pwd": password, "uri": Secret("mongodb://me:swordfish@db.example/runs")}
    {'mongo_pwd': '***', 'uri': 'mongodb://me:***@db.example/runs'}
    """

    __slots__ = ()

    def __repr__(self) -> str:
        shown, found = _PASSWORD_IN_URI.subn(r"\1:***@", str.__str__(self))
        return repr(shown) if found or "://" in shown else "'***'"


def config_search_path() -> tuple[str, ...]:
    """The folders in which configuration files are looked for, in order.

    Returns
    -------
    tuple of str
        The user's, the Python environment's and the machine's.
    """
    if os.name == "nt":
        user = os.path.join(os.environ.get("APPDATA", os.path.expanduser("~")), "databroker")
        return user, os.path.join(sys.prefix, "etc", "databroker")
    user = os.path.join(os.path.expanduser("~"), ".config", "databroker")
    return user, os.path.join(sys.prefix, "etc", "databroker"), "/etc/databroker"


def _files(paths: Iterable[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for folder in map(Path, paths):
        try:
            inside = sorted(folder.iterdir())
        except OSError:
            # Not every folder that may be there is there, and some are closed to others.
            continue
        for path in inside:
            if path.suffix in _ENDINGS and path.is_file():
                found.setdefault(path.stem, path)
    return found


def list_configs(paths: Iterable[str] | None = None) -> list[str]:
    """The names of the configuration files there are.

    Parameters
    ----------
    paths : iterable of str, optional
        The folders to look in; by default the user's, the environment's and the machine's.

    Returns
    -------
    list of str
        Sorted.
    """
    return sorted(_files(config_search_path() if paths is None else paths))


def describe_configs() -> dict[str, str | None]:
    """The names and the descriptions of the configuration files there are.

    Returns
    -------
    dict
        Name -> description, or None.
    """
    described: dict[str, str | None] = {}
    for name, path in sorted(_files(config_search_path()).items()):
        try:
            description = _load(path).get("description")
        except InvalidConfig as error:
            warnings.warn(f"{error}; it has no description", UserWarning, stacklevel=2)
            description = None
        described[name] = None if description is None else str(description)
    return described


def lookup_config(name: str) -> dict[str, Any]:
    """What is in the configuration file of a name.

    Parameters
    ----------
    name : str
        ``"example"`` is looked up as ``~/.config/databroker/example.yml``, then in the folder ``etc/databroker`` of
        the Python environment, then as ``/etc/databroker/example.yml``.

    Returns
    -------
    dict
        Passwords in it are `Secret`.

    Raises
    ------
    NoSuchConfig
        When there is none.
    InvalidConfig
        When it is no mapping in YAML.
    """
    stem = str(name)
    for ending in _ENDINGS:
        stem = stem.removesuffix(ending)
    if not _NAME.fullmatch(stem) or stem in (".", ".."):
        raise NoSuchConfig(f"{name!r} is no name of a configuration file; it is the name alone, as in 'example'")
    files = _files(config_search_path())
    if stem not in files:
        places = "\n".join(os.path.join(folder, stem + ".yml") for folder in config_search_path())
        near = listed(nearest(stem, files) or files)
        raise NoSuchConfig(
            f"No config file named '{stem}.yml' could be found in the following locations:\n{places}\nThere is {near}"
        )
    return _load(files[stem])


def _load(path: Path) -> dict[str, Any]:
    import yaml

    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(_MOST_BYTES + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfig(f"the configuration file {str(path)!r} cannot be read: {error}") from error
    if len(text) > _MOST_BYTES:
        raise InvalidConfig(f"the configuration file {str(path)!r} has more than {_MOST_BYTES} characters")
    try:
        loaded = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        where = getattr(error, "problem_mark", None)
        said = f" at line {where.line + 1}" if where is not None else ""
        raise InvalidConfig(f"the configuration file {str(path)!r} is no YAML{said}") from error
    if not isinstance(loaded, dict):
        raise InvalidConfig(
            f"the configuration file {str(path)!r} holds {type(loaded).__name__}, not a mapping of 'metadatastore', "
            "'assets', ..."
        )
    return _with_secrets(loaded)


def _with_secrets(value: Mapping[Any, Any], made: dict[int, dict[Any, Any]] | None = None) -> dict[Any, Any]:
    # YAML may name one mapping in many places, and even within itself: each is made once.
    made = {} if made is None else made
    if id(value) in made:
        return made[id(value)]
    kept = made[id(value)] = {}
    for key, item in value.items():
        if isinstance(item, Mapping):
            kept[key] = _with_secrets(item, made)
        elif isinstance(item, str) and (_SECRET_KEY.match(str(key)) or _PASSWORD_IN_URI.search(item)):
            kept[key] = Secret(item)
        else:
            kept[key] = item
    return kept
