"""Runs in the environment of tiled 0.2.20: what its own client reads below a node; arguments: the address and the key.

Prints JSON: for each path, its family, metadata, specs and values.
"""

import json
import sys

from tiled.client import from_uri


def told(node):
    family = str(node.structure_family).rpartition(".")[2]
    found = {
        "family": family,
        "metadata": dict(node.metadata),
        "specs": [[spec.name, spec.version] for spec in node.specs],
    }
    if family == "container":
        found["contents"] = {key: told(child) for key, child in node.items()}
    elif family == "table":
        found["values"] = node.read().to_dict("list")
    elif family == "sparse":
        found["values"] = node.read().todense().tolist()
    elif family == "awkward":
        found["values"] = node.read().to_list()
    else:
        found["values"] = node.read().tolist()
    return found


print(json.dumps(told(from_uri(sys.argv[1], api_key=sys.argv[2])), default=str))
