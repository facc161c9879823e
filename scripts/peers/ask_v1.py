"""Runs in the environment of databroker 1.2.5: asks version 1 of its API about the recorded runs.

    TZ=UTC PYTHONHASHSEED=0 python scripts/peers/ask_v1.py tests/data

It must not import this project.
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

sys.path.insert(0, str(Path(__file__).parent))
from encoding import encode
from headers import about_broker, about_header


def main(data: Path) -> None:
    if databroker.__version__ != "1.2.5":
        raise SystemExit(f"this is databroker {databroker.__version__}, not 1.2.5")
    warnings.simplefilter("ignore")
    files = sorted((data / "runs").glob("*.jsonl"))

    def open_broker() -> Any:
        catalog = BlueskyJSONLCatalog([str(f) for f in files], root_map={"/recorded/external": str(data / "external")})
        return catalog.v1

    out = data / "reference" / "v1"
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("*.json"):
        old.unlink()
    for path in files:

        def open_one(path: Path = path) -> Any:
            return BlueskyJSONLCatalog([str(path)], root_map={"/recorded/external": str(data / "external")}).v1

        write(out / f"{path.stem}.json", about_header(open_one, path, encode), data)
    write(out / "_broker.json", about_broker(open_broker, encode), data)


def write(path: Path, answers: Iterable[tuple[str, Any]], data: Path) -> None:
    """One line for each answer, machine paths taken out."""
    lines = [f"{json.dumps(name)}: {json.dumps(answer, ensure_ascii=False)}" for name, answer in answers]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    for place, name in ((data, "DATA"), (sys.prefix, "ENV"), (tempfile.gettempdir(), "TMP")):
        text = text.replace(str(place), name)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
