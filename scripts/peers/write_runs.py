"""Runs in the environment of tiled 0.2.20: writes documents into a tiled server, as bluesky does.

Arguments: the address of the server, its key, and a file of JSON lines, each ``[name, document]``. The runs go through
TiledWriter into the container ``runs``. Those whose start document has ``"layout": "older"`` lie as earlier versions
put them: streams in a container of that name, which promises nothing. It prints which it could not write, and why.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from bluesky_tiled_plugins import TiledWriter
from tiled.client import from_uri
from tiled.structures.core import Spec


def in_older_layout(runs, documents):
    """Streams of scalars and of arrays, in ``streams/<name>``."""
    found = dict(documents)
    run = runs.create_container(
        found["start"]["uid"],
        metadata={"start": found["start"], "stop": found["stop"]},
        specs=[Spec("BlueskyRun", "3.0")],
    )
    streams = run.create_container("streams")
    for descriptor in [doc for name, doc in documents if name == "descriptor"]:
        metadata = {key: value for key, value in descriptor.items() if key not in ("name", "object_keys", "run_start")}
        stream = streams.create_container(descriptor["name"], metadata=metadata)
        pages = [doc for name, doc in documents if name == "event_page" and doc["descriptor"] == descriptor["uid"]]
        columns = {name: [value for page in pages for value in page[name]] for name in ("seq_num", "time")}
        for key, data_key in descriptor["data_keys"].items():
            values = [value for page in pages for value in page["data"][key]]
            columns[f"ts_{key}"] = [value for page in pages for value in page["timestamps"][key]]
            if data_key["shape"]:
                stream.write_array(np.array(values), key=key)
            else:
                columns[key] = values
        stream.write_table(pd.DataFrame(columns), key="internal")


root = from_uri(sys.argv[1], api_key=sys.argv[2])
runs = root.create_container("runs", specs=[Spec("CatalogOfBlueskyRuns", "3.0")])
batches = []
for line in Path(sys.argv[3]).read_text().splitlines():
    name, doc = json.loads(line)
    if name == "start":
        batches.append([])
    batches[-1].append((name, doc))
failed = {}
for batch in batches:
    if batch[0][1].get("layout") == "older":
        in_older_layout(runs, batch)
        continue
    writer = TiledWriter(runs, batch_size=1)
    try:
        for name, doc in batch:
            writer(name, doc)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        failed[batch[0][1]["uid"]] = f"{type(error).__name__}: {error}"
print(json.dumps(failed))
