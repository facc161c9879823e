"""Parts of metadata, chosen by a JMESPath expression that a stranger wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from databroker_like.errors import InvalidRequest
from databroker_like.registry import require

__all__ = ["selected"]

_LONGEST = 500
#: Each may list what it is given several times over, and so may the next: three do no harm.
_MOST_LISTS = 3
_MOST_MEMBERS = 32
_MOST_VALUES = 200_000
_LISTS = frozenset({"multi_select_list", "multi_select_dict"})


def selected(metadata: Mapping[str, Any], expression: str) -> Any:
    """What an expression chooses.

    Parameters
    ----------
    metadata : mapping
    expression : str
        JMESPath, without functions.

    Returns
    -------
    object

    Raises
    ------
    InvalidRequest
        When it is none, calls functions, or would make much out of little.

    Examples
    --------
    >>> selected({"start": {"uid": "a", "time": 5}}, "{id: start.uid, when: start.time}")
    {'id': 'a', 'when': 5}
    """
    jmespath = require("jmespath", "choose parts of metadata")
    if len(expression) > _LONGEST:
        raise InvalidRequest(f"'select_metadata' has {len(expression)} characters; {_LONGEST} are the most")
    try:
        compiled = jmespath.compile(expression)
        _check(compiled.parsed)
        found = compiled.search(metadata)
    except (jmespath.exceptions.JMESPathError, RecursionError) as error:
        said = str(error).partition("\n")[0]
        raise InvalidRequest(f"'select_metadata' is no JMESPath expression: {said:.200}") from None
    _weigh(found)
    return found


def _check(tree: Mapping[str, Any]) -> None:
    left, lists = [tree], 0
    while left:
        node = left.pop()
        if node["type"] == "function_expression":
            raise InvalidRequest("'select_metadata' calls functions, which are not run; choose keys and items")
        if node["type"] in _LISTS:
            lists += 1
            if lists > _MOST_LISTS or len(node["children"]) > _MOST_MEMBERS:
                raise InvalidRequest(
                    f"'select_metadata' makes more than {_MOST_LISTS} lists, or one of more than {_MOST_MEMBERS}"
                )
        left.extend(child for child in node.get("children", ()) if isinstance(child, dict))


def _weigh(found: Any) -> None:
    left, seen = [found], 0
    while left:
        value = left.pop()
        seen += 1
        if seen > _MOST_VALUES:
            raise InvalidRequest(f"'select_metadata' chooses more than {_MOST_VALUES} values")
        if isinstance(value, Mapping):
            left.extend(value.values())
        elif isinstance(value, list | tuple):
            left.extend(value)
