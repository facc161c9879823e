"""Several requests at once, with a bar for whoever waits for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any, Protocol, TypeVar

from databroker_like.client._progress import progress

__all__ = ["side_by_side"]

T = TypeVar("T")


class _Server(Protocol):
    @property
    def max_connections(self) -> int: ...
    @property
    def show_progress(self) -> bool | None: ...


def side_by_side(
    server: _Server,
    fetch: Callable[[Any], T],
    wanted: Sequence[Any],
    what: str = "reading",
    *,
    at_once: int | None = None,
) -> list[T]:
    """What is fetched for each of several things, in their order; no more at once than the server is asked.

    Parameters
    ----------
    server : Context
        Or anything else with ``max_connections`` and ``show_progress``.
    fetch : callable
        Takes one of those wanted.
    wanted : sequence
    what : str
        What is done, as the bar says it.
    at_once : int, optional
        Fewer than the server would be asked.

    Returns
    -------
    list

    Raises
    ------
    Exception
        The first that is met; what has not begun then does not begin.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> side_by_side(SimpleNamespace(max_connections=4, show_progress=False), abs, [-1, 2, -3])
    [1, 2, 3]
    """
    if len(wanted) < 2:
        return [fetch(one) for one in wanted]
    most = server.max_connections if at_once is None else max(1, min(at_once, server.max_connections))
    with progress(server, len(wanted), what) as advance:
        pool = ThreadPoolExecutor(min(most, len(wanted)), thread_name_prefix="read")
        try:
            waiting = [pool.submit(fetch, one) for one in wanted]
            for done in as_completed(waiting):
                done.result()
                advance()
        except BaseException:
            # The others are of no use any more, and whoever interrupts does not wait for them.
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        pool.shutdown()
        return [done.result() for done in waiting]
