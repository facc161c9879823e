"""Runs in the environment of databroker-pack 0.3.0: unpacks a pack with it and writes down what databroker reads of it.

    python scripts/peers/read_pack.py PACK

It must not import this project. Run it with HOME, and the XDG folders, of its own: unpacking writes there.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import intake
from databroker_pack import unpack_inplace

sys.path.insert(0, str(Path(__file__).parent))
from encoding import encode


def main(pack: Path) -> None:
    warnings.simplefilter("ignore")
    catalog = intake.open_catalog(str(unpack_inplace(pack, "unpacked")))["unpacked"]
    found: dict[str, Any] = {}
    for uid in catalog:
        run = catalog[uid]
        found[uid] = {
            "start": encode(run.metadata["start"].to_dict()),
            "stop": encode(run.metadata["stop"].to_dict() if run.metadata["stop"] else None),
            "streams": {stream: encode(run[stream].read()) for stream in sorted(run)},
        }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
