"""How metadata becomes other metadata, step by step, as JSON Patch (RFC 6902) writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["DELETE_KEY", "merged", "patch_between"]


class _DeleteKey:
    """Stands in an update for a key that is to go."""

    def __repr__(self) -> str:
        return "DELETE_KEY"

    def __copy__(self) -> _DeleteKey:
        return self

    def __deepcopy__(self, memo: Any) -> _DeleteKey:
        return self

    def __reduce__(self) -> str:
        return "DELETE_KEY"


#: In an update of metadata, in place of a value: the key is to go.
DELETE_KEY = _DeleteKey()


def merged(before: Any, update: Any) -> Any:
    """Metadata with an update put into it: dictionaries key by key, everything else as a whole.

    Parameters
    ----------
    before : object
    update : object
        May have `DELETE_KEY` in place of values.

    Returns
    -------
    object
        A new one; neither argument is changed.

    Examples
    --------
    >>> merged({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": None, "c": DELETE_KEY}})
    {'a': {'b': None}, 'd': 3}
    """
    if not isinstance(update, Mapping):
        return update
    found = dict(before) if isinstance(before, Mapping) else {}
    for key, value in update.items():
        if value is DELETE_KEY:
            found.pop(key, None)
        else:
            found[key] = merged(found.get(key), value)
    return found


def patch_between(before: Any, after: Any, path: str = "") -> list[dict[str, Any]]:
    """The steps from one value of JSON to another.

    Parameters
    ----------
    before, after : object
        Of what JSON is made of.
    path : str
        Where they stand, as a JSON pointer; the root by default.

    Returns
    -------
    list of dict
        Operations of JSON Patch; none when they are the same.

    Examples
    --------
    >>> patch_between({"a": 1, "b": [1, 2]}, {"b": [1, 2, 3]})
    [{'op': 'remove', 'path': '/a'}, {'op': 'add', 'path': '/b/2', 'value': 3}]
    """
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return _between_mappings(before, after, path)
    if isinstance(before, list) and isinstance(after, list):
        return _between_lists(before, after, path)
    return [] if _same(before, after) else [{"op": "replace", "path": path, "value": after}]


def _same(before: Any, after: Any) -> bool:
    # To Python, 1, 1.0 and True are one and the same; to those who read metadata, they are not.
    return type(before) is type(after) and before == after


def _between_mappings(before: Mapping[str, Any], after: Mapping[str, Any], path: str) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = [{"op": "remove", "path": _at(path, key)} for key in before if key not in after]
    for key, value in after.items():
        if key in before:
            steps += patch_between(before[key], value, _at(path, key))
        else:
            steps.append({"op": "add", "path": _at(path, key), "value": value})
    return steps


def _between_lists(before: list[Any], after: list[Any], path: str) -> list[dict[str, Any]]:
    shared = min(len(before), len(after))
    steps = [
        step
        for at, (old, new) in enumerate(zip(before, after, strict=False))
        for step in patch_between(old, new, f"{path}/{at}")
    ]
    # From the end on, so that the places of the others stay.
    steps += [{"op": "remove", "path": f"{path}/{at}"} for at in reversed(range(shared, len(before)))]
    return steps + [
        {"op": "add", "path": f"{path}/{at}", "value": value} for at, value in enumerate(after[shared:], start=shared)
    ]


def _at(path: str, key: str) -> str:
    return f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
