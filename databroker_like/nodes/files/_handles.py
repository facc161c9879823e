"""Files that are kept open between readings: some, not all, and none that has changed."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Any

__all__ = ["OpenFiles"]

#: A file that nobody has read for so long is let go when another is opened.
_IDLE_SECONDS = 30.0

Opener = Callable[[], contextlib.AbstractContextManager[Any]]


class _Opened:
    """One open file, or one that is being opened."""

    def __init__(self, stamp: Hashable) -> None:
        self.stamp = stamp
        self.stack = contextlib.ExitStack()
        self.handle: Any = None
        self.ready = False
        self.stale = False
        self.users = 0
        self.last_used = 0.0
        # For handles that one thread at a time may use.
        self.lock = threading.Lock()


class OpenFiles:
    """A few open files that many threads share.

    A file that has changed is opened anew, and not before all that read from the old handle are done: libraries such
    as HDF5 know a file that is open already, and would go on with what they know of it.

    Parameters
    ----------
    most : int
        How many are kept open besides those in use; 64 by default.

    Examples
    --------
    >>> import contextlib
    >>> files = OpenFiles()
    >>> opened = []
    >>> @contextlib.contextmanager
    ... def opener():
    ...     opened.append("opened")
    ...     yield "a handle"
    >>> for _ in range(3):
    ...     with files.use("a.h5", (1, 2), opener) as handle:
    ...         print(handle)
    a handle
    a handle
    a handle
    >>> opened
    ['opened']
    """

    def __init__(self, most: int = 64) -> None:
        self._most = most
        self._there: OrderedDict[Hashable, _Opened] = OrderedDict()
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def use(self, name: Hashable, stamp: Hashable, opener: Opener, *, alone: bool = False) -> Iterator[Any]:
        """The open file of a name, as its stamp says that it is now.

        A thread that has one file in use must not ask for the same again with another stamp.

        Parameters
        ----------
        name : hashable
        stamp : hashable
            Another than before means that the file has changed.
        opener : callable
            Gives the context manager that opens it.
        alone : bool
            Whether no other thread may use it meanwhile; False by default.

        Returns
        -------
        context manager of the handle
        """
        opened = self._taken(name, stamp, opener)
        try:
            if alone:
                with opened.lock:
                    yield opened.handle
            else:
                yield opened.handle
        finally:
            self._given_back(name, opened)

    def drop_changed(self, name: Hashable, stamp: Hashable) -> None:
        """Close a file that is kept open, if it has another stamp by now."""
        with self._changed:
            there = self._there.get(name)
            if there is not None and there.ready and there.stamp != stamp:
                self._drop(name)
                self._changed.notify_all()

    def close(self) -> None:
        """Close what nobody uses; the rest is closed when it is given back."""
        with self._changed:
            for name in list(self._there):
                self._drop(name)

    def __len__(self) -> int:
        return len(self._there)

    def _taken(self, name: Hashable, stamp: Hashable, opener: Opener) -> _Opened:
        with self._changed:
            while (there := self._there.get(name)) is not None:
                if there.ready and not there.stale and there.stamp == stamp:
                    there.users += 1
                    self._there.move_to_end(name)
                    return there
                if not (there.ready and self._drop(name)):
                    # Somebody opens it, or still reads from what it was.
                    self._changed.wait()
            mine = self._there[name] = _Opened(stamp)
            mine.users = 1
        try:
            mine.handle = mine.stack.enter_context(opener())
        except BaseException:
            with self._changed:
                del self._there[name]
                self._changed.notify_all()
            raise
        with self._changed:
            mine.ready = True
            self._make_room()
            self._changed.notify_all()
        return mine

    def _given_back(self, name: Hashable, opened: _Opened) -> None:
        with self._changed:
            opened.users -= 1
            opened.last_used = time.monotonic()
            if opened.stale:
                self._drop(name)
            self._make_room()
            self._changed.notify_all()

    def _drop(self, name: Hashable) -> bool:
        """Close a file, or have it closed when its last user is done with it; whether it is closed now."""
        opened = self._there[name]
        opened.stale = True
        if opened.users:
            return False
        del self._there[name]
        opened.stack.close()
        return True

    def _make_room(self) -> None:
        too_old = time.monotonic() - _IDLE_SECONDS
        idle = [name for name, opened in self._there.items() if opened.ready and not opened.users]
        for at, name in enumerate(idle):
            if len(idle) - at > self._most or self._there[name].last_used < too_old:
                self._drop(name)
