"""Documents as version 1 hands them out: read-only dictionaries whose items are attributes, too."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from databroker_like.errors import Invalid, NotMutable, listed, nearest

__all__ = ["DOCT_NAMES", "DeprecatedDoct", "Doct", "wrap_in_deprecated_doct", "wrap_in_doct"]

#: The kind of a document -> what it is called when it is shown.
DOCT_NAMES: Mapping[str, str] = {
    "start": "Run Start",
    "stop": "Run Stop",
    "descriptor": "Event Descriptor",
    "event": "Event",
    "event_page": "Event Page",
    "resource": "Resource",
    "datum": "Datum",
    "datum_page": "Datum Page",
    "stream_resource": "Stream Resource",
    "stream_datum": "Stream Datum",
}

_WIDTH = 16


class Doct(dict[str, Any]):
    """A read-only dictionary whose items can also be had as attributes.

    Parameters
    ----------
    name : str
        What it is called when it is shown, such as ``"Run Start"``.
    *args, **kwargs
        As for ``dict``.

    Examples
    --------
    >>> start = Doct("Run Start", {"uid": "41fb8ca9", "sample": {"name": "Ni"}})
    >>> start["uid"], start.uid, start._name
    ('41fb8ca9', '41fb8ca9', 'Run Start')
    >>> print(start)
    Run Start
    =========
    sample          :
      name            : Ni
    uid             : 41fb8ca9
    """

    __slots__ = ("_name",)
    _name: str

    def __init__(self, name: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        object.__setattr__(self, "_name", name)

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotMutable(f"this {self._name} document cannot be changed; dict(doc) makes a copy that can")

    __setitem__ = __delitem__ = __ior__ = __setattr__ = __delattr__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    @classmethod
    def fromkeys(cls, iterable: Iterable[str], value: Any = None) -> Doct:  # type: ignore[override]
        """A document without a name that has the same value under every key."""
        return cls("", dict.fromkeys(iterable, value))

    def __getattr__(self, key: str) -> Any:
        if key in self:
            return self[key]
        near = [] if key.startswith("_") else nearest(key, self)
        raise AttributeError(
            f"{type(self).__name__!r} object has no attribute {key!r}" + (f"; nearest: {listed(near)}" if near else "")
        )

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(key for key in self if isinstance(key, str) and key.isidentifier())})

    def to_name_dict_pair(self) -> tuple[str, dict[str, Any]]:
        """What it is called, and a dictionary with its items."""
        return self._name, dict(self)

    def __copy__(self) -> Doct:
        return type(self)(self._name, self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Doct:
        return type(self)(self._name, {key: copy.deepcopy(value, memo) for key, value in self.items()})

    def __reduce_ex__(self, protocol: Any) -> tuple[type[Doct], tuple[str, dict[str, Any]]]:
        # The inherited way fills an empty instance item by item, which it refuses.
        return type(self), (self._name, dict(self))

    def __str__(self) -> str:
        return "\n".join([self._name, "=" * len(self._name), *_lines(self, "")])


class DeprecatedDoct(Doct):
    """What documents of version 1 are: a `Doct` whose class says that ``doc["key"]`` is the way that lasts.

    ``doc.key`` works as well. databroker warned of it each time; nothing is taken away here, so nothing warns.

    Parameters
    ----------
    name : str
        What it is called when it is shown.
    *args, **kwargs
        As for ``dict``.
    """

    __slots__ = ()


def _lines(doc: Mapping[str, Any], indent: str) -> Iterable[str]:
    for key in sorted(doc, key=str):
        value = doc[key]
        if isinstance(value, Mapping):
            yield f"{indent}{key!s:<{_WIDTH}}:"
            yield from _lines(value, indent + "  ")
        else:
            yield f"{indent}{key!s:<{_WIDTH}}: {value}"


def _called(name: str) -> str:
    try:
        return DOCT_NAMES[name]
    except KeyError:
        raise Invalid(f"{name!r} is no kind of document; the kinds are {listed(DOCT_NAMES)}") from None


def wrap_in_doct(name: str, doc: Mapping[str, Any]) -> Doct:
    """A document as a read-only dictionary whose items are attributes, too.

    Parameters
    ----------
    name : str
        The kind of document, such as ``"start"``.
    doc : mapping

    Returns
    -------
    Doct

    Raises
    ------
    Invalid
        When there is no such kind.
    """
    return Doct(_called(name), doc)


def wrap_in_deprecated_doct(name: str, doc: Mapping[str, Any]) -> DeprecatedDoct:
    """A document as version 1 hands it out.

    Parameters
    ----------
    name : str
        The kind of document, such as ``"start"``.
    doc : mapping

    Returns
    -------
    DeprecatedDoct

    Raises
    ------
    Invalid
        When there is no such kind.

    Examples
    --------
    >>> wrap_in_deprecated_doct("stop", {"exit_status": "success"}).exit_status
    'success'
    """
    return DeprecatedDoct(_called(name), doc)
