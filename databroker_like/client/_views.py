"""Metadata as it is handed out: mappings and sequences that are looked at, not changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

__all__ = ["DictView", "ListView", "viewed"]


class DictView(Mapping[str, Any]):
    """A mapping that cannot be changed, nor what is in it.

    Parameters
    ----------
    content : mapping

    Examples
    --------
    >>> DictView({"start": {"detectors": ["det"]}})["start"]["detectors"]
    ['det']
    """

    __slots__ = ("_content",)

    def __init__(self, content: Mapping[str, Any]) -> None:
        self._content = content

    def __getitem__(self, key: str) -> Any:
        return viewed(self._content[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def __len__(self) -> int:
        return len(self._content)

    def __repr__(self) -> str:
        return repr(self._content)


class ListView(Sequence[Any]):
    """A sequence that cannot be changed, nor what is in it; equal to a list of the same.

    Parameters
    ----------
    content : sequence

    Examples
    --------
    >>> ListView([1, 2]) == [1, 2]
    True
    """

    __slots__ = ("_content",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, content: Sequence[Any]) -> None:
        self._content = content

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> ListView: ...
    def __getitem__(self, index: int | slice) -> Any:
        return viewed(self._content[index])

    def __len__(self) -> int:
        return len(self._content)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, ListView):
            other = other._content
        if not isinstance(other, list | tuple):
            return NotImplemented
        return list(self._content) == list(other)

    def __repr__(self) -> str:
        return repr(list(self._content))


def viewed(value: Any) -> Any:
    """A value, behind a view when it could be changed."""
    if isinstance(value, dict):
        return DictView(value)
    return ListView(value) if isinstance(value, list) else value
