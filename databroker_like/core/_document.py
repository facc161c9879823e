"""Document and its kinds: dictionaries that nobody changes by accident."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterable, Mapping
from pprint import pformat
from typing import Any, NoReturn

from databroker_like.errors import Invalid, NotMutable, NotOffered, listed, nearest

__all__ = [
    "KINDS",
    "Datum",
    "DatumPage",
    "Descriptor",
    "Document",
    "Event",
    "EventPage",
    "NotMutable",
    "Resource",
    "Start",
    "Stop",
    "StreamDatum",
    "StreamResource",
    "register_dask_tokens",
    "same",
    "tokenize_document",
    "wrap",
]


class Document(dict[str, Any]):
    """An immutable dictionary, the base of every kind of document.

    It is a ``dict`` to everybody who reads it and refuses every change, so that one consumer cannot spoil the
    data of another. What lies inside (a list, a nested dictionary) is not frozen: use `to_dict` for a copy that
    is yours to change. ``doc.copy()`` and ``doc | other`` give plain, shallow dictionaries; ``copy.copy``,
    ``copy.deepcopy`` and pickle keep the class.

    Parameters
    ----------
    *args, **kwargs
        As for ``dict``.

    Examples
    --------
    >>> start = Start({"uid": "a", "time": 0.0})
    >>> start["uid"]
    'a'
    >>> start["uid"] = "b"
    Traceback (most recent call last):
        ...
    databroker_like.errors.NotMutable: a Start cannot be changed; to_dict() makes a copy of it that can
    """

    # No __init__ and no instance dictionary: making one costs what making a dict costs.
    __slots__ = ()

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotMutable(f"a {type(self).__name__} cannot be changed; to_dict() makes a copy of it that can")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    @classmethod
    def fromkeys(cls, iterable: Iterable[str], value: Any = None) -> Document:  # type: ignore[override]
        """A document that has the same value under every key."""
        return cls(dict.fromkeys(iterable, value))

    def to_dict(self) -> dict[str, Any]:
        """A deep copy as a plain dictionary, free to change.

        Examples
        --------
        >>> start = Start(uid="a", plan_args={"num": 3})
        >>> mine = start.to_dict()
        >>> mine["plan_args"]["num"] = 5
        >>> start["plan_args"]
        {'num': 3}
        """
        return copy.deepcopy(dict(self))

    def __copy__(self) -> Document:
        return self.__class__(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Document:
        return self.__class__({key: copy.deepcopy(value, memo) for key, value in self.items()})

    def __reduce_ex__(self, protocol: Any) -> tuple[type[Document], tuple[dict[str, Any]]]:
        # The inherited way fills an empty instance item by item, which a document refuses.
        return self.__class__, (dict(self),)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({super().__repr__()})"

    def _repr_pretty_(self, p: Any, cycle: bool) -> None:
        """What IPython shows: one item a line when it is long, and still Python."""
        if cycle:
            p.text(f"{type(self).__name__}(...)")
            return
        opening = f"{type(self).__name__}("
        body = pformat(dict(self), sort_dicts=False, width=max(40, 100 - len(opening)))
        p.text(opening + body.replace("\n", "\n" + " " * len(opening)) + ")")

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        raise NotOffered(
            "a bare Document has no identity to make a dask token from; use Start, Event or another of its kinds"
        )


class _Identified(Document):
    """A document that is known by one unique name, which is all its dask token is made of."""

    __slots__ = ()
    _kind = "document"
    _identity = "uid"

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        return self._kind, self[self._identity]


class _Fillable(_Identified):
    """A document with external data in it or not: what was filled in belongs to its dask token."""

    __slots__ = ()

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        filled = self.get("filled")
        if not filled:
            return self._kind, self[self._identity]
        # The data of an event that has been filled is not the data of the event as it was recorded, under one uid.
        state = {key: value for key, value in filled.items() if value is not False}
        return (self._kind, self[self._identity], state) if state else (self._kind, self[self._identity])


class Start(_Identified):
    """A run's first document."""

    __slots__ = ()
    _kind = "start"


class Stop(_Identified):
    """A run's last document."""

    __slots__ = ()
    _kind = "stop"


class Descriptor(_Identified):
    """What the events of a stream hold."""

    __slots__ = ()
    _kind = "descriptor"


class Event(_Fillable):
    """One row of a stream."""

    __slots__ = ()
    _kind = "event"


class EventPage(_Fillable):
    """Rows of a stream, as columns."""

    __slots__ = ()
    _kind = "event_page"

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        filled = self.get("filled") or {}
        state = {key: column for key, column in filled.items() if any(value is not False for value in column)}
        token = (self._kind, self[self._identity])
        return (*token, state) if state else token


class Datum(_Identified):
    """A reference to one piece of an external resource."""

    __slots__ = ()
    _kind = "datum"
    _identity = "datum_id"


class DatumPage(_Identified):
    """References to pieces of one external resource, as columns."""

    __slots__ = ()
    _kind = "datum_page"
    _identity = "datum_id"


class Resource(_Identified):
    """An external file, or a set of them."""

    __slots__ = ()
    _kind = "resource"


class StreamResource(_Identified):
    """An external file that holds one data key of a stream."""

    __slots__ = ()
    _kind = "stream_resource"


class StreamDatum(_Identified):
    """A range of rows of a stream_resource."""

    __slots__ = ()
    _kind = "stream_datum"


#: The name a document travels under -> its class.
KINDS: Mapping[str, type[Document]] = {
    cls._kind: cls
    for cls in (
        Start,
        Stop,
        Descriptor,
        Event,
        EventPage,
        Datum,
        DatumPage,
        Resource,
        StreamResource,
        StreamDatum,
    )
}


def wrap(name: str, doc: Mapping[str, Any]) -> Document:
    """A document as the class of its kind; itself when it is one already.

    Parameters
    ----------
    name : str
        ``"start"``, ``"stop"``, ``"descriptor"``, ``"event"``, ``"event_page"``, ``"datum"``, ``"datum_page"``,
        ``"resource"``, ``"stream_resource"`` or ``"stream_datum"``.
    doc : mapping
        The document.

    Returns
    -------
    Document

    Raises
    ------
    Invalid
        When there is no such kind.

    Examples
    --------
    >>> wrap("stop", {"uid": "b", "run_start": "a"})
    Stop({'uid': 'b', 'run_start': 'a'})
    """
    try:
        cls = KINDS[name]
    except KeyError:
        near = listed(nearest(name, KINDS) or KINDS)
        raise Invalid(f"there is no kind of document {name!r}; there is {near}") from None
    return doc if type(doc) is cls else cls(doc)


def tokenize_document(instance: Document) -> tuple[Any, ...]:
    """What dask makes the token of a document from: its kind and its uid (or uids)."""
    return instance.__dask_tokenize__()


def register_dask_tokens() -> None:
    """Let ``dask.base.tokenize`` ask documents for their token, as it does not for other kinds of ``dict``.

    Importing this module does it where dask is loaded already; what loads dask later calls it. Calling it again
    changes nothing.
    """
    from dask.tokenize import normalize_token

    normalize_token.register(Document, tokenize_document)


if "dask.tokenize" in sys.modules:
    register_dask_tokens()


def same(one: Any, other: Any) -> bool:
    """Whether two documents, or what is in them, say the same; arrays and NaN may be among it.

    Parameters
    ----------
    one, other : object

    Returns
    -------
    bool

    Examples
    --------
    >>> nan = float("nan")
    >>> same({"a": [1, nan]}, {"a": [1, float("nan")]})
    True
    """
    if one is other:
        return True
    try:
        if one == other:
            return True
    except ValueError:  # an array is neither true nor false
        pass
    if isinstance(one, Mapping):
        return isinstance(other, Mapping) and one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return isinstance(other, list | tuple) and len(one) == len(other) and all(map(same, one, other))
    if hasattr(one, "dtype") and hasattr(other, "dtype"):
        return bool(one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes())
    return bool(isinstance(one, float) and isinstance(other, float) and one != one and other != other)
