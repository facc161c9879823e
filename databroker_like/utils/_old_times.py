"""Dates as version 1 took them, in the formats and with the time zone it took."""

from __future__ import annotations

import contextlib
from datetime import datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from databroker_like.errors import Invalid

__all__ = ["format_time", "normalize_human_friendly_time"]

_FORMATS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d %H", "%Y-%m-%d", "%Y-%m", "%Y")


def normalize_human_friendly_time(val: Any, tz: str | tzinfo) -> Any:
    """A date as seconds since the epoch.

    Parameters
    ----------
    val : str, datetime or object
        ``"2020-01-02 03:04:05"``, or the beginning of such a date, with spaces around it or not; or a datetime.
        Anything else is returned as it is.
    tz : str or tzinfo
        The time zone of a date that does not say its own, such as ``"US/Eastern"``.

    Returns
    -------
    float or object

    Raises
    ------
    Invalid
        When it is text and no date, or there is no such time zone.

    Examples
    --------
    >>> normalize_human_friendly_time("2020-01-02 03", "US/Eastern")
    1577952000.0
    """
    if isinstance(val, str):
        val = _parsed(val)
    if not isinstance(val, datetime):
        return val
    if val.tzinfo is None:
        val = val.replace(tzinfo=_zone(tz))
    return val.timestamp()


def _parsed(text: str) -> datetime:
    for fmt in _FORMATS:
        with contextlib.suppress(ValueError):
            return datetime.strptime(text.strip(), fmt)
    shown = ", ".join(repr(fmt) for fmt in _FORMATS)
    raise Invalid(f"failed to parse time: {text!r} is written in none of the formats {shown}")


def _zone(tz: str | tzinfo) -> tzinfo:
    if isinstance(tz, tzinfo):
        return tz
    try:
        return ZoneInfo(tz)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Invalid(f"there is no time zone {tz!r}; write it as 'UTC' or 'Europe/Berlin'") from error


def format_time(search_dict: dict[str, Any], tz: str | tzinfo) -> None:
    """Put a condition on ``time`` in the place of ``since`` and ``until``.

    Parameters
    ----------
    search_dict : dict
        Changed in place.
    tz : str or tzinfo
        The time zone of dates that do not say their own.

    Examples
    --------
    >>> query = {"since": "2020", "plan_name": "scan"}
    >>> format_time(query, "UTC")
    >>> query
    {'plan_name': 'scan', 'time': {'$gte': 1577836800.0}}
    """
    condition: dict[str, Any] = {}
    for word, operator in (("since", "$gte"), ("until", "$lte")):
        value = search_dict.pop(word, None)
        if value is not None:
            condition[operator] = normalize_human_friendly_time(value, tz)
    if condition:
        search_dict["time"] = condition
