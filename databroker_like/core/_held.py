"""Handing out the same object for the same run, without keeping every run that was ever asked for."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from databroker_like.core._document import same

__all__ = ["RunsHeld"]

_LATEST = 16

Run = TypeVar("Run")


class RunsHeld(Generic[Run]):
    """The runs handed out: the same object for the same run as long as somebody holds it, and the latest few anyway.

    A run whose start document has become another one since, or whose documents were changed after it was finished, is
    not given again.

    Parameters
    ----------
    latest : int
        How many to keep that nobody else holds, 16 by default.
    """

    def __init__(self, latest: int = _LATEST) -> None:
        self._size = latest
        self._held: dict[str, tuple[Mapping[str, object], Any, weakref.ref[Run]]] = {}
        self._latest: OrderedDict[str, Run] = OrderedDict()

    def get(self, uid: str, start: Mapping[str, object], version: Any = None) -> Run | None:
        """The run handed out before, or None.

        Parameters
        ----------
        uid : str
        start : mapping
            The start document as it is recorded now.
        version : object, optional
            What `RunCollection.version` says of the run now.

        Returns
        -------
        run or None
        """
        held = self._held.get(uid)
        run = held[2]() if held is not None else None
        if held is None or run is None or not same(held[0], start):
            return None
        if held[1] is None:  # the run went on when it was handed out
            self._held[uid] = (held[0], version, held[2])
        elif held[1] != version:
            return None
        self._remember(uid, run)
        return run

    def keep(self, uid: str, start: Mapping[str, object], run: Run, version: Any = None) -> None:
        """Remember a run that is handed out.

        Parameters
        ----------
        uid : str
        start : mapping
            Its start document as it is recorded now.
        run
        version : object, optional
            What `RunCollection.version` says of the run now.
        """
        self._held[uid] = (start, version, weakref.ref(run, lambda ref: self._forget(uid, ref)))
        self._remember(uid, run)

    def __len__(self) -> int:
        return len(self._held)

    def _remember(self, uid: str, run: Run) -> None:
        self._latest[uid] = run
        self._latest.move_to_end(uid)
        while len(self._latest) > self._size:
            self._latest.popitem(last=False)

    def _forget(self, uid: str, ref: weakref.ref[Run]) -> None:
        if uid in self._held and self._held[uid][2] is ref:
            del self._held[uid]
