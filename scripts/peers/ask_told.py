"""Run by the interpreter of the real tiled client: what a service tells of a tree, as JSON.

python ask_told.py URL API_KEY
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tiled.client import from_uri
from tiled.queries import Key, Like, Regex


def exported(node: Any) -> dict[str, str]:
    """The files of a node, in memory and in a folder."""
    memory: dict[str, io.BytesIO] = {}
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        node.raw_export(memory)
        node.raw_export(folder)
        written = {
            path.relative_to(folder).as_posix(): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()
        }
    found = {name: buffer.getvalue() for name, buffer in memory.items()}
    assert found == written, (found.keys(), written.keys())
    return {name: content.hex() for name, content in found.items()}


def main(url: str, api_key: str) -> None:
    """Ask, and write what was answered."""
    client = from_uri(url, api_key=api_key)
    encodings = []
    client.context.http_client.event_hooks["response"].append(
        lambda response: encodings.append(response.headers.get("content-encoding"))
    )
    deep = client.search_deep(Key("color") == "red")
    sources = client["folder"].include_data_sources().data_sources()
    answers = {
        "deep": [list(key) for key in deep],
        "deep count": len(deep),
        "shallow": [list(key) for key in client.search_deep(Key("color") == "red", max_depth=1)],
        "regex": list(client["many"].search(Regex("name", "^n[12]5$"))),
        "regex in any case": list(client["many"].search(Regex("name", "^N[12]5$", case_sensitive=False))),
        "like": list(client["many"].search(Like("name", "%1%5"))),
        "keys": len(list(client["many"])),
        "sorted": client["many"].sort(("i", -1)).keys()[:3],
        "dataset": client["dataset"].read()["d"].values.tolist(),
        "inlined": sorted(client["dataset"].item["attributes"]["structure"]["contents"]),
        "array": client["array"].read().tolist(),
        "table": client["table"].read()["x"].tolist(),
        "encodings": sorted({one for one in encodings if one}),
        "file": exported(client["file"]),
        "folder": exported(client["folder"]),
        "manifest": client["folder"].asset_manifest(sources),
        "uris": [asset.data_uri for asset in sources[0].assets],
        "revisions": [one["attributes"]["metadata"]["color"] for one in client["changed"].metadata_revisions[:]],
        "revision": client["changed"].metadata_revisions[1]["revision_number"],
    }
    print(json.dumps(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
