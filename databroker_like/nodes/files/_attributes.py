"""What is said in a file of the things in it, as plain values."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

__all__ = ["attributes", "plain"]

#: Longer arrays among the attributes are data; only that they are there is told.
_MOST_VALUES = 10_000
_DEEPEST = 32
#: What stands for a byte that is no UTF-8 in texts of h5py, and is no character.
_SURROGATE = re.compile("[\ud800-\udfff]")


def attributes(names: Iterable[str], read: Callable[[str], Any]) -> dict[str, Any]:
    """Attributes as plain values; one that cannot be read is text that says so, and all others are there.

    Parameters
    ----------
    names : iterable of str
    read : callable
        Gives the value of a name.

    Returns
    -------
    dict

    Examples
    --------
    >>> import numpy
    >>> attributes(["n"], {"n": numpy.int32(3)}.get)
    {'n': 3}
    """
    said: dict[str, Any] = {}
    for name in names:
        try:
            said[plain(name)] = plain(read(name))
        # What a library cannot make sense of is no reason to leave out all the rest.
        except Exception as error:  # noqa: BLE001
            said[plain(name)] = f"<cannot be read: {type(error).__name__}>"
    return said


def plain(value: Any, *, _depth: int = 0) -> Any:
    """A value of numpy or of Python as JSON has it.

    Parameters
    ----------
    value : object

    Returns
    -------
    object

    Examples
    --------
    >>> import numpy
    >>> plain(numpy.array([b"a", b"b"])), plain(numpy.float32(0.5)), plain(1 + 2j)
    (['a', 'b'], 0.5, {'real': 1.0, 'imag': 2.0})
    """
    import numpy as np

    if _depth > _DEEPEST:
        return "<too deep>"
    if isinstance(value, enum.Enum):
        return plain(value.value, _depth=_depth + 1)
    if isinstance(value, np.ndarray):
        if value.size > _MOST_VALUES:
            return f"<an array of shape {value.shape} and type {value.dtype}>"
        if value.dtype.names:
            return {name: plain(value[name], _depth=_depth + 1) for name in value.dtype.names}
        return plain(value.astype(str).tolist() if value.dtype.kind in "mM" else value.tolist(), _depth=_depth + 1)
    if isinstance(value, np.generic):
        if isinstance(value, np.datetime64 | np.timedelta64):
            return str(value)
        if isinstance(value, np.void):
            return plain(np.asarray(value), _depth=_depth) if value.dtype.names else value.tobytes().hex()
        return plain(value.item(), _depth=_depth + 1)
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, complex):
        return {"real": value.real, "imag": value.imag}
    if isinstance(value, Mapping):
        return {plain(str(key)): plain(inner, _depth=_depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner, _depth=_depth + 1) for inner in value]
    return f"<{type(value).__name__}>"
