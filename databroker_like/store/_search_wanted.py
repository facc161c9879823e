"""What one condition wants to find at a key, as kinds of rows of the index and the values they may have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from databroker_like.queries import _values as values
from databroker_like.store import _terms as terms
from databroker_like.store._search_sets import Bounds

__all__ = ["Wanted"]

#: Kind of row, its number, its text.
Row = tuple[int, Bounds | None, Bounds | None]

ZERO = Bounds.at(0.0)
EMPTY = Bounds.at("")
#: A value that no row tells all about.
_OTHER: Row = (terms.OTHER, None, None)


@dataclass(frozen=True)
class Wanted:
    """Rows of the index.

    Parameters
    ----------
    certain : tuple of (kind, numbers, texts)
        Rows whose run matches.
    possible : tuple of (kind, numbers, texts)
        Rows whose run may match.
    missing : bool
        Whether a key that is not there matches too.
    anything : bool
        Whether everything but a missing key matches.
    """

    certain: tuple[Row, ...] = ()
    possible: tuple[Row, ...] = ()
    missing: bool = False
    anything: bool = False


def anything() -> Wanted:
    """Whatever is there."""
    return Wanted(anything=True)


def perhaps(what: Wanted) -> Wanted:
    """The same, but for certain nothing."""
    return replace(what, certain=(), possible=what.certain + what.possible)


def any_of(several: Iterable[Wanted]) -> Wanted:
    """What any of several conditions wants, each row but once."""
    points: dict[int, tuple[set[float], set[str]]] = {}
    certain: list[Row] = []
    possible: list[Row] = []
    missing = False
    for what in several:
        missing = missing or what.missing
        possible += what.possible
        for kind, num, txt in what.certain:
            if num is None or txt is None or num.points is None or txt.points is None:
                certain.append((kind, num, txt))  # pragma: no cover  only points are handed in
                continue
            found = points.setdefault(kind, (set(), set()))
            found[0].update(num.points)
            found[1].update(txt.points)
    for kind, (nums, txts) in points.items():
        certain.append((kind, Bounds.at(*sorted(nums)), Bounds.at(*sorted(txts))))
    return Wanted(tuple(certain), tuple(dict.fromkeys(possible)), missing)


def equal(operand: Any) -> Wanted:
    """A value equal to the operand."""
    operand = values._plain(operand)
    if operand is None:
        return Wanted(((terms.NULL, ZERO, EMPTY),), missing=True)
    if type(operand) in (bool, int, float, str):
        kind, num, txt = terms.term_of(operand)
        row = (kind, Bounds.at(num), Bounds.at(txt))
        if kind in (terms.BIG, terms.LONG):
            return Wanted(possible=(row,))
        return Wanted((row,), (_OTHER,)) if kind != terms.OTHER else Wanted(possible=(_OTHER,))
    return _documents_and_others(operand)


def _documents_and_others(operand: Any) -> Wanted:
    if isinstance(operand, Mapping | list):
        return Wanted(possible=((terms.DICT, None, None), (terms.LIST, None, None), _OTHER))
    if isinstance(operand, str):
        return perhaps(prefix(""))
    # Such as bytes, dates or fractions: none is written, but a number may be equal to one.
    return Wanted(possible=(*_ANY_NUMBER, _OTHER))


_ANY_NUMBER: tuple[Row, ...] = ((terms.NUMBER, None, None), (terms.BIG, None, None))


def greater(operand: Any) -> Wanted:
    """A value greater than the operand."""
    return _ordered(operand, below=False, equals=False)


def greater_or_equal(operand: Any) -> Wanted:
    """A value greater than the operand or equal to it."""
    return _ordered(operand, below=False, equals=True)


def less(operand: Any) -> Wanted:
    """A value less than the operand."""
    return _ordered(operand, below=True, equals=False)


def less_or_equal(operand: Any) -> Wanted:
    """A value less than the operand or equal to it."""
    return _ordered(operand, below=True, equals=True)


def _ordered(operand: Any, *, below: bool, equals: bool) -> Wanted:
    operand = values._plain(operand)
    if operand is None or operand != operand or isinstance(operand, re.Pattern):
        return equal(operand) if equals else Wanted()
    if type(operand) not in (bool, int, float, str):
        return _documents_and_others(operand)
    kind, num, txt = terms.term_of(operand)
    if kind == terms.OTHER:
        # The string cannot be handed to every database.
        return perhaps(prefix(""))
    if kind in (terms.TEXT, terms.LONG):
        # What is written of a long string stands on the same side as the string, or is equal.
        rows = ((terms.LONG, ZERO, _side(txt, below, True)), _OTHER)
        return Wanted(((terms.TEXT, ZERO, _side(operand, below, equals)),), rows)
    if kind == terms.BOOL:
        return Wanted(((terms.BOOL, _side(num, below, equals), EMPTY),), (_OTHER,))
    if kind == terms.BIG:
        # Between the operand and the nearest double there is no double.
        equals = num < operand if below else num > operand
    certain = ((terms.NUMBER, _side(num, below, equals), EMPTY),)
    return Wanted(certain, ((terms.BIG, _side(num, below, True), EMPTY), _OTHER))


def _side(end: Any, below: bool, equals: bool) -> Bounds:
    return Bounds(high=end, high_open=not equals) if below else Bounds(low=end, low_open=not equals)


def prefix(begin: Any) -> Wanted:
    """A string that begins with a text."""
    if not terms.is_writable(begin):
        return Wanted(possible=(_OTHER,))
    certain = [(terms.TEXT, ZERO, _beginning_with(begin))]
    long = (terms.LONG, ZERO, _beginning_with(begin[: terms.MAX_TEXT]))
    if len(begin) <= terms.MAX_TEXT:
        return Wanted((*certain, long), (_OTHER,))
    return Wanted(tuple(certain), (long, _OTHER))


def _beginning_with(begin: str) -> Bounds:
    return Bounds(low=begin or None, high=_after(begin), high_open=True)


def _after(begin: str) -> str | None:
    """The first string behind all that begin with a text, by code point; None when there is none."""
    while begin:
        last = ord(begin[-1])
        begin = begin[:-1]
        if last < 0x10FFFF:
            # Halves of surrogate pairs are no characters.
            return begin + chr(0xE000 if last == 0xD7FF else last + 1)
    return None


def texts(points: tuple[str, ...], begin: str) -> Wanted:
    """Certain short strings; perhaps a long one, or another thing, that begins with a text."""
    certain = ((terms.TEXT, ZERO, Bounds.at(*points)),) if points else ()
    long = (terms.LONG, ZERO, _beginning_with(begin[: terms.MAX_TEXT]))
    return Wanted(certain, (long, _OTHER))


def size(length: Any) -> Wanted:
    """A list of so many members."""
    row: Row = (terms.LIST, None, None)
    if type(length) is not int or not 0 <= length < 2**53:
        return Wanted(possible=(row,))
    return Wanted(((terms.LIST, Bounds.at(float(length)), EMPTY),))


def member(of_values: bool) -> Wanted:
    """A list with a member that fulfils a condition, which no row tells; documents and lists, or whatever."""
    return Wanted(possible=((terms.LIST if of_values else terms.NESTED, None, None),))


#: Characters that mean themselves in a regular expression without a backslash.
_LITERAL = re.compile(r"[\w \-/:,;'\"=<>@!%&~`]")
_ESCAPED = re.compile(r"\\(\W)")


def beginning(pattern: re.Pattern[str]) -> tuple[str, bool] | None:
    """The text that everything begins with in which an expression is found, and whether that is all it says.

    Examples
    --------
    >>> beginning(re.compile("^scan"))
    ('scan', True)
    >>> beginning(re.compile("^scan_[0-9]+"))
    ('scan_', False)
    """
    source = pattern.pattern
    if not source.startswith("^") or "|" in source or pattern.flags & ~re.UNICODE:
        return None
    at, found = 1, ""
    while at < len(source):
        escaped = _ESCAPED.match(source, at)
        if escaped is None and not _LITERAL.match(source, at):
            break
        after = escaped.end() if escaped else at + 1
        if source[after : after + 1] in ("*", "?", "+", "{"):
            break
        found += escaped[1] if escaped else source[at]
        at = after
    return (found, at == len(source)) if terms.is_writable(found) else None
