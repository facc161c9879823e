"""What a MongoDB refuses for this moment only, because of other writers, and how long it is asked again."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from time import sleep
from typing import Any, TypeVar

from databroker_like import registry

__all__ = ["ATTEMPTS", "Patience", "first_refused", "is_passing", "patiently"]

T = TypeVar("T")

#: How often a server is asked for one thing, the first time included.
ATTEMPTS = 10
_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 2.0
_chance = random.SystemRandom()

#: Codes of refusals that hold for a moment, as MongoDB names them.
_PASSING = frozenset(
    {
        24,  # LockTimeout
        46,  # LockBusy
        91,  # ShutdownInProgress
        112,  # WriteConflict
        117,  # ConflictingOperationInProgress
        189,  # PrimarySteppedDown
        262,  # ExceededTimeLimit
        276,  # IndexBuildAborted
        279,  # IndexBuildAlreadyInProgress
        10107,  # NotWritablePrimary
        11600,  # InterruptedAtShutdown
        11602,  # InterruptedDueToReplStateChange
        12586,  # BackgroundOperationInProgressForDatabase
        12587,  # BackgroundOperationInProgressForNamespace
        13435,  # NotPrimaryNoSecondaryOk
        13436,  # NotPrimaryOrSecondary
        16500,  # TooManyRequests, of Azure Cosmos DB
    }
)
_LABELS = ("TransientTransactionError", "RetryableWriteError")
#: Servers that keep everything in a PostgreSQL pass on what that says, under codes of their own.
_PASSING_TEXT = re.compile("deadlock detected|could not serialize access|canceling statement due to lock timeout")


def is_passing(error: Exception) -> bool:
    """Whether a server refused for this moment only: the same may be asked again.

    That no server was reached is none: pymongo has asked again by then.

    Parameters
    ----------
    error : Exception

    Returns
    -------
    bool

    Examples
    --------
    >>> from pymongo.errors import OperationFailure
    >>> is_passing(OperationFailure("Plan executor error: WriteConflict", code=112))
    True
    >>> is_passing(OperationFailure("not authorized", code=13))
    False
    """
    errors = registry.require("pymongo.errors", "reach a MongoDB")
    # That it is written and not yet acknowledged by others, or not journaled, is no refusal.
    if not isinstance(error, errors.OperationFailure) or isinstance(error, errors.WriteConcernError):
        return False
    if any(error.has_error_label(label) for label in _LABELS):
        return True
    refused = first_refused(error)
    if isinstance(error, errors.BulkWriteError) and refused is None:
        return False
    code, text = (error.code, str(error)) if refused is None else (refused.get("code"), str(refused.get("errmsg")))
    return code in _PASSING or _PASSING_TEXT.search(text) is not None


def first_refused(error: Exception) -> Mapping[str, Any] | None:
    """What the server says of the first document that it refused, when it took or refused each by itself."""
    details = getattr(error, "details", None) or {}
    refused: list[Mapping[str, Any]] = details.get("writeErrors") or []
    return refused[0] if refused else None


class Patience:
    """How often and how long one thing is asked again.

    Writers that stood in each other's way wait different times, longer ones each time.
    """

    def __init__(self) -> None:
        self._attempt = 1

    def is_left(self, error: Exception) -> bool:
        """Wait for the next attempt, when there is one after this error.

        Parameters
        ----------
        error : Exception

        Returns
        -------
        bool
        """
        if self._attempt >= ATTEMPTS or not is_passing(error):
            return False
        longest = min(_FIRST_PAUSE * 2 ** (self._attempt - 1), _LONGEST_PAUSE)
        sleep(_chance.uniform(longest / 4, longest))
        self._attempt += 1
        return True


def patiently(ask: Callable[[], T]) -> T:
    """Ask what may be asked twice without harm, again while the server refuses it for the moment only.

    Parameters
    ----------
    ask : callable

    Returns
    -------
    object
        What it returns.
    """
    errors = registry.require("pymongo.errors", "reach a MongoDB")
    patience = Patience()
    while True:
        try:
            return ask()
        except errors.OperationFailure as error:
            if not patience.is_left(error):
                raise
