"""The data of intake's own sources, as values: tables, arrays, documents, lines of text.

Where the files lie on this machine they are read here, several of them too, for intake 2 reads one; for those
elsewhere intake is asked.
"""

from __future__ import annotations

import contextlib
import glob
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from intake.source.csv import CSVSource
from intake.source.jsonfiles import JSONFileSource, JSONLinesFileSource
from intake.source.npy import NPySource
from intake.source.textfiles import TextFilesSource
from intake.source.zarr import ZarrArraySource

from databroker_like.errors import DatabrokerError, Invalid, InvalidFile, MissingFile, TooLarge, listed
from databroker_like.files import NPYArray, stack

__all__ = ["local_paths", "read_source", "stamp_of"]

#: So many bytes of text are read at once, at the most; a reader of such files holds all of them.
_MOST_BYTES = 1 << 30


def read_source(source: Any) -> Any:
    """What a source has to be read.

    Parameters
    ----------
    source : intake.source.base.DataSource

    Returns
    -------
    object
        A DataFrame, an array of numpy or dask, a Dataset, a dictionary, a list, ...

    Raises
    ------
    MissingFile
        When its files are not there.
    Invalid, InvalidFile
        When its arguments do not fit, or the files are damaged.
    TooLarge
        When they are of a kind that is read as a whole, and larger than is read.
    """
    paths = local_paths(source)
    for kind, read in _READ.items():
        if isinstance(source, kind) and paths is not None:
            with _border(paths, _WHAT[kind]):
                return read(source, paths)
    if isinstance(source, ZarrArraySource) and paths is not None:
        with _border(paths, "an array of Zarr"):
            return source.to_dask()
    if isinstance(source, ZarrArraySource) or source.container in ("ndarray", "xarray"):
        try:
            return source.to_dask()
        except NotImplementedError:
            return source.read()
    return source.read()


@contextlib.contextmanager
def _border(paths: Sequence[str], what: str) -> Iterator[None]:
    """Whatever readers of others raise is an error of ours that names the files by their names alone."""
    try:
        yield
    except DatabrokerError:
        raise
    except TypeError as error:
        raise Invalid(f"what is below 'args' is not taken by the reader of {what}: {error}") from error
    except OSError as error:
        # The system has words for what it refuses; zarr raises such, with words of its own, where there is no array.
        reason = f": {error.strerror}" if error.strerror else f" as {what}: there is none in it"
        raise InvalidFile(f"{_names_of(paths)} cannot be read{reason}") from error
    except (ValueError, LookupError) as error:
        raise InvalidFile(f"{_names_of(paths)} cannot be read as {what}: {error or type(error).__name__}") from error


def _names_of(paths: Sequence[str]) -> str:
    return listed([os.path.basename(path) for path in paths], most=3)


def stamp_of(source: Any) -> tuple[Any, ...] | None:
    """What becomes another when files of a source on this machine change; None where that cannot be told.

    Parameters
    ----------
    source : intake.source.base.DataSource

    Returns
    -------
    tuple, or None
    """
    try:
        paths = local_paths(source)
        if paths is None:
            return None
        found = [(path, os.stat(path)) for path in paths]
    except OSError:
        return ()
    return tuple((path, told.st_mtime_ns, told.st_size, told.st_ino) for path, told in found)


def local_paths(source: Any) -> list[str] | None:
    """The files of a source, when they lie on this machine; patterns are looked up.

    Parameters
    ----------
    source : intake.source.base.DataSource

    Returns
    -------
    list of str, or None

    Raises
    ------
    MissingFile
        When there is none.
    """
    url = source.data.url if hasattr(source, "data") else getattr(source, "_urlpath", None)
    places = [url] if isinstance(url, str | os.PathLike) else url
    if not isinstance(places, list | tuple) or not places:
        return None
    found: list[str] = []
    for place in map(os.fspath, places):
        protocol, mark, rest = place.partition("://")
        if (mark and protocol not in ("file", "local")) or "::" in place:
            return None
        path = os.path.normpath(os.path.expanduser(rest if mark else place))
        several = sorted(glob.glob(path)) if glob.has_magic(path) and not os.path.exists(path) else [path]
        missing = not several or not os.path.exists(several[0])
        if missing:
            raise MissingFile(f"there is no file {path!r}")
        found += several
    return found


def _not_too_large(paths: Sequence[str]) -> None:
    size = sum(map(os.path.getsize, paths))
    if size > _MOST_BYTES:
        raise TooLarge(
            f"the files have {size} bytes, and no more than {_MOST_BYTES} of such are read at once; "
            "keep large tables as Parquet files, and large arrays as Zarr"
        )


def _read_csv(source: CSVSource, paths: Sequence[str]) -> Any:
    import pandas as pd

    _not_too_large(paths)
    # Catalogs written for intake before its version 2 have what pandas is told below 'csv_kwargs'.
    kwargs = {**source.kwargs, **(source.kwargs.get("csv_kwargs") or {})}
    for name in ("csv_kwargs", "path_as_pattern"):
        kwargs.pop(name, None)
    tables = [pd.read_csv(path, **kwargs) for path in paths]
    return tables[0] if len(tables) == 1 else pd.concat(tables, ignore_index=True)


def _read_npy(source: NPySource, paths: Sequence[str]) -> Any:
    arrays = [NPYArray(path) for path in paths]
    several = not isinstance(source.data.url, str) or glob.has_magic(source.data.url)
    return stack(arrays) if several else arrays[0]


def _read_text(source: TextFilesSource, paths: Sequence[str]) -> Any:
    if source.kwargs["decoder"] or not source.kwargs["text_mode"]:
        return source.read()
    _not_too_large(paths)
    return [line for path in paths for line in _lines(path, source.kwargs["text_encoding"])]


def _lines(path: str, encoding: str) -> Iterator[str]:
    try:
        with open(path, encoding=encoding) as file:
            for line in file:
                yield line.rstrip("\n")
    except UnicodeDecodeError as error:
        raise Invalid(f"the file {path!r} is no text in {encoding}: {error.reason}") from error


def _read_json(source: Any, paths: Sequence[str]) -> Any:
    _not_too_large(paths)
    return source.read()


_READ: dict[type, Callable[[Any, Sequence[str]], Any]] = {
    CSVSource: _read_csv,
    NPySource: _read_npy,
    TextFilesSource: _read_text,
    JSONFileSource: _read_json,
    JSONLinesFileSource: _read_json,
}
#: What their files should be.
_WHAT: dict[type, str] = {
    CSVSource: "CSV",
    NPySource: "an NPY file",
    TextFilesSource: "text",
    JSONFileSource: "one document of JSON",
    JSONLinesFileSource: "lines of JSON",
}
