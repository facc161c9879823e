"""A catalog of runs as text and HTML, from a frozen summary."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

__all__ = ["CatalogSummary", "RunRow", "catalog_html", "catalog_text"]


@dataclass(frozen=True)
class RunRow:
    """One run as a line.

    Parameters
    ----------
    uid : str
    scan_id : object
    plan_name : object
    time : float or None
        When it began, in seconds since the epoch.
    exit_status : object
        None while it goes on, or when it was cut off.
    """

    uid: str
    scan_id: object
    plan_name: object
    time: float | None
    exit_status: object


@dataclass(frozen=True)
class CatalogSummary:
    """What is shown of a catalog.

    Parameters
    ----------
    kind : str
        The class.
    name : str or None
    count : int or None
        How many runs there are; None when that could not be found out.
    newest : sequence of RunRow
        The newest few, newest first.
    query : str
        What the catalog is narrowed to; empty when it is not.
    problem : str
        Why the runs could not be looked at, or not all of them; empty when they could.
    """

    kind: str
    name: str | None
    count: int | None
    newest: Sequence[RunRow] = ()
    query: str = ""
    problem: str = ""


_HEADS = ("scan_id", "began", "plan", "status", "uid")


def catalog_text(summary: CatalogSummary) -> str:
    """A few lines for a terminal.

    Parameters
    ----------
    summary : CatalogSummary

    Returns
    -------
    str

    Examples
    --------
    >>> print(catalog_text(CatalogSummary("Broker", "mine", 0)))
    <Broker 'mine': no runs>
    """
    head = f"<{summary.kind}{f' {summary.name!r}' if summary.name else ''}: {_counted(summary)}{_narrowed(summary)}>"
    notes = [f"  {note}" for note in _notes(summary)]
    if not summary.newest:
        return "\n".join([head, *notes])
    rows = [_HEADS, *(_cells(row) for row in summary.newest)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADS))]
    lines = [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return "\n".join([head, *lines, *notes])


def catalog_html(summary: CatalogSummary) -> str:
    """A small table for a notebook.

    Parameters
    ----------
    summary : CatalogSummary

    Returns
    -------
    str
    """
    name = f" <b>{html.escape(summary.name)}</b>" if summary.name else ""
    head = f"<p>{html.escape(summary.kind)}{name}: {html.escape(_counted(summary) + _narrowed(summary))}</p>"
    more = "".join(f"<p>{html.escape(note)}</p>" for note in _notes(summary))
    if not summary.newest:
        return head + more
    columns = "".join(f"<th>{name}</th>" for name in _HEADS)
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in _cells(row)) + "</tr>" for row in summary.newest
    )
    return f"{head}<table><thead><tr>{columns}</tr></thead><tbody>{rows}</tbody></table>{more}"


def _counted(summary: CatalogSummary) -> str:
    if summary.count is None:
        return f"the runs cannot be looked at: {summary.problem}"
    if not summary.count:
        return "no runs"
    return f"{summary.count} run{'s' if summary.count > 1 else ''}"


def _narrowed(summary: CatalogSummary) -> str:
    return f", those that match {summary.query}" if summary.query else ""


def _notes(summary: CatalogSummary) -> list[str]:
    left = (summary.count or 0) - len(summary.newest)
    notes = [f"and {left} before {'it' if len(summary.newest) == 1 else 'these'}"] if left > 0 else []
    return [*notes, f"{summary.problem}; see .problems"] if summary.problem and summary.count is not None else notes


def _cells(row: RunRow) -> tuple[str, str, str, str, str]:
    status = "no stop yet" if row.exit_status is None else str(row.exit_status)
    return (_said(row.scan_id), _began(row.time), _said(row.plan_name), status, row.uid)


def _said(value: object) -> str:
    return "-" if value is None else str(value)


def _began(time: float | None) -> str:
    try:
        return datetime.fromtimestamp(float(time)).strftime("%Y-%m-%d %H:%M:%S") if time is not None else "-"
    except (OverflowError, OSError, ValueError, TypeError):
        return str(time)
