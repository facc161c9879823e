from __future__ import annotations

import io
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from databroker_like import errors, registry
from databroker_like.client._progress import progress

WANTED = SimpleNamespace(show_progress=True)
WHEN_LONG = SimpleNamespace(show_progress=None)
NEVER = SimpleNamespace(show_progress=False)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def before_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Terminal]:
    """To be called within the test: the capture of pytest sets the standard error between fixtures and test."""

    def sit_down() -> Terminal:
        screen = Terminal()
        monkeypatch.setattr(sys, "stderr", screen)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.delenv("NO_COLOR", raising=False)
        return screen

    return sit_down


def test_what_is_wanted_is_shown_on_a_terminal(before_a_terminal: Callable[[], Terminal]) -> None:
    terminal = before_a_terminal()
    with progress(WANTED, 4, "reading") as advance:
        advance(1)
        advance(3)
    assert "reading" in terminal.getvalue()
    assert "100%" in terminal.getvalue()


def test_a_pipe_stays_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    with progress(WANTED, 4, "reading") as advance:
        advance(4)
    assert pipe.getvalue() == ""


def test_what_is_not_wanted_or_has_one_part_is_not_shown(before_a_terminal: Callable[[], Terminal]) -> None:
    terminal = before_a_terminal()
    for context, total in ((NEVER, 4), (WANTED, 1), (WANTED, 0)):
        with progress(context, total, "reading") as advance:
            advance(1)
    assert terminal.getvalue() == ""


def test_what_is_done_soon_is_not_shown_and_what_takes_long_is(
    before_a_terminal: Callable[[], Terminal], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = before_a_terminal()
    monkeypatch.setattr("databroker_like.client._progress._QUIET_SECONDS", 1000.0)
    with progress(WHEN_LONG, 2, "reading") as advance:
        advance(2)
    assert terminal.getvalue() == ""
    monkeypatch.setattr("databroker_like.client._progress._QUIET_SECONDS", 0.01)
    with progress(WHEN_LONG, 2, "reading") as advance:
        advance(1)
        end = time.monotonic() + 300
        while "50%" not in terminal.getvalue() and time.monotonic() < end:
            time.sleep(0.01)
    assert "50%" in terminal.getvalue()


def test_a_bar_within_a_bar_is_none_and_the_next_one_is_shown(before_a_terminal: Callable[[], Terminal]) -> None:
    terminal = before_a_terminal()
    with progress(WANTED, 2, "copying"), progress(WANTED, 2, "writing") as advance:
        advance(2)
    assert "writing" not in terminal.getvalue()
    with pytest.raises(ZeroDivisionError), progress(WANTED, 2, "sending"):
        raise ZeroDivisionError
    with progress(WANTED, 2, "reading"):
        pass
    assert "reading" in terminal.getvalue()


def test_many_threads_advance_it(before_a_terminal: Callable[[], Terminal]) -> None:
    terminal = before_a_terminal()
    before = threading.active_count()
    with progress(WANTED, 200, "reading") as advance, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: advance(1), range(200)))
    assert "100%" in terminal.getvalue()
    assert threading.active_count() < before + 8


def test_without_rich_it_is_told_only_to_those_who_want_it(
    before_a_terminal: Callable[[], Terminal], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = before_a_terminal()
    asked = threading.Event()

    def missing(package: str, purpose: str) -> Any:
        asked.set()
        raise errors.MissingExtra(f"{package} is needed to {purpose}")

    monkeypatch.setattr(registry, "require", missing)
    with pytest.raises(errors.MissingExtra), progress(WANTED, 2, "reading"):
        pass
    asked.clear()
    monkeypatch.setattr("databroker_like.client._progress._QUIET_SECONDS", 0.0)
    with progress(WHEN_LONG, 2, "reading") as advance:
        assert asked.wait(300)
        advance(2)
    assert terminal.getvalue() == ""
