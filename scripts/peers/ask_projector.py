"""Runs in the environment of databroker 1.2.5: projects recorded runs with it and writes down what it answers.

    python scripts/peers/ask_projector.py tests/data

It must not import this project.
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import databroker
import databroker.projector
from databroker._drivers.jsonl import BlueskyJSONLCatalog

sys.path.insert(0, str(Path(__file__).parent))
from encoding import encode
from projections import about, cases, with_projections


def main(data: Path) -> None:
    if databroker.__version__ != "1.2.5":
        raise SystemExit(f"this is databroker {databroker.__version__}, not 1.2.5")
    warnings.simplefilter("ignore")
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for case in cases(data):

            def open_run(case: dict[str, Any] = case) -> Any:
                file, uid = with_projections(case, data, Path(folder))
                return BlueskyJSONLCatalog(file)[uid]

            answers = about(case, databroker.projector, open_run, encode)
            lines.append(f"{json.dumps(case['name'])}: {json.dumps(answers, ensure_ascii=False)}")
    out = data / "reference" / "projections"
    out.mkdir(parents=True, exist_ok=True)
    (out / "answers.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
