"""The pages of a run that is long are not all in memory when it is told page by page."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from databroker_like.core._columns import one_by_one
from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.nodes.runs import RunsNode
from databroker_like.store._stored_run import StoredRun
from databroker_like.testing import _runs as samples


class Page(dict[str, Any]):
    """A page that tells when nobody has it any more."""

    __hash__ = object.__hash__


class Pages:
    """Pages, and how many of them are there."""

    def __init__(self) -> None:
        self.there: weakref.WeakSet[Page] = weakref.WeakSet()

    def made(self, count: int, descriptor: str = "d") -> list[Page]:
        pages = [
            Page(descriptor=descriptor, uid=[f"{n}"], time=[n], seq_num=[n + 1], data={}, timestamps={}, filled={})
            for n in range(count)
        ]
        self.there.update(pages)
        return pages


@pytest.mark.parametrize("as_given", [list, iter], ids=["a list", "an iterator"])
def test_pages_that_were_passed_on_are_let_go_of(as_given: Callable[[Any], Any]) -> None:
    pages = Pages()
    seen, left = [], []
    for page in one_by_one(as_given(pages.made(10))):
        seen.append(page["uid"][0])
        left.append(len(pages.there))
        del page
    assert seen == [str(n) for n in range(10)]
    assert len(pages.there) == 0
    if as_given is list:
        assert left == [10 - n for n in range(10)]


def test_a_list_that_somebody_else_has_stays_as_it_is() -> None:
    mine = Pages().made(3)
    assert [page["uid"] for page in one_by_one(mine)] == [["0"], ["1"], ["2"]]
    assert len(mine) == 3


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Pages]]:
    """A run of twenty pages as a node, and its pages."""
    catalog = BlueskyEmbeddedCatalog(tmp_path / "store")
    for name, doc in samples.scalars(3, uid="one"):
        catalog.insert(name, doc)
    pages = Pages()
    monkeypatch.setattr(StoredRun, "get_event_pages", lambda self, uid, skip=0, limit=None: pages.made(20, uid))
    yield RunsNode(catalog).get("one"), pages
    catalog.close()


def most_at_once(pairs: Iterator[tuple[str, Any]], pages: Pages) -> int:
    """How many of the pages that were told are there while the next are told, at the most."""
    told = most = 0
    for name, doc in pairs:
        if name == "event_page":
            told += 1
            most = max(most, len(pages.there) - (20 - told))
        del doc
    assert told == 20
    return most


def test_the_events_of_a_run_in_parts_are_not_held(run: tuple[Any, Pages]) -> None:
    node, pages = run
    descriptor = next(doc["uid"] for name, doc in node.parts.around() if name == "descriptor")
    assert most_at_once(node.parts.events([descriptor], columns=False), pages) <= 2


def test_the_documents_of_a_run_are_not_held(run: tuple[Any, Pages]) -> None:
    node, pages = run
    assert most_at_once(node.documents(fill="no"), pages) <= 2
