from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from databroker_like.client._side_by_side import side_by_side

SERVER: Any = SimpleNamespace(max_connections=4, show_progress=False)


def test_what_is_fetched_comes_in_order_and_at_once() -> None:
    running, most = [], []
    several = threading.Event()

    def fetch(one: int) -> int:
        running.append(one)
        most.append(len(running))
        if len(running) > 1:
            several.set()
        several.wait(300)
        running.remove(one)
        return -one

    assert side_by_side(SERVER, fetch, range(12)) == [-n for n in range(12)]
    assert 1 < max(most) <= 4
    most.clear()
    several.set()
    side_by_side(SERVER, fetch, range(4), at_once=1)
    assert max(most) == 1


def test_one_needs_no_thread_and_none_nothing() -> None:
    assert side_by_side(SERVER, lambda _: threading.current_thread(), [1]) == [threading.main_thread()]
    assert side_by_side(SERVER, abs, []) == []


def test_what_fails_is_told_and_the_rest_does_not_begin() -> None:
    begun, ended = [], []
    hold = threading.Event()

    def fetch(one: int) -> None:
        begun.append(one)
        if one == 0:
            raise KeyError("first")
        hold.wait(300)
        ended.append(one)

    with pytest.raises(KeyError, match="first"):
        side_by_side(SERVER, fetch, range(100))
    # Those that had begun are not waited for.
    assert ended == []
    hold.set()
    assert len(begun) < 20
