"""Run by the interpreter of the real tiled client: everything that it reads of a tree, as JSON.

python ask_files.py URL API_KEY
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tiled.client import from_uri


def plain(value: Any) -> Any:
    """What JSON has no words for, as text."""
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def read(node: Any) -> dict[str, Any]:
    """A node: what is said of it, and its data, all and in part."""
    family = node.item["attributes"]["structure_family"]
    found: dict[str, Any] = {"family": family, "metadata": dict(node.metadata)}
    if family == "container":
        found["nodes"] = {key: read(inner) for key, inner in node.items()}
    elif family == "table":
        parts = [node.read_partition(number) for number in range(node.structure().npartitions)]
        found["columns"] = node.read().to_dict("list")
        found["first column"] = node[node.columns[0]][:].tolist()
        found["rows of parts"] = [len(part) for part in parts]
    elif family == "ragged":
        found["data"] = node[:].tolist()
    else:
        found["type"] = str(node.dtype)
        found["data"] = node[...].tolist()
        found["blocks"] = [list(cuts) for cuts in node.chunks]
        if node.shape:
            found["every second"] = node[::2].tolist()
            found["first block"] = node.read_block((0,) * node.ndim).tolist()
    return found


def files(client: Any) -> dict[str, str]:
    """The files behind some nodes, as they are handed out."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for key in ("scan", "points"):
            (path,) = client[key].raw_export(Path(folder) / key)
            found[key] = Path(path).read_bytes().hex()
    return found


if __name__ == "__main__":
    root = from_uri(sys.argv[1], api_key=sys.argv[2])
    print(json.dumps({"tree": read(root), "files": files(root)}, default=plain))
