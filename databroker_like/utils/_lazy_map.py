"""LazyMap: a mapping whose values are made when they are first asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from databroker_like.errors import Conflict, listed

__all__ = ["LazyMap"]


class LazyMap(Mapping[str, Any]):
    """A mapping of functions to which each key stands for what its function returns, called once.

    Parameters
    ----------
    *args, **kwargs
        As for ``dict``: key -> function without arguments.

    Examples
    --------
    >>> lazy = LazyMap(a=lambda: print("made") or 5)
    >>> lazy["a"], lazy["a"]
    made
    (5, 5)
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._makers: dict[str, Callable[[], Any]] = dict(*args, **kwargs)
        self._made: dict[str, Any] = {}
        self._lock = threading.RLock()

    def __getitem__(self, key: str) -> Any:
        with self._lock:
            if key not in self._made:
                self._made[key] = self._makers[key]()
            return self._made[key]

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._makers))

    def __len__(self) -> int:
        return len(self._makers)

    def __contains__(self, key: object) -> bool:
        return key in self._makers

    def add(self, *args: Any, **kwargs: Any) -> None:
        """Put in further keys.

        Parameters
        ----------
        *args, **kwargs
            As for ``dict``: key -> function without arguments.

        Raises
        ------
        Conflict
            When there is one of the keys already.
        """
        more = dict(*args, **kwargs)
        with self._lock:
            there = more.keys() & self._makers.keys()
            if there:
                raise Conflict(f"a LazyMap keeps what it has; {listed(there)} is there already")
            self._makers.update(more)

    def __getstate__(self) -> dict[str, Any]:
        # Functions may not pickle, what they made is what counts.
        return dict(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._made = dict(state)
        self._makers = dict.fromkeys(state, _gone)
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return f"LazyMap({listed(self._makers)})"


def _gone() -> Any:
    raise AssertionError("the values of a LazyMap that was pickled are made")
