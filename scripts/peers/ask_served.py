"""Run by the interpreter of the real tiled client: what it reads from ``databroker-like serve``, as JSON.

python ask_served.py URL API_KEY {store|catalog|folder}
"""

from __future__ import annotations

import json
import sys
from typing import Any

from tiled.client import from_uri
from tiled.queries import Eq


def read(node: Any) -> Any:
    """All that a node has, as JSON has it."""
    family = node.structure_family
    family = getattr(family, "value", family)
    if family == "array":
        return node[:].tolist()
    if family == "table":
        return {name: column.tolist() for name, column in node.read().items()}
    return {key: read(inner) for key, inner in node.items()}


def store(client: Any) -> dict[str, Any]:
    """A catalog of runs."""
    newest = client.values().last()
    return {
        "class": type(client).__name__,
        "uids": list(client),
        "by scan_id": list(client.sort(("start.scan_id", -1))),
        "by plan": list(client.sort(("start.plan_name", 1), ("start.scan_id", -1))),
        "counts": list(client.search(Eq("start.plan_name", "count"))),
        "distinct": client.distinct("start.plan_name", counts=True)["metadata"]["start.plan_name"],
        "newest": newest.metadata["start"]["uid"],
        "runs": {
            uid: {
                "class": type(run).__name__,
                "streams": {name: {key: column(run, name, key) for key in run[name]} for name in run},
                "documents": [name for name, _ in run.documents()],
                "stop": run.metadata.get("stop", {}).get("exit_status"),
            }
            for uid, run in client.items()
        },
    }


def column(run: Any, stream: str, key: str) -> Any:
    """A data key of a stream; of a table one column after the other."""
    found = run[stream][key]
    return found.read().tolist() if hasattr(found.read(), "tolist") else sorted(found.read())


def catalog(client: Any) -> dict[str, Any]:
    """A catalog file."""
    found = {}
    for name, node in client.items():
        specs = [spec.name for spec in node.specs]
        if "broken" in specs:
            found[name] = ["broken", node.metadata["error"]]
        elif "CatalogOfBlueskyRuns" in specs:
            found[name] = ["runs", list(node), type(node.values().first()).__name__]
        else:
            found[name] = read(node) if name != "document" else dict(node.metadata)
    return {"metadata": dict(client.metadata), "sources": found, "last": client.keys().last()}


def folder(client: Any) -> dict[str, Any]:
    """A folder of files."""
    return {"keys": sorted(client), "data": read(client)}


def main() -> None:
    """Ask, and write the answers."""
    url, key, what = sys.argv[1:]
    client = from_uri(url, api_key=key)
    json.dump({"store": store, "catalog": catalog, "folder": folder}[what](client), sys.stdout)


if __name__ == "__main__":
    main()
