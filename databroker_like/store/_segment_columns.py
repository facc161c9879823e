"""Columns of events as arrow arrays and back, to the letter: what kind of values they were is noted beside them."""

from __future__ import annotations

import binascii
import functools
import math
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from databroker_like.codecs import decode, encode
from databroker_like.core._columns import joined
from databroker_like.errors import InvalidDocument, InvalidFile
from databroker_like.store._looks import Look, look_at

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

__all__ = ["About", "StoredValues", "from_arrow", "join_stored", "stored_look", "to_arrow"]

#: What is noted beside a column: how its values come back from what arrow holds.
About = dict[str, Any]

#: An arrow text or binary column of more bytes needs offsets of 64 bits.
_OFFSETS_AT_MOST = 2**31 - 1
_UUID_LENGTH = 36
_DASHES = (8, 13, 18, 23)


class StoredValues(Sequence[Any]):
    """A column of lists, or of numpy scalars, that lies in an array until somebody wants the values themselves.

    Parameters
    ----------
    array : numpy.ndarray
        Of shape (n, ...) for nested lists; of shape (n,) for numpy scalars.
    """

    __slots__ = ("_array",)

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def __repr__(self) -> str:
        return f"StoredValues({self._array!r})"

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, item: Any) -> Any:
        found = self._array[item]
        if isinstance(item, slice):
            return StoredValues(found)
        return found.tolist() if self._array.ndim > 1 else found

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tolist())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        import numpy as np

        return np.array(self._array, dtype=dtype, copy=copy)

    def tolist(self) -> list[Any]:
        """The values: a list each, or a numpy scalar each."""
        return list(self._array) if self._array.ndim == 1 else list(self._array.tolist())


def join_stored(parts: list[Any]) -> Any:
    """Columns of several pages one below the other; what lies in arrays stays there where that changes nothing."""
    if len(parts) > 1 and all(type(part) is StoredValues for part in parts):
        import numpy as np

        arrays = [part._array for part in parts]
        if len({(array.dtype, array.shape[1:]) for array in arrays}) == 1:
            return StoredValues(np.concatenate(arrays, dtype=arrays[0].dtype))
    return joined(parts)


# -- to arrow -------------------------------------------------------------------------------------------------------


def to_arrow(values: Any) -> tuple[pa.Array, About]:
    """A column as an arrow array, and what brings it back.

    Parameters
    ----------
    values : list or array of shape (n, ...)
        One value for each event.

    Returns
    -------
    (pyarrow.Array, dict)
    """
    import numpy as np

    if isinstance(values, StoredValues):
        if values._array.ndim == 1:
            return _plain(values._array, {"is": "scalar"})
        found = _tensor(values._array, "list")
        return _encoded(values.tolist()) if found is None else found
    if not isinstance(values, list | np.ndarray):
        if getattr(values, "ndim", None) is not None and hasattr(values, "__array__"):
            values = np.asarray(values)
        else:
            values = list(values)
    if isinstance(values, np.ndarray):
        return _of_array(values)
    return _of_list(values)


def _of_array(values: np.ndarray) -> tuple[pa.Array, About]:
    if values.ndim > 1:
        found = _tensor(values, "ndarray")
        return found if found is not None else _encoded(list(values))
    if values.dtype.kind in "biufcSmM":
        # The byte order of what stands for Python values makes no difference to them.
        return _plain(values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("=")), {})
    return _of_list(values.tolist())


def _of_list(values: list[Any]) -> tuple[pa.Array, About]:
    import numpy as np
    import pyarrow as pa

    if not values:
        return pa.array([], pa.null()), {"is": "encoded"}
    kind = type(values[0])
    if list(map(type, values)).count(kind) != len(values):
        return _encoded(values)
    if kind is float:
        return pa.array(values, pa.float64()), {}
    if kind is str:
        return _of_text(values)
    if kind is bool:
        return pa.array(values, pa.bool_()), {}
    if kind is int:
        for integers in (pa.int64(), pa.uint64()):
            try:
                return pa.array(values, integers), {}
            except (OverflowError, pa.ArrowInvalid):  # beyond what this type holds
                continue
        return _encoded(values)
    if kind is list:
        found = _nested(values)
    elif kind is np.ndarray:
        found = _stacked(values)
    elif issubclass(kind, np.generic) and np.dtype(kind).kind in "biuf" and np.dtype(kind).itemsize <= 8:
        return _plain(np.array(values, dtype=kind), {"is": "scalar"})
    else:
        found = None
    return _encoded(values) if found is None else found


def _of_text(values: list[str]) -> tuple[pa.Array, About]:
    import pyarrow as pa

    ids = _as_uuids(values)
    if ids is not None:
        return ids, {"is": "uuid"}
    size = sum(map(len, values)) * 4
    try:
        return pa.array(values, pa.string() if size <= _OFFSETS_AT_MOST else pa.large_string()), {}
    except UnicodeEncodeError:  # half a surrogate pair
        return _encoded(values)


def _as_uuids(values: list[str]) -> pa.Array | None:
    """Texts of 36 characters in 16 bytes each, when all are UUIDs as `str` writes them."""
    if len(values[0]) != _UUID_LENGTH or values[0][8] != "-":
        return None
    count = len(values)
    if list(map(len, values)).count(_UUID_LENGTH) != count:
        return None
    import numpy as np
    import pyarrow as pa

    text = "".join(values)
    if not text.isascii():
        return None
    table = np.frombuffer(text.encode(), np.uint8).reshape(count, _UUID_LENGTH)
    if any((table[:, at] != ord("-")).any() for at in _DASHES):
        return None
    digits = text.encode().translate(None, b"-")
    if len(digits) != 32 * count:
        return None
    try:
        packed = binascii.unhexlify(digits)
    except binascii.Error:  # other letters
        return None
    if digits.lower() != digits:
        return None
    return pa.Array.from_buffers(pa.binary(16), count, [None, pa.py_buffer(packed)])


def _encoded(values: list[Any]) -> tuple[pa.Array, About]:
    import pyarrow as pa

    raw = list(map(encode, values))
    size = sum(map(len, raw))
    look = look_at(values)
    noted = "|O" if look.dtype.kind == "V" else look.dtype.str
    about = {"is": "encoded", "dtype": noted, "shape": list(look.shape)}
    return pa.array(raw, pa.binary() if size <= _OFFSETS_AT_MOST else pa.large_binary()), about


def _plain(values: np.ndarray, about: About) -> tuple[pa.Array, About]:
    """A 1-D array as one arrow array of its type, or of its bytes."""
    import pyarrow as pa

    dtype = values.dtype
    inner = _arrow_type(dtype)
    if inner is not None:
        return pa.array(values, inner, from_pandas=False), about
    if not dtype.itemsize:
        return _encoded(values.tolist())
    return _raw(values, dtype.itemsize), {"is": "raw", "dtype": dtype.str}


@functools.cache
def _arrow_type(dtype: np.dtype) -> Any:
    import pyarrow as pa

    if dtype.kind in "biuf" and dtype.itemsize <= 8 and dtype.isnative:
        return pa.from_numpy_dtype(dtype)
    return None


def _raw(values: np.ndarray, width: int) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    if width > _OFFSETS_AT_MOST:
        raise InvalidDocument(f"one value of {width} bytes; the store takes {_OFFSETS_AT_MOST} at the most")
    buffer = pa.py_buffer(np.ascontiguousarray(values).tobytes())
    return pa.Array.from_buffers(pa.binary(width), len(values), [None, buffer])


def _tensor(values: np.ndarray, kind: str) -> tuple[pa.Array, About] | None:
    """An n-D array as tensors of one shape; None when it has no elements, or ones that are no numbers or texts."""
    import numpy as np
    import pyarrow as pa

    dtype, shape = values.dtype, values.shape[1:]
    size = math.prod(shape)
    if dtype.kind not in "biufcUSmM" or not size * dtype.itemsize:
        return None
    if size > _OFFSETS_AT_MOST:
        raise InvalidDocument(f"one array of shape {shape}; the store takes {_OFFSETS_AT_MOST} elements at the most")
    about = {"is": kind, "dtype": dtype.str, "shape": list(shape)}
    inner = _arrow_type(dtype)
    if inner is None:
        return _raw(values, size * dtype.itemsize), about
    flat = pa.array(np.ascontiguousarray(values).reshape(-1), inner, from_pandas=False)
    rows = pa.FixedSizeListArray.from_arrays(flat, size)
    if dtype.kind == "b":  # bits make no tensor
        return rows, about
    return pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(inner, shape), rows), about


def _stacked(values: list[np.ndarray]) -> tuple[pa.Array, About] | None:
    import numpy as np

    dtype, shape = values[0].dtype, values[0].shape
    if not shape or dtype.hasobject:
        return None
    if not all(value.dtype == dtype and value.shape == shape for value in values):
        return None
    return _tensor(np.stack(values, dtype=dtype), "ndarray")


def _nested(values: list[list[Any]]) -> tuple[pa.Array, About] | None:
    """Lists of one shape whose elements are all of one kind of number; None of others."""
    import numpy as np

    shape: list[int] = []
    flat: list[Any] = values
    while type(flat[0]) is list:
        length = len(flat[0])
        if not length or list(map(type, flat)).count(list) != len(flat):
            return None
        if list(map(len, flat)).count(length) != len(flat):
            return None
        shape.append(length)
        flat = list(chain.from_iterable(flat))
    kind = type(flat[0])
    dtype = {float: "<f8", int: "<i8", bool: "?"}.get(kind)
    if dtype is None or list(map(type, flat)).count(kind) != len(flat):
        return None
    try:
        array = np.array(flat, dtype=dtype)
    except OverflowError:  # an integer beyond 64 bits
        return None
    return _tensor(array.reshape(len(values), *shape), "list")


def stored_look(kind: pa.DataType, about: About) -> Look:
    """What a column looks like, from what is noted beside it.

    Parameters
    ----------
    kind : pyarrow.DataType
    about : dict

    Returns
    -------
    Look
    """
    import pyarrow as pa

    if "dtype" in about:
        return Look.of(about["dtype"], about.get("shape", ()))
    if about.get("is") == "uuid" or pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return Look.of("U")
    return Look.of("?" if pa.types.is_boolean(kind) else kind.to_pandas_dtype())


# -- from arrow -----------------------------------------------------------------------------------------------------


def from_arrow(chunks: list[pa.Array], about: About) -> Any:
    """The column that `to_arrow` made arrow arrays of.

    Parameters
    ----------
    chunks : list of pyarrow.Array
        Pieces of it, one below the other.
    about : dict
        As it was noted.

    Returns
    -------
    list, numpy.ndarray or StoredValues

    Raises
    ------
    InvalidFile
        When the arrays are not what is noted of them.
    """
    import numpy as np
    import pyarrow as pa

    kind = about.get("is")
    if not chunks:
        return []
    first = chunks[0].type
    try:
        if kind == "encoded":
            return [decode(raw) for chunk in chunks for raw in _sound(chunk).to_pylist()]
        if kind == "uuid":
            return list(chain.from_iterable(map(_uuids, chunks)))
        if kind is None and (pa.types.is_string(first) or pa.types.is_large_string(first)):
            return list(chain.from_iterable(_sound(chunk).to_numpy(zero_copy_only=False) for chunk in chunks))
        parts = [_array(chunk, about) for chunk in chunks]
    except (KeyError, TypeError, ValueError, AttributeError, pa.ArrowException) as error:
        if isinstance(error, InvalidFile):
            raise
        raise InvalidFile(f"a column of {first} that is no {kind or 'numbers'}: {error}") from error
    array = parts[0] if len(parts) == 1 else np.concatenate(parts, dtype=parts[0].dtype)
    return StoredValues(array) if kind in ("list", "scalar") else array


def _sound(chunk: pa.Array) -> pa.Array:
    """The same, when the places of its values lie inside it: a damaged file is not trusted with them."""
    chunk.validate(full=True)
    return chunk


def _array(chunk: pa.Array, about: About) -> np.ndarray:
    import numpy as np
    import pyarrow as pa

    if "dtype" not in about:
        return chunk.to_numpy(zero_copy_only=not pa.types.is_boolean(chunk.type))
    dtype, shape = np.dtype(about["dtype"]), tuple(about.get("shape", ()))
    if dtype.hasobject:
        raise InvalidFile("a column of Python objects, which is never loaded")
    if isinstance(chunk, pa.ExtensionArray):
        chunk = chunk.storage
    if pa.types.is_fixed_size_binary(chunk.type):
        width, buffer = chunk.type.byte_width, chunk.buffers()[1]
        flat = np.frombuffer(buffer, np.uint8, count=len(chunk) * width, offset=chunk.offset * width).view(dtype)
    else:
        flat = chunk.flatten().to_numpy(zero_copy_only=dtype.kind != "b")
    return flat.reshape(len(chunk), *shape)


def _uuids(chunk: pa.Array) -> list[str]:
    import numpy as np
    import pyarrow as pa

    if not pa.types.is_fixed_size_binary(chunk.type) or chunk.type.byte_width != 16:
        raise InvalidFile(f"a column of {chunk.type} is none of UUIDs")
    count = len(chunk)
    raw = memoryview(chunk.buffers()[1])[16 * chunk.offset : 16 * (chunk.offset + count)]
    digits = np.frombuffer(binascii.hexlify(raw), np.uint8).reshape(count, 32)
    table = np.full((count, _UUID_LENGTH), ord("-"), np.uint8)
    begin = 0
    for at, end in zip((0, 9, 14, 19, 24), (8, 12, 16, 20, 32), strict=True):
        table[:, at : at + end - begin] = digits[:, begin:end]
        begin = end
    text = table.tobytes().decode("ascii")
    return [text[at : at + _UUID_LENGTH] for at in range(0, _UUID_LENGTH * count, _UUID_LENGTH)]
