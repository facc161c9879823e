"""How much the answers that are on their way take together: who asks for too much at a time is told to ask again."""

from __future__ import annotations

import threading

from databroker_like.errors import Unreachable

__all__ = ["Budget", "Hold"]


class Budget:
    """Bytes that may be held at a time, by many threads.

    Parameters
    ----------
    most : int

    Examples
    --------
    >>> budget = Budget(100)
    >>> first, second = budget.hold(), budget.hold()
    >>> first.reserve(80)
    >>> second.reserve(30)
    Traceback (most recent call last):
        ...
    databroker_like.errors.Unreachable: the service is busy with large answers to others; ask again in some seconds
    >>> first.release()
    >>> second.reserve(30)
    >>> budget.used
    30
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._used = 0
        self._lock = threading.Lock()

    @property
    def used(self) -> int:
        """How many bytes are held."""
        return self._used

    def hold(self) -> Hold:
        """What one answer holds; nothing yet.

        Returns
        -------
        Hold
        """
        return Hold(self)

    def _change(self, old: int, new: int) -> None:
        with self._lock:
            others = self._used - old
            # Whoever is alone gets what he asks for, up to what one answer may be.
            if new > old and others and others + new > self._most:
                raise Unreachable("the service is busy with large answers to others; ask again in some seconds")
            self._used = others + new


class Hold:
    """What one answer holds until it is sent.

    Parameters
    ----------
    budget : Budget
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._held = 0

    def reserve(self, nbytes: int) -> None:
        """Hold no less than this.

        Parameters
        ----------
        nbytes : int
            Of all that the answer is made of.

        Raises
        ------
        Unreachable
            When others hold so much that there is no room now.
        """
        if nbytes > self._held:
            self._budget._change(self._held, nbytes)
            self._held = nbytes

    def release(self) -> None:
        """Hold nothing more."""
        if self._held:
            self._budget._change(self._held, 0)
            self._held = 0
