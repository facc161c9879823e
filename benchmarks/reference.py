"""The same work on the same data by databroker 1.2.5, in the environment that ``make peers`` makes.

    python -m benchmarks.reference [--python .venv-peers/databroker-1.2.5/bin/python] [--write]

It takes minutes: what would not end at the size of the table is done at a smaller one, and says so. Ours is measured
beside it once each.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.data import camera_run, scalar_run, small_runs

__all__ = ["ours", "theirs"]

HERE = Path(__file__).parent
PYTHON = HERE.parent / ".venv-peers" / "databroker-1.2.5" / "bin" / "python"
BEGIN, END = "<!-- reference -->\n", "<!-- end of reference -->\n"


def theirs(python: Path, folder: Path) -> dict[str, float]:
    """CPU seconds of each piece of work by databroker 1.2.5."""
    asked = subprocess.run([python, HERE / "_asked.py", folder], check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(asked.stdout)
    for work, code in IMPORTS.items():
        found[work] = _fresh(python, code.format(package="databroker")) - _fresh(python, "pass")
    return found


def ours(folder: Path) -> dict[str, float]:
    """CPU seconds of the same work here."""
    import sys

    from databroker_like.drivers.jsonl import BlueskyJSONLCatalog

    def only(path: Path) -> Any:
        return BlueskyJSONLCatalog(str(path))[-1]

    def seconds(work: Callable[[], Any]) -> float:
        begin = time.process_time()
        work()
        return time.process_time() - begin

    only(folder / "tiny.jsonl").primary.read()
    paths = str(folder / "small" / "*.jsonl")
    images = folder / "camera" / "run.jsonl"
    found = {
        f"read() of {events:,} events x 10 scalars": seconds(
            lambda e=events: only(folder / f"{e}.jsonl").primary.read()
        )
        for events in (1_000, 10_000)
    }
    found["documents(fill='yes') of 10,000 events"] = seconds(
        lambda: [None for _ in only(folder / "10000.jsonl").documents(fill="yes")]
    )
    len(BlueskyJSONLCatalog(paths))
    found["open 10,000 small runs second time"] = seconds(lambda: len(BlueskyJSONLCatalog(paths)))
    catalog = BlueskyJSONLCatalog(paths)
    found["search of 10,000 runs"] = seconds(lambda: len(list(catalog.search({"plan_name": "scan"}))))
    uids = list(catalog)[:1000]
    found["metadata of 1,000 runs"] = seconds(lambda: [catalog[uid].metadata["start"] for uid in uids])
    only(images).primary.read()
    found["200 HDF5 frames into memory"] = seconds(lambda: only(images).primary.read()["img"].values)
    lazy = only(images).primary.to_dask()["img"]
    lazy[0].values
    found["one HDF5 frame lazily"] = seconds(lambda: [lazy[100].values for _ in range(20)]) / 20
    python = Path(sys.executable)
    for work, code in IMPORTS.items():
        found[work] = _fresh(python, code.format(package="databroker_like")) - _fresh(python, "pass")
    return found


IMPORTS = {"import, over bare Python": "import {package}"}


def _fresh(python: Path, code: str) -> float:
    process = subprocess.Popen([python, "-W", "ignore", "-c", code])
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{python} ended with {process.returncode}: {code}")
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reference", description="Measure databroker 1.2.5.")
    parser.add_argument("--python", type=Path, default=PYTHON, help="interpreter that has databroker 1.2.5")
    parser.add_argument("--write", action="store_true", help="write the table into benchmarks/README.md")
    options = parser.parse_args()
    if not options.python.exists():
        raise SystemExit(f"there is no {options.python}; make peers makes it")
    with tempfile.TemporaryDirectory(prefix="databroker-like-bench-") as scratch:
        os.environ["XDG_CACHE_HOME"] = str(Path(scratch) / "cache")
        folder = Path(scratch) / "data"
        folder.mkdir()
        scalar_run(folder / "tiny.jsonl", 10)
        for events in (1_000, 10_000):
            scalar_run(folder / f"{events}.jsonl", events)
        small_runs(folder / "small", 10_000)
        camera_run(folder / "camera")
        here, there = ours(folder), theirs(options.python, folder)
    lines = ["| work, CPU seconds | databroker 1.2.5 | here | times |", "|---|---|---|---|"]
    for work, cost in there.items():
        lines.append(f"| {work} | {cost:.3f} | {here[work]:.3f} | {cost / here[work]:.0f} |")
    print("\n".join(lines))
    if options.write:
        path = HERE / "README.md"
        before, rest = path.read_text(encoding="utf-8").split(BEGIN)
        _, after = rest.split(END)
        path.write_text(before + BEGIN + "\n" + "\n".join(lines) + "\n\n" + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
