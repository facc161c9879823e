"""Readers of stream resources: which mimetype is read by what."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from databroker_like.errors import Invalid, NoSuchHandler, listed, nearest
from databroker_like.files._lazy import LazyArray, view
from databroker_like.files._sequence import FileNames, FileSequence
from databroker_like.files.csv import CSVArray, column_names
from databroker_like.files.hdf5 import HDF5Array
from databroker_like.files.jpeg import JPEGArray, jpeg_sequence
from databroker_like.files.npy import NPYArray, npy_sequence
from databroker_like.files.tiff import TIFFArray, tiff_sequence
from databroker_like.files.zarr import ZarrArray
from databroker_like.registry import entry_points, import_path

__all__ = ["READERS", "StreamAsset", "find_reader", "normal_mimetype"]

#: The entry-point group whose objects are mappings of mimetype to reader, or to its dotted path.
GROUP = "databroker.readers"


@dataclass(frozen=True)
class StreamAsset:
    """What a reader is given: one stream resource, and how far it has been announced.

    Parameters
    ----------
    data_key : str
        The name of the column.
    path : str
        The file or folder, with root_map applied; it ends with ``/`` when the URI did.
    parameters : mapping
        Those of the stream_resource document.
    shape : tuple of int or None
        The shape of one event as the descriptor declares it.
    stop : int
        One more than the last index that stream_datum documents announced.
    """

    data_key: str
    path: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    shape: tuple[int | None, ...] = ()
    stop: int = 0


#: ``reader(asset) -> LazyArray`` whose first axis counts frames, or rows, from the first one in the file.
Reader = Callable[[StreamAsset], LazyArray]


def read_hdf5(asset: StreamAsset) -> LazyArray:
    """A dataset in an HDF5 file; parameters ``dataset`` (or ``path``), ``swmr``, ``slice``, ``squeeze``."""
    parameters = asset.parameters
    dataset = parameters.get("dataset") or parameters.get("path")
    if not dataset:
        raise Invalid(
            f"the stream resource of {asset.data_key!r} does not say which dataset of {asset.path!r} to read; "
            "its parameters need 'dataset'"
        )
    array: LazyArray = HDF5Array(asset.path, dataset, swmr=bool(parameters.get("swmr", False)))
    if parameters.get("slice"):
        array = view(array, _parsed_slice(parameters["slice"]))
    if parameters.get("squeeze"):
        array = view(array, (slice(None), *(0 if n == 1 else slice(None) for n in array.shape[1:])))
    return array


def read_tiff(asset: StreamAsset) -> LazyArray:
    """The pages of one TIFF file."""
    return TIFFArray(asset.path)


def read_tiff_sequence(asset: StreamAsset) -> LazyArray:
    """Numbered TIFF files; parameters ``template``, ``filename``, ``chunk_shape``, ``join_method``."""
    return _sequence(asset, tiff_sequence)


def read_jpeg(asset: StreamAsset) -> LazyArray:
    """One picture."""
    return view(JPEGArray(asset.path), None)


def read_jpeg_sequence(asset: StreamAsset) -> LazyArray:
    """Numbered JPEG files; parameters as for TIFF."""
    return _sequence(asset, jpeg_sequence)


def read_npy(asset: StreamAsset) -> LazyArray:
    """One NPY file, whose first axis counts frames."""
    return NPYArray(asset.path)


def read_npy_sequence(asset: StreamAsset) -> LazyArray:
    """Numbered NPY files, one to an event; parameters as for TIFF, the template ``%s_%d.npy`` by default."""
    return _sequence(asset, npy_sequence, "%s_%d.npy")


def read_zarr(asset: StreamAsset) -> LazyArray:
    """A Zarr array; parameter ``dataset`` (or ``path``) inside a group."""
    dataset = asset.parameters.get("dataset") or asset.parameters.get("path") or ""
    return ZarrArray(asset.path, dataset if isinstance(dataset, str) else "/".join(dataset))


def read_csv(asset: StreamAsset) -> LazyArray:
    """A CSV file whose first line has the names; parameter ``column``, else the data key's own or all."""
    names = column_names(asset.path)
    column = asset.parameters.get("column")
    if column is None:
        column = asset.data_key if asset.data_key in names else None
    return _csv_columns(asset, names, column, header=True)


def read_csv_without_header(asset: StreamAsset) -> LazyArray:
    """A CSV file of values alone; parameter ``column`` counts from 0, else all columns."""
    names = column_names(asset.path, header=False)
    return _csv_columns(asset, names, asset.parameters.get("column"), header=False)


def _csv_columns(asset: StreamAsset, names: list[str], column: Any, *, header: bool) -> LazyArray:
    wide = len(asset.shape) > 1 and asset.shape[-1] == 1
    if column is None and len(names) == 1 and not wide:
        column = 0
    return CSVArray(asset.path, column, header=header)


def _parsed_slice(text: Any) -> tuple[Any, ...]:
    """``"0:10, :, 3"`` or a list of such parts as an index."""
    parts = text.strip("()[] ").split(",") if isinstance(text, str) else list(text)
    key: list[Any] = []
    for part in parts:
        if not isinstance(part, str):
            key.append(part)
            continue
        part = part.strip()
        try:
            if part == "...":
                key.append(...)
            elif ":" in part:
                key.append(slice(*(int(n) if n.strip() else None for n in part.split(":"))))
            elif part:
                key.append(int(part))
        except (ValueError, TypeError):
            raise Invalid(f"the slice {text!r} of a stream resource cannot be understood; write '0:10, :, 3'") from None
    return tuple(key)


def _sequence(asset: StreamAsset, make: Callable[[FileNames, range], FileSequence], default: str = "") -> LazyArray:
    """Numbered files: how many there are to an event follows from what the first of them holds."""
    parameters = asset.parameters
    template = parameters.get("template") or default
    if not template:
        raise Invalid(
            f"the stream resource of {asset.data_key!r} does not say how the files in {asset.path!r} are named; "
            "its parameters need 'template', such as 'img_{:06d}.tif'"
        )
    folder, prefix = os.path.split(asset.path)
    if not prefix or os.path.isdir(asset.path):
        folder, prefix = asset.path.rstrip("/") or "/", ""
    names = FileNames(folder, prefix + template, str(parameters.get("filename") or ""))
    if asset.stop == 0:
        raise Invalid(f"no file of {asset.data_key!r} was announced yet, so there is nothing to read in {folder!r}")
    first = make(names, range(1)).shape
    frames = _frames_declared(asset, first[1:]) if parameters.get("join_method", "concat") == "concat" else 1
    files = max(1, frames // max(1, first[0]))
    if files > 1 and _one_to_an_event(names, asset.stop, files):
        files = 1
    return make(names, range(asset.stop * files))


def _frames_declared(asset: StreamAsset, frame: tuple[int, ...]) -> int:
    if asset.parameters.get("multiplier"):
        return int(asset.parameters["multiplier"])
    return (asset.shape[0] or 1) if len(asset.shape) == len(frame) + 1 else 1


def _one_to_an_event(names: FileNames, stop: int, files: int) -> bool:
    """Whether there are as many files as events, where the declared shape asks for more."""
    there = [os.path.exists(names.path(number)) for number in (stop - 1, stop, stop * files - 1)]
    return there == [True, False, False]


#: The mimetypes read here.
READERS: Mapping[str, str | Reader] = MappingProxyType(
    {
        "application/x-hdf5": read_hdf5,
        "application/x-npy": read_npy,
        "application/x-zarr": read_zarr,
        "image/jpeg": read_jpeg,
        "image/tiff": read_tiff,
        "multipart/related;type=application/x-npy": read_npy_sequence,
        "multipart/related;type=image/jpeg": read_jpeg_sequence,
        "multipart/related;type=image/tiff": read_tiff_sequence,
        "text/csv": read_csv,
        "text/csv;header=absent": read_csv_without_header,
        "text/csv;header=present": read_csv,
    }
)


def normal_mimetype(mimetype: str) -> str:
    """A mimetype in lower case, without spaces, its parameters in order.

    Examples
    --------
    >>> normal_mimetype("Multipart/Related; type=image/TIFF")
    'multipart/related;type=image/tiff'
    """
    first, *parameters = (part.strip().lower() for part in mimetype.split(";"))
    return ";".join([first, *sorted(filter(None, parameters))])


def find_reader(mimetype: str, uid: str, readers: Mapping[str, str | Reader] | None = None) -> Reader:
    """The reader for a mimetype: handed in, our own, or a plugin's, in this order.

    Parameters
    ----------
    mimetype : str
    uid : str
        Of the stream resource, for the error.
    readers : mapping, optional
        Mimetype to reader, or to its dotted path.

    Returns
    -------
    callable
        ``reader(asset: StreamAsset) -> LazyArray``

    Raises
    ------
    NoSuchHandler
        With the mimetypes that are known and the way to add one.

    Examples
    --------
    >>> find_reader("application/x-hdf5", "a").__name__
    'read_hdf5'
    """
    wanted = normal_mimetype(mimetype)
    given = {normal_mimetype(name): reader for name, reader in (readers or {}).items()}
    found = given.get(wanted) or READERS.get(wanted)
    plugins: dict[str, str | Reader] = {}
    if found is None:
        plugins = _plugins()
        found = plugins.get(wanted)
    if found is None:
        known = {*given, *READERS, *plugins}
        near = nearest(wanted, known)
        raise NoSuchHandler(
            f"no reader for the mimetype {mimetype!r} of stream resource {uid!r}; "
            + (f"the nearest is {listed(near)}, " if near else "")
            + f"known are {listed(known, most=30)}; a package adds one by an entry point in the group {GROUP!r}, "
            "an object that maps mimetypes to readers"
        )
    return import_path(found) if isinstance(found, str) else found


def _plugins() -> dict[str, str | Reader]:
    """What the entry points bring; the first to claim a mimetype keeps it."""
    found: dict[str, str | Reader] = {}
    for entry in entry_points(GROUP):
        try:
            readers = dict(entry.load())
        except Exception as error:  # noqa: BLE001 - somebody else's code, named in the warning
            warnings.warn(f"the reader plugin {entry.name!r} ({entry.module_name}) fails: {error!r}", stacklevel=2)
            continue
        for mimetype, reader in readers.items():
            found.setdefault(normal_mimetype(mimetype), reader)
    return found
