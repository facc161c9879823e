"""The layout of a stream as an xarray.Dataset: columns in, labels, dimensions and attributes out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from databroker_like.core._declared import declared_dtype, extract_shape, fits, is_number
from databroker_like.core._rows import as_array, ragged, roomy
from databroker_like.core._tell import tell
from databroker_like.errors import Invalid, listed, nearest

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

__all__ = ["Part", "arrange", "chosen_keys", "configuration", "empty_column"]

Doc = Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """What one descriptor brings to a stream.

    Parameters
    ----------
    descriptor : mapping
    times : ndarray of shape (time,), or None
        Seconds since the epoch; None where there are rows and no events (external streams of data).
    columns : dict
        Data key -> numpy or dask array of shape (time, ...).
    """

    descriptor: Doc
    times: np.ndarray | None
    columns: Mapping[str, Any]

    @property
    def length(self) -> int:
        """The number of rows."""
        if self.times is not None:
            return len(self.times)
        return max((column.shape[0] for column in self.columns.values()), default=0)


def chosen_keys(
    descriptors: Sequence[Doc], include: Iterable[str] | None = None, exclude: Iterable[str] | None = None
) -> dict[str, Doc]:
    """The data keys of a stream in the order of its descriptors, or those of them that are wanted.

    Parameters
    ----------
    descriptors : sequence of mapping
    include, exclude : iterable of str, optional
        One or the other. Names that the stream does not have are passed over; one to include, with a warning.

    Returns
    -------
    dict
        Key -> its description.

    Raises
    ------
    Invalid
        When both are given.

    Examples
    --------
    >>> list(chosen_keys([{"data_keys": {"b": {}, "a": {}, "c": {}}}], exclude=["a"]))
    ['b', 'c']
    """
    if include and exclude:
        raise Invalid("the parameters 'include' and 'exclude' are mutually exclusive; give one of them")
    keys: dict[str, Doc] = {}
    for descriptor in descriptors:
        for key, data_key in descriptor.get("data_keys", {}).items():
            keys.setdefault(key, data_key)
    if include:
        wanted = set(include)
        for name in sorted(wanted - keys.keys()) if keys else ():
            near = listed(nearest(name, keys) or keys)
            tell(f"include={sorted(wanted)}: there is no data key {name!r} in this stream; it has {near}")
        return {key: data_key for key, data_key in keys.items() if key in wanted}
    unwanted = set(exclude or ())
    return {key: data_key for key, data_key in keys.items() if key not in unwanted}


def empty_column(descriptor: Doc, key: str, field: str) -> np.ndarray:
    """A column of no events, of the shape and dtype that the descriptor declares."""
    import numpy as np

    if field == "timestamps":
        return np.empty((0,))
    shape = tuple(max(0, n) for n in extract_shape(descriptor, key))
    return np.empty((0, *shape), dtype=declared_dtype(descriptor["data_keys"][key]))


class _Labels:
    """Names for the dimensions: those declared, or ``dim_0``, ``dim_1``, ... through the whole stream."""

    def __init__(self) -> None:
        self._counter = itertools.count()
        self._sizes: dict[str, int] = {}

    def of(self, key: str, declared: Sequence[str] | None, shape: tuple[int, ...]) -> tuple[str, ...]:
        labels = tuple(declared) if declared is not None and len(declared) == len(shape) else None
        if labels is not None and any(self._sizes.get(d, n) != n for d, n in zip(labels, shape, strict=True)):
            tell(
                f"the dimensions {list(labels)} declared for {key!r} have other lengths than in a column before it, "
                f"and {shape} here; they are numbered instead",
            )
            labels = None
        if labels is None:
            labels = tuple(f"dim_{next(self._counter)}" for _ in shape)
        self._sizes.update(zip(labels, shape, strict=True))
        return labels


def arrange(parts: Sequence[Part], keys: Mapping[str, Doc], *, field: str = "data", where: str = "") -> xr.Dataset:
    """The Dataset of a stream.

    Dimensions are ``time``, then those that the data key names or else ``dim_0``, ``dim_1``, ... numbered once
    through the stream in the order of the data keys. The only coordinate is ``time``. Each variable has the name
    of its device in ``attrs["object"]``. What several descriptors brought is joined along ``time``, in its order;
    where one of them lacks a column there is NaN.

    Parameters
    ----------
    parts : sequence of Part
        One for each descriptor.
    keys : mapping
        The data keys, in order, with their descriptions; one that no part has is left out.
    field : {"data", "timestamps"}
        Whether the columns are values, whose shapes are compared with what is declared, or times.
    where : str
        Which stream, for a warning.

    Returns
    -------
    xarray.Dataset
    """
    import xarray as xr

    if not parts:
        return xr.Dataset()
    labels = _Labels()
    times, order = _joined_times(parts)
    variables: dict[str, xr.Variable] = {}
    for key, data_key in keys.items():
        if not any(key in part.columns for part in parts):
            continue
        if key == "time" and times is not None:
            tell(
                f"{where + ': ' if where else ''}the data key 'time' is left out: the times of the events have that "
                "name in a Dataset; run.documents() has its values (exclude=['time'] reads without this warning)"
            )
            continue
        column = _joined(key, parts, order)
        shape = tuple(column.shape[1:])
        if field == "data":
            _compare(key, data_key, column, where)
        dims = labels.of(key, data_key.get("dims") if field == "data" else None, shape)
        variables[key] = xr.Variable(("time", *dims), column, _attributes(key, parts), fastpath=True)
    coords = {} if times is None else {"time": xr.Variable(("time",), times)}
    return xr.Dataset(variables, coords=coords)


def _joined_times(parts: Sequence[Part]) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The times of all parts, and the order to bring rows into when it is not the one they have."""
    import numpy as np

    if all(part.times is None for part in parts):
        return None, None
    filled = [part.times if part.times is not None else np.full(part.length, np.nan) for part in parts]
    if len(filled) == 1:
        return filled[0], None
    kept = [times for times in filled if len(times)]
    if not kept:
        return filled[0], None
    times = np.concatenate(kept)
    if len(kept) == 1 or bool(np.all(times[1:] >= times[:-1])):
        return times, None
    order = np.argsort(times, kind="stable")
    return times[order], order


def _joined(key: str, parts: Sequence[Part], order: np.ndarray | None) -> Any:
    """One column through all parts."""
    if len(parts) == 1:
        return parts[0].columns[key]
    present = [part.columns[key] for part in parts if key in part.columns]
    with_rows = [column for column in present if column.shape[0]] or present[:1]
    shapes = {tuple(column.shape[1:]) for column in with_rows}
    lazy = any(hasattr(column, "dask") for column in with_rows)
    if len(shapes) > 1:
        if lazy:
            raise Invalid(
                f"{key!r} has values of shapes {sorted(shapes)} in one stream, which are no one lazy array; read() "
                f"gives it as a column of arrays, exclude=[{key!r}] leaves it out"
            )
        with_rows = [_one_dimensional(column) for column in with_rows]
    pieces = iter(with_rows)
    frame, dtype = with_rows[0].shape[1:], _common_dtype([column.dtype for column in with_rows])
    found: list[Any] = []
    for part in parts:
        if not part.length:
            continue
        if key in part.columns:
            found.append(next(pieces))
        else:
            dtype, missing = _missing(part.length, frame, dtype, lazy)
            found.append(missing)
    column = _concatenated(found or with_rows, dtype, lazy)
    return column if order is None else column[order]


def _one_dimensional(column: np.ndarray) -> np.ndarray:
    return column if column.dtype == object and column.ndim == 1 else ragged(column)


def _common_dtype(dtypes: Sequence[np.dtype]) -> np.dtype:
    import numpy as np

    kinds = {dtype.kind for dtype in dtypes}
    if len(kinds) > 1 and kinds & set("USOV"):
        return np.dtype(object)
    return np.result_type(*dtypes)


def _missing(length: int, frame: tuple[int, ...], dtype: np.dtype, lazy: bool) -> tuple[np.dtype, Any]:
    """NaN for rows that lack a column, and the dtype that has room for it, as xarray chooses it."""
    import numpy as np

    wide = roomy(dtype)
    if not lazy:
        return wide, np.full((length, *frame), np.nan, dtype=wide)
    import dask.array as da

    # As many frames of nothing as there may be are not made until they are asked for.
    return wide, da.full((length, *frame), np.nan, dtype=wide, chunks=(1 if frame else length, *frame))


def _concatenated(pieces: Sequence[Any], dtype: np.dtype, lazy: bool) -> Any:
    if lazy:
        import dask.array as da

        return da.concatenate([piece.astype(dtype) for piece in pieces])
    import numpy as np

    return np.concatenate([piece.astype(dtype, copy=False) for piece in pieces])


def _attributes(key: str, parts: Sequence[Part]) -> dict[str, Any]:
    """Which device a column belongs to, by which its configuration is found."""
    for part in parts:
        for device, keys in part.descriptor.get("object_keys", {}).items():
            if key in keys:
                return {"object": device}
    return {}


def _compare(key: str, data_key: Doc, column: Any, where: str) -> None:
    """One warning where the shape declared is not the shape of the data."""
    declared = data_key.get("shape")
    if declared is None or not column.shape[0] or str(data_key.get("external", "")).startswith("STREAM:"):
        # How external streams of data lie in their files is told by what reads them.
        return
    shape = tuple(column.shape[1:])
    if not shape and is_number(declared, data_key.get("dtype")):
        return
    if column.dtype == object and not shape and len(declared):
        if any(n is None or int(n) <= 0 for n in declared):
            return
        said = "shapes that differ from event to event; it is a column of arrays"
    elif fits(declared, shape) or (len(declared) == len(shape) == 3 and declared[-1] == 0):
        # ophyd long reported (x, y, 0) for what is (num_images, y, x).
        return
    else:
        said = f"shape {shape}"
    tell(
        f"{where + ': ' if where else ''}{key!r} was declared with shape {tuple(declared)} and its data has {said}; "
        "the data is right (a transform of the descriptor mends the declaration)",
    )


def configuration(
    device: str, descriptors: Sequence[Doc], times_of: Callable[[Doc], np.ndarray], *, field: str = "data"
) -> xr.Dataset:
    """The configuration of a device as a Dataset along the events it holds for.

    Parameters
    ----------
    device : str
    descriptors : sequence of mapping
    times_of : callable
        Gives the times of the events of a descriptor.
    field : {"data", "timestamps"}

    Returns
    -------
    xarray.Dataset
        Each field repeated along ``time``; empty when the device has none.

    Raises
    ------
    Invalid
        When no descriptor knows the device.
    """
    import numpy as np

    known = {name for descriptor in descriptors for name in descriptor.get("configuration", {})}
    objects = {name for descriptor in descriptors for name in descriptor.get("object_keys", {})}
    if descriptors and device not in known | objects:
        near = listed(nearest(device, known | objects) or known | objects)
        raise Invalid(f"there is no device {device!r} in this stream; it has {near}")
    parts: list[Part] = []
    keys: dict[str, Doc] = {}
    for descriptor in descriptors:
        found = descriptor.get("configuration", {}).get(device, {})
        values, times = found.get(field, {}), times_of(descriptor)
        columns = {}
        for key, data_key in found.get("data_keys", {}).items():
            if key not in values:
                continue
            keys.setdefault(key, data_key)
            value = as_array([values[key]])
            columns[key] = np.repeat(value, len(times), axis=0)
        # No device is named in the attributes: it is the one that was asked for.
        parts.append(Part({"uid": descriptor["uid"]}, times, columns))
    if not keys:
        import xarray as xr

        return xr.Dataset()
    return arrange(parts, keys, field=field)
