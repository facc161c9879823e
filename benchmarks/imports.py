"""What a fresh process pays before it begins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.data import scalar_run
from benchmarks.measure import Row, fresh

__all__ = ["rows"]

CATALOG = """sources:
  runs:
    driver: bluesky-jsonl-catalog
    args:
      paths: "{{ CATALOG_DIR }}/runs/*.jsonl"
"""

#: Prints the peak of a process's own memory in KiB; what getrusage tells has the parent's in it. For Linux.
PEAK = "\nfor line in open('/proc/self/status'):\n    if line.startswith('VmHWM'): print(line.split()[1])"

OPEN = """
import sys, intake
run = intake.open_catalog(sys.argv[1])["runs"][-1]
assert run.metadata["start"]["scan_id"] == 10
"""


def rows(folder: Path, *, times: int = 7) -> Iterator[Row]:
    """The rows of the table that are about importing and opening."""
    bare, ours = fresh(f"pass{PEAK}", times=times), fresh(f"import databroker_like{PEAK}", times=times)
    bare_peak, our_peak = int(bare.printed) / 1024, int(ours.printed) / 1024
    yield Row(
        "import databroker_like, over bare Python",
        ours.seconds - bare.seconds,
        0.05,
        "CPU-s",
        f"bare Python {bare.seconds:.3f} CPU-s",
    )
    yield Row(
        "import databroker_like, memory over bare Python",
        our_peak - bare_peak,
        5,
        "MiB",
        f"bare Python {bare_peak:.1f} MiB",
    )
    (folder / "runs").mkdir()
    scalar_run(folder / "runs" / "run.jsonl", 10)
    catalog = folder / "catalog.yml"
    catalog.write_text(CATALOG)
    anchor = fresh("import intake.catalog", times=times)
    cost = fresh(OPEN, catalog, times=times)
    yield Row(
        "intake.open_catalog(yml)[name][-1] in a fresh process, over import intake.catalog",
        cost.seconds - anchor.seconds,
        0.3,
        "CPU-s",
        f"{cost.seconds:.2f}; import intake.catalog {anchor.seconds:.2f}",
    )
