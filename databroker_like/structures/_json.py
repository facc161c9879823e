"""Taking values out of JSON that a stranger wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from databroker_like.errors import Invalid

__all__ = ["Json", "as_resizable", "count", "counts", "plain_resizable", "taken", "texts"]

Json = Mapping[str, Any]

_KINDS = {str: "a text", list: "a list", Mapping: "an object", int: "a whole number"}
_NEEDED = object()


def taken(obj: Any, key: str, what: str, kind: Any, default: Any = _NEEDED) -> Any:
    """The value at a key, if it is of the right kind.

    Parameters
    ----------
    obj : mapping
    key : str
    what : str
        What ``obj`` is to be, for an error.
    kind : type
        ``str``, ``list`` or ``Mapping``.
    default : object, optional
        In place of null and of what is not there; without one both are wrong.

    Returns
    -------
    object

    Raises
    ------
    Invalid
        When it is not there, or of another kind.
    """
    if not isinstance(obj, Mapping):
        raise Invalid(f"what describes the {what} is an object with names and values, not {obj!r:.80}")
    value = obj.get(key)
    if value is None and default is not _NEEDED:
        return default
    if key not in obj:
        raise Invalid(f"the description of the {what} has no {key!r}")
    if kind is list and isinstance(value, tuple):
        return list(value)
    if not isinstance(value, kind):
        raise Invalid(f"{key!r} of the {what} is {_KINDS[kind]}, not {value!r:.80}")
    return value


def count(obj: Any, key: str, what: str) -> int:
    """A number of things at a key; Invalid when it is none."""
    if not isinstance(obj, Mapping) or key not in obj:
        raise Invalid(f"the description of the {what} has no {key!r}")
    return _number(obj[key], f"{key!r} of the {what}")


def counts(values: Any) -> tuple[int, ...]:
    """Numbers of things, from a list; Invalid when one is none."""
    if not isinstance(values, list | tuple):
        raise Invalid(f"lengths are a list of whole numbers, not {values!r:.80}")
    return tuple(_number(value, "a length") for value in values)


def _number(value: Any, what: str) -> int:
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise Invalid(f"{what} is a whole number from 0, not {value!r:.80}")
    return value


def texts(values: list[Any] | None, what: str) -> tuple[str, ...] | None:
    """Texts from a list, or None; Invalid when one is none."""
    if values is None:
        return None
    for value in values:
        if not isinstance(value, str):
            raise Invalid(f"{what!r} is a list of texts, and {value!r:.80} is none")
    return tuple(values)


def as_resizable(value: Any) -> bool | tuple[bool, ...]:
    """Whether an array may grow, or along which axes; Invalid when that is not what it says."""
    if value is None or isinstance(value, bool):
        return bool(value)
    if isinstance(value, list | tuple) and all(isinstance(one, bool) for one in value):
        return tuple(value)
    raise Invalid(f"'resizable' is true, false, or a list of these, not {value!r:.80}")


def plain_resizable(value: bool | tuple[bool, ...]) -> bool | list[bool]:
    """As on the wire."""
    return list(value) if isinstance(value, tuple) else value
