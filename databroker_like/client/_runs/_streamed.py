"""Stream resources and stream datums of arrays whose files a server tells."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["NAMES", "streamed_documents"]

Doc = Mapping[str, Any]

#: Uids that a layout does not keep are made of names below this one.
NAMES = uuid.UUID("5b2d9c1e-7c0f-5d7a-9a3e-3f0f9f6d1c44")
_PARTS = "multipart/related;type="


def streamed_documents(
    run_uid: str, key: str, item: Doc, rows: Sequence[tuple[str, int]]
) -> list[tuple[Doc, list[Doc]]]:
    """The documents that say in which files an array lies.

    Parameters
    ----------
    run_uid, key : str
    item : mapping
        What the server says of the array, with its data sources.
    rows : sequence of (descriptor uid, int)
        How many events of each descriptor there are in it.

    Returns
    -------
    list of (stream resource, stream datums)
        One for a file of many events; one for each file where there is one for each event; none where the server does
        not tell.

    Examples
    --------
    >>> source = {"mimetype": "application/x-hdf5", "assets": [{"data_uri": "file://localhost/a.h5", "num": 0}]}
    >>> [(resource, [datum])] = streamed_documents("r", "img", {"attributes": {"data_sources": [source]}}, [("d", 3)])
    >>> resource["uri"], datum["indices"], datum["seq_nums"]
    ('file://localhost/a.h5', {'start': 0, 'stop': 3}, {'start': 1, 'stop': 4})
    """
    found: list[tuple[Doc, list[Doc]]] = []
    for source in item["attributes"].get("data_sources") or ():
        assets = sorted(source.get("assets") or (), key=lambda asset: asset.get("num") or 0)
        mimetype = str(source.get("mimetype") or "")
        each = len(assets) > 1 and len(assets) == sum(count for _, count in rows)
        if len(assets) != 1 and not each:
            continue
        for number, asset in enumerate(assets):
            uid = str(uuid.uuid5(NAMES, f"{run_uid}/{key}/{asset['data_uri']}"))
            resource = {
                "uid": uid,
                "run_start": run_uid,
                "data_key": key,
                "mimetype": mimetype.removeprefix(_PARTS) if each else mimetype,
                "uri": asset["data_uri"],
                "parameters": dict(source.get("parameters") or {}),
            }
            found.append((resource, _datums(uid, rows, number if each else None)))
    return found


def _datums(resource_uid: str, rows: Sequence[tuple[str, int]], alone: int | None) -> list[Doc]:
    """The events of each descriptor in a file; of a file of one event, that one."""
    found: list[Doc] = []
    begin = 0
    for number, (descriptor_uid, count) in enumerate(rows):
        end = begin + count
        first, last = (begin, end) if alone is None else (alone, alone + 1)
        if begin <= first < end:
            indices = (first, last) if alone is None else (0, 1)
            found.append(
                {
                    "uid": f"{resource_uid}/{number}",
                    "stream_resource": resource_uid,
                    "descriptor": descriptor_uid,
                    "indices": {"start": indices[0], "stop": indices[1]},
                    "seq_nums": {"start": first - begin + 1, "stop": last - begin + 1},
                }
            )
        begin = end
    return found
