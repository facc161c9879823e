"""Runs in the environment of databroker 1.2.5: opens the recorded runs with it and writes down what it answers.

    PYTHONHASHSEED=0 python scripts/peers/ask_databroker.py tests/data

It must not import this project. The hash seed decides databroker's order of streams and of descriptors.
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import databroker
from databroker._drivers.jsonl import BlueskyJSONLCatalog
from databroker.queries import TimeRange

sys.path.insert(0, str(Path(__file__).parent))
from encoding import encode
from interview import Interview
from questions import LOOKUPS, SEARCHES, TIME_RANGES


def main(data: Path) -> None:
    if databroker.__version__ != "1.2.5":
        raise SystemExit(f"this is databroker {databroker.__version__}, not 1.2.5")
    warnings.simplefilter("ignore")
    files = sorted((data / "runs").glob("*.jsonl"))  # a pattern would come in the disk's order
    paths = [str(path) for path in files]

    def open_catalog() -> Any:
        return BlueskyJSONLCatalog(paths, root_map={"/recorded/external": str(data / "external")})

    out = data / "reference"
    out.mkdir(exist_ok=True)
    for old in out.glob("*.json"):
        old.unlink()
    interview = Interview(open_catalog, data / "external", encode, TimeRange)
    for path in files:
        write(out / f"{path.stem}.json", interview.about_run(path), data)
    write(out / "_catalog.json", interview.about_catalog(LOOKUPS, SEARCHES, TIME_RANGES), data)


def write(path: Path, answers: Iterable[tuple[str, Any]], data: Path) -> None:
    """One line for each answer, machine paths taken out."""
    lines = [f"{json.dumps(name)}: {json.dumps(answer, ensure_ascii=False)}" for name, answer in answers]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    for place, name in ((data, "DATA"), (sys.prefix, "ENV"), (tempfile.gettempdir(), "TMP")):
        text = text.replace(str(place), name)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
