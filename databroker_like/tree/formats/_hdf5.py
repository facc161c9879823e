"""Arrays and what is said of them as HDF5: types that it has no word for are translated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate, product
from typing import IO, TYPE_CHECKING, Any

from databroker_like.registry import require
from databroker_like.tree._words import to_json
from databroker_like.tree.formats._spool import spooled

if TYPE_CHECKING:
    import numpy as np

__all__ = ["HDF5_TYPE", "as_hdf5", "boxes_of", "dataset_of", "hdf5_name", "say"]

HDF5_TYPE = "application/x-hdf5"

_UNITS = {
    "D": "days",
    "h": "hours",
    "m": "minutes",
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
}
_NO_TIME = -(1 << 63)
#: What HDF5 and netCDF say of dimensions, in their own types.
_OF_THE_FILE = frozenset({"CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST", "DIMENSION_LABELS", "_Netcdf4Dimid"})


def as_hdf5(write: Callable[[Any], None]) -> Iterator[bytes]:
    """The pieces of a file of HDF5.

    Parameters
    ----------
    write : callable
        Of the open file, an ``h5py.File``.

    Returns
    -------
    iterator of bytes

    Raises
    ------
    MissingExtra
        When h5py is not installed.
    """
    h5py: Any = require("h5py", "write files of HDF5")

    def written(file: IO[bytes]) -> None:
        # In the order in which they come, as netCDF wants it; what is said may be longer than 64 kB.
        with h5py.File(file, "w", track_order=True, libver=("v108", "v110")) as root:
            write(root)

    return spooled(written)


def hdf5_name(key: str) -> str:
    """A key as the name of something in a file: there are no slashes in it, and it is not a dot.

    Parameters
    ----------
    key : str

    Returns
    -------
    str

    Examples
    --------
    >>> hdf5_name("a/b"), hdf5_name("."), hdf5_name("x.y")
    ('a%2Fb', '%2E', 'x.y')
    """
    name = key.replace("%", "%25").replace("/", "%2F").replace("\0", "%00").encode("utf-8", "backslashreplace").decode()
    return "%" + name if not name else name.replace(".", "%2E") if not name.strip(".") else name


def say(thing: Any, metadata: Mapping[str, Any]) -> None:
    """Put what is said of something into its attributes.

    Parameters
    ----------
    thing : h5py.Group or h5py.Dataset
    metadata : mapping
        Numbers, texts and lists of numbers are attributes as they are; anything else is JSON. What the file itself
        says of it, such as the units of a time, stands.
    """
    for key, value in metadata.items():
        name = hdf5_name(str(key))
        if name not in thing.attrs and name not in _OF_THE_FILE:
            thing.attrs.create(name, _said(value))


def _said(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
    if isinstance(value, bool | float) or (isinstance(value, int) and -(1 << 63) <= value < 1 << 63):
        return value
    if isinstance(value, list | tuple) and value:
        kinds = {type(one) for one in value}
        if kinds == {float} or (kinds == {int} and all(-(1 << 63) <= one < 1 << 63 for one in value)):
            return list(value)
    return to_json(value).decode()


def dataset_of(
    group: Any,
    name: str,
    shape: Sequence[int],
    dtype: np.dtype,
    boxes: Iterator[tuple[tuple[slice, ...], np.ndarray]],
) -> Any:
    """An array in a file, written part by part.

    Parameters
    ----------
    group : h5py.Group
    name : str
    shape : sequence of int
    dtype : numpy.dtype
        Texts are texts of any length there, and times are whole numbers with their ``units``, as netCDF has them.
    boxes : iterator of (tuple of slice, numpy.ndarray)
        Where a part lies, and the part.

    Returns
    -------
    h5py.Dataset
    """
    h5py: Any = require("h5py", "write files of HDF5")
    kept, translated, attrs = _translated(h5py, dtype)
    dataset = group.create_dataset(name, shape=tuple(shape), dtype=kept)
    for box, part in boxes:
        if part.size:
            dataset[box] = translated(part)
    for key, value in attrs.items():
        dataset.attrs[key] = value
    return dataset


def _translated(h5py: Any, dtype: np.dtype) -> tuple[Any, Callable[[Any], Any], dict[str, Any]]:
    """The type in the file, what makes elements of that type, and what is said of them."""
    import numpy as np

    if dtype.names:
        inner = {name: _translated(h5py, dtype[name].base) for name in dtype.names}
        # Strings of any length do not stand in records; of a fixed one they do.
        kept = np.dtype([(name, _fixed(dtype[name].base, inner[name][0]), dtype[name].shape) for name in dtype.names])

        def records(part: Any) -> Any:
            made = np.zeros(part.shape, kept)
            for name in dtype.names or ():
                values = part[name]
                is_text = values.dtype.kind == "U"
                made[name] = np.char.encode(values, "utf-8", "replace") if is_text else inner[name][1](values)
            return made

        return kept, records, {}
    if dtype.kind == "U":
        return h5py.string_dtype(), lambda part: np.char.encode(part, "utf-8", "replace").astype(object), {}
    if dtype.kind in "mM":
        unit, count = np.datetime_data(dtype)
        fits = unit in _UNITS and count == 1
        final = dtype.newbyteorder("=") if fits else np.dtype(f"{dtype.kind}8[s]")
        word = _UNITS[np.datetime_data(final)[0]]
        attrs = {"units": word if dtype.kind == "m" else f"{word} since 1970-01-01", "_FillValue": np.int64(_NO_TIME)}
        return np.dtype("<i8"), lambda part: part.astype(final).view("i8"), attrs
    if dtype.kind == "V":
        return h5py.opaque_dtype(dtype), lambda part: part.astype(h5py.opaque_dtype(dtype)), {}
    return dtype, lambda part: part, {}


def _fixed(dtype: np.dtype, kept: Any) -> Any:
    return f"S{dtype.itemsize or 1}" if dtype.kind == "U" else kept


def boxes_of(chunks: Sequence[Sequence[int]]) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
    """The number of each block along the axes, and where it lies.

    Parameters
    ----------
    chunks : sequence of sequence of int

    Returns
    -------
    iterator of (tuple of int, tuple of slice)

    Examples
    --------
    >>> list(boxes_of([[2, 1]]))
    [((0,), (slice(0, 2, None),)), ((1,), (slice(2, 3, None),))]
    """
    sides = []
    for cuts in chunks:
        ends = accumulate(cuts)
        sides.append([(n, slice(end - cut, end)) for n, (end, cut) in enumerate(zip(ends, cuts, strict=True))])
    for block in product(*sides):
        yield tuple(n for n, _ in block), tuple(side for _, side in block)
