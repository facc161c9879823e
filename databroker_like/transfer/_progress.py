"""How far it is, shown where there is a terminal, and nowhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from databroker_like import registry
from databroker_like.errors import MissingExtra

__all__ = ["shown_progress"]

T = TypeVar("T")


def shown_progress(items: Iterable[T], doing: str, total: int, wanted: bool | None) -> Iterator[T]:
    """The items, while a bar on the standard error shows how many are done.

    Parameters
    ----------
    items : iterable
    doing : str
        What is done, as ``"copying"``.
    total : int
        How many items there are.
    wanted : bool or None
        Whether to show it; None means when the standard error is a terminal, and rich is installed.

    Yields
    ------
    object

    Raises
    ------
    MissingExtra
        When it is wanted by all means, and rich is not installed.
    """
    if wanted is None:
        wanted = sys.stderr is not None and sys.stderr.isatty() and _has_rich()
    if not wanted:
        yield from items
        return
    console = registry.require("rich.console", "show progress").Console(stderr=True)
    progress = registry.require("rich.progress", "show progress")
    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=console, transient=console.is_terminal) as bar:
        task = bar.add_task(doing, total=total)
        for item in items:
            yield item
            bar.advance(task)


def _has_rich() -> bool:
    try:
        registry.require("rich.progress", "show progress")
    except MissingExtra:
        return False
    return True
