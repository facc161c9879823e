"""Run by the interpreter of the real tiled client: what it reads of nodes of every structure family, as JSON.

python ask_families.py URL API_KEY
"""

from __future__ import annotations

import base64
import io
import json
import sys
import tempfile
from typing import Any

import numpy as np
from tiled.catalog import in_memory
from tiled.client import Context, from_context, from_uri
from tiled.client.sync import copy
from tiled.server.app import build_app


def exported(node: Any, form: str, **kwargs: Any) -> str:
    """A node in a format, as text of base64."""
    buffer = io.BytesIO()
    node.export(buffer, format=form, **kwargs)
    return base64.b64encode(buffer.getvalue()).decode()


def arrays(tree: Any) -> dict[str, Any]:
    """Arrays: their type, bytes, a slice and a block of each."""
    found = {}
    for name, node in tree["arrays"].items():
        whole = np.asarray(node.read())
        found[name] = {
            "dtype": repr(whole.dtype.descr if whole.dtype.names else whole.dtype.str),
            "shape": list(whole.shape),
            "bytes": base64.b64encode(whole.tobytes()).decode(),
            "last": base64.b64encode(np.asarray(node[-1:] if whole.ndim else node[()]).tobytes()).decode(),
            "block": base64.b64encode(np.asarray(node.read_block((0,) * whole.ndim)).tobytes()).decode(),
        }
    return found


def sparse(tree: Any) -> dict[str, Any]:
    """A sparse array, made dense."""
    node = tree["sparse"]
    block = node.read_block((1, 0))
    return {
        "whole": node.read().todense().tolist(),
        "slice": node[1:3].todense().tolist(),
        "row": node[2].todense().tolist(),
        "part": node[1:3, 2].todense().tolist(),
        # The client gives a block the shape of the whole array.
        "block": [block.coords.tolist(), block.data.tolist()],
    }


def ragged(tree: Any) -> dict[str, Any]:
    """Ragged arrays, and parts of them."""
    node, deep, inner = tree["ragged"], tree["deep"], tree["inner"]
    return {
        "shape": [list(one.shape) for one in (node, deep, inner)],
        "whole": [one.read().tolist() for one in (node, deep, inner)],
        "row": node[2].tolist(),
        "rows": node[:2].tolist(),
        "heads": node[:, :1].tolist(),
        "element": float(node[0, 1]),
        "deep": deep[0].tolist(),
        "type": [str(one.dtype) for one in (node, deep, inner)],
    }


def awkward(tree: Any) -> dict[str, Any]:
    """An awkward array, whole and in parts."""
    node = tree["awkward"]
    return {
        "whole": node.read().to_list(),
        "field": node["x"].to_list(),
        "item": node[1].to_list(),
        "slice": node[:1].to_list(),
        "shown": repr(node)[:14],
    }


def datasets(tree: Any) -> dict[str, Any]:
    """Datasets of xarray, with columns fetched together or one by one."""
    found = {}
    for name in ("dataset", "wide", "long names"):
        for together in (True, False):
            dataset = tree[name].read(optimize_wide_table=together)
            found[f"{name} {together}"] = {
                "attrs": dict(dataset.attrs),
                "variables": {
                    key: {
                        "dims": list(variable.dims),
                        "values": variable.values.astype(str).tolist(),
                        "kind": variable.dtype.kind,
                        "attrs": dict(variable.attrs),
                    }
                    for key, variable in dataset.variables.items()
                },
                "coords": sorted(dataset.coords),
            }
    found["some"] = sorted(tree["dataset"].read(variables=["a"]).variables)
    return found


def exports(tree: Any) -> dict[str, Any]:
    """How large each node is in each format that the service names for it."""
    found: dict[str, Any] = {}
    for name in ("sparse", "ragged", "awkward", "dataset", "table", "picture"):
        node = tree[name]
        formats = node.formats
        found[name] = {form: len(exported(node, form)) for form in formats}
    found["container"] = {form: len(exported(tree["arrays"], form)) for form in tree["arrays"].formats}
    # By the name of the file, as people do.
    for file in ("table.csv", "table.parquet", "table.xlsx", "table.html", "table.h5", "table.json"):
        tree["table"].export(file)
        with open(file, "rb") as written:
            found[file] = len(written.read())
    found["csv"] = exported(tree["table"], "csv")
    found["h5"] = exported(tree["arrays"], "h5")
    found["part"] = exported(tree["picture"], "json", slice=np.s_[:2, 1])
    return found


def copied(tree: Any) -> dict[str, Any]:
    """What is in a real server, in this process, after nodes were copied to it."""
    names = ("sparse", "ragged", "awkward", "table", "dataset", "picture")
    folder = tempfile.mkdtemp()
    app = build_app(in_memory(writable_storage=[folder, f"duckdb:///{folder}/tables.db"]))
    with Context.from_app(app) as context:
        root = from_context(context)
        copy({name: tree[name] for name in names}, root)
        return {
            "keys": sorted(root),
            "sparse": root["sparse"].read().todense().tolist(),
            "ragged": root["ragged"].read().tolist(),
            "awkward": root["awkward"].read().to_list(),
            "table": root["table"].read()["s"].tolist(),
            "dataset": root["dataset"].read()["img"].values.tolist(),
            "picture": root["picture"].read().tolist(),
        }


if __name__ == "__main__":
    url, api_key = sys.argv[1:]
    tree = from_uri(url, api_key=api_key)
    print(json.dumps({one.__name__: one(tree) for one in (arrays, sparse, ragged, awkward, datasets, exports, copied)}))
