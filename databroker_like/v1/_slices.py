"""What ``db[-5:]`` means: from a slice to positions, newest first."""

from __future__ import annotations

from databroker_like.errors import Invalid, WrongType

__all__ = ["positions"]


def positions(key: slice) -> list[int]:
    """The positions of a slice, newest first.

    Parameters
    ----------
    key : slice
        Of negative positions; the end may be left open, for the most recent run.

    Returns
    -------
    list of int

    Raises
    ------
    Invalid
        When the beginning is open or counts from the oldest run: that would be everything there is.
    WrongType
        When a part of it is no whole number.

    Examples
    --------
    >>> positions(slice(-3, None)), positions(slice(-5, -2)), positions(slice(-5, None, 2))
    ([-1, -2, -3], [-3, -4, -5], [-1, -3, -5])
    """
    for part in (key.start, key.stop, key.step):
        if part is not None and not hasattr(part, "__index__"):
            raise WrongType(
                f"a slice counts runs from the most recent one, as in db[-5:], and {part!r} is no whole number; runs "
                "of several uids are db[['41fb', '9ac2']], those of some time db(since='2024-01', until='2024-02')"
            )
    start, stop, step = key.start, key.stop, 1 if key.step is None else key.step
    if start is None:
        raise Invalid(
            "slice.start cannot be None: all runs there ever were may be very many; db[-100:] gives the last hundred, "
            "and db() goes through all of them"
        )
    if start >= 0:
        raise Invalid(f"slice.start must be negative, for runs are counted from the most recent one; it is {start}")
    if stop is None:
        stop = 0
    if stop > 0:
        raise Invalid(f"slice.stop must be <= 0, for runs are counted from the most recent one; it is {stop}")
    return sorted(range(start, stop, step), reverse=True)
