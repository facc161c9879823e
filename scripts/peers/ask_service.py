"""Run by the interpreter of the real tiled client: what it reads from a service, as JSON.

python ask_service.py URL API_KEY {tree|runs}
"""

from __future__ import annotations

import io
import json
import sys
from typing import Any

from tiled.client import from_uri
from tiled.queries import Comparison, Eq, Regex


def exported(node: Any, form: str) -> str:
    """A node in a format, as text."""
    buffer = io.BytesIO()
    node.export(buffer, format=form)
    return buffer.getvalue().decode()


def refusal(function: Any) -> str:
    """The name of the error that a call raises."""
    try:
        function()
    except Exception as error:  # noqa: BLE001 - which one is the answer
        return type(error).__name__
    return ""


def tree(client: Any) -> dict[str, Any]:
    """A tree of arrays, tables and containers."""
    many = client["many"]
    return {
        "keys": list(client),
        "metadata": dict(client["grid"].metadata),
        "specs": [spec.name for spec in client["grid"].specs],
        "whole": client["grid"][:].tolist(),
        "part": client["grid"][1, ::2].tolist(),
        "block": client["grid"].read_block((1, 0)).tolist(),
        "table": client["table"].read().to_dict("list"),
        "columns": client["table"].read(["name"]).to_dict("list"),
        "column": client["table"]["x"][:].tolist(),
        "found": list(many.search(Comparison("gt", "i", 697)).sort(("i", -1))),
        "none": len(many.search(Eq("i", "5"))),
        "count": len(many),
        "last": many.keys().last(),
        "long": len(many.keys()[:650]),
        "distinct": many.search(Comparison("lt", "i", 4)).distinct("half", counts=True)["metadata"]["half"],
        "array as csv": exported(client["grid"], "csv"),
        "table as csv": exported(client["table"], "csv"),
        "container as json": json.loads(exported(client["inner"], "json")),
        "refusals": [
            refusal(lambda: client["missing"]),
            refusal(lambda: client["grid"][99]),
            refusal(lambda: list(many.search(Regex("i", "(?=a)b")))),
        ],
    }


def runs(client: Any) -> dict[str, Any]:
    """A catalog of runs."""
    return {
        "class": type(client).__name__,
        "uids": list(client),
        "last": client.values().last().metadata["start"]["uid"],
        "by scan_id": {
            uid: client[run.metadata["start"]["scan_id"]].metadata["start"]["uid"]
            for uid, run in client.items()
            if "scan_id" in run.metadata["start"]
        },
        "runs": {uid: opened(run) for uid, run in client.items()},
    }


def opened(run: Any) -> dict[str, Any]:
    """A run: its streams, the columns of their tables, and its documents."""
    return {
        "class": type(run).__name__,
        "streams": {
            name: {
                "class": type(stream).__name__,
                "columns": {key: stream[key][:].tolist() for key in ("seq_num", "x")},
            }
            for name, stream in run.items()
        },
        "documents": [name for name, _ in run.documents()],
    }


if __name__ == "__main__":
    url, api_key, what = sys.argv[1:]
    print(json.dumps({"tree": tree, "runs": runs}[what](from_uri(url, api_key=api_key))))
