"""Files that suitcase-jsonl and suitcase-msgpack write are catalogs, and tell the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bluesky.plans as bp
import numpy as np
import suitcase.jsonl
import suitcase.msgpack
import xarray
from ophyd.sim import SynAxis, SynGauss

from databroker_like.drivers.jsonl import BlueskyJSONLCatalog
from databroker_like.drivers.msgpack import BlueskyMsgpackCatalog


def record(engine: Any, folder: Path) -> str:
    motor = SynAxis(name="motor")
    det = SynGauss("det", motor, "motor", center=0, Imax=1, sigma=1)
    for suitcase_of in (suitcase.jsonl, suitcase.msgpack):
        serializer = suitcase_of.Serializer(folder)
        engine.subscribe(serializer)
    (uid,) = engine(bp.scan([det], motor, -1, 1, 7))
    return str(uid)


def test_both_suitcases_tell_the_same_run(engine: Any, tmp_path: Path) -> None:
    uid = record(engine, tmp_path)
    lines = BlueskyJSONLCatalog(str(tmp_path / "*.jsonl"))[uid]
    packed = BlueskyMsgpackCatalog(str(tmp_path / "*.msgpack"))[uid]
    assert lines.metadata["start"] == packed.metadata["start"]
    assert lines.metadata["stop"] == packed.metadata["stop"]
    xarray.testing.assert_identical(lines.primary.read(), packed.primary.read())
    assert lines.primary.read().sizes["time"] == 7
    assert [name for name, _ in lines.documents(fill="no")] == [name for name, _ in packed.documents(fill="no")]


def test_our_files_are_read_by_suitcases_own_reader(engine: Any, tmp_path: Path) -> None:
    import msgpack
    import msgpack_numpy

    catalog = BlueskyMsgpackCatalog(str(tmp_path / "*.msgpack"))
    engine.subscribe(catalog.insert)
    motor = SynAxis(name="motor")
    (uid,) = engine(bp.scan([motor], motor, 0, 1, 3))
    (path,) = tmp_path.glob("*.msgpack")
    with path.open("rb") as file:
        documents = list(msgpack.Unpacker(file, object_hook=msgpack_numpy.decode))
    assert [name for name, _ in documents] == ["start", "descriptor", "event", "event", "event", "stop"]
    assert documents[0][1]["uid"] == uid
    values = [doc["data"]["motor"] for name, doc in documents if name == "event"]
    np.testing.assert_array_equal(values, [0, 0.5, 1])
