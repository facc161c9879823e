"""Sources that take long, to open or to fail, and who waits for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from databroker_like.errors import Unreachable
from databroker_like.nodes import BrokenNode, Node, TableNode
from databroker_like.nodes import _held_source as held_source
from databroker_like.nodes.catalogs import CatalogNode

#: Longer than any test: who waited so long would be seen to.
FOREVER = 300.0

#: What happens when a source of this name is opened.
Opening = Callable[[str], None]


@pytest.fixture(autouse=True)
def _looks_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found out is not kept for seconds, and nobody gives up waiting."""
    for name, seconds in {"FAILED_FOR": 0.0, "WELL_FOR": 0.0, "PATIENCE": FOREVER, "SOON": FOREVER}.items():
        monkeypatch.setattr(held_source, name, seconds)


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[CatalogNode]:
    """Three tables."""
    (tmp_path / "a.csv").write_text("x\n1\n")
    sources = "".join(
        f'  {name}: {{driver: csv, metadata: {{called: {name}}}, args: {{urlpath: "{{{{ CATALOG_DIR }}}}/a.csv"}}}}\n'
        for name in ("one", "two", "three")
    )
    (tmp_path / "lab.yml").write_text(f"sources:\n{sources}")
    with CatalogNode.of_file(tmp_path / "lab.yml") as made:
        yield made


@pytest.fixture
def opening(monkeypatch: pytest.MonkeyPatch) -> Callable[[Opening], None]:
    """Says what happens when a source is opened."""
    make = held_source.node_of_source

    def happens(what: Opening) -> None:
        def made(source: Any, said: Any) -> Node:
            what(said["called"])
            return make(source, said)

        monkeypatch.setattr(held_source, "node_of_source", made)

    return happens


def until_mended(tree: CatalogNode, key: str) -> Node | None:
    """The node of a source when it is no longer broken."""
    end = time.monotonic() + FOREVER
    while isinstance(node := tree.get(key), BrokenNode) and time.monotonic() < end:
        time.sleep(0.01)
    return node


def test_who_asks_for_a_source_that_took_long_to_fail_is_told_at_once_while_it_is_tried_again(
    tree: CatalogNode, opening: Callable[[Opening], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_source, "SLOW", -1.0)
    is_tried_again, is_back, tries = threading.Event(), threading.Event(), []

    def away(name: str) -> None:
        if name == "two":
            tries.append(name)
            if len(tries) == 1:
                raise Unreachable("the server is away")
            is_tried_again.set()
            assert is_back.wait(FOREVER)

    opening(away)
    assert tree.get("two").metadata["error"] == "the server is away"
    for _ in range(3):
        # Waits for nothing: nobody lets the second try go on before.
        nodes = dict(tree.items())
        assert [isinstance(node, TableNode) for node in nodes.values()] == [True, False, True]
        assert nodes["two"].metadata["error"] == "the server is away"
    assert is_tried_again.wait(FOREVER)
    assert len(tries) == 2
    is_back.set()
    assert isinstance(until_mended(tree, "two"), TableNode)


def test_who_asks_for_a_source_that_failed_at_once_waits_until_it_is_tried_again(
    tree: CatalogNode, opening: Callable[[Opening], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_source, "SLOW", FOREVER)
    tries: list[str] = []

    def fails_once(name: str) -> None:
        tries.append(name)
        if len(tries) == 1:
            raise Unreachable("the server is away")

    opening(fails_once)
    assert isinstance(tree.get("one"), BrokenNode)
    assert isinstance(tree.get("one"), TableNode)


def test_a_source_that_opens_just_as_somebody_gives_up_is_waited_for_the_next_time(
    tree: CatalogNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    class GivenUp(Future[Any]):
        """Who waits for it gives up when it is there."""

        def result(self, timeout: float | None = None) -> Any:
            super().result(FOREVER)
            raise TimeoutError

    with monkeypatch.context() as patched:
        patched.setattr(held_source, "Future", GivenUp)
        assert "takes long" in tree.get("one").metadata["error"]
    assert isinstance(tree.get("one"), TableNode)


@pytest.mark.parametrize("by", [("", 1), ("", -1)])
def test_while_a_source_takes_long_those_listed_after_it_are_opened(
    tree: CatalogNode, opening: Callable[[Opening], None], monkeypatch: pytest.MonkeyPatch, by: tuple[str, int]
) -> None:
    monkeypatch.setattr(held_source, "SOON", 0.01)
    names = list(tree.sorted([by]).keys())
    there = threading.Event()

    def one_after_the_other(name: str) -> None:
        if name == names[-1]:
            there.set()
        assert there.wait(FOREVER)

    opening(one_after_the_other)
    nodes = dict(tree.sorted([by]).items())
    assert list(nodes) == names
    assert all(isinstance(node, TableNode) for node in nodes.values())


def test_sources_that_open_at_once_are_opened_one_by_one(tree: CatalogNode, opening: Callable[[Opening], None]) -> None:
    going_on, most = [], []

    def count(name: str) -> None:
        going_on.append(name)
        most.append(len(going_on))
        time.sleep(0.01)
        going_on.remove(name)

    opening(count)
    assert [key for key, _ in tree.items()] == ["one", "two", "three"]
    assert most == [1, 1, 1]
