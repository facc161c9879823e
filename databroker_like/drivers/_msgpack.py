"""msgpack, with numpy arrays in the encoding that databroker-pack's exports use; nothing is ever unpickled."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from typing import Any

import msgpack

from databroker_like.drivers._format import MAX_DOCUMENT, FileFormat, Reader, is_gzipped, open_file
from databroker_like.errors import InvalidDocument, InvalidFile

__all__ = ["MsgpackFormat"]

Doc = Mapping[str, Any]
_PLAIN_KINDS = "biufcUSmM"


class MsgpackFormat(FileFormat):
    """Documents as msgpack, one ``[name, document]`` after the other."""

    name = "msgpack"
    suffix = ".msgpack"
    suffixes = (".msgpack", ".msgpack.gz")
    start_marker = b"\x92\xa5start"

    def reader(self, path: str, offset: int = 0) -> Reader:
        return _MsgpackReader(path, offset)

    def encode(self, name: str, doc: Doc) -> bytes:
        try:
            packed: bytes = msgpack.packb([name, doc], default=_encode, use_bin_type=True)
        except (TypeError, ValueError, OverflowError) as error:
            if isinstance(error, InvalidDocument):
                raise
            raise InvalidDocument(f"{name} {doc.get('uid', '')!r} cannot be written as msgpack: {error}") from error
        return packed

    def decode(self, raw: bytes) -> tuple[str, Doc]:
        name, doc = msgpack.unpackb(raw, object_hook=_decode, raw=False, strict_map_key=False)
        return name, doc

    def last_stop(self, tail: bytes) -> Doc | None:
        begin = tail.rfind(b"\x92\xa4stop")
        if begin < 0:
            return None
        try:
            name, doc = self.decode(tail[begin:])
        except (ValueError, TypeError, msgpack.UnpackException):
            return None
        return doc if name == "stop" and isinstance(doc, dict) else None


class _MsgpackReader(Reader):
    @property
    def where(self) -> str:
        return f"document {self.number}"

    def __iter__(self) -> Iterator[tuple[str, Doc]]:
        begin = self.offset
        with open_file(self.path) as file:
            self.can_append = not is_gzipped(file)
            if is_gzipped(file):
                most = MAX_DOCUMENT
            else:
                # Nothing in the file can be longer than the file, whatever it claims: this bounds memory.
                most = max(os.fstat(file.fileno()).st_size, 1)
            file.seek(begin)
            unpacker = msgpack.Unpacker(
                _Pieces(file) if is_gzipped(file) else file,
                object_hook=_decode,
                raw=False,
                strict_map_key=False,
                max_buffer_size=min(max(most, 1 << 20), 2 * MAX_DOCUMENT),
                read_size=1 << 18 if most > 1 << 18 else 1 << 14,
                max_str_len=most,
                max_bin_len=most,
                max_array_len=most,
                max_map_len=most,
                max_ext_len=most,
            )
            while True:
                self.number += 1
                try:
                    pair = unpacker.unpack()
                except msgpack.OutOfData:
                    self.number -= 1
                    return
                except (msgpack.UnpackException, ValueError, TypeError) as error:
                    raise InvalidFile(f"{self.where} is not msgpack: {error or type(error).__name__}") from None
                if type(pair) is not list or len(pair) != 2 or type(pair[1]) is not dict:
                    raise InvalidFile(f"{self.where} is not [name, document]")
                end = begin + unpacker.tell()
                self.span = self.offset, end - self.offset
                yield pair[0], pair[1]
                self.offset = end


class _Pieces:
    """A compressed file in pieces as they are decompressed: where it is cut off, what came before is not lost."""

    def __init__(self, file: Any) -> None:
        self.read = file.read1


def _encode(value: Any) -> Any:
    import numpy

    if isinstance(value, numpy.ndarray):
        if value.dtype.kind not in _PLAIN_KINDS:
            raise InvalidDocument(f"an array of {value.dtype} cannot be written as msgpack")
        return {
            b"nd": True,
            b"type": value.dtype.str,
            b"kind": b"",
            b"shape": value.shape,
            b"data": numpy.ascontiguousarray(value).tobytes(),
        }
    if isinstance(value, numpy.str_):
        return str(value)
    if isinstance(value, numpy.generic) and value.dtype.kind in _PLAIN_KINDS:
        return {b"nd": False, b"type": value.dtype.str, b"data": value.tobytes()}
    if isinstance(value, complex):
        return {b"complex": True, b"data": repr(value)}
    if isinstance(value, Mapping):
        return dict(value)
    raise InvalidDocument(f"a {type(value).__name__} cannot be written as msgpack: {value!r:.60}")


def _decode(obj: dict[Any, Any]) -> Any:
    """A map as it is, or the numpy value or complex number it stands for."""
    if b"nd" in obj:
        return _decode_array(obj)
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
        return numpy.ndarray(shape, dtype=dtype, buffer=data)
    except InvalidFile:
        raise
    except (KeyError, TypeError, ValueError, SyntaxError) as error:
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
