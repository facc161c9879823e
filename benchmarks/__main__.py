"""Measure, print the table, and write it into benchmarks/README.md when asked to.

python -m benchmarks [--only THEME] [--times N] [--write]
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from benchmarks import catalogs, images, imports, mongo, peers, report, scalars, search, store, v1

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
    measured = []
    with tempfile.TemporaryDirectory(prefix="databroker-like-bench-") as scratch:
        # The person's own caches are left alone, and begin empty.
        os.environ["XDG_CACHE_HOME"] = str(Path(scratch) / "cache")
        for name in options.only or [name for name in THEMES if name not in _ASKED_FOR]:
            folder = Path(scratch) / name
            folder.mkdir()
            for row in THEMES[name].rows(folder, times=options.times):
                print(report.line(row), flush=True)
                measured.append(row)
    missed = [row for row in measured if not row.met]
    print(f"{len(measured) - len(missed)} of {len(measured)} met")
    if options.write:
        report.write(Path(__file__).with_name("README.md"), measured)


if __name__ == "__main__":
    main()
