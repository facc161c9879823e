"""How a query judges values, with MongoDB's semantics: finding them by dotted key, comparing, searching text."""

from __future__ import annotations

import math
import numbers
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from databroker_like.errors import InvalidQuery
from databroker_like.queries._searched import SearchedDocument

__all__ = ["MISSING", "at_key", "compiled_regex", "found_at", "rank", "text_search"]

Test = Callable[[Any], bool]

#: The longest regular expression taken, in characters.
MAX_PATTERN = 1000


class _Missing:
    """Stands where a document has no such key."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Missing()

#: Types that are what they look like; anything else may be numpy's.
_PLAIN = frozenset({str, int, float, bool, type(None), dict, list, _Missing})


def _plain(value: Any) -> Any:
    """A value as Python has it: numpy's scalars and arrays become numbers and lists."""
    if type(value) in _PLAIN:
        return value
    if hasattr(value, "tolist"):
        return value.tolist()
    return list(value) if isinstance(value, tuple) else value


# -- finding ----------------------------------------------------------------------------------------------------------


def at_key(key: str, judge: Test, *, any_of_list: bool) -> Test:
    """A function of a document that judges what stands at a dotted key.

    Parameters
    ----------
    key : str
        Dotted; the empty key is the document itself, and then no member of a list stands for the list.
    judge : callable
        A function of one value, or of `MISSING`.
    any_of_list : bool
        Whether a member of a list may stand for the list.

    Returns
    -------
    callable
    """
    if not key:
        return lambda value: judge(_plain(value))
    leaf = _leaf(judge) if any_of_list else judge
    parts = key.split(".")
    if len(parts) == 1:
        return _at_one_key(key, leaf)

    def test(doc: Any) -> bool:
        value = doc
        for part in parts:
            if type(value) is not dict:
                break
            value = value.get(part, MISSING)
            if value is MISSING:
                return leaf(MISSING)
        else:
            return leaf(value if type(value) in _PLAIN else _plain(value))
        # Something else than documents stands in between.
        for found in _found(doc, parts, 0):  # noqa: SIM110
            if leaf(found):
                return True
        return False

    return test


def _at_one_key(key: str, leaf: Test) -> Test:
    def test(doc: Any) -> bool:
        if type(doc) is dict:
            found = doc.get(key, MISSING)
            return leaf(found if type(found) in _PLAIN else _plain(found))
        if isinstance(doc, Mapping):
            found = doc.get(key, MISSING)
            return leaf(found if type(found) in _PLAIN else _plain(found))
        return any(map(leaf, _found(doc, [key], 0)))

    return test


def _leaf(judge: Test) -> Test:
    """The value itself, or any of its members when it is a list."""

    def leaf(value: Any) -> bool:
        if judge(value):
            return True
        if type(value) is list:
            for member in value:
                if judge(member if type(member) in _PLAIN else _plain(member)):
                    return True
        return False

    return leaf


def _found(value: Any, parts: list[str], depth: int) -> Iterator[Any]:
    """All values at a dotted key: through each member of a list that is a document, or through its index."""
    value = _plain(value)
    if depth == len(parts):
        yield value
    elif isinstance(value, Mapping):
        part = parts[depth]
        if part in value:
            yield from _found(value[part], parts, depth + 1)
        else:
            yield MISSING
    elif type(value) is list:
        part = parts[depth]
        # ASCII digits: "²".isdigit() is true and no index.
        if part.isascii() and part.isdigit() and int(part) < len(value):
            yield from _found(value[int(part)], parts, depth + 1)
        for member in value:
            if isinstance(member, Mapping):
                yield from _found(member, parts, depth)
    else:
        yield MISSING


def found_at(doc: Any, parts: list[str]) -> Iterator[Any]:
    """All values at a dotted key, in parts; `MISSING` where there is none. numpy's are Python's."""
    return _found(doc, parts, 0)


def is_there(value: Any) -> bool:
    """Whether there is a value."""
    return value is not MISSING


# -- comparing --------------------------------------------------------------------------------------------------------

#: MongoDB compares values within one of these brackets only.
_BRACKETS: Mapping[type, int] = {type(None): 1, int: 2, float: 2, str: 3, dict: 4, list: 5, bytes: 6, bool: 8}


def _bracket(value: Any) -> int:
    found = _BRACKETS.get(type(value))
    if found is not None:
        return found
    if isinstance(value, bool):
        return 8
    if isinstance(value, numbers.Real):
        return 2
    for kind, number in ((str, 3), (Mapping, 4), (datetime, 9)):
        if isinstance(value, kind):
            return number
    return 10


def rank(value: Any) -> tuple[Any, ...]:
    """What a value is ordered and compared by: its bracket first, then what it holds, to the bottom."""
    value = _plain(value)
    bracket = _bracket(value)
    if bracket == 1:
        return (1,)
    if bracket == 4:
        # A Python dictionary is the same dictionary in another order.
        return (4, tuple(sorted((str(key), rank(member)) for key, member in value.items())))
    if bracket == 5:
        return (5, tuple(map(rank, value)))
    if bracket == 2 and value != value:
        return (2, -1, 0)  # NaN is itself, and below all numbers where order is asked for
    if bracket == 2:
        return (2, 0, value)
    if bracket == 9:
        return (9, value.replace(tzinfo=UTC) if value.tzinfo is None else value)
    if bracket == 10:
        return (10, type(value).__name__, repr(value))
    return (bracket, value)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def equal_to(operand: Any) -> Test:
    """Equality; None is also what is missing, True is not 1, NaN is NaN."""
    operand = _plain(operand)
    if operand is None:
        return lambda value: value is None or value is MISSING
    if type(operand) is str:
        return lambda value: value == operand if type(value) is str else False
    if type(operand) in (int, float) and operand == operand:
        return lambda value: value == operand and type(value) is not bool
    ranked = rank(operand)
    bracket = ranked[0]
    return lambda value: value is not MISSING and _bracket(value) == bracket and rank(value) == ranked


def among(operands: Iterable[Any]) -> Test:
    """Equality with one of several, by hash where they are many strings or numbers."""
    strings: set[str] = set()
    numbers_: set[float] = set()
    others: list[Test] = []
    for operand in map(_plain, operands):
        if type(operand) is str:
            strings.add(operand)
        elif type(operand) in (int, float) and operand == operand:
            numbers_.add(operand)
        elif isinstance(operand, re.Pattern):
            others.append(found_by(checked_regex(operand)))
        else:
            others.append(equal_to(operand))

    def test(value: Any) -> bool:
        kind = type(value)
        if kind is str:
            if value in strings:
                return True
        elif (kind is int or kind is float) and value in numbers_:
            return True
        return any(other(value) for other in others)

    return test


def _ordered(operand: Any, of_equals: bool, compare: Callable[[Any, Any], bool]) -> Test:
    operand = _plain(operand)
    if operand is None or _is_nan(operand) or isinstance(operand, re.Pattern):
        # Nothing is before or after nothing; what allows equality still matches it.
        return equal_to(operand) if of_equals else _never
    bracket, ranked = _bracket(operand), rank(operand)
    if bracket in (2, 3):
        types = (int, float) if bracket == 2 else (str,)
        return lambda value: type(value) in types and compare(value, operand)
    return lambda value: value is not MISSING and _bracket(value) == bracket and compare(rank(value), ranked)


def _never(value: Any) -> bool:
    return False


def greater(operand: Any) -> Test:
    """Greater than the operand, within its bracket."""
    return _ordered(operand, False, operator.gt)


def greater_or_equal(operand: Any) -> Test:
    """Greater than the operand or equal to it, within its bracket."""
    return _ordered(operand, True, operator.ge)


def less(operand: Any) -> Test:
    """Less than the operand, within its bracket."""
    return _ordered(operand, False, operator.lt)


def less_or_equal(operand: Any) -> Test:
    """Less than the operand or equal to it, within its bracket."""
    return _ordered(operand, True, operator.le)


# -- regular expressions ----------------------------------------------------------------------------------------------

_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE, "u": re.UNICODE}


def compiled_regex(pattern: Any, options: str = "") -> re.Pattern[str]:
    """A regular expression, of a reasonable length.

    Raises
    ------
    InvalidQuery
        When it is none, is too long, or an option is unknown.
    """
    if not isinstance(pattern, str):
        raise InvalidQuery(f"a regular expression is a string, not {pattern!r}")
    if len(pattern) > MAX_PATTERN:
        raise InvalidQuery(f"a regular expression of {len(pattern)} characters is too long; {MAX_PATTERN} are allowed")
    if not isinstance(options, str) or not set(options) <= _FLAGS.keys():
        raise InvalidQuery(f"the options of a regular expression are letters out of 'imsx', not {options!r}")
    flags = 0
    for option in options:
        flags |= _FLAGS[option]
    try:
        return re.compile(pattern, flags)
    except (re.error, RecursionError, OverflowError) as error:
        raise InvalidQuery(f"{pattern!r} is no regular expression: {error}") from error


def checked_regex(pattern: re.Pattern[Any]) -> re.Pattern[str]:
    """A regular expression compiled elsewhere, if it is for strings and of a reasonable length."""
    return compiled_regex(pattern.pattern, regex_options(pattern))


def regex_options(pattern: re.Pattern[Any]) -> str:
    """The flags of a compiled regular expression, as MongoDB writes them."""
    return "".join(letter for letter, flag in _FLAGS.items() if letter != "u" and pattern.flags & flag)


def found_by(pattern: re.Pattern[str]) -> Test:
    """Whether the expression is found in a string."""
    search = pattern.search
    return lambda value: isinstance(value, str) and search(value) is not None


# -- text -------------------------------------------------------------------------------------------------------------

_TERM = re.compile(r"""(?P<not>(?<!\S)-)?(?:"(?P<phrase>[^"]*)"|(?P<word>\w+))""")
_WORD = re.compile(r"\w+")


def text_search(text: str) -> Test:
    """A function of a document: MongoDB's ``$text`` without stemming, over all its strings.

    Any of the words; all of the phrases, and then words do not matter; none of those with a minus. Of
    negations alone nothing matches.
    """
    words: list[str] = []
    phrases: list[Test] = []
    banned: list[Test] = []
    for term in _TERM.finditer(text.casefold()):
        found = _WORD.findall(term["word"] if term["phrase"] is None else term["phrase"])
        if not found:
            continue
        if term["not"]:
            banned.append(_phrase(found))
        elif term["phrase"] is not None:
            phrases.append(_phrase(found))
        else:
            words.extend(found)
    wanted = phrases or [_any_word(words)]
    if not phrases and not words:
        return _never

    def test(doc: Any) -> bool:
        if type(doc) is SearchedDocument:
            doc = doc.start
        # Unit separators keep a phrase from running over the end of one string into the next.
        everything = "\x1f".join(_strings(doc)).casefold()
        return all(each(everything) for each in wanted) and not any(each(everything) for each in banned)

    return test


def _any_word(words: list[str]) -> Test:
    search = re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})\b").search

    def test(text: str) -> bool:
        # Looking for the letters costs a tenth of looking for the word.
        return any(word in text for word in words) and search(text) is not None

    return test


def _phrase(words: list[str]) -> Test:
    search = re.compile(r"\b" + r"[^\w\x1f]+".join(map(re.escape, words)) + r"\b").search
    return lambda text: search(text) is not None


def _strings(document: Any) -> list[str]:
    """All strings of a document, to the bottom, in any order."""
    found: list[str] = []
    left = [document]
    while left:
        value = left.pop()
        if type(value) is str:
            found.append(value)
        elif isinstance(value, Mapping):
            left.extend(value.values())
        elif isinstance(value, list | tuple):
            left.extend(value)
        elif isinstance(value, str):
            found.append(str(value))
        elif hasattr(value, "tolist") and value.dtype.kind in "UTO":
            left.append(value.tolist())
    return found
