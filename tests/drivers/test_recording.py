"""Recording into files: what was acknowledged is there, whatever happens to the recorder."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import msgpack
import numpy
import pytest

from databroker_like import registry
from databroker_like.drivers.jsonl import BlueskyJSONLCatalog
from databroker_like.drivers.msgpack import BlueskyMsgpackCatalog
from databroker_like.errors import Conflict, InvalidDocument, NotWritable
from databroker_like.testing import _runs as samples

_KINDS = {"jsonl": BlueskyJSONLCatalog, "msgpack": BlueskyMsgpackCatalog}


@pytest.fixture(params=sorted(_KINDS))
def kind(request) -> str:
    return request.param


@pytest.fixture
def catalog(kind, tmp_path):
    made = _KINDS[kind](str(tmp_path / "runs" / f"*.{kind}"))
    yield made
    made.close()


def _insert(catalog, documents) -> None:
    for name, doc in documents:
        catalog.insert(name, doc)


def _read_back(catalog, uid):
    from databroker_like.core._pages import unpack_event_page

    source = catalog.collection.source(uid, None)
    return [
        event
        for descriptor in source.get_event_descriptors()
        for page in source.get_event_pages(descriptor["uid"])
        for event in unpack_event_page(page)
    ]


def _files(catalog) -> list[Path]:
    return sorted(Path(catalog.paths[0]).parent.iterdir())


def test_one_file_a_run_named_by_its_uid(catalog, kind):
    for uid in ("a", "b"):
        _insert(catalog, samples.scalars(uid=uid))
    assert [path.name for path in _files(catalog)] == [f"a.{kind}", f"b.{kind}"]
    mask = os.umask(0)
    os.umask(mask)
    assert all(path.stat().st_mode & 0o777 == 0o666 & ~mask for path in _files(catalog))


def test_others_can_read_what_was_recorded(catalog, kind):
    run = samples.scalars(uid="a")
    _insert(catalog, run)
    (path,) = _files(catalog)
    if kind == "jsonl":
        got = [tuple(json.loads(line)) for line in path.read_text().splitlines()]
    else:
        with path.open("rb") as file:
            got = [tuple(pair) for pair in msgpack.Unpacker(file)]
    assert got == [(name, doc) for name, doc in run]


@pytest.mark.parametrize("uid", ["../../escaped", "a/b", "..", ".hidden", "a\0b", "", "é" * 10, "x" * 300, "-rf"])
def test_a_uid_that_is_no_file_name_is_refused(catalog, tmp_path, uid):
    start = {**samples.nothing_but_start()[0][1], "uid": uid}
    with pytest.raises(InvalidDocument):
        catalog.insert("start", start)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


_LOSSLESS = [
    float("nan"),
    float("inf"),
    -float("inf"),
    -0.0,
    1e308,
    5e-324,
    0.1 + 0.2,
    2**63 - 1,
    -(2**63),
    None,
    "null",
    "NaN",
    "\u2028 \x7f é 𝄞",
    [1.5, None, float("nan"), [True, ""]],
    {"nested": {"nan": float("nan")}},
]


@pytest.mark.parametrize("value", _LOSSLESS, ids=repr)
def test_values_come_back_to_the_letter(catalog, value):
    run = samples.scalars(events=2, uid="a")
    run[2][1]["data"]["mixed"] = value
    run[0][1]["remark"] = value
    _insert(catalog, run)
    assert _strict(_read_back(catalog, "a")[0]["data"]["mixed"]) == _strict(value)
    assert _strict(catalog["a"].metadata["start"]["remark"]) == _strict(value)


def test_integers_beyond_64_bits_come_back_from_json(tmp_path):
    with_one = BlueskyJSONLCatalog(str(tmp_path / "*.jsonl"))
    run = samples.scalars(events=3, uid="a")
    run[3][1]["data"]["count"] = 2**80
    _insert(with_one, run)
    assert [event["data"]["count"] for event in _read_back(with_one, "a")] == [0, 2**80, 2]
    with_one.close()


def _strict(value):
    if isinstance(value, dict):
        return {key: _strict(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(inner) for inner in value]
    if isinstance(value, float) and math.isnan(value):
        return "nan", float
    return repr(value), type(value)


def test_numpy_values_are_kept(catalog, kind):
    run = samples.arrays(events=1, uid="a")
    image = numpy.arange(6, dtype="float32").reshape(2, 3) / 10
    image[0, 0] = numpy.nan
    run[2][1]["data"] = {"image": image, "sum": numpy.float64(0.1)}
    _insert(catalog, run)
    (event,) = _read_back(catalog, "a")
    if kind == "msgpack":
        assert event["data"]["image"].dtype == "float32"
        numpy.testing.assert_array_equal(event["data"]["image"], image)
    else:
        assert _strict(event["data"]["image"]) == _strict(image.tolist())
    assert event["data"]["sum"] == 0.1
    read = catalog["a"]["primary"].read()
    numpy.testing.assert_array_equal(read["image"].values[0], image)


@pytest.mark.parametrize(
    "value",
    [object(), b"bytes", 1 + 2j, {1: 2}, {"a", "b"}, numpy.array([object()])],
    ids=["object", "bytes", "complex", "key", "set", "array of objects"],
)
def test_what_the_encoding_cannot_hold_is_refused_and_nothing_is_written(tmp_path, value):
    catalog = BlueskyJSONLCatalog(str(tmp_path / "*.jsonl"))
    run = samples.scalars(events=2, uid="a")
    _insert(catalog, run[:2])
    before = (tmp_path / "a.jsonl").read_bytes()
    with pytest.raises(InvalidDocument):
        catalog.insert("event", {**run[2][1], "data": {**run[2][1]["data"], "mixed": value}})
    assert (tmp_path / "a.jsonl").read_bytes() == before
    _insert(catalog, run[2:])
    assert len(catalog["a"]["primary"].read()["time"]) == 2
    catalog.close()


_WRITER = """
import sys
from databroker_like.drivers.{kind} import {name}
from databroker_like.testing import _runs as samples
catalog = {name}(sys.argv[1] + "/*.{kind}")
for name, doc in samples.scalars(events=2_500, uid="a"):
    catalog.insert(name, doc)
    print(doc["uid"], flush=True)
"""


@pytest.mark.parametrize("after", [1, 2, 40, 1500])
def test_every_acknowledged_document_survives_a_killed_writer(kind, tmp_path, after):
    code = _WRITER.format(kind=kind, name=_KINDS[kind].__name__)
    writer = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    acknowledged = [writer.stdout.readline().strip() for _ in range(after)]
    writer.send_signal(signal.SIGKILL)
    acknowledged += writer.stdout.read().split("\n")[:-1]
    assert writer.wait() == -signal.SIGKILL
    writer.stdout.close()
    catalog = _KINDS[kind](str(tmp_path / f"*.{kind}"))
    source = catalog.collection.source("a", None)
    found = [source.get_run_start()["uid"]]
    found += [descriptor["uid"] for descriptor in source.get_event_descriptors()]
    found += [event["uid"] for event in _read_back(catalog, "a")]
    assert len(acknowledged) <= len(found) <= len(acknowledged) + 1
    assert found[: len(acknowledged)] == acknowledged
    assert catalog["a"].metadata["stop"] is None
    assert catalog.problems == {}


@pytest.mark.parametrize("lost", [1, 7, 30])
def test_a_recorder_started_again_goes_on_behind_the_last_whole_document(catalog, kind, tmp_path, lost):
    run = samples.scalars(events=6, uid="a")
    _insert(catalog, run[:5])
    catalog.close()
    (path,) = _files(catalog)
    path.write_bytes(path.read_bytes()[:-lost])
    again = _KINDS[kind](catalog.paths)
    _insert(again, run[4:])
    again.close()
    assert [event["seq_num"] for event in _read_back(again, "a")] == [1, 2, 3, 4, 5, 6]
    assert again["a"].metadata["stop"] == run[-1][1]
    assert again.problems == {}


def test_a_file_without_a_last_newline_is_continued(tmp_path):
    run = samples.scalars(events=3, uid="a")
    (tmp_path / "some.jsonl").write_text("\n".join(json.dumps(pair) for pair in run[:4]))
    catalog = BlueskyJSONLCatalog(str(tmp_path / "*.jsonl"))
    _insert(catalog, run)
    catalog.close()
    assert [path.name for path in tmp_path.iterdir()] == ["some.jsonl"]
    assert len(_read_back(catalog, "a")) == 3
    assert catalog.problems == {}


def test_a_run_in_a_list_is_compared_with_and_not_written_to(tmp_path):
    run = samples.scalars(events=3, uid="a")
    path = tmp_path / "list.json"
    path.write_text(json.dumps(run[:-1]))
    catalog = BlueskyJSONLCatalog([str(tmp_path / "*.jsonl"), str(tmp_path / "*.json")])
    _insert(catalog, run[:-1])
    with pytest.raises(NotWritable, match="cannot be appended to"):
        catalog.insert(*run[-1])
    catalog.close()
    assert json.loads(path.read_text()) == json.loads(json.dumps(run[:-1]))


def test_a_place_that_cannot_be_written_is_named(kind, tmp_path):
    (tmp_path / "file").write_text("")
    catalog = _KINDS[kind](str(tmp_path / "file" / f"*.{kind}"))
    with pytest.raises(NotWritable, match="cannot be written"):
        catalog.insert(*samples.scalars()[0])


def test_paths_that_would_not_find_a_new_file_are_named(tmp_path):
    catalog = BlueskyJSONLCatalog([str(tmp_path / "one.jsonl"), str(tmp_path / "*.json")])
    with pytest.raises(NotWritable, match=r"\*\.jsonl"):
        catalog.insert(*samples.scalars()[0])


_FULL = """
import resource, sys
from databroker_like.drivers.{kind} import {name}
from databroker_like.errors import NotWritable
from databroker_like.testing import _runs as samples
catalog = {name}(sys.argv[1] + "/*.{kind}")
written = 0
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
run = samples.scalars(events=500, uid="a")
try:
    for name, doc in run:
        catalog.insert(name, doc)
        written += 1
except NotWritable as error:
    print("refused", error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(written)
rows = len(catalog["a"]["primary"].read()["time"])
assert rows == written - 2, (rows, written)
assert catalog.problems == {{}}
for name, doc in run:
    catalog.insert(name, doc)
assert len(catalog["a"]["primary"].read()["time"]) == 500
"""


def test_where_there_is_no_room_the_run_so_far_is_whole_and_goes_on_later(kind, tmp_path):
    code = _FULL.format(kind=kind, name=_KINDS[kind].__name__)
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "refused" in done.stdout


def test_no_empty_file_stays_of_a_start_that_could_not_be_written(tmp_path):
    catalog = BlueskyJSONLCatalog(str(tmp_path / "*.jsonl"))
    with pytest.raises(InvalidDocument):
        catalog.insert("start", {**samples.scalars()[0][1], "uid": "a", "odd": 1 + 2j})
    assert list(tmp_path.iterdir()) == []
    _insert(catalog, samples.scalars(uid="a"))
    assert len(catalog) == 1
    catalog.close()


def test_a_file_that_another_writes_to_is_left_alone(catalog, kind):
    run = samples.scalars(events=3, uid="a")
    _insert(catalog, run[:3])
    other = _KINDS[kind](catalog.paths)
    other.insert(*run[3])
    with pytest.raises(Conflict, match="another process"):
        catalog.insert(*run[4])
    other.close()
    assert len(_read_back(catalog, "a")) == 2


def test_a_file_that_was_deleted_is_not_written_to_in_vain(catalog):
    run = samples.scalars(events=3, uid="a")
    _insert(catalog, run[:3])
    _files(catalog)[0].unlink()
    with pytest.raises(NotWritable, match="was deleted"):
        catalog.insert(*run[3])


def test_the_real_run_engine_records(catalog):
    bluesky = pytest.importorskip("bluesky", reason="bluesky is not installed")
    from bluesky.plans import count, scan
    from bluesky.preprocessors import SupplementalData
    from ophyd.sim import det, img, motor

    engine = bluesky.RunEngine({})
    engine.preprocessors.append(SupplementalData(baseline=[motor]))
    seen = []
    engine.subscribe(lambda name, doc: seen.append((name, doc)))
    engine.subscribe(catalog.insert)
    engine(scan([det], motor, -1, 1, 5), purpose="test")
    engine(count([det], num=3))
    assert [run.metadata["start"]["plan_name"] for run in catalog.values()] == ["scan", "count"]
    dataset = catalog[-2]["primary"].read()
    expected = [doc["data"]["det"] for name, doc in seen if name == "event" and "det" in doc["data"]][:5]
    assert dataset["det"].values.tolist() == [float(value) for value in expected]
    assert len(catalog[-2]["baseline"].read()["time"]) == 2
    assert catalog.search({"purpose": "test"})[-1].metadata["stop"]["num_events"]["primary"] == 5
    assert img.name == "img"


def test_a_temporary_catalog_records_and_goes_with_its_folder():
    catalog = registry.load("temp")()
    run = samples.several_streams(uid="a")
    _insert(catalog, run)
    folder = Path(catalog.paths[0]).parent
    results = catalog.search({"scan_id": 1})
    catalog.close()
    del catalog
    assert len(results["a"]["primary"].read()["time"]) == 4
    assert folder.is_dir()
    del results
    import gc

    gc.collect()
    assert not folder.exists()
