"""Dates as people write them, to seconds since the epoch."""

from __future__ import annotations

import math
from datetime import UTC, datetime, tzinfo
from datetime import date as Date
from typing import Any

from databroker_like.errors import Invalid, listed, nearest

__all__ = ["FORMATS", "local_timezone", "timestamp", "timezone_named"]

#: What a date may look like, the finest first.
FORMATS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d %H", "%Y-%m-%d", "%Y-%m", "%Y")


def local_timezone() -> str:
    """The name of this computer's time zone, such as ``"Europe/Berlin"``."""
    import tzlocal

    return tzlocal.get_localzone_name() or "UTC"


def timezone_named(name: str) -> tzinfo:
    """The time zone of a name.

    Raises
    ------
    Invalid
        With the nearest names.

    Examples
    --------
    >>> timezone_named("US/Eastern")
    zoneinfo.ZoneInfo(key='US/Eastern')
    """
    import zoneinfo

    if name == "UTC":
        return UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        near = nearest(name, zoneinfo.available_timezones())
        raise Invalid(
            f"there is no time zone {name!r}; did you mean {listed(near or ['UTC', 'US/Eastern'])}?"
        ) from error


def timestamp(date: Any, zone: tzinfo) -> float:
    """Seconds since the epoch of a date, however it is written.

    Parameters
    ----------
    date : str, date, datetime, numpy.datetime64 or number
        A string in one of `FORMATS`, or in ISO 8601; a datetime with or without a zone; or seconds since the epoch.
    zone : tzinfo
        For dates without a zone of their own.

    Returns
    -------
    float
        A number comes back as it is.

    Raises
    ------
    Invalid
        When it is no date, or a local time that the clocks show twice or never.

    Examples
    --------
    >>> timestamp("1970-01-02", UTC), timestamp(Date(1970, 1, 2), UTC)
    (86400.0, 86400.0)
    """
    given = date
    if type(date).__name__ == "datetime64" and hasattr(date, "astype"):
        # Where it has no such datetime, numpy gives a number or None.
        found = date.astype("datetime64[us]").item()
        date = found if isinstance(found, datetime) else None
    if isinstance(date, str):
        date = _parsed(date.strip())
    elif isinstance(date, Date) and not isinstance(date, datetime):
        date = datetime(date.year, date.month, date.day)
    if not isinstance(date, datetime):
        if not _is_number(date):
            raise Invalid(f"{given!r} is no time: neither a date, a datetime nor seconds since the epoch")
        return date
    return (date if date.tzinfo is not None else _localized(date, zone)).timestamp()


def _is_number(value: Any) -> bool:
    try:
        return not isinstance(value, bool) and hasattr(value, "__float__") and not math.isnan(value)
    except (TypeError, ValueError, OverflowError):
        return False


def _parsed(text: str) -> datetime:
    for form in FORMATS:
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(
            f"{text!r} is no date; write it as '2020', '2020-03', '2020-03-05' or '2020-03-05 10:00'"
        ) from None


def _localized(date: datetime, zone: tzinfo) -> datetime:
    """A local time in its zone, if the clocks there show it once."""
    first, second = date.replace(tzinfo=zone, fold=0), date.replace(tzinfo=zone, fold=1)
    if first.utcoffset() != second.utcoffset():
        there = first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == date
        how = "twice, as they are put back" if there else "never, as they are put forward"
        raise Invalid(f"the clocks of {zone} show {date} {how}; give the time with its offset, as '{date}+01:00'")
    return first
