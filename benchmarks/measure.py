"""Measuring: the best of several, in CPU seconds, in this process or in a fresh one."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Fresh", "Row", "best_of", "fresh"]


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Parameters
    ----------
    work : str
        What was done.
    cost : float
        What it cost, in ``unit``.
    limit : float
        What it may cost.
    unit : str
        ``"CPU-s"``, or ``"times"`` an anchor, ``"MiB"``, ``"events/CPU-s"``.
    anchor : str
        What it was compared with and what that cost.
    at_least : bool
        Whether more is better; False by default.
    """

    work: str
    cost: float
    limit: float
    unit: str = "CPU-s"
    anchor: str = ""
    at_least: bool = False

    @property
    def met(self) -> bool:
        return self.cost >= self.limit if self.at_least else self.cost <= self.limit


def best_of(times: int, work: Callable[..., Any], *, before: Callable[[], Any] | None = None) -> float:
    """CPU seconds of the cheapest of several runs of some work.

    Parameters
    ----------
    times : int
        How often it is done.
    work : callable
        It is handed what ``before`` returned, when there is one.
    before : callable, optional
        Done before each time, and not counted.

    Returns
    -------
    float
        Seconds of all threads of this process.
    """
    costs = []
    for _ in range(times):
        arguments = () if before is None else (before(),)
        gc.collect()
        begin = time.process_time()
        result = work(*arguments)
        costs.append(time.process_time() - begin)
        del result
    return min(costs)


@dataclass(frozen=True)
class Fresh:
    """What a fresh process cost in CPU seconds, and what it printed."""

    seconds: float
    printed: str


def fresh(code: str, *arguments: object, times: int = 5) -> Fresh:
    """The cheapest of several fresh interpreters that run some code.

    Parameters
    ----------
    code : str
        As after ``python -c``.
    *arguments : object
        ``sys.argv[1:]`` of it.
    times : int
        How often; 5 by default.

    Returns
    -------
    Fresh
    """
    best: Fresh | None = None
    for _ in range(times):
        with subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            printed = process.stdout.read()
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"the measured process ended with {process.returncode}:\n{code}")
        again = Fresh(used.ru_utime + used.ru_stime, printed)
        if best is None or again.seconds < best.seconds:
            best = again
    assert best is not None
    return best
