"""Where something lies inside of what is served, and how it is named to callers."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from databroker_like.errors import DatabrokerError, InvalidFile, MissingFile
from databroker_like.nodes._node import Node
from databroker_like.nodes._sources import Asset
from databroker_like.nodes.files._handles import OpenFiles

__all__ = ["SETTLED_NANOSECONDS", "Place", "Remembered", "Served", "Stamp", "is_settled", "lasting", "once"]

_logger = logging.getLogger("databroker_like.nodes.files")

#: Time of change, size and number of a file.
Stamp = tuple[int, int, int]

#: Clocks of file systems are as coarse as two seconds, and what happens twice within one tick cannot be told apart. So
#: what is known of a file or a folder is used again only when it had not changed for so long when it was looked at.
SETTLED_NANOSECONDS = 2_500_000_000

#: How many nodes are remembered, so that a file is not looked into again for each request; and of how many files what
#: their headers say.
_MOST_NODES, _MOST_HEADERS = 4096, 16_384
#: More of what a library says is not told.
_MOST_LETTERS = 500

N = TypeVar("N", bound=Node)
T = TypeVar("T")


class Remembered:
    """What was found out, as long as nothing can have changed since; of what is asked for least, nothing.

    Parameters
    ----------
    most : int

    Examples
    --------
    >>> shapes = Remembered(100)
    >>> [shapes.remembered("a.npy", stamp, lambda: print("looked at")) for stamp in ((1, 2, 3), (1, 2, 3), (1, 2, 4))]
    looked at
    looked at
    [None, None, None]
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._there: OrderedDict[object, tuple[object, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def remembered(self, key: object, stamp: object, make: Callable[[], T]) -> T:
        """What was made before for this key, if nothing can have changed since; else it is made anew.

        Parameters
        ----------
        key : hashable
        stamp : hashable
        make : callable

        Returns
        -------
        object
        """
        known = self.known(key, stamp)
        if known is not None:
            made: T = known[0]
            return made
        # Before it is looked into: what changes while it is looked into is not seen by the clock alone.
        is_lasting = is_settled(stamp)
        new = make()
        if is_lasting:
            self.keep(key, stamp, new)
        return new

    def known(self, key: object, stamp: object) -> tuple[Any] | None:
        """What is kept for this key, alone in a tuple, if the stamp is the one that it was kept with."""
        with self._lock:
            known = self._there.get(key)
            if known is None or known[0] != stamp:
                return None
            self._there.move_to_end(key)
            return (known[1],)

    def keep(self, key: object, stamp: object, value: Any) -> None:
        """Keep something for a key, as long as the stamp stays."""
        with self._lock:
            self._there[key] = (stamp, value)
            while len(self._there) > self._most:
                self._there.popitem(last=False)


class Served:
    """What all nodes of one served folder share.

    Parameters
    ----------
    root : str
        The folder.
    most_open : int
        How many files are kept open.
    """

    def __init__(self, root: str, most_open: int) -> None:
        self.root = os.path.abspath(root)
        self.real_root = os.path.realpath(root)
        self.files = OpenFiles(most_open)
        # What opens a file must not hold what is served, or that would never end.
        weakref.finalize(self, self.files.close)
        self._nodes = Remembered(_MOST_NODES)
        self.headers = Remembered(_MOST_HEADERS)

    def is_inside(self, path: str) -> bool:
        """Whether a path, when its links are followed, leads to something in the folder."""
        real = os.path.realpath(path)
        return real == self.real_root or real.startswith(os.path.join(self.real_root, ""))

    def remembered(self, key: object, stamp: object, make: Callable[[], N]) -> N:
        """The node made before for this key, if nothing can have changed since; else a new one.

        Parameters
        ----------
        key : hashable
        stamp : hashable
        make : callable

        Returns
        -------
        Node
        """
        return self._nodes.remembered(key, stamp, make)

    def known(self, key: object, stamp: object) -> Node | None:
        """The node kept for this key, if the stamp is the one that it was kept with."""
        known = self._nodes.known(key, stamp)
        return None if known is None else known[0]

    def keep(self, key: object, stamp: object, node: Node) -> None:
        """Keep a node for a key, as long as the stamp stays; some are forgotten for it when there are many."""
        self._nodes.keep(key, stamp, node)

    def without_folders(self, text: str) -> str:
        """A text in which no path of the machine stands, of those that lead to what is served."""
        for folder in {self.root, self.real_root}:
            for written in {folder, repr(folder)[1:-1]}:
                text = text.replace(written.rstrip("/\\") + os.sep, "").replace(written, "the folder")
        return text[:_MOST_LETTERS]


def is_settled(stamp: Any) -> bool:
    """Whether a change after this stamp was taken would make it another.

    Parameters
    ----------
    stamp : Stamp, None, or tuple of these

    Returns
    -------
    bool

    Examples
    --------
    >>> import time
    >>> is_settled((0, 12, 5)), is_settled(((0, 12, 5), (time.time_ns(), 12, 6)))
    (True, False)
    """
    if isinstance(stamp, tuple) and stamp:
        if isinstance(stamp[0], int):
            return time.time_ns() - stamp[0] > SETTLED_NANOSECONDS
        return all(map(is_settled, stamp))
    return True


def lasting(stamp: Any) -> Any:
    """A stamp as the version of a node: None where a change would not make it another."""
    return stamp if is_settled(stamp) else None


def once(stamp: Any) -> Any:
    """A stamp by which an open file is asked for: another each time where a change would not make it another."""
    return stamp if is_settled(stamp) else (stamp, object())


@dataclass(frozen=True, eq=False)
class Place:
    """A file or a folder in what is served.

    Parameters
    ----------
    served : Served
    name : str
        The path in the folder, with ``/`` between its parts; empty for the folder itself.
    """

    served: Served
    name: str

    @property
    def path(self) -> str:
        """Where it is on this machine."""
        return os.path.join(self.served.root, *filter(None, self.name.split("/")))

    def inside(self, name: str) -> Place:
        """What has this name in it, if it is a folder."""
        return Place(self.served, f"{self.name}/{name}" if self.name else name)

    def beside(self, path: str) -> Place | None:
        """What a path that was written in a file leads to; None when that is not served.

        Parameters
        ----------
        path : str
            Absolute, or counted from the folder of this file.

        Returns
        -------
        Place or None
        """
        found = os.path.normpath(os.path.join(os.path.dirname(self.path), path))
        for root in (self.served.root, self.served.real_root):
            if found.startswith(os.path.join(root, "")) and self.served.is_inside(found):
                return Place(self.served, os.path.relpath(found, root).replace(os.sep, "/"))
        return None

    def stamp(self) -> Stamp | None:
        """What changes when the file does; None when there is none, or none that may be looked at."""
        try:
            found = os.stat(self.path)
        except (OSError, ValueError):
            return None
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)) or not self.served.is_inside(self.path):
            return None
        return (found.st_mtime_ns, found.st_size, found.st_ino)

    def version(self) -> Stamp | None:
        """What changes when the file does; None when there is none, or it has just been changed."""
        found: Stamp | None = lasting(self.stamp())
        return found

    def quick_stamp(self) -> Stamp | None:
        """As `stamp`, of what was looked at before: whether a link leads out of the folder is not asked again."""
        try:
            found = os.stat(self.path)
        except (OSError, ValueError):
            return None
        return (found.st_mtime_ns, found.st_size, found.st_ino)

    def asset(self, *, is_directory: bool = False, parameter: str = "data_uri", num: int | None = None) -> Asset:
        """It as a part of a data source."""
        return Asset(Path(self.path), self.name, is_directory, parameter, num)

    @contextlib.contextmanager
    def border(self, what: str) -> Iterator[None]:
        """Whatever is raised while this is read becomes an error of ours that names no path of the machine.

        Parameters
        ----------
        what : str
            What it should be, with an article.

        Raises
        ------
        DatabrokerError
        """
        try:
            yield
        except (MissingFile, FileNotFoundError) as error:
            raise MissingFile(f"there is no {self.name!r} any more; list its folder again") from error
        except DatabrokerError as error:
            text = self.served.without_folders(str(error))
            if text == str(error):
                raise
            raise type(error)(text) from error
        # Decoders of a dozen libraries raise what they like for what is damaged; one that asks for more memory than
        # any machine has is told so by MemoryError.
        except Exception as error:
            reason = self.served.without_folders(str(error).strip() or type(error).__name__)
            # Where it went wrong is for who asks: damaged files are looked at time and again.
            traceback = error if _logger.isEnabledFor(logging.DEBUG) else None
            _logger.info("%s cannot be read as %s: %s", self.path, what, reason, exc_info=traceback)
            raise InvalidFile(
                f"{self.name!r} cannot be read as {what}: {reason}; was it cut short, is it still being written, or of "
                "another format?"
            ) from error
