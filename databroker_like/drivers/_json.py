"""JSON lines, and plain JSON lists, of ``[name, document]``, gzipped or not."""

from __future__ import annotations

import codecs
import contextlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any

import orjson

from databroker_like.codecs import path_to
from databroker_like.drivers._format import MAX_DOCUMENT, FileFormat, Reader, is_gzipped, open_file
from databroker_like.errors import InvalidDocument, InvalidFile

__all__ = ["JSONFormat"]

Doc = Mapping[str, Any]
_BATCH = 1 << 18
_SCALARS = (bool, int, float, str)
_SPACE = b" \t\r\n"
_OPTIONS = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME


class JSONFormat(FileFormat):
    """Documents as JSON, one ``[name, document]`` a line; a file that is one JSON list of them is read as well."""

    name = "JSON lines"
    suffix = ".jsonl"
    suffixes = (".jsonl", ".json", ".jsonl.gz", ".json.gz")
    separator = b"\n"
    start_marker = b'"start",'

    def reader(self, path: str, offset: int = 0) -> Reader:
        return _JSONReader(path, offset)

    def encode(self, name: str, doc: Doc) -> bytes:
        """One line.

        orjson is fast, but writes NaN and infinity as null, and refuses integers beyond 64 bits. Where that may
        have happened the line is written by the standard library instead, as ``NaN`` and ``Infinity``, and begins
        with a space, which tells the reader not to try orjson.
        """
        try:
            line = orjson.dumps((name, doc), default=_plain, option=_OPTIONS)
            if b"null" not in line:
                return line + b"\n"
        except orjson.JSONEncodeError as error:
            if isinstance(error.__cause__, InvalidDocument):
                raise _refusal(name, doc, error.__cause__) from None
        try:
            text = _dumps((name, doc))
        except (TypeError, ValueError, RecursionError) as error:
            raise _refusal(name, doc, error) from error
        try:
            strict = orjson.loads(text)
        except orjson.JSONDecodeError:  # NaN, Infinity, or half a surrogate pair
            strict = None
        else:
            # As text, for a large integer that came back as a float is equal to it all the same.
            strict = text if repr(json.loads(text)) == repr(strict) else None
        return (text if strict else " " + text).encode() + b"\n"

    def decode(self, raw: bytes) -> tuple[str, Doc]:
        name, doc = _loads(raw)
        return name, doc

    def last_stop(self, tail: bytes) -> Doc | None:
        found = tail.rfind(b'"stop"')
        begin = tail.rfind(b"[", 0, found) if found >= 0 else -1
        if begin < 0:
            return None
        text = tail[begin:].rstrip(_SPACE)
        for candidate in (text, text[:-1]):  # the second: a JSON list has one more bracket at its end
            try:
                name, doc = _loads(candidate)
            except (ValueError, TypeError):
                continue
            if name == "stop" and isinstance(doc, dict):
                return doc
        return None


class _JSONReader(Reader):
    lines = True

    def __init__(self, path: str, offset: int = 0) -> None:
        super().__init__(path, offset)
        self._batch: list[bytes] = []

    @property
    def where(self) -> str:
        return f"line {self.number}" if self.lines else f"item {self.number}"

    def __iter__(self) -> Iterator[tuple[str, Doc]]:
        with open_file(self.path) as file:
            if self._begin(file):
                yield from self._lines(file)
            else:
                yield from self._items(file)

    def batches(self) -> Iterator[list[tuple[str, Doc]]]:
        with open_file(self.path) as file:
            if not self._begin(file):
                yield list(self._items(file))
                return
            while lines := self._whole_lines(file):
                pairs = _all_at_once(lines)
                if pairs is None:
                    # Something is not as it is nearly always: line by line from here to the end of the batch.
                    for pair in self._lines(lines):
                        yield [pair]
                    continue
                self._batch = lines
                yield pairs
                self.number += len(lines)
                self.offset += sum(map(len, lines))
                self._batch = []

    def _whole_lines(self, file: IO[bytes]) -> list[bytes]:
        try:
            return file.readlines(_BATCH)
        except (EOFError, OSError, zlib.error):
            # Compressed, and cut off or damaged: what came before that, line by line, and then the same error.
            file.seek(self.offset)
            lines: list[bytes] = []
            with contextlib.suppress(EOFError, OSError, zlib.error):
                lines.extend(file)
            if not lines:
                raise
            return lines

    def stopped_at(self, position: int) -> None:
        if self._batch:
            self.number += position + 1
            self.offset += sum(map(len, self._batch[:position]))

    def _begin(self, file: IO[bytes]) -> bool:
        """Go where reading begins; whether the file is of lines."""
        self.can_append = not is_gzipped(file)
        if self.offset == 0 and _is_list(file):
            self.lines = self.can_append = False
        else:
            file.seek(self.offset)
        return self.lines

    def _lines(self, lines: Iterable[bytes]) -> Iterator[tuple[str, Doc]]:
        for line in lines:
            if len(line) > MAX_DOCUMENT:
                raise InvalidFile(f"line {self.number + 1} is longer than {MAX_DOCUMENT} bytes")
            self.number += 1
            pair = self._slowly(line)
            if pair is not None:
                if type(pair) is not list or len(pair) != 2 or type(pair[1]) is not dict:
                    raise InvalidFile(f"{self.where} is not [name, document]")
                self.span = self.offset, len(line)
                yield pair[0], pair[1]
            elif not line.endswith(b"\n") and line.strip():
                self.number -= 1
                return
            self.offset += len(line)

    def _slowly(self, line: bytes) -> Any:
        """What is in a line; None when it is blank, or the last one and not yet whole."""
        if not line.strip():
            return None
        try:
            return _loads(line)
        except (ValueError, RecursionError) as error:
            if not line.endswith(b"\n"):
                return None
            raise InvalidFile(f"{self.where} is not JSON: {error}") from None

    def _items(self, file: IO[bytes]) -> Iterator[tuple[str, Doc]]:
        content = file.read(MAX_DOCUMENT)
        try:
            items = _loads(content)
        except (ValueError, RecursionError):
            items = _one_by_one(content)
        for item in items:
            self.number += 1
            if not isinstance(item, list) or len(item) != 2 or not isinstance(item[1], dict):
                raise InvalidFile(f"{self.where} is not [name, document]")
            yield item[0], item[1]
        self.offset = len(content)


def _all_at_once(lines: list[bytes]) -> list[Any] | None:
    """The documents of whole lines; None when one of them needs a closer look."""
    if lines[0][:1] == b" ":  # see JSONFormat.encode
        return None
    joined = b",".join(lines)
    if b"\n, " in joined:
        return None
    try:
        pairs = orjson.loads(b"[" + joined + b"]")
    except orjson.JSONDecodeError:
        return None
    if len(pairs) != len(lines) or set(map(type, pairs)) != {list} or set(map(len, pairs)) != {2}:
        return None
    return pairs


def _is_list(file: IO[bytes]) -> bool:
    """Whether the file is one list of all documents: its first bracket is followed by a second, or by the end."""
    head = b"".join(file.read(256).removeprefix(codecs.BOM_UTF8).split())
    while len(head) < 2:
        more = file.read(4096)
        if not more:
            break
        head += b"".join(more.split())
    file.seek(0)
    return head[:2] in (b"[[", b"[]")


def _loads(raw: bytes) -> Any:
    if raw[:1] != b" ":
        try:
            return orjson.loads(raw)
        except orjson.JSONDecodeError:
            pass  # the standard library takes NaN and Infinity
    return json.loads(raw.decode("utf-8-sig"))


def _one_by_one(content: bytes) -> Iterator[Any]:
    """The items of a JSON list that is broken somewhere, up to there."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        text = content[: error.start].decode("utf-8-sig")
    decoder = json.JSONDecoder()
    position = text.index("[") + 1
    number = 0
    while True:
        while position < len(text) and text[position] in ", \t\r\n":
            position += 1
        if text[position : position + 1] == "]":
            if text[position + 1 :].strip():
                raise InvalidFile("there is something behind the end of the list")
            return
        number += 1
        try:
            item, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            raise InvalidFile(f"truncated or malformed: item {number} of the list is not whole") from None
        yield item


def _dumps(value: Any) -> str:
    return json.dumps(_checked(value), default=_plain, separators=(",", ":"))


def _refusal(name: str, doc: Doc, error: Exception) -> InvalidDocument:
    place = path_to(doc, _dumps) if isinstance(error, InvalidDocument) else ""
    return InvalidDocument(f"{name} {doc.get('uid', '')!r} cannot be written as JSON{place}: {error}")


def _plain(value: Any) -> Any:
    """A numpy value as the Python value it stands for, to the letter."""
    import numpy

    if isinstance(value, numpy.ndarray):
        if value.dtype.kind not in "biufU" or not isinstance(value.item(0) if value.size else 0, _SCALARS):
            raise InvalidDocument(f"an array of {value.dtype} cannot be written as JSON")
        return value.tolist()
    if isinstance(value, numpy.bool | numpy.integer | numpy.floating | numpy.str_):
        item = value.item()
        if isinstance(item, _SCALARS):  # a longdouble is not, and JSON has none
            return item
        raise InvalidDocument(f"a numpy {value.dtype} cannot be written as JSON: {value!r:.60}")
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise InvalidDocument(f"a {type(value).__name__} cannot be written as JSON: {value!r:.60}")


def _checked(value: Any) -> Any:
    """The value, when all its keys are text: the standard library would turn others into it."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise InvalidDocument(f"the key {key!r} is not text, and JSON has no other keys")
            _checked(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _checked(inner)
    return value
