"""Catalog YAML files: opened as intake opens them, with every mistake told by file and line."""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from fsspec.core import open_files, split_protocol
from intake.catalog import Catalog, EntrypointsCatalog
from intake.catalog.base import VersionError
from intake.catalog.local import LocalCatalogEntry, YAMLFileCatalog, YAMLFilesCatalog

from databroker_like import registry
from databroker_like.core._intake import calling_source
from databroker_like.core._old_configs import ConfigEntry, config_entries
from databroker_like.core._yaml_check import check_catalog, driver_class
from databroker_like.errors import DatabrokerError, InvalidCatalog, MissingFile, NotFound, listed, nearest
from databroker_like.utils import catalog_search_path

__all__ = ["BuiltinCatalog", "CatalogFile", "CatalogFiles", "builtin_catalog", "open_catalog"]

_SUFFIXES = (".yml", ".yaml")


def open_catalog(uri: str | os.PathLike[str] | Sequence[str] | None = None, **kwargs: Any) -> Catalog:
    """Open a catalog YAML file, and say at which line of it a mistake is.

    It takes what ``intake.open_catalog`` takes and gives the same catalog. In addition it reads the file before
    it is used: unknown drivers and arguments, values of a wrong type, handlers and transforms that cannot be
    imported, parameters that nothing defines, and anything that would run a shell are mistakes. It sees at once when
    the file has been edited.

    Parameters
    ----------
    uri : str, path or list of str, optional
        A file, a folder, a glob, or several of them; local or with a protocol that fsspec knows. Without it the
        catalog is empty.
    **kwargs
        ``driver`` for a catalog that is no YAML file; ``name``, ``flatten``, ``storage_options``, ...

    Returns
    -------
    intake.catalog.Catalog

    Raises
    ------
    InvalidCatalog
        With the file, the line, and what was expected.
    MissingFile
        When there is no such file or folder.

    Examples
    --------
    >>> list(open_catalog())
    []
    """
    driver = kwargs.pop("driver", None)
    if driver is not None:
        cls = driver_class(driver)
        if cls is None:
            raise InvalidCatalog(f"there is no driver {driver!r}")
        return cls(**kwargs) if uri is None else cls(uri, **kwargs)
    if uri is None:
        return Catalog(**kwargs)
    places = [os.fspath(cast("str", p)) for p in (uri if isinstance(uri, list | tuple) else [uri])]
    name, description = kwargs.pop("name", None), kwargs.pop("description", None)
    single = len(places) == 1 and "*" not in places[0] and places[0].endswith(_SUFFIXES)
    if single:
        kwargs.pop("flatten", None)
        _must_exist(places[0])
        try:
            catalog: Catalog = CatalogFile(places[0], **kwargs)
        except VersionError:
            import intake

            return intake.from_yaml_file(places[0], **kwargs)
    else:
        catalog = CatalogFiles([_pattern(place) for place in places], **kwargs)
    # intake takes a name given to the constructor as the sign of a file inside another, and does not read it yet.
    catalog.name, catalog.description = name or catalog.name, description or catalog.description
    return catalog


def _must_exist(place: str) -> None:
    if _is_remote(place) or os.path.exists(_local(place)):
        return
    folder = os.path.dirname(os.path.abspath(_local(place)))
    if not os.path.isdir(folder):
        raise MissingFile(f"there is no catalog file {place!r}: there is no folder {folder!r}")
    there = [name for name in os.listdir(folder) if name.endswith(_SUFFIXES)]
    near = listed(nearest(os.path.basename(place), there) or there)
    raise MissingFile(f"there is no catalog file {place!r}; the folder has {near}")


def _pattern(place: str) -> str:
    if "*" in place:
        return place
    if not place.endswith(_SUFFIXES):
        if not _is_remote(place) and not os.path.isdir(_local(place)):
            raise MissingFile(f"there is no folder {place!r} with catalog files; a catalog file ends in .yml or .yaml")
        return place.rstrip("/") + "/*.y*ml"
    _must_exist(place)
    return place


def _is_remote(place: str) -> bool:
    return split_protocol(place)[0] not in (None, "file", "local")


def _local(place: str) -> str:
    return str(split_protocol(place)[1])


class _Nearest(Catalog):
    """A catalog that answers a name it does not have with the nearest that it has."""

    _looked_for = ""

    def __getitem__(self, key: Any) -> Any:
        try:
            return super().__getitem__(key)
        except KeyError as error:
            # One of a driver's own is about something else.
            if not isinstance(key, str) or isinstance(error, DatabrokerError) or key in self:
                raise
        names = list(self)
        near = f"it has {listed(nearest(key, names) or names)}" if names else "it is empty"
        raise NotFound(f"no source {key!r} in the catalog {self.name!r}; {near}{self._looked_for}")

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError as error:
            if not isinstance(error.__cause__, NotFound):
                raise
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}, and {error.__cause__}") from None


class CatalogFile(_Nearest, YAMLFileCatalog):
    """A catalog YAML file that is checked whenever it is read, and read again when it has changed.

    Parameters
    ----------
    path : str
        The file.
    **kwargs
        What intake's ``yaml_file_cat`` takes.
    """

    name = "yaml_file_cat"

    def __init__(self, path: Any = None, **kwargs: Any) -> None:
        self._seen: tuple[int, int, int] | None = None
        self._alone = calling_source() is None
        if isinstance(path, os.PathLike):
            path = os.fspath(path)
        kwargs.setdefault("ttl", 60 if not isinstance(path, str) or _is_remote(path) else 0)
        super().__init__(path, **kwargs)

    def _load(self, reload: bool = False) -> None:
        if not isinstance(self.path, str) or _is_remote(self.path) or not self.access:
            super()._load(reload)
            return
        try:
            now = os.stat(_local(self.path))
        except FileNotFoundError:
            raise MissingFile(f"the catalog file {self.path!r} is not there any more") from None
        stamp = (now.st_mtime_ns, now.st_size, now.st_ino)
        if stamp != self._seen or reload:
            try:
                super()._load(reload)
            except UnicodeDecodeError as error:
                line, byte = error.object.count(b"\n", 0, error.start) + 1, error.object[error.start]
                raise InvalidCatalog(
                    f"{self.path}, line {line}: the byte 0x{byte:02x} is not UTF-8; save the file as UTF-8"
                ) from error
            self._seen = stamp

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        super().__setstate__({**state, "args": tuple(state["args"]), "kwargs": dict(state["kwargs"])})

    def parse(self, text: str) -> None:
        """Check the text of a catalog, and make the entries it describes.

        Parameters
        ----------
        text : str
            The YAML.
        """
        check_catalog(text, str(self.path), alone=self._alone)
        super().parse(text)
        for entry in self._entries.values():
            if isinstance(entry, LocalCatalogEntry):
                _read_by_us(entry)


#: intake's own classes for YAML files, and ours, which check.
_OURS = {YAMLFileCatalog: CatalogFile}


def _read_by_us(entry: LocalCatalogEntry) -> None:
    """Let a file inside a file be checked too, and find drivers at databroker's paths."""
    if isinstance(entry._plugin, list):
        if not entry._plugin and isinstance(entry._driver, str):
            entry._plugin = [registry.import_path(entry._driver)]
            entry._container = entry._plugin[0].container
        entry._plugin = [_OURS.get(cls, cls) for cls in entry._plugin]


def _entry_of(file: CatalogFile) -> LocalCatalogEntry:
    entry = LocalCatalogEntry(file.name, file.description or f"YAML file: {file.path}", CatalogFile)
    # The file that is open already, in place of one that intake would open.
    entry._default_source = file
    return entry


class CatalogFiles(_Nearest, YAMLFilesCatalog):
    """Several catalog YAML files as one catalog; files that come, change and go are seen at once.

    Parameters
    ----------
    path : str or list of str
        Files and globs.
    flatten : bool
        True by default: the sources of all files side by side; otherwise each file is a catalog in this one.
    **kwargs
        What intake's ``yaml_files_cat`` takes.
    """

    name = "yaml_files_cat"
    access: bool

    def __init__(self, path: Any, flatten: bool = True, **kwargs: Any) -> None:
        self._files: dict[str, CatalogFile] = {}
        kwargs.setdefault("ttl", 0)
        super().__init__([path] if isinstance(path, str) else path, flatten, **kwargs)

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        super().__setstate__({**state, "args": tuple(state["args"]), "kwargs": dict(state["kwargs"])})

    def _places(self) -> Iterable[str]:
        return list(self.path)

    def _load(self) -> None:
        if self.access is False:
            self.updated, self.access = 0, True
            return
        found = list(dict.fromkeys(path for place in self._places() for path in self._expand(place)))
        files = {}
        for path in found:
            file = self._opened(path)
            if file is not None:
                files[path] = file
        self._files = files
        if self._flatten:
            self._entries = self._side_by_side(files)
            for file in files.values():
                self.user_parameters.update(file.user_parameters)
        else:
            self._entries = {file.name: _entry_of(file) for file in files.values()}
        self.name = self.name or f"{len(files)} files"

    def _expand(self, place: str) -> list[str]:
        opened = open_files(place, mode="rb", **(self.storage_options or {}))
        return [f.fs.unstrip_protocol(f.path) if _is_remote(place) else f.path for f in opened]

    def _opened(self, path: str) -> CatalogFile | None:
        known = self._files.get(path)
        if known is None:
            return CatalogFile(path, storage_options=self.storage_options, getenv=self.getenv)
        known.reload()
        return known

    def _side_by_side(self, files: dict[str, CatalogFile]) -> dict[str, Any]:
        entries: dict[str, Any] = {}
        homes: dict[str, str] = {}
        for path, file in files.items():
            for name, entry in file._entries.items():
                if name in entries:
                    self._twice(name, homes[name], path)
                else:
                    entries[name], homes[name] = entry, path
        return entries

    def _twice(self, name: str, first: str, second: str) -> None:
        raise InvalidCatalog(
            f"two files have a source {name!r}: {first} and {second}; rename one, or open them with flatten=False"
        )


class BuiltinCatalog(CatalogFiles):
    """The catalogs that installed packages offer as ``intake.catalogs``, and those in files on the search path.

    Beside them are the configuration files of versions 0 and 1. A file with a mistake in it is left out, with a warning
    that has the mistake; of two sources of one name the one found first counts: packages, then configuration files,
    then files in the order of `catalog_search_path`.
    """

    name = "builtin"
    _looked_for = "; databroker_like.catalog_search_path() says where catalog files are looked for"

    def __init__(self, **kwargs: Any) -> None:
        self._warned: dict[str, str] = {}
        self._packages: EntrypointsCatalog | None = None
        self._configs: dict[str, ConfigEntry] = {}
        super().__init__([], **kwargs)
        self.name, self.description = "builtin", "Offered by installed packages, and found on the catalog search path"

    def _places(self) -> Iterable[str]:
        for place in catalog_search_path():
            if place.endswith(_SUFFIXES):
                yield place
            elif _is_remote(place) or os.path.isdir(_local(place)):
                yield from (f"{place.rstrip('/')}/*{suffix}" for suffix in (".yaml", ".yml"))

    def _load(self) -> None:
        if self._packages is None:
            self._packages = EntrypointsCatalog(ttl=60)
        super()._load()
        self._packages.reload()
        self._configs = config_entries(self._configs)
        self._entries = {**self._entries, **self._configs, **self._packages._entries}

    def _opened(self, path: str) -> CatalogFile | None:
        try:
            file = super()._opened(path)
        except (DatabrokerError, OSError) as error:
            if self._warned.get(path) != str(error):
                self._warned[path] = str(error)
                warnings.warn(f"left out of the built-in catalog: {error}", UserWarning, stacklevel=2)
            return None
        self._warned.pop(path, None)
        return file

    def _twice(self, name: str, first: str, second: str) -> None:
        """The first counts."""


@functools.cache
def builtin_catalog() -> BuiltinCatalog:
    """The one `BuiltinCatalog` of this process, made on the first request.

    Returns
    -------
    BuiltinCatalog
    """
    return BuiltinCatalog()
