"""Documents that came out of a storage beside those that went in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from databroker_like.core._pages import unpack_datum_page, unpack_event_page

__all__ = ["all_datums", "all_events", "assert_alike"]

Documents = list[tuple[str, dict[str, Any]]]


def all_events(documents: Documents) -> list[dict[str, Any]]:
    """The events among documents, those in pages as well."""
    found: list[dict[str, Any]] = []
    for name, doc in documents:
        if name == "event":
            found.append(doc)
        elif name == "event_page":
            found.extend(unpack_event_page(doc))
    return found


def all_datums(documents: Documents) -> list[dict[str, Any]]:
    """The datums among documents, those in pages as well."""
    found: list[dict[str, Any]] = []
    for name, doc in documents:
        if name == "datum":
            found.append(doc)
        elif name == "datum_page":
            found.extend(unpack_datum_page(doc))
    return found


def assert_alike(got: Iterable[Mapping[str, Any]], expected: Iterable[Mapping[str, Any]]) -> None:
    """Equal to the letter: values, their types, and the order of keys."""
    got, expected = list(got), list(expected)
    assert len(got) == len(expected), f"{len(got)} documents instead of {len(expected)}"
    for one, other in zip(got, expected, strict=True):
        _same_value(one, other, "")


def _same_value(one: Any, other: Any, path: str) -> None:
    if isinstance(other, Mapping):
        assert isinstance(one, Mapping), f"{path}: {one!r} instead of {other!r}"
        assert set(one) == set(other), f"{path}: keys {sorted(one)} instead of {sorted(other)}"
        if path:  # the fields of a document have no order; the keys of its data have
            assert list(one) == list(other), f"{path}: keys in another order"
        for key in other:
            _same_value(one[key], other[key], f"{path}.{key}")
    elif isinstance(other, list | tuple):
        assert isinstance(one, list | tuple), f"{path}: {one!r} instead of {other!r}"
        assert len(one) == len(other), f"{path}: {one!r} instead of {other!r}"
        for number, (a, b) in enumerate(zip(one, other, strict=True)):
            _same_value(a, b, f"{path}[{number}]")
    elif hasattr(other, "dtype"):
        assert getattr(one, "dtype", None) == other.dtype, f"{path}: {one!r} instead of {other!r}"
        assert one.tolist() == other.tolist(), f"{path}: {one!r} instead of {other!r}"
    else:
        assert type(one) is type(other), f"{path}: {one!r} instead of {other!r}"
        assert one == other or (one != one and other != other), f"{path}: {one!r} instead of {other!r}"
