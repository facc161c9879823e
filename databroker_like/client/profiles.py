"""Profiles: servers with their settings, under names, in the YAML files that Tiled's clients read."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from databroker_like import registry
from databroker_like.client._profile_check import check_profile
from databroker_like.client.cache import Cache
from databroker_like.errors import Conflict, Invalid, InvalidConfig, NoSuchProfile, NotWritable, listed, nearest

__all__ = [
    "Profile",
    "create_profile",
    "delete_profile",
    "get_default_profile_name",
    "list_profiles",
    "load_profiles",
    "profile_of",
    "profile_paths",
    "set_default_profile_name",
]

_SUFFIXES = (".yml", ".yaml")
#: A file of profiles that is longer is none.
_LONGEST = 1 << 20
_NAME = re.compile(r"[\w][\w .@+-]*")


@dataclass(frozen=True)
class Profile:
    """A server with its settings.

    Parameters
    ----------
    name : str
    path : Path
        The file that has it.
    content : mapping
        What it says.
    """

    name: str
    path: Path
    content: Mapping[str, Any]

    @property
    def uri(self) -> str:
        """The server, or a node on it."""
        return self.content["uri"]

    @property
    def direct(self) -> Mapping[str, Any] | None:
        """What is served in this process, in place of a server."""
        return self.content.get("direct")

    def structure_clients(self) -> Any:
        """Which classes nodes get: a word, or a dictionary of classes."""
        told = self.content.get("structure_clients", "numpy")
        if isinstance(told, str):
            return told
        # What it leaves out is read into memory, as without it.
        return {**registry.load("client.numpy")(), **{key: registry.import_path(path) for key, path in told.items()}}

    def settings(self) -> dict[str, Any]:
        """The arguments of `Context` that it has."""
        found = {
            name: self.content[name]
            for name in ("headers", "verify", "max_connections", "token_cache")
            if name in self.content
        }
        if "timeout" in self.content:
            import httpx

            told = dict(self.content["timeout"])
            if "connection" in told:
                told["connect"] = told.pop("connection")
            found["timeout"] = httpx.Timeout(**{"timeout": 30.0, "connect": 5.0, **told})
        if "cache" in self.content:
            found["cache"] = Cache(**self.content["cache"])
        return found


def profile_paths() -> list[Path]:
    """The folders that are searched for profiles; what stands in a later one goes before the same in an earlier one.

    Those of the machine (``TILED_SITE_PROFILES`` names another), of the Python environment and of the user
    (``TILED_PROFILES`` names another).

    Returns
    -------
    list of Path

    Examples
    --------
    >>> all(path.is_absolute() for path in profile_paths())
    True
    """
    import platformdirs

    def told(variable: str, *usual: str | Path) -> list[Path]:
        named = os.environ.get(variable)
        return [Path(place).expanduser().absolute() for place in ([named] if named else usual)]

    site = told("TILED_SITE_PROFILES", "/etc/tiled/profiles", Path(platformdirs.site_config_dir("tiled"), "profiles"))
    user = told("TILED_PROFILES", "~/.config/tiled/profiles", Path(platformdirs.user_config_dir("tiled"), "profiles"))
    environment = Path(sys.prefix, "etc", "tiled", "profiles")
    return list(dict.fromkeys([*site, environment, *user]))


def list_profiles() -> dict[str, Path]:
    """The names of all profiles, and the files that have them.

    Returns
    -------
    dict
    """
    return {name: path for name, (path, _) in load_profiles().items()}


@functools.cache
def load_profiles() -> dict[str, tuple[Path, dict[str, Any]]]:
    """All profiles; a file that cannot be meant is left out, with a warning.

    The files are read once; ``load_profiles.cache_clear()`` has them read again.

    Returns
    -------
    dict
        Name -> (file, content).
    """
    found, wrong = _gathered()
    for told in dict.fromkeys(map(str, wrong.values())):
        warnings.warn(f"left out: {told}", UserWarning, stacklevel=2)
    return {name: (profile.path, dict(profile.content)) for name, profile in found.items()}


def profile_of(name: str | None = None) -> Profile:
    """One profile.

    Parameters
    ----------
    name : str, optional
        The default profile, by default.

    Returns
    -------
    Profile

    Raises
    ------
    NoSuchProfile
        When no file has it.
    InvalidConfig
        When the file that has it cannot be meant.
    """
    if name is None:
        name = get_default_profile_name()
        if name is None:
            raise NoSuchProfile("there is no default profile; set_default_profile_name names one")
    found, wrong = _gathered()
    if name in found:
        return found[name]
    if name in wrong:
        raise wrong[name]
    near = listed(nearest(name, found) or found)
    places = ", ".join(str(place) for place in profile_paths())
    # A file that cannot be read may be where it was meant to be.
    also = "; ".join(dict.fromkeys(map(str, wrong.values())))
    raise NoSuchProfile(f"there is no profile {name!r} in {places}; there is {near}{'; ' if also else ''}{also}")


def create_profile(uri: str, name: str, verify: bool = True, overwrite: bool = False) -> Path:
    """Write a profile of the user.

    Parameters
    ----------
    uri : str
        Without an API key: a file of profiles is no place for one.
    name : str
    verify : bool
        Whether certificates are checked.
    overwrite : bool
        Whether a profile of this name that is there gives way.

    Returns
    -------
    Path
        The new file.

    Raises
    ------
    Conflict
        When there is one of this name.
    Invalid
        When the name or the address cannot be meant.
    """
    if not _NAME.fullmatch(name):
        raise Invalid(f"{name!r} is no name of a profile: it has letters, digits, spaces and . _ - @ +")
    content = {name: {"uri": uri, "verify": verify}}
    check_profile(name, content[name], "the new profile")
    if "api_key=" in uri:
        raise Invalid(
            "an API key does not stand in a profile; set TILED_API_KEY, or give from_profile(..., api_key=...)"
        )
    path = profile_paths()[-1] / f"{name}.yml"
    there = _gathered()[0].get(name)
    if not overwrite and (there is not None or path.exists()):
        raise Conflict(f"there is a profile {name!r} in {there.path if there else path}; overwrite=True replaces it")
    import yaml

    _write(path, yaml.safe_dump(content, sort_keys=False))
    load_profiles.cache_clear()
    return path


def delete_profile(name: str) -> Path:
    """Delete the file of a profile, when it has nothing else.

    Parameters
    ----------
    name : str

    Returns
    -------
    Path
        The file that was there.

    Raises
    ------
    NoSuchProfile
        When there is none of this name.
    Conflict
        When its file has other profiles, too.
    """
    profile = profile_of(name)
    others = [other for other, found in _gathered()[0].items() if found.path == profile.path and other != name]
    if others:
        raise Conflict(f"{profile.path} has {listed(others)}, too; take {name!r} out of it by hand")
    profile.path.unlink()
    load_profiles.cache_clear()
    return profile.path


def get_default_profile_name() -> str | None:
    """The name of the profile that is opened when none is named.

    Returns
    -------
    str or None
    """
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return _default_file().read_text("utf-8")[:1000].strip() or None
    return None


def set_default_profile_name(name: str | None) -> None:
    """Say which profile is opened when none is named.

    Parameters
    ----------
    name : str or None
        None is that there is no such profile.

    Raises
    ------
    NoSuchProfile
        When there is none of this name.
    """
    if name is None:
        _default_file().unlink(missing_ok=True)
    else:
        _write(_default_file(), profile_of(name).name)


def _default_file() -> Path:
    return profile_paths()[-1].parent / "default_profile"


def _gathered() -> tuple[dict[str, Profile], dict[str, InvalidConfig]]:
    """What can be meant, and what is wrong with the rest, under its name or that of its file."""
    found: dict[str, Profile] = {}
    wrong: dict[str, InvalidConfig] = {}
    for folder in profile_paths():
        here: dict[str, Profile] = {}
        twice: set[str] = set()
        try:
            files = sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES and path.is_file())
        except OSError:
            continue
        for path in files:
            try:
                told = _read(path)
            except InvalidConfig as error:
                wrong[path.stem] = error
                continue
            for name, content in told.items():
                try:
                    profile = Profile(str(name), path, check_profile(str(name), content, str(path)))
                except InvalidConfig as error:
                    wrong[str(name)] = error
                    found.pop(str(name), None)
                    continue
                if profile.name in here:
                    twice.add(profile.name)
                    both = f"{here[profile.name].path.name} and {path.name} in {folder}"
                    wrong[profile.name] = InvalidConfig(f"the profile {profile.name!r} stands in both {both}")
                here[profile.name] = profile
        for name, profile in here.items():
            if name in twice:
                found.pop(name, None)
            else:
                found[name] = profile
                wrong.pop(name, None)
    return found, wrong


def _read(path: Path) -> dict[Any, Any]:
    import yaml

    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST + 1)
        if len(text) > _LONGEST:
            raise InvalidConfig(f"{path} is too long for a file of profiles")
        content = yaml.safe_load(text)
    except OSError as error:
        raise InvalidConfig(f"{path} cannot be read: {error}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise InvalidConfig(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict) or not content:
        raise InvalidConfig(f"{path} is no file of profiles: it has names, and under each of them its settings")
    return content


def _write(path: Path, text: str) -> None:
    """A file that is there whole or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, new = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with open(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(new, path)
        except BaseException:
            os.unlink(new)
            raise
    except OSError as error:
        raise NotWritable(f"{path} cannot be written: {error}") from error
