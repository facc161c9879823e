"""Documents as bytes and back: msgpack, with numpy arrays as databroker-pack writes them; nothing is ever unpickled."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgpack

from databroker_like.errors import InvalidDocument, InvalidFile

__all__ = ["MAX_DOCUMENT", "decode", "decode_each", "encode", "from_map", "path_to", "to_map"]

#: No document may be larger: what claims to be is broken, or meant to exhaust memory.
MAX_DOCUMENT = 1 << 30

_PLAIN_KINDS = "biufcUSmM"
#: Elements that an array without any bytes may have.
_EMPTY_AT_MOST = 1 << 24

#: Extension types: an integer beyond 64 bits, and numpy's float64, which devices give for any number.
_INTEGER = 1
_FLOAT64 = 2
_DOUBLE = struct.Struct("<d")
#: What bytes that are no msgpack are refused with.
_BROKEN = (
    msgpack.UnpackException,
    ValueError,
    TypeError,
    OverflowError,
    RecursionError,
    MemoryError,
    struct.error,
)

#: The maps that stand for something else have these keys, as msgpack writes them.
_ARRAY_MARK, _TUPLE_MARK, _COMPLEX_MARK = b"\xc4\x02nd", b"\xc4\x05tuple", b"\xc4\x07complex"
_RESERVED = (b"nd", b"tuple", b"complex")


def encode(value: Any) -> bytes:
    """A document, or any value that stands in one, as bytes.

    Parameters
    ----------
    value : mapping, or what a document may hold
        Numbers of Python and numpy, text, bytes, None, lists, tuples, mappings and arrays.

    Returns
    -------
    bytes

    Raises
    ------
    InvalidDocument
        When it holds anything else, is nested hundreds of levels deep, or is larger than a gibibyte.

    Examples
    --------
    >>> decode(encode({"uid": "a", "shape": (2, 3), "count": 2**70, "gain": float("inf")}))
    {'uid': 'a', 'shape': (2, 3), 'count': 1180591620717411303424, 'gain': inf}
    """
    try:
        packed = _pack(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        if isinstance(error, InvalidDocument):
            raise InvalidDocument(f"{_named(value)} cannot be stored{path_to(value, _pack)}: {error}") from None
        raise InvalidDocument(f"{_named(value)} cannot be stored: {error}") from error
    if len(packed) > MAX_DOCUMENT:
        raise InvalidDocument(f"{_named(value)} has {len(packed)} bytes; {MAX_DOCUMENT} are the most that one may have")
    if _ARRAY_MARK in packed or _TUPLE_MARK in packed or _COMPLEX_MARK in packed:
        _check_keys(value)
    return packed


def decode(raw: bytes | bytearray | memoryview) -> Any:
    """What `encode` made bytes of.

    Parameters
    ----------
    raw : bytes-like

    Returns
    -------
    dict, or what a document may hold
        Arrays are read-only.

    Raises
    ------
    InvalidFile
        When the bytes are no msgpack, or hold pickled objects, or claim sizes that they do not have.

    Examples
    --------
    >>> decode(b"\\x81\\xa3uid\\xa1a")
    {'uid': 'a'}
    """
    if len(raw) > MAX_DOCUMENT:
        raise InvalidFile(f"a document of {len(raw)} bytes; {MAX_DOCUMENT} are the most that one may have")
    try:
        return msgpack.unpackb(
            raw,
            object_hook=from_map,
            ext_hook=_from_extension,
            raw=False,
            strict_map_key=False,
            unicode_errors="surrogatepass",
        )
    except InvalidFile:
        raise
    except _BROKEN as error:
        raise InvalidFile(f"a document that is not msgpack: {error or type(error).__name__}") from None


def decode_each(pieces: Iterable[bytes]) -> Iterator[Any]:
    """What `encode` made bytes of, one value after the other, as the bytes come in.

    Parameters
    ----------
    pieces : iterable of bytes
        Cut anywhere.

    Yields
    ------
    object

    Raises
    ------
    InvalidFile
        As `decode` does; and when the last value is cut off.

    Examples
    --------
    >>> together = encode(["start", {"uid": "a"}]) + encode(["stop", {}])
    >>> list(decode_each([together[:5], together[5:]]))
    [['start', {'uid': 'a'}], ['stop', {}]]
    """
    unpacker = msgpack.Unpacker(
        object_hook=from_map,
        ext_hook=_from_extension,
        raw=False,
        strict_map_key=False,
        unicode_errors="surrogatepass",
        max_buffer_size=MAX_DOCUMENT,
    )
    fed = ended = 0
    try:
        for piece in pieces:
            unpacker.feed(piece)
            fed += len(piece)
            for value in unpacker:
                ended = unpacker.tell()
                yield value
    except InvalidFile:
        raise
    except _BROKEN as error:
        raise InvalidFile(f"documents that are not msgpack: {error or type(error).__name__}") from None
    if ended != fed:
        raise InvalidFile("the last of the documents is cut off")


def _pack(value: Any) -> bytes:
    packed: bytes = msgpack.packb(
        value, default=_default, use_bin_type=True, strict_types=True, unicode_errors="surrogatepass"
    )
    return packed


def path_to(value: Any, write: Callable[[Any], object]) -> str:
    """Where in a document the value stands that cannot be written, as it goes into the message.

    Parameters
    ----------
    value : mapping
        A document that ``write`` refuses.
    write : callable
        It raises `InvalidDocument`, or what the encoder has to say, for a value that cannot be written.

    Examples
    --------
    >>> path_to({"uid": "a", "sample": {"grown": {1, 2}}}, encode)
    ", at 'sample.grown'"
    """
    path: list[str] = []
    while True:
        items = value.items() if isinstance(value, Mapping) else enumerate(value if isinstance(value, list) else ())
        for key, inner in items:
            try:
                write(inner)
            except (TypeError, ValueError, OverflowError, RecursionError):  # `InvalidDocument` is a ValueError
                path.append(str(key))
                value = inner
                break
        else:
            return f", at {'.'.join(path)!r}" if path else ""


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeio" else f"a {noun}"


def _named(value: Any) -> str:
    uid = value.get("uid") if isinstance(value, Mapping) else None
    return "a value of a document" if uid is None else f"document {uid!r}"


def _check_keys(value: Any) -> None:
    """Refuse a mapping that would come back as an array, a tuple or a complex number."""
    if isinstance(value, Mapping):
        for key in _RESERVED:
            if key in value:
                raise InvalidDocument(
                    f"the key {key!r} stands for an array, a tuple or a complex number; use text as keys"
                )
        value = value.values()
    elif not isinstance(value, list | tuple):
        return
    for inner in value:
        if not isinstance(inner, str | int | float):
            _check_keys(inner)


def _default(value: Any) -> Any:
    """What msgpack has no type for."""
    kind = type(value)
    if kind.__name__ == "float64" and kind.__module__ == "numpy":
        return msgpack.ExtType(_FLOAT64, _DOUBLE.pack(value))
    if kind is tuple:
        return {b"tuple": list(value)}
    if isinstance(value, int):
        if -(2**63) <= value < 2**64:  # of a class derived from int, or msgpack would have taken it
            return int(value)
        return msgpack.ExtType(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True))
    return to_map(value)


def _from_extension(code: int, data: bytes) -> Any:
    if code == _FLOAT64:
        import numpy

        return numpy.float64(_DOUBLE.unpack(data)[0])
    if code == _INTEGER:
        return int.from_bytes(data, "little", signed=True)
    raise InvalidFile(f"it holds values of the unknown extension type {code}: a later version may have written it")


def to_map(value: Any) -> Any:
    """What stands in msgpack for a value that it has no type for, as databroker-pack's exports have it.

    Parameters
    ----------
    value : numpy array, numpy scalar, complex, or of a class derived from a plain one

    Returns
    -------
    dict, list, str, bytes or float

    Raises
    ------
    InvalidDocument
        When it is anything else.

    Examples
    --------
    >>> to_map(1 + 2j)
    {b'complex': True, b'data': '(1+2j)'}
    """
    import numpy

    if isinstance(value, numpy.ndarray):
        return {
            b"nd": True,
            b"type": _type_of(value.dtype),
            b"kind": b"V" if value.dtype.kind == "V" else b"",
            b"shape": list(value.shape),
            b"data": numpy.ascontiguousarray(value).tobytes(),
        }
    # Texts and bytes first: numpy's scalars of these are such as well, and its arrays would cut zeros off.
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bytes):
        return bytes(value)
    if isinstance(value, numpy.generic):
        return {b"nd": False, b"type": _type_of(value.dtype), b"data": value.tobytes()}
    if isinstance(value, complex):
        return {b"complex": True, b"data": repr(complex(value))}
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, list | tuple):
        return list(value)
    raise InvalidDocument(f"{_a(type(value).__name__)} cannot be written as msgpack: {value!r:.60}")


def _type_of(dtype: Any) -> Any:
    """What `_dtype` makes the dtype of again."""
    if dtype.kind in _PLAIN_KINDS:
        return dtype.str
    described = dtype.descr if dtype.kind == "V" and dtype.names and not dtype.hasobject else None
    if described is None or _dtype(described) != dtype:
        raise InvalidDocument(f"an array of {dtype} cannot be written as msgpack")
    return [list(one) for one in described]


def from_map(obj: dict[Any, Any]) -> Any:
    """A map as it is, or the numpy value, tuple or complex number that it stands for.

    Parameters
    ----------
    obj : dict

    Returns
    -------
    dict, numpy.ndarray, numpy.generic, tuple or complex

    Raises
    ------
    InvalidFile
        When it holds pickled objects, or an array that is none.

    Examples
    --------
    >>> from_map({b"nd": True, b"type": "<u2", b"kind": b"", b"shape": [2], b"data": bytes([1, 0, 2, 0])})
    array([1, 2], dtype=uint16)
    """
    if b"nd" in obj:
        return _decode_array(obj)
    if b"tuple" in obj:
        return tuple(obj[b"tuple"])
    if b"complex" in obj:
        text = obj.get(b"data")
        return complex(text.decode() if isinstance(text, bytes) else str(text))
    return obj


def _decode_array(obj: dict[Any, Any]) -> Any:
    import numpy

    if obj.get(b"kind") in (b"O", "O"):
        raise InvalidFile("it carries an array of pickled Python objects, which is never loaded: it could run any code")
    try:
        dtype = _dtype(obj[b"type"])
        data = obj[b"data"]
        if dtype.hasobject:
            raise InvalidFile("it carries an array of Python objects, which is never loaded")
        if obj[b"nd"] is not True:
            if len(data) != dtype.itemsize:
                raise InvalidFile(f"a numpy {dtype} of {len(data)} bytes")
            return numpy.frombuffer(data, dtype=dtype)[0]
        shape = tuple(int(n) for n in obj[b"shape"])
        if any(n < 0 for n in shape) or math.prod(shape) * dtype.itemsize != len(data):
            raise InvalidFile(f"an array of shape {shape} and {dtype} that has {len(data)} bytes")
        if not len(data) and math.prod(filter(None, shape)) > _EMPTY_AT_MOST:
            raise InvalidFile(f"an array of shape {shape} and {dtype} that has no bytes at all")
        return numpy.ndarray(shape, dtype=dtype, buffer=data)
    except InvalidFile:
        raise
    except (KeyError, TypeError, ValueError, SyntaxError, OverflowError) as error:
        raise InvalidFile(f"a numpy array that cannot be understood: {error}") from None


def _dtype(description: Any) -> Any:
    import numpy

    if isinstance(description, bytes):
        description = description.decode()
    if isinstance(description, str):
        return numpy.dtype(description)
    fields = []
    for name, inner, *shape in description:
        fields.append((_text(name), _dtype(inner), *(tuple(s) for s in shape)))
    return numpy.dtype(fields)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
