"""Values as bytes on the wire, JSON or msgpack, and JSON from the wire."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from typing import Any

import msgpack
import orjson

from databroker_like.errors import InvalidRequest

__all__ = ["JSON", "MSGPACK", "from_json", "to_json", "to_json_line", "to_msgpack"]

#: Exactly so, with no charset: the clients of the protocol compare the text.
JSON, MSGPACK = "application/json", "application/x-msgpack"

#: Beyond it there is no float either.
_LARGEST_INTEGER = 1 << 1000
_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS


def to_json(value: Any) -> bytes:
    """A value as JSON that every reader understands; NaN and infinities, which JSON does not have, are null.

    Parameters
    ----------
    value : object
        Of Python and numpy; what is neither becomes text.

    Returns
    -------
    bytes

    Examples
    --------
    >>> to_json({"a": float("nan"), "big": 2**70})
    b'{"a":null,"big":1180591620717411303424}'
    """
    try:
        return orjson.dumps(value, default=_plain, option=_OPTIONS)
    except orjson.JSONEncodeError:  # integers beyond 64 bits, half a surrogate pair
        return json.dumps(_finite(value), ensure_ascii=True, separators=(",", ":")).encode()


def to_json_line(value: Any) -> bytes:
    """A value as JSON with NaN and infinities written as Python writes them, where there are any; and a line end.

    Parameters
    ----------
    value : object

    Returns
    -------
    bytes

    Examples
    --------
    >>> to_json_line({"a": float("nan")})
    b'{"a":NaN}\\n'
    """
    text = to_json(value)
    if b"null" in text:
        text = json.dumps(_finite(value, math.nan), ensure_ascii=True, separators=(",", ":")).encode()
    return text + b"\n"


def to_msgpack(value: Any) -> bytes:
    """A value as msgpack; arrays are lists.

    Parameters
    ----------
    value : object

    Returns
    -------
    bytes
    """
    try:
        packed: bytes = msgpack.packb(value, default=_plain, datetime=True)
    except ValueError:  # half a surrogate pair, which no reader would take, or a time without a zone
        packed = msgpack.packb(_finite(value, math.nan), default=_plain, unicode_errors="replace")
    return packed


def _plain(value: Any) -> Any:
    """What neither orjson nor msgpack has a type for."""
    if isinstance(value, int):  # beyond the 64 bits of msgpack
        return float(value) if abs(value) < _LARGEST_INTEGER else str(value)
    if hasattr(value, "tolist"):  # numpy's
        listed = value.tolist()
        # The longest of its numbers, of which Python has none, stay what they are.
        return _as_float(value) if type(listed) is type(value) else listed
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Iterable):
        return list(value)
    return str(value)


def _as_float(value: Any) -> Any:
    return float(value) if getattr(getattr(value, "dtype", None), "kind", "") == "f" else str(value)


def _finite(value: Any, nan: float | None = None) -> Any:
    """A value as the standard library writes it; with numbers that are none as None, or as they are."""
    if isinstance(value, float):
        return float(value) if math.isfinite(value) or nan is not None else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): _finite(member, nan) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(member, nan) for member in value]
    return _finite(_plain(value), nan)


def from_json(text: str | bytes, what: str, *, deepest: int = 32) -> Any:
    """A value that a stranger wrote.

    Parameters
    ----------
    text : str or bytes
    what : str
        For the message.
    deepest : int
        How many values may stand in one another.

    Returns
    -------
    object

    Raises
    ------
    InvalidRequest
        When it is no JSON, or deeply nested.

    Examples
    --------
    >>> from_json('["a"]', "columns")
    ['a']
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        shown = text.decode(errors="replace") if isinstance(text, bytes) else text
        raise InvalidRequest(f'{what} is JSON, such as 5 or "text", and {shown!r:.80} is none') from None
    level, depth = [value], 0
    while level:
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        depth += 1
        if depth > deepest + 1:
            raise InvalidRequest(f"{what} has more than {deepest} values in one another")
    return value
