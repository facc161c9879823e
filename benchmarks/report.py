"""The table, as it is printed and as it stands in benchmarks/README.md."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from benchmarks.measure import Row

__all__ = ["line", "table", "write"]

#: What stands before and after a table of this name.
BEGIN, END = "<!-- {} -->\n", "<!-- end of {} -->\n"


def _number(value: float, unit: str) -> str:
    if unit.startswith("events"):
        return f"{value:,.0f} {unit}"
    digits = 3 if unit == "CPU-s" else 2
    return f"{value:.{digits}f} {unit}"


def line(row: Row) -> str:
    """One row, for a terminal."""
    sign = "met    " if row.met else "NOT met"
    cost, limit = _number(row.cost, row.unit), _number(row.limit, row.unit)
    return f"{sign} {cost:>13} (to reach {limit:>12})  {row.work}" + (f"  [{row.anchor}]" if row.anchor else "")


def table(rows: Iterable[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| work | measured | to reach | | beside it |", "|---|---|---|---|---|"]
    for row in rows:
        met = "met" if row.met else "**not met**"
        cost, limit = _number(row.cost, row.unit), _number(row.limit, row.unit)
        lines.append(f"| {row.work} | {cost} | {limit} | {met} | {row.anchor} |")
    return "\n".join(lines) + "\n"


def _machine() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "xarray", "dask", "h5py", "intake", "pyarrow"))
    return f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.system()}; {packages}.\n"


def write(path: Path, rows: Iterable[Row], name: str) -> None:
    """Replace the table of a name that stands in a file between its two marks."""
    begin, end = BEGIN.format(name), END.format(name)
    before, rest = path.read_text(encoding="utf-8").split(begin)
    _, after = rest.split(end)
    path.write_text(f"{before}{begin}\n{table(rows)}\n{_machine()}\n{end}{after}", encoding="utf-8")
