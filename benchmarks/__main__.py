"""Measure, print the table, and write it into benchmarks/README.md when asked to.

python -m benchmarks [--only THEME] [--times N] [--write]
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from benchmarks import catalogs, images, imports, mongo, peers, report, scalars, search, store, v1
from benchmarks.measure import Row

THEMES = {
    "imports": imports,
    "scalars": scalars,
    "catalogs": catalogs,
    "images": images,
    "store": store,
    "mongo": mongo,
    "search": search,
    "v1": v1,
    "peers": peers,
}
#: What needs more than the package, and is only measured when it is asked for.
_ASKED_FOR = ("peers",)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure, and print the table.")
    parser.add_argument("--only", choices=THEMES, action="append", help="one theme; may be said again")
    parser.add_argument("--times", type=int, default=5, help="best of how many; 5 by default")
    parser.add_argument("--write", action="store_true", help="write the table into benchmarks/README.md")
    options = parser.parse_args()
    measured: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory(prefix="databroker-like-bench-") as scratch:
        # The person's own caches are left alone, and begin empty.
        os.environ["XDG_CACHE_HOME"] = str(Path(scratch) / "cache")
        for name in options.only or [name for name in THEMES if name not in _ASKED_FOR]:
            folder = Path(scratch) / name
            folder.mkdir()
            for row in THEMES[name].rows(folder, times=options.times):
                print(report.line(row), flush=True)
                measured.setdefault(name if name in _ASKED_FOR else "table", []).append(row)
    rows = [row for several in measured.values() for row in several]
    print(f"{sum(row.met for row in rows)} of {len(rows)} met")
    if options.write:
        for table, several in measured.items():
            report.write(Path(__file__).with_name("README.md"), several, table)


if __name__ == "__main__":
    main()
