"""Regular expressions that strangers write: searched in a time that grows with the text alone, whatever they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from databroker_like.errors import InvalidQuery
from databroker_like.queries._nodes import Field
from databroker_like.queries._values import MAX_PATTERN

__all__ = ["LinearRegex"]


@dataclass(frozen=True, eq=False)
class LinearRegex(Field):
    """The value is a string, or a list with a string, in which a regular expression is found.

    It is searched by RE2, which has no look-around and no references to groups, and so ends soon on every text.

    Parameters
    ----------
    key : str
        Dotted key.
    pattern : str
        At most 1 000 characters, in the syntax of RE2.
    case_sensitive : bool
        True by default.

    Raises
    ------
    InvalidQuery
        When it is no such expression.

    Examples
    --------
    >>> LinearRegex("sample", "^(si+)+o", False).matches({"sample": "SiO2"})
    True
    """

    pattern: str
    case_sensitive: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.pattern, str) or len(self.pattern) > MAX_PATTERN:
            raise InvalidQuery(f"a regular expression is a text of {MAX_PATTERN} characters at the most")
        import pyarrow as pa

        try:
            self._judge()("")
        except (pa.ArrowInvalid, UnicodeEncodeError) as error:
            said = str(error).removeprefix("Invalid regular expression: ")
            raise InvalidQuery(
                f"{self.pattern!r:.200} is no regular expression that is searched here: {said:.200}; there is no "
                "look-around, and there are no references to groups"
            ) from None

    def _operator(self) -> dict[str, Any]:
        return {"$regex": self.pattern, **({} if self.case_sensitive else {"$options": "i"})}

    def _judge(self) -> Callable[[Any], bool]:
        import pyarrow as pa
        import pyarrow.compute as pc

        options = pc.MatchSubstringOptions(self.pattern, ignore_case=not self.case_sensitive)

        def test(value: Any) -> bool:
            if not isinstance(value, str):
                return False
            # Half a surrogate pair is no text to others; a question mark stands for it.
            text = pa.scalar(value.encode(errors="replace").decode(), pa.string())
            return bool(pc.call_function("match_substring_regex", [text], options).as_py())

        return test
