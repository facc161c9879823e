"""Decoded columns in memory and on disk: the same answers, faster, and no answers of their own."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
import time

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from databroker_like.core._pages import unpack_event_page
from databroker_like.core._rowwise import CHUNK, as_list, column
from databroker_like.drivers import _parsed, _watch
from databroker_like.drivers._column_cache import ColumnCache
from databroker_like.drivers._json import JSONFormat
from databroker_like.drivers._parsed import PARSED, ParsedFiles
from databroker_like.drivers._runs import RunsBuilder
from databroker_like.drivers._watch import Watch
from databroker_like.drivers.jsonl import BlueskyJSONLCatalog
from databroker_like.errors import InvalidDocument
from databroker_like.testing import _runs as samples
from databroker_like.testing._strategies import values


def _exact(value):
    if isinstance(value, list):
        return [_exact(inner) for inner in value]
    if isinstance(value, float) and math.isnan(value):
        return "nan"
    return type(value), repr(value)


@given(st.one_of(st.lists(values), st.lists(st.floats()), st.lists(st.text()), st.lists(st.integers())))
@settings(deadline=None)
def test_a_column_gives_back_its_values_to_the_letter(given_values):
    made = column(list(given_values))
    assert _exact(as_list(made)) == _exact(given_values)


@pytest.mark.parametrize(
    ("given_values", "dtype"),
    [([1.0, 2.5], "float64"), ([1, 2], "int64"), ([True, False], "bool"), (["a", "bc"], "<U2")],
)
def test_a_column_of_one_kind_is_an_array(given_values, dtype):
    assert column(given_values).dtype == dtype


@pytest.mark.parametrize("given_values", [[1, 1.5], [True, 1], [None, 1.0], [2**70], ["a\0"], ["x" * 500], [], [[1]]])
def test_what_an_array_would_change_stays_a_list(given_values):
    assert column(given_values) is given_values


def test_arrays_of_one_shape_are_stacked_and_others_are_not():
    same = [numpy.zeros((2, 3), "uint16"), numpy.ones((2, 3), "uint16")]
    assert column(same).shape == (2, 2, 3)
    assert column(same).dtype == "uint16"
    ragged = [numpy.zeros(2), numpy.zeros(3)]
    assert column(ragged) is ragged


@pytest.mark.parametrize("events", [CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 5])
def test_a_long_run_comes_in_pages_that_lose_no_row(events):
    start = {"uid": "a", "time": 0.0}
    descriptor = {"uid": "d", "run_start": "a", "time": 0.0, "name": "primary", "data_keys": {}}
    rows = (
        (
            "event",
            {"uid": str(i), "descriptor": "d", "time": i, "seq_num": i + 1, "data": {"x": i}, "timestamps": {"x": 0.5}},
        )
        for i in range(events)
    )
    builder = RunsBuilder()
    builder.feed([("start", start), ("descriptor", descriptor)])
    builder.feed(rows)
    run = builder.run("a")
    assert run.count("d") == events
    pages = list(run.pages("d"))
    assert max(len(page["uid"]) for page in pages) <= CHUNK
    assert [x for page in pages for x in page["data"]["x"].tolist()] == list(range(events))
    assert "filled" not in pages[0]


def test_rows_of_other_keys_or_another_order_begin_another_page():
    builder = RunsBuilder()
    builder.feed([("start", {"uid": "a", "time": 0.0}), ("descriptor", {"uid": "d", "run_start": "a"})])
    shapes = [{"x": 1, "y": 2}, {"x": 3, "y": 4}, {"y": 5, "x": 6}, {"x": 7}, {}, {"x": 8, "y": 9}]
    events = [
        {"uid": str(i), "descriptor": "d", "time": i, "seq_num": i, "data": data, "timestamps": data, "filled": {}}
        for i, data in enumerate(shapes)
    ]
    builder.feed([("event", event) for event in events])
    run = builder.run("a")
    assert [len(page["uid"]) for page in run.pages("d")] == [2, 1, 1, 1, 1]
    assert [event for page in run.pages("d") for event in unpack_event_page(page)] == events


def test_what_was_handed_out_does_not_change_when_the_run_goes_on():
    documents = samples.scalars(events=6)
    builder = RunsBuilder()
    builder.feed(documents[:4])
    uid, descriptor = documents[0][1]["uid"], documents[1][1]["uid"]
    before = builder.run(uid)
    builder.feed(documents[4:])
    assert before.count(descriptor) == 2
    assert before.stop is None
    assert builder.run(uid).count(descriptor) == 6


@pytest.mark.parametrize(
    ("name", "doc", "said"),
    [
        ("event", {"descriptor": "d"}, "'data'"),
        ("evnt", {}, "no kind"),
        ("event", [], "does not fit"),
        (["start"], {}, "no kind|does not fit"),
        ("descriptor", {"uid": "d", "run_start": "nobody"}, "'nobody'"),
        ("stream_datum", {"uid": "x", "stream_resource": "nobody"}, "'nobody'"),
    ],
)
def test_a_document_that_does_not_fit_is_named(name, doc, said):
    builder = RunsBuilder()
    builder.feed([("start", {"uid": "a", "time": 0.0})])
    with pytest.raises(InvalidDocument, match=said):
        builder.feed([(name, doc)])
    assert builder.uids() == ["a"]


# -- on disk


@pytest.fixture
def large(tmp_path, write_lines, settle):
    """A file that is worth keeping, of every kind of column."""
    folder = tmp_path / "runs"
    folder.mkdir()
    run = samples.scalars(events=1500, uid="a")
    extra = samples.strings(events=300)
    run = [*run[:-1], *((n, {**d, "run_start": "a"} if n == "descriptor" else d) for n, d in extra[1:-1]), run[-1]]
    for name, doc in run[5:10]:
        if name == "event":
            doc["data"]["mixed"] = None if doc["seq_num"] % 2 else [1, float("nan")]
    path = write_lines(folder / "a.jsonl", run)
    assert path.stat().st_size > _parsed.WORTH_KEEPING
    settle(folder)
    return path


def _events(path):
    source = BlueskyJSONLCatalog(str(path)).collection.source("a", None)
    return [
        event
        for descriptor in source.get_event_descriptors()
        for page in source.get_event_pages(descriptor["uid"])
        for event in unpack_event_page(page)
    ]


def test_a_fresh_process_takes_the_columns_and_gives_the_same_answer(large, cache, monkeypatch):
    decoded = _events(large)
    assert len(list((cache / "columns").iterdir())) == 1
    PARSED.clear()
    monkeypatch.setattr(_parsed.ParsedFile, "decode", lambda self, now: pytest.fail("decoded again"))
    assert repr(_events(large)) == repr(decoded)


@pytest.mark.parametrize("step", [1, 5])
def test_damage_to_the_columns_changes_no_answer(large, cache, step):
    expected = repr(_events(large))
    (path,) = (cache / "columns").iterdir()
    whole = path.read_bytes()
    for position in range(0, len(whole), len(whole) // 12 + step):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x10]) + whole[position + 1 :])
        PARSED.clear()
        assert repr(_events(large)) == expected, position
    for content in (b"", whole[:100], whole[:-1], whole + b"\0", os.urandom(500)):
        path.write_bytes(content)
        PARSED.clear()
        assert repr(_events(large)) == expected


def test_a_changed_file_is_decoded_again(large):
    _events(large)
    PARSED.clear()
    large.write_text(large.read_text().replace('"motor": 0.3,', '"motor": 9.5,'))
    assert _events(large)[3]["data"]["motor"] == 9.5


def test_only_finished_and_settled_files_are_kept(large, cache):
    lines = large.read_text().splitlines(keepends=True)
    large.write_text("".join(lines[:-1]))
    time.sleep(0.03)
    _events(large)
    assert not (cache / "columns").exists()


def test_the_folder_of_columns_stays_within_its_bound(large, tmp_path):
    runs = {"a": PARSED.get(str(large), JSONFormat()).run("a")}
    size_of_one = None
    kept = tmp_path / "kept"
    signature = _parsed.signature(str(large))
    for number in range(8):
        cache = ColumnCache(kept, most_bytes=5 * (size_of_one or 10**9))
        cache.save(f"/some/{number}", JSONFormat(), signature, runs)
        size_of_one = max(path.stat().st_size for path in kept.iterdir())
    names = {path.name for path in kept.iterdir()}
    assert 3 <= len(names) <= 5
    assert cache.path("/some/7", JSONFormat()).name in names
    assert cache.path("/some/0", JSONFormat()).name not in names


def test_files_in_memory_stay_within_their_bound(tmp_path, write_lines):
    files = ParsedFiles(most_bytes=5000, cache=ColumnCache(tmp_path / "none"))
    paths = [str(write_lines(tmp_path / f"{n}.jsonl", samples.scalars(uid=str(n)))) for n in range(6)]
    for path in paths:
        files.get(path, JSONFormat())
    assert len(files._files) < 6
    assert (paths[-1], "JSON lines") in files._files


def test_threads_share_what_is_decoded(large):
    expected, found = repr(_events(large)), []
    PARSED.clear()
    threads = [threading.Thread(target=lambda: found.append(repr(_events(large)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4


def test_listing_and_reading_a_catalog_load_no_numpy_until_events_are_read(tmp_path, write_lines):
    write_lines(tmp_path / "a.jsonl", samples.scalars(uid="a"))
    code = (
        "import sys\n"
        "from databroker_like.drivers._files import FileCollection\n"
        "from databroker_like.drivers._json import JSONFormat\n"
        "c = FileCollection(sys.argv[1], JSONFormat())\n"
        "assert list(c.find()) == ['a'] and c.stop('a')\n"
        "assert 'numpy' not in sys.modules, 'numpy'\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=300)


# -- being told of changes


@pytest.fixture
def watch(tmp_path):
    found = Watch([str(tmp_path)])
    if not found.is_reliable:
        pytest.skip("this system does not tell of changes to files in the temporary folder")
    return found


def test_nothing_is_quiet_before_it_was_looked_at(watch):
    assert not watch.is_quiet()


@pytest.mark.parametrize("change", ["create", "append", "rewrite", "delete", "rename", "touch", "chmod"])
def test_every_change_is_told(watch, tmp_path, change):
    path = tmp_path / "file"
    if change != "create":
        path.write_text("before")
    watch.settle()
    assert watch.is_quiet()
    assert watch.is_quiet()
    actions = {
        "create": lambda: path.touch(),
        "append": lambda: path.open("a").close() or path.write_text("before and after"),
        "rewrite": lambda: path.write_text("after."),
        "delete": path.unlink,
        "rename": lambda: path.rename(tmp_path / "other"),
        "touch": lambda: os.utime(path),
        "chmod": lambda: path.chmod(0o600),
    }
    actions[change]()
    assert not watch.is_quiet()
    assert not watch.is_quiet()


def test_a_folder_put_in_the_place_of_another_is_told(tmp_path):
    above = tmp_path / "above"
    (above / "folder").mkdir(parents=True)
    watch = Watch([str(above / "folder")])
    watch.settle()
    above.rename(tmp_path / "away")
    (above / "folder").mkdir(parents=True)
    assert not watch.is_quiet()


def test_what_is_not_told_is_looked_for_now_and_then(watch, monkeypatch):
    monkeypatch.setattr(_watch, "_TRUSTED_S", 0.01)
    watch.settle()
    time.sleep(0.02)
    assert not watch.is_quiet()
