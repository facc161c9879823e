"""A few open files that many threads share."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from databroker_like.nodes.files import _handles
from databroker_like.nodes.files._handles import OpenFiles


class Opening:
    """Opens files that are numbers, and counts."""

    def __init__(self) -> None:
        self.opened: list[Any] = []
        self.closed: list[Any] = []

    def of(self, what: Any) -> Any:
        @contextlib.contextmanager
        def opener() -> Iterator[Any]:
            self.opened.append(what)
            yield what
            self.closed.append(what)

        return opener


def test_no_more_are_kept_open_than_are_allowed_and_the_least_used_go_first() -> None:
    files, opening = OpenFiles(2), Opening()
    for name in "abac":
        with files.use(name, 0, opening.of(name)) as handle:
            assert handle == name
    assert opening.opened == ["a", "b", "c"]
    assert opening.closed == ["b"]
    files.close()
    assert sorted(opening.closed) == ["a", "b", "c"]


def test_nothing_is_kept_open_where_none_may_be() -> None:
    files, opening = OpenFiles(0), Opening()
    with files.use("a", 0, opening.of("a")):
        assert len(files) == 1
    assert opening.closed == ["a"]


def test_a_file_that_has_changed_is_opened_anew_when_all_are_done_with_what_it_was() -> None:
    files, opening = OpenFiles(), Opening()
    order: list[str] = []
    reads = threading.Event()

    def reads_anew() -> None:
        reads.set()
        with files.use("a", 2, opening.of("new")) as handle:
            order.append(handle)

    with files.use("a", 1, opening.of("old")) as handle:
        thread = threading.Thread(target=reads_anew)
        thread.start()
        reads.wait()
        time.sleep(0.05)
        order.append(handle)
    thread.join()
    assert order == ["old", "new"]
    assert (opening.opened, opening.closed) == (["old", "new"], ["old"])


def test_a_file_that_cannot_be_opened_is_tried_again_the_next_time() -> None:
    files = OpenFiles()

    @contextlib.contextmanager
    def fails() -> Iterator[Any]:
        raise OSError("not yet")
        yield

    for _ in range(2):
        with pytest.raises(OSError, match="not yet"), files.use("a", 0, fails):
            pass
    assert len(files) == 0


def test_what_nobody_used_for_long_is_closed_when_another_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    files, opening = OpenFiles(), Opening()
    with files.use("a", 0, opening.of("a")):
        pass
    monkeypatch.setattr(_handles, "_IDLE_SECONDS", -1.0)
    with files.use("b", 0, opening.of("b")):
        pass
    assert "a" in opening.closed


def test_a_file_for_one_at_a_time_is_used_by_one_at_a_time() -> None:
    files, opening = OpenFiles(), Opening()
    inside: list[int] = []

    def use(_: int) -> None:
        with files.use("a", 0, opening.of("a"), alone=True):
            inside.append(1)
            assert len(inside) == 1
            time.sleep(0.001)
            inside.pop()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(50)))
    assert opening.opened == ["a"]


def test_many_threads_with_files_that_change_get_each_the_right_one() -> None:
    files, opening = OpenFiles(3), Opening()

    def use(number: int) -> None:
        name, stamp = "abcdef"[number % 6], number // 40
        with files.use(name, stamp, opening.of((name, stamp))) as handle:
            assert handle == (name, stamp)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(use, range(2000)))
    files.close()
    assert sorted(opening.opened) == sorted(opening.closed)
