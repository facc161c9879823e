"""How far a long read or write is, shown where somebody sits before it, and nowhere else."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

from databroker_like import registry
from databroker_like.errors import MissingExtra

__all__ = ["ShowsProgress", "progress"]

#: What is done sooner than this is not worth a bar.
_QUIET_SECONDS = 0.5
#: A bar within a bar is none: a copy of many arrays shows the copy, not each array.
_shown = threading.Lock()


class ShowsProgress(Protocol):
    """What knows whether progress is wanted, as a `Context` does."""

    @property
    def show_progress(self) -> bool | None:
        """True, False, or None: when it takes long."""


@contextmanager
def progress(context: ShowsProgress, total: int, what: str) -> Iterator[Callable[..., None]]:
    """A bar on the standard error, or in the notebook, while something of several parts is done.

    It is silent when nobody could see it (no terminal, no notebook), for one part, within another bar, and, unless
    ``context.show_progress`` is True, for what is done in half a second or when ``rich`` is not installed.

    Parameters
    ----------
    context : Context
        Or anything else with an attribute ``show_progress``: True, False, or None.
    total : int
        How many parts there are, or bytes.
    what : str
        What is done, as ``"reading"``.

    Yields
    ------
    callable
        Takes how many more parts are done; 1 by default. Any thread may call it.

    Raises
    ------
    MissingExtra
        When it is wanted by all means, could be seen, and ``rich`` is not installed.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> with progress(SimpleNamespace(show_progress=None), 3, "reading") as advance:
    ...     for part in range(3):
    ...         advance()
    """
    wanted = context.show_progress
    if wanted is False or total < 2 or not _seen() or not _shown.acquire(blocking=False):
        yield _nothing
        return
    try:
        bar = _Bar(total, what)
        try:
            if wanted:
                bar.show()
            else:
                bar.show_later(_QUIET_SECONDS)
            yield bar.advance
        finally:
            bar.close()
    finally:
        _shown.release()


def _nothing(count: int = 1) -> None:
    """What advances a bar that is not shown."""


class _Bar:
    """A bar that may come late, or not at all."""

    def __init__(self, total: int, what: str) -> None:
        self._total, self._what = total, what
        self._done = 0
        self._lock = threading.Lock()
        self._closed = False
        self._bar: Any = None
        self._task: Any = None
        self._timer: threading.Timer | None = None
        self._open = ExitStack()

    def advance(self, count: int = 1) -> None:
        with self._lock:
            self._done += count
            if self._bar is not None:
                self._bar.advance(self._task, count)

    def show_later(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._show_if_it_can_be)
        self._timer.daemon = True
        self._timer.start()

    def _show_if_it_can_be(self) -> None:
        try:
            self.show()
        except MissingExtra:
            # Nobody asked for it by name, and the data comes all the same.
            return

    def show(self) -> None:
        console = registry.require("rich.console", "show progress").Console(stderr=True)
        rich = registry.require("rich.progress", "show progress")
        columns = (
            rich.TextColumn("{task.description}"),
            rich.BarColumn(),
            rich.TaskProgressColumn(),
            rich.TimeRemainingColumn(),
        )
        with self._lock:
            if self._closed:
                return
            self._bar = self._open.enter_context(rich.Progress(*columns, console=console, transient=True))
            self._task = self._bar.add_task(self._what, total=self._total, completed=self._done)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:
            self._closed = True
            self._open.close()
            self._bar = None


def _seen() -> bool:
    if sys.stderr is not None and sys.stderr.isatty():
        return True
    # A notebook's standard error is no terminal, and rich draws in its cell.
    return "ipykernel" in sys.modules and sys.modules["ipykernel"] is not None and _in_notebook()


def _in_notebook() -> bool:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"
