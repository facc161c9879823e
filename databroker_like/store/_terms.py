"""Terms: what a run is searched by, as rows of the index, written with the run and taken away with it.

Each place in a run that a dotted key leads to has exactly one row of a kind below `SEVERAL`: its scalar, or what it is
otherwise. Where a list or several places stand at the key, their scalars have rows of the same kinds plus `SEVERAL`.
So a search knows without looking which rows count each run once, and whether a row says all there is to know.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from databroker_like.queries import _values as values
from databroker_like.store._marks import marks

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["index_run", "index_stop", "terms_of", "unindex_run"]

Doc = Mapping[str, Any]
#: Dotted key, kind, number, text.
Term = tuple[str, int, float, str]

#: What a row says of the value. The order is of no importance; the numbers are written in databases.
NULL, BOOL, NUMBER, NAN, TEXT = 1, 2, 3, 4, 6
#: An integer that no double is equal to: ``num`` is the nearest one. A long string: ``txt`` is its beginning.
BIG, LONG = 5, 7
#: Bytes, dates, strings that databases refuse; or, of a list, that it has more members than are written.
OTHER = 8
#: A document; a list, of which ``num`` is the length; several values, found through a list; and, as `SEVERAL` only,
#: a document or a list as a member of a list.
DICT, LIST, MANY, NESTED = 9, 10, 11, 12
SEVERAL = 20

#: The longest string, in characters, and key that is written whole, and how many members of a list, and words, are.
MAX_TEXT = 400
MAX_KEY = 400
MAX_MEMBERS = 200
MAX_WORDS = 10_000
#: The key of the words of all the strings of a start document.
WORDS = "$text"
#: The keys that are answered from the table of runs.
OF_RUN = ("uid", "time")


def terms_of(start: Doc, stop: Doc | None) -> set[Term]:
    """What a run is searched by.

    Parameters
    ----------
    start : mapping
        Its ``uid`` and ``time`` have no terms when the table of runs says the same.
    stop : mapping or None

    Returns
    -------
    set of (str, int, float, str)
        Dotted key, kind, number and text.

    Examples
    --------
    >>> sorted(terms_of({"uid": "a", "time": 0.0, "motors": ["x"]}, None))
    [('$text', 26, 0.0, 'a'), ('$text', 26, 0.0, 'x'), ('motors', 10, 1.0, ''), ('motors', 26, 0.0, 'x')]
    """
    found: set[Term] = set()
    for path, several in _places(start, ("stop", WORDS, ""), "").items():
        if path in OF_RUN and _is_told_by_run(path, several):
            continue
        _add(found, path, several)
    _add_words(found, start)
    return found if stop is None else found | stop_terms_of(stop)


def stop_terms_of(stop: Doc) -> set[Term]:
    """What the stop document adds to the terms of a run.

    Parameters
    ----------
    stop : mapping

    Returns
    -------
    set of (str, int, float, str)
    """
    found: set[Term] = {("stop", DICT, 0.0, "")}
    for path, several in _places(stop, (), "stop.").items():
        _add(found, path, several)
    return found


def is_indexed(key: str) -> bool:
    """Whether terms are written for a dotted key, where there is something to write.

    Parameters
    ----------
    key : str

    Returns
    -------
    bool
    """
    return key.partition(".")[0] not in ("", WORDS) and len(key) <= MAX_KEY and is_writable(key)


def is_told(key: str) -> bool:
    """Whether the index says what stands at a dotted key: not of what the table of runs says, nor of places in lists.

    Parameters
    ----------
    key : str

    Returns
    -------
    bool
    """
    places = any(part.isascii() and part.isdigit() for part in key.split(".")[1:])
    return is_indexed(key) and key not in OF_RUN and not places


def is_writable(text: str) -> bool:
    """Whether every database takes a string: without NUL, and without halves of surrogate pairs."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_told_by_run(path: str, several: list[Any]) -> bool:
    value = several[0]
    if path == "uid":
        return type(value) is str and is_writable(value)
    return type(value) in (int, float) and number_of(value)[1]


def _places(document: Doc, without: Iterable[str], prefix: str) -> dict[str, list[Any]]:
    """The values at each dotted key; through a list to each of its members that is a document, as queries go."""
    found: dict[str, list[Any]] = {}
    left = [(prefix, document)]
    while left:
        prefix, inner = left.pop()
        for key, value in inner.items():
            # A query cannot say a key with a dot in it.
            if type(key) is not str or "." in key or (inner is document and key in without):
                continue
            path = prefix + key
            value = values._plain(value)
            found.setdefault(path, []).append(value)
            if isinstance(value, Mapping):
                left.append((path + ".", value))
            elif type(value) is list:
                left += [(path + ".", member) for member in value if isinstance(member, Mapping)]
    return {path: several for path, several in found.items() if is_indexed(path)}


def _add(found: set[Term], path: str, several: list[Any]) -> None:
    if len(several) == 1 and type(several[0]) is not list:
        found.add((path, *term_of(several[0])))
        return
    if len(several) == 1:
        found.add((path, LIST, float(len(several[0])), ""))
    else:
        found.add((path, MANY, 0.0, ""))
    inner: set[tuple[int, float, str]] = set()
    for value in several:
        if type(value) is list:
            if len(several) > 1:
                inner.add((LIST, float(len(value)), ""))
            for member in value:
                kind, num, txt = term_of(values._plain(member))
                inner.add((NESTED, 0.0, "") if kind in (DICT, LIST) else (kind, num, txt))
                if len(inner) > MAX_MEMBERS:
                    break
        else:
            inner.add(term_of(value))
        if len(inner) > MAX_MEMBERS:
            # What kinds of things are among the rest must be known all the same.
            inner = _kinds_of_all(several) | {(OTHER, 0.0, "")}
            break
    found.update((path, kind + SEVERAL, num, txt) for kind, num, txt in inner)


def _kinds_of_all(several: list[Any]) -> set[tuple[int, float, str]]:
    kinds: set[tuple[int, float, str]] = set()
    for value in several:
        if isinstance(value, Mapping):
            kinds.add((DICT, 0.0, ""))
        elif type(value) is list:
            if len(several) > 1:
                kinds.add((LIST, float(len(value)), ""))
            if any(isinstance(values._plain(member), Mapping | list) for member in value):
                kinds.add((NESTED, 0.0, ""))
    return kinds


def term_of(value: Any) -> tuple[int, float, str]:
    """Kind, number and text of one value, which is plain Python.

    Parameters
    ----------
    value : object

    Returns
    -------
    (int, float, str)
    """
    if isinstance(value, str):
        return _text_term(str.__str__(value))
    if value is None:
        return NULL, 0.0, ""
    if isinstance(value, bool):
        return BOOL, float(value), ""
    if isinstance(value, int | float):
        if value != value:
            return NAN, 0.0, ""
        nearest, exact = number_of(value)
        return NUMBER if exact else BIG, nearest, ""
    if isinstance(value, Mapping):
        return DICT, 0.0, ""
    return (LIST, float(len(value)), "") if type(value) is list else (OTHER, 0.0, "")


def _text_term(text: str) -> tuple[int, float, str]:
    if not is_writable(text):
        return OTHER, 0.0, ""
    return (TEXT, 0.0, text) if len(text) <= MAX_TEXT else (LONG, 0.0, text[:MAX_TEXT])


def number_of(value: float) -> tuple[float, bool]:
    """The nearest double of a number, without a negative zero, and whether it is equal.

    Parameters
    ----------
    value : int or float
        Not NaN.

    Returns
    -------
    (float, bool)

    Examples
    --------
    >>> number_of(2**53 + 1)
    (9007199254740992.0, False)
    """
    try:
        nearest = float(value) + 0.0
    except OverflowError:
        return (float("inf") if value > 0 else float("-inf")), False
    return nearest, nearest == value


def _add_words(found: set[Term], start: Doc) -> None:
    words = set(values._WORD.findall("\x1f".join(values._strings(start)).casefold()))
    kept = {word for word in words if len(word) <= MAX_TEXT}
    if len(kept) > MAX_WORDS:
        kept = set()
    if len(kept) < len(words):
        found.add((WORDS, OTHER + SEVERAL, 0.0, ""))
    found.update((WORDS, TEXT + SEVERAL, 0.0, word) for word in kept)


# -- in the database --------------------------------------------------------------------------------------------------


def index_run(connection: Connection, run_id: int, time: float, start: Doc, stop: Doc | None) -> None:
    """Write the terms of a run; those that are there already stay.

    Parameters
    ----------
    connection : Connection
    run_id : int
    time : float
        That of the table of runs.
    start : mapping
    stop : mapping or None
    """
    _insert(connection, run_id, time, terms_of(start, stop))


def index_stop(connection: Connection, run_id: int, time: float, stop: Doc) -> None:
    """Write the terms of the stop document of a run whose start document is indexed.

    Parameters
    ----------
    connection : Connection
    run_id : int
    time : float
        That of the run, as it was given with its start document.
    stop : mapping
    """
    _insert(connection, run_id, time, stop_terms_of(stop))


def unindex_run(connection: Connection, run_id: int, time: float, start: Doc, stop: Doc | None) -> None:
    """Delete the terms of a run; the documents are those it was indexed with.

    Parameters
    ----------
    connection : Connection
    run_id : int
    time : float
        That it was indexed with.
    start : mapping
    stop : mapping or None
    """
    terms = terms_of(start, stop)
    ids = _keys(connection).ids(connection, {term[0] for term in terms})
    rows = [(ids[path], kind, num, txt, time, run_id) for path, kind, num, txt in terms]
    if not rows:
        return
    columns = ("key_id", "kind", "num", "txt", "time", "run_id")
    where = " AND ".join(f"{column} = {marks(connection, 1)}" for column in columns)
    connection.exec_driver_sql(f"DELETE FROM term WHERE {where}", rows)  # noqa: S608  nothing of the user's


def _insert(connection: Connection, run_id: int, time: float, terms: set[Term]) -> None:
    ids = _keys(connection).ids(connection, {term[0] for term in terms})
    # In the order of the index, which is a third faster.
    rows = sorted((ids[path], kind, num, txt, time, run_id) for path, kind, num, txt in terms)
    if not rows:
        return
    row = marks(connection, 6)
    connection.exec_driver_sql(
        f"INSERT INTO term (key_id, kind, num, txt, time, run_id) VALUES ({row}) ON CONFLICT DO NOTHING",  # noqa: S608
        rows,
    )


class _KeyIds:
    """The ids of keys that one engine has seen; keys are never deleted, so an id once committed is good for ever."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}
        #: Keys that a transaction of this process wrote, which may yet be rolled back.
        self.uncertain: dict[str, Any] = {}

    def ids(self, connection: Connection, names: set[str]) -> dict[str, int]:
        new = sorted(names - self.known.keys())
        if not new:
            return self.known
        ids = self._select(connection, new)
        missing = [name for name in new if name not in ids]
        transaction = connection.get_transaction()
        for name, found in ids.items():
            if self.uncertain.get(name) is not transaction:
                self.known[name] = found
                self.uncertain.pop(name, None)
        if missing:
            connection.exec_driver_sql(
                f"INSERT INTO key (name) VALUES ({marks(connection, 1)}) ON CONFLICT DO NOTHING",  # noqa: S608
                [(name,) for name in missing],
            )
            ids |= self._select(connection, missing)
            self.uncertain |= dict.fromkeys(missing, transaction)
        return self.known | ids

    @staticmethod
    def _select(connection: Connection, names: list[str]) -> dict[str, int]:
        found: dict[str, int] = {}
        for first in range(0, len(names), 500):
            some = tuple(names[first : first + 500])
            asked = marks(connection, len(some))
            rows = connection.exec_driver_sql(f"SELECT name, id FROM key WHERE name IN ({asked})", some)  # noqa: S608
            found.update((name, number) for name, number in rows)
        return found


_KEYS: weakref.WeakKeyDictionary[Any, _KeyIds] = weakref.WeakKeyDictionary()


def _keys(connection: Connection) -> _KeyIds:
    return _KEYS.setdefault(connection.engine, _KeyIds())
