"""msgpack, with numpy arrays in the encoding that databroker-pack's exports use; nothing is ever unpickled."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import msgpack

from databroker_like.codecs import from_map, path_to, to_map
from databroker_like.drivers._format import MAX_DOCUMENT, FileFormat, Reader, is_gzipped, open_file
from databroker_like.errors import InvalidDocument, InvalidFile

__all__ = ["MsgpackFormat"]

Doc = Mapping[str, Any]


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
            return _pack([name, doc])
        except (TypeError, ValueError, OverflowError) as error:
            place = path_to(doc, _pack) if isinstance(error, InvalidDocument) else ""
            raise InvalidDocument(
                f"{name} {doc.get('uid', '')!r} cannot be written as msgpack{place}: {error}"
            ) from error

    def decode(self, raw: bytes) -> tuple[str, Doc]:
        name, doc = msgpack.unpackb(raw, object_hook=from_map, raw=False, strict_map_key=False)
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


def _pack(value: Any) -> bytes:
    packed: bytes = msgpack.packb(value, default=to_map, use_bin_type=True)
    return packed


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
                object_hook=from_map,
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
