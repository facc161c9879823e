"""Files that lie where the server can read them, shown there as nodes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from databroker_like import files, registry
from databroker_like.client._writing._making_nodes import NodeMaking
from databroker_like.errors import Invalid, MissingFile, NotOffered, listed
from databroker_like.files.arrow import ArrowTable
from databroker_like.files.csv_table import CSVTable
from databroker_like.files.parquet import ParquetTable
from databroker_like.structures import (
    ArrayStructure,
    AwkwardStructure,
    Chunks,
    ContainerStructure,
    RaggedStructure,
    SparseStructure,
    Structure,
    TableStructure,
    data_type_of,
)

if TYPE_CHECKING:
    from databroker_like.files._array import ArrayInfo

__all__ = ["Registering", "looked_at", "mimetype_of"]

_TYPES: Mapping[str, str] = {
    ".arrow": "application/vnd.apache.arrow.file",
    ".csv": "text/csv",
    ".feather": "application/vnd.apache.arrow.file",
    ".h5": "application/x-hdf5",
    ".hdf5": "application/x-hdf5",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".npy": "application/x-npy",
    ".parquet": "application/x-parquet",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".zarr": "application/x-zarr",
}
_SEVERAL = "multipart/related;type="
_FAMILIES: Mapping[type, str] = {
    ArrayStructure: "array",
    AwkwardStructure: "awkward",
    ContainerStructure: "container",
    RaggedStructure: "ragged",
    SparseStructure: "sparse",
    TableStructure: "table",
}


class Registering(NodeMaking):
    """The part of `Container` that shows files."""

    def register(
        self,
        *uris: str | os.PathLike[str],
        key: str | None = None,
        structure: Structure | None = None,
        mimetype: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        specs: Sequence[Any] | None = None,
        access_tags: Sequence[str] | None = None,
    ) -> Any:
        """Show files as one node of this container. They stay where they are, and the server reads them there.

        The server must be able to read them, and must have been told that it may: for tiled, ``--read FOLDER``.

        Parameters
        ----------
        *uris : str or path
            Files or folders on this machine, under the same path on the server, or URIs ``file://...``. Several images
            or arrays of the same shape are one array, in this order along its first axis.
        key : str, optional
            A random one by default.
        structure : Structure, optional
            One of `databroker_like.structures`; by default the file is looked at.
        mimetype : str, optional
            By the ending of the name, by default.
        parameters : dict, optional
            With which the server opens the file, such as ``{"dataset": "entry/data"}`` for HDF5.
        metadata, specs, access_tags
            As of `create_container`.

        Returns
        -------
        BaseClient
            Of the class for its specs or its family.

        Raises
        ------
        MissingFile, InvalidFile
            When the file is not there to be looked at, or is not what its name says.
        Invalid
            When nothing says of what kind it is, or the structure does not fit the file.
        NotWritable, NotPermitted
            When the server takes nothing here, or may not read the file.
        """
        if not uris:
            raise Invalid("which file? register('/data/image.npy')")
        addresses = [_address(uri) for uri in uris]
        paths = [_path(address) for address in addresses]
        kind = mimetype or mimetype_of(paths)
        given = dict(parameters or {})
        described = structure if structure is not None and not _is_here(paths) else looked_at(paths, kind, given)
        if structure is not None and described is not structure:
            _check_fits(structure, described, paths)
            described = structure
        # Tables may be of several files, and servers count even the only one.
        single = len(paths) == 1 and not isinstance(described, TableStructure)
        assets = [
            {
                "data_uri": address,
                "is_directory": path.is_dir(),
                "parameter": "data_uri" if single else "data_uris",
                "num": None if single else number,
                "size": path.stat().st_size if path.is_file() else None,
                "id": None,
            }
            for number, (address, path) in enumerate(zip(addresses, paths, strict=True))
        ]
        family = "container" if isinstance(described, dict) else _FAMILIES[type(described)]
        source = {
            "structure": described,
            "mimetype": kind,
            "parameters": given,
            "assets": assets,
            "management": "external",
        }
        return self._made("register", family, [source], key, metadata, specs, access_tags)


def _address(uri: str | os.PathLike[str]) -> str:
    """A file as a URI, as servers of the protocol write it."""
    text = os.fspath(uri)
    parts = urlsplit(text)
    if parts.scheme == "file":
        return f"file://{parts.netloc or 'localhost'}{parts.path}"
    if len(parts.scheme) > 1:
        raise NotOffered(f"a server reads files, and {text!r} is none: give a path, or file://...")
    return f"file://localhost{quote(Path(text).absolute().as_posix())}"


def _path(address: str) -> Path:
    return Path(unquote(urlsplit(address).path))


def _is_here(paths: Sequence[Path]) -> bool:
    return all(path.exists() for path in paths)


def mimetype_of(paths: Sequence[Path]) -> str:
    """Of what kind a file is, or several are, by their names.

    Parameters
    ----------
    paths : sequence of Path

    Returns
    -------
    str

    Raises
    ------
    Invalid
        When the names do not tell, or tell different kinds.

    Examples
    --------
    >>> mimetype_of([Path("a.npy")]), mimetype_of([Path("a.tif"), Path("b.TIFF")])
    ('application/x-npy', 'multipart/related;type=image/tiff')
    """
    found = {_TYPES.get(path.suffix.lower()) for path in paths}
    (kind, *more) = found
    if kind is None or more:
        names = listed(path.name for path in paths)
        raise Invalid(f"{names} may be anything: give register(..., mimetype=...); known endings are {listed(_TYPES)}")
    return kind if len(paths) == 1 else f"{_SEVERAL}{kind}"


def looked_at(paths: Sequence[Path], mimetype: str, parameters: Mapping[str, Any]) -> Any:
    """The structure of what is in a file, or in several that are one array.

    Parameters
    ----------
    paths : sequence of Path
    mimetype : str
    parameters : dict
        With which it is opened.

    Returns
    -------
    Structure, or dict
        A dict for an HDF5 file as a container.

    Raises
    ------
    MissingFile
        When a file is not there.
    Invalid
        When it cannot be looked at here, or files do not fit together.
    """
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise MissingFile(
            f"{missing[0]} is not on this machine; where only the server has it, give structure=... and mimetype=..."
        )
    kind = mimetype.removeprefix(_SEVERAL)
    if kind in _TABLES:
        if len(paths) > 1:
            raise Invalid("several files of a table are registered one by one")
        info = _TABLES[kind](paths[0]).info
        return TableStructure.from_schema(info.schema)
    if kind == "application/x-hdf5" and "dataset" not in parameters:
        return {"keys": _keys_of_hdf5(paths[0])}
    if kind not in _ARRAYS:
        raise Invalid(f"a file of type {mimetype!r} is not looked at here: give register(..., structure=...)")
    infos = [_ARRAYS[kind](os.fspath(path), parameters) for path in paths]
    first = infos[0]
    if any((info.shape, info.dtype) != (first.shape, first.dtype) for info in infos):
        raise Invalid(f"files of one array have one shape and type, and {listed(p.name for p in paths)} have not")
    shape, chunks = tuple(first.shape), _cuts(first)
    if kind == "image/tiff" and shape[0] == 1:
        # A file of one page is that page to servers of the protocol.
        shape, chunks = shape[1:], chunks[1:]
    structure = ArrayStructure(data_type_of(first.dtype), chunks, shape)
    if len(paths) == 1:
        return structure
    count = len(paths)
    return ArrayStructure(structure.data_type, ((1,) * count, *structure.chunks), (count, *structure.shape))


def _cuts(info: ArrayInfo) -> Chunks:
    cuts = []
    for length, step in zip(info.shape, info.chunks, strict=True):
        step = max(1, min(step, length))
        whole, rest = divmod(length, step)
        cuts.append((step,) * whole + ((rest,) if rest else ()) or (0,))
    return tuple(cuts)


def _keys_of_hdf5(path: Path) -> list[str]:
    h5py = registry.require("h5py", "look into HDF5 files")
    with files.reading(os.fspath(path), "an HDF5 file"), h5py.File(path, "r") as opened:
        return list(opened)


def _check_fits(structure: Structure, found: Any, paths: Sequence[Path]) -> None:
    """Invalid when a structure that was given cannot be that of the file."""
    if isinstance(structure, ArrayStructure) and isinstance(found, ArrayStructure):
        fits = structure.data_type == found.data_type and structure.size == found.size
        said = f"{found.shape} of {found.data_type.to_numpy_dtype()}"
    elif isinstance(structure, TableStructure) and isinstance(found, TableStructure):
        fits = structure.schema.types == found.schema.types
        said = f"the columns {listed(found.columns)}"
    else:
        fits, said = False, f"what is a {type(found).__name__}"
    if not fits:
        raise Invalid(f"{paths[0].name!r} holds {said}, which does not fit the structure that was given")


_TABLES: Mapping[str, Callable[[Path], Any]] = {
    "application/vnd.apache.arrow.file": ArrowTable,
    "application/x-parquet": ParquetTable,
    "text/csv": CSVTable,
}
_ARRAYS: Mapping[str, Callable[[str, Mapping[str, Any]], ArrayInfo]] = {
    "application/x-hdf5": lambda path, given: files.HDF5Array(path, given["dataset"]).info,
    "application/x-npy": lambda path, given: files.NPYArray(path).info,
    "application/x-zarr": lambda path, given: files.ZarrArray(path, given.get("dataset", "")).info,
    "image/jpeg": lambda path, given: files.JPEGArray(path).info,
    "image/tiff": lambda path, given: files.TIFFArray(path).info,
}
