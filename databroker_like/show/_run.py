"""A run and a stream as text and HTML, from frozen summaries."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

__all__ = ["ColumnRow", "RunSummary", "StreamSummary", "run_html", "run_text", "stream_html", "stream_text"]


@dataclass(frozen=True)
class StreamSummary:
    """What is shown of a stream.

    Parameters
    ----------
    name : str
    run_uid : str
    events : int
    columns : sequence of ColumnRow
    """

    name: str
    run_uid: str
    events: int
    columns: Sequence[ColumnRow] = ()


@dataclass(frozen=True)
class ColumnRow:
    """One data key as a line.

    Parameters
    ----------
    key : str
    dtype : str
        As declared.
    shape : tuple
        Of one event's value, as declared.
    device : str
    external : bool
        Whether its values lie in files.
    """

    key: str
    dtype: str
    shape: tuple[object, ...] = ()
    device: str = ""
    external: bool = False


@dataclass(frozen=True)
class RunSummary:
    """What is shown of a run.

    Parameters
    ----------
    uid : str
    scan_id, plan_name : object
        None where the run does not say.
    began : float or None
        Seconds since the epoch.
    ended : float or None
    exit_status : object
        None while it goes on, or when it was cut off.
    streams : sequence of (name, number of events)
    """

    uid: str
    scan_id: object = None
    plan_name: object = None
    began: float | None = None
    ended: float | None = None
    exit_status: object = None
    streams: Sequence[tuple[str, int]] = ()


def run_text(summary: RunSummary) -> str:
    """A few lines for a terminal.

    Parameters
    ----------
    summary : RunSummary

    Returns
    -------
    str

    Examples
    --------
    >>> print(run_text(RunSummary("41fb8ca9-53b7", 3, "scan", exit_status="success", streams=[("primary", 5)])))
    BlueskyRun
      uid='41fb8ca9-53b7'
      scan_id=3, plan_name='scan'
      exit_status='success'
      Streams:
        * primary (5 events)
    """
    lines = ["BlueskyRun", f"  uid={summary.uid!r}"]
    said = [f"{name}={value!r}" for name, value in _named(summary) if value is not None]
    if said:
        lines.append("  " + ", ".join(said))
    lines.append(f"  exit_status={summary.exit_status!r}" if summary.exit_status is not None else "  no stop yet")
    if summary.began is not None:
        lines.append(f"  {_when(summary.began)} -- {_when(summary.ended)}")
    lines.append("  Streams:" if summary.streams else "  No streams yet")
    lines += [f"    * {name} ({_counted(count)})" for name, count in summary.streams]
    return "\n".join(lines)


def run_html(summary: RunSummary) -> str:
    """A small table for a notebook.

    Parameters
    ----------
    summary : RunSummary

    Returns
    -------
    str
    """
    rows: list[tuple[str, object]] = [("uid", summary.uid), *_named(summary)]
    rows.append(("exit_status", "no stop yet" if summary.exit_status is None else summary.exit_status))
    if summary.began is not None:
        rows += [("began", _when(summary.began)), ("ended", _when(summary.ended))]
    rows.append(("streams", ", ".join(f"{name} ({_counted(count)})" for name, count in summary.streams) or "none yet"))
    body = "".join(f"<tr><th>{_safe(k)}</th><td>{_safe(v)}</td></tr>" for k, v in rows if v is not None)
    return f"<p>BlueskyRun</p><table><tbody>{body}</tbody></table>"


def stream_text(summary: StreamSummary) -> str:
    """A line for each data key, for a terminal.

    Parameters
    ----------
    summary : StreamSummary

    Returns
    -------
    str

    Examples
    --------
    >>> print(stream_text(StreamSummary("primary", "41fb8ca9-53b7", 1, [ColumnRow("det", "number", (), "det")])))
    <BlueskyEventStream 'primary' of run 41fb8ca9: 1 event>
      det  number  det
    """
    head = f"<BlueskyEventStream {summary.name!r} of run {summary.run_uid[:8]}: {_counted(summary.events)}>"
    cells = [_cells(row) for row in summary.columns]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)] if cells else []
    lines = [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    ]
    return "\n".join([head, *lines])


def stream_html(summary: StreamSummary) -> str:
    """A small table for a notebook.

    Parameters
    ----------
    summary : StreamSummary

    Returns
    -------
    str
    """
    head = f"<p>stream <b>{_safe(summary.name)}</b> of run {_safe(summary.run_uid[:8])}: {_counted(summary.events)}</p>"
    if not summary.columns:
        return head
    heads = "".join(f"<th>{name}</th>" for name in ("data key", "declared", "device", ""))
    rows = "".join(
        "<tr>" + "".join(f"<td>{_safe(cell)}</td>" for cell in (*_cells(row), "")[:4]) + "</tr>"
        for row in summary.columns
    )
    return f"{head}<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def _named(summary: RunSummary) -> list[tuple[str, object]]:
    return [("scan_id", summary.scan_id), ("plan_name", summary.plan_name)]


def _cells(row: ColumnRow) -> tuple[str, str, str, str]:
    shape = f"({', '.join(map(str, row.shape))})" if row.shape else ""
    return row.key, f"{row.dtype} {shape}".strip(), row.device, "in files" if row.external else ""


def _counted(count: int) -> str:
    return f"{count} event{'' if count == 1 else 's'}"


def _when(time: float | None) -> str:
    if time is None:
        return "?"
    try:
        return datetime.fromtimestamp(float(time)).astimezone().isoformat(sep=" ", timespec="milliseconds")
    except (ValueError, OverflowError, OSError, TypeError):
        # A time that no calendar has is shown as it is.
        return repr(time)


def _safe(value: object) -> str:
    return html.escape(str(value))
