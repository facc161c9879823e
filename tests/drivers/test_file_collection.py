"""Which runs there are in files: new, changed, deleted, broken, twice there, and what the index changes (nothing)."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

from databroker_like.drivers import _files, _format
from databroker_like.drivers._files import FileCollection
from databroker_like.drivers._json import JSONFormat
from databroker_like.drivers.jsonl import BlueskyJSONLCatalog
from databroker_like.errors import NoSuchRun, WrongType
from databroker_like.queries import parse
from databroker_like.testing import _runs as samples


def _catalog(folder: Path) -> BlueskyJSONLCatalog:
    return BlueskyJSONLCatalog(str(folder / "*.jsonl"))


def _run(uid: str, scan_id: int = 1, **more):
    return samples.scalars(events=2, uid=uid, time=1000.0 + scan_id, scan_id=scan_id, **more)


class _Counting(JSONFormat):
    """Counts the files that are looked into."""

    def __init__(self) -> None:
        self.looked: list[str] = []

    def outline(self, path, size):
        self.looked.append(Path(path).name)
        return super().outline(path, size)


# -- which files


def test_a_folder_a_file_a_pattern_and_a_list_of_them_are_paths(tmp_path, write_lines):
    for number, uid in enumerate("abc"):
        write_lines(tmp_path / f"{uid}.jsonl", _run(uid, number))
    (tmp_path / "notes.txt").write_text("not a run")
    (tmp_path / ".hidden.jsonl").write_text("not a run")
    deeper = tmp_path / "deeper" / "still"
    deeper.mkdir(parents=True)
    write_lines(deeper / "d.jsonl", _run("d", 4))
    assert list(BlueskyJSONLCatalog(tmp_path)) == ["a", "b", "c"]
    assert list(BlueskyJSONLCatalog(str(tmp_path) + "/")) == ["a", "b", "c"]
    assert list(BlueskyJSONLCatalog(tmp_path / "b.jsonl")) == ["b"]
    assert list(BlueskyJSONLCatalog([str(tmp_path / "a*"), str(tmp_path / "c.jsonl")])) == ["a", "c"]
    assert list(BlueskyJSONLCatalog(str(tmp_path / "[ab].jsonl"))) == ["a", "b"]
    assert list(BlueskyJSONLCatalog(str(tmp_path / "**" / "*.jsonl"))) == ["a", "b", "c", "d"]
    assert list(BlueskyJSONLCatalog(f"file://{tmp_path}/?.jsonl")) == ["a", "b", "c"]


@pytest.mark.parametrize("paths", [5, None, {"a": 1}, [5]])
def test_what_is_no_path_is_refused(paths):
    with pytest.raises(WrongType, match="paths"):
        BlueskyJSONLCatalog(paths)


def test_an_export_opens_by_its_relative_paths_where_the_recorded_ones_are_not(tmp_path, write_lines):
    write_lines(tmp_path / "a.jsonl", _run("a"))
    metadata = {"catalog_dir": str(tmp_path), "relative_paths": ["./*.jsonl"]}
    assert list(BlueskyJSONLCatalog(["/no/such/place/*.jsonl"], metadata=metadata)) == ["a"]


def test_paths_that_are_there_win_over_relative_ones(tmp_path, write_lines):
    for folder, uid in (("one", "a"), ("other", "b")):
        (tmp_path / folder).mkdir()
        write_lines(tmp_path / folder / "run.jsonl", _run(uid))
    metadata = {"catalog_dir": str(tmp_path), "relative_paths": ["./other/*.jsonl"]}
    assert list(BlueskyJSONLCatalog([str(tmp_path / "one" / "*.jsonl")], metadata=metadata)) == ["a"]


# -- seen at once


def test_new_changed_and_deleted_files_are_seen_at_once_and_only_they_are_read(tmp_path, write_lines, settle):
    for number, uid in enumerate("abc"):
        write_lines(tmp_path / f"{uid}.jsonl", _run(uid, number))
    settle(tmp_path)
    counting = _Counting()
    collection = FileCollection(str(tmp_path / "*.jsonl"), counting)
    assert list(collection.find()) == ["a", "b", "c"]
    assert sorted(counting.looked) == ["a.jsonl", "b.jsonl", "c.jsonl"]
    counting.looked.clear()
    assert list(collection.find()) == ["a", "b", "c"]
    assert counting.looked == []
    write_lines(tmp_path / "d.jsonl", _run("d", 9))
    assert list(collection.find()) == ["a", "b", "c", "d"]
    assert counting.looked == ["d.jsonl"]
    settle(tmp_path)
    collection.count()
    counting.looked.clear()
    write_lines(tmp_path / "a.jsonl", _run("a", 20, plan_name="other"))
    assert list(collection.find(parse({"plan_name": "other"}))) == ["a"]
    assert set(counting.looked) == {"a.jsonl"}
    (tmp_path / "b.jsonl").unlink()
    assert list(collection.find()) == ["c", "d", "a"]
    assert not collection.has("b")
    with pytest.raises(NoSuchRun):
        collection.source("b", None)


@pytest.mark.parametrize("watched_from", [0, 10_000], ids=["watched", "asked"])
def test_a_file_rewritten_in_place_is_seen_at_once(tmp_path, write_lines, settle, monkeypatch, watched_from):
    monkeypatch.setattr(_files, "_WATCHED_FROM", watched_from)
    for number, uid in enumerate("abc"):
        write_lines(tmp_path / f"{uid}.jsonl", _run(uid, number))
    settle(tmp_path)
    catalog = _catalog(tmp_path)
    assert len(catalog) == len(list(catalog)) == 3
    for turn in range(5):
        path = tmp_path / "b.jsonl"
        path.write_text(path.read_text().replace('"scan"', f'"pl{turn}n"').replace(f'"pl{turn - 1}n"', f'"pl{turn}n"'))
        assert list(catalog.search({"plan_name": f"pl{turn}n"})) == ["b"]
        assert catalog["b"].metadata["start"]["plan_name"] == f"pl{turn}n"
    os.rename(tmp_path / "c.jsonl", tmp_path / "c.away")
    assert list(catalog) == ["a", "b"]
    os.rename(tmp_path / "c.away", tmp_path / "c.jsonl")
    assert list(catalog) == ["a", "b", "c"]


def test_a_rewrite_that_keeps_size_and_time_is_seen(tmp_path, write_lines):
    path = write_lines(tmp_path / "a.jsonl", _run("a", plan_name="scan"))
    catalog = _catalog(tmp_path)
    assert catalog["a"].metadata["start"]["plan_name"] == "scan"
    before = path.stat()
    path.write_text(path.read_text().replace('"scan"', '"nacs"'))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert catalog["a"].metadata["start"]["plan_name"] == "nacs"


def test_a_file_that_is_appended_to_reads_up_to_its_last_whole_document(tmp_path):
    run = samples.scalars(events=6)
    lines = [json.dumps(pair) + "\n" for pair in run]
    path = tmp_path / "run.jsonl"
    catalog = _catalog(tmp_path)
    written = ""
    with path.open("w") as file:
        for number, line in enumerate(lines):
            file.write(line[:20])
            file.flush()
            if number > 2:
                assert len(catalog[-1]["primary"].read()["time"]) == number - 2
                assert catalog[-1].metadata["stop"] is None
                assert catalog.problems == {}
            file.write(line[20:])
            file.flush()
            written += line
    assert len(catalog[-1]["primary"].read()["time"]) == 6
    assert catalog[-1].metadata["stop"]["uid"] == run[-1][1]["uid"]


def test_only_what_was_appended_is_decoded(tmp_path, write_lines, monkeypatch):
    from databroker_like.drivers import _json

    run = samples.scalars(events=50)
    path = write_lines(tmp_path / "run.jsonl", run[:40])
    catalog = _catalog(tmp_path)
    assert len(catalog[-1]["primary"].read()["time"]) == 38
    begins = []
    true = _json._JSONReader.__init__
    monkeypatch.setattr(
        _json._JSONReader, "__init__", lambda self, path, offset=0: (begins.append(offset), true(self, path, offset))[0]
    )
    size = path.stat().st_size
    with path.open("a") as file:
        file.write("".join(json.dumps(pair) + "\n" for pair in run[40:]))
    assert len(catalog[-1]["primary"].read()["time"]) == 50
    assert size in begins


# -- broken files


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "empty"),
        (b"\n \n", "empty"),
        (b'["start", {"uid": "x", "ti', "truncated"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "not JSON"),
        (b"{}\n", "not \\[name, document\\]"),
        (b'["start", {"time": 1.0}]\n', "no document of a run"),
        (b'["start", {"uid": "x"}]\n', "no time"),
        (b'["start", {"uid": "x", "time": "noon"}]\n', "no time"),
        (b'["start", {"uid": "x", "time": NaN}]\n', "no time"),
        (b'["event", {"uid": "x", "time": 1.0}]\n', "no start document"),
        (b"[]", "no start document|empty"),
        (b"[[", "truncated or malformed"),
        (b"[" * 100_000, "truncated or malformed"),
        (b'["start", ' + b"[" * 100_000 + b"\n", "not JSON"),
        (gzip.compress(b"", mtime=0)[:5], "truncated|read"),
        (b"\x1f\x8bnot really gzip", "cannot be read"),
        (b'["start", 5]\n', "not \\[name, document\\]"),
        (b'[5, {}]\n["start", {"uid": "x"}]\n', "no time|kind"),
    ],
)
def test_a_broken_file_is_listed_with_the_reason_and_spoils_nothing_else(tmp_path, write_lines, content, problem):
    write_lines(tmp_path / "good.jsonl", _run("good"))
    bad = tmp_path / "bad.jsonl"
    bad.write_bytes(content)
    os.utime(bad, (1.6e9, 1.6e9))
    catalog = _catalog(tmp_path)
    with pytest.warns(UserWarning, match="bad.jsonl") as warned:
        assert list(catalog) == ["good"]
    assert len(warned) == 1
    assert list(catalog) == ["good"]  # and does not warn again
    assert list(catalog.problems) == [str(bad)]
    assert re.search(problem, catalog.problems[str(bad)])
    assert len(catalog["good"]["primary"].read()["time"]) == 2
    write_lines(bad, _run("mended", 5))
    assert list(catalog) == ["good", "mended"]
    assert catalog.problems == {}


def test_a_file_that_a_recorder_has_just_made_is_not_warned_of(tmp_path, write_lines):
    begun = tmp_path / "begun.jsonl"
    begun.touch()
    catalog = _catalog(tmp_path)
    assert list(catalog) == []
    assert catalog.problems == {str(begun): "empty"}
    write_lines(begun, _run("begun"))
    assert list(catalog) == ["begun"]
    assert catalog.problems == {}


@pytest.mark.parametrize("events", [8, 4000], ids=["small", "large"])
def test_a_run_is_read_up_to_the_line_that_is_malformed(tmp_path, events):
    run = samples.scalars(events=events)
    lines = [json.dumps(pair) for pair in run]
    lines[-3] = lines[-3][:50]
    path = tmp_path / "run.jsonl"
    path.write_text("\n".join(lines) + "\n")
    catalog = _catalog(tmp_path)
    line = len(lines) - 2
    with pytest.warns(UserWarning, match=f"line {line} is not JSON"):
        assert len(catalog[-1]["primary"].read()["time"]) == events - 2
    assert f"line {line}" in catalog.problems[str(path)]


def test_an_event_of_no_descriptor_ends_the_run_there_and_says_so(tmp_path, write_lines):
    run = samples.scalars(events=4)
    run[4][1]["descriptor"] = "nobody"
    write_lines(tmp_path / "run.jsonl", run)
    catalog = _catalog(tmp_path)
    with pytest.warns(UserWarning, match="line 5: event .* 'nobody'"):
        assert len(catalog[-1]["primary"].read()["time"]) == 2


def test_a_path_that_is_not_there_is_a_problem_but_not_an_error(tmp_path):
    catalog = BlueskyJSONLCatalog([str(tmp_path / "missing.jsonl"), str(tmp_path / "nothing*.jsonl")])
    assert list(catalog) == []
    assert catalog.problems == {str(tmp_path / "missing.jsonl"): "there is no such file"}


def test_a_file_deleted_while_a_run_is_in_hand_is_named(tmp_path, write_lines):
    path = write_lines(tmp_path / "run.jsonl", _run("a"))
    run = _catalog(tmp_path)["a"]
    stream = run["primary"]
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"run\.jsonl is not there any more"):
        stream.read()


# -- several


def test_of_one_run_in_two_files_the_more_complete_is_used_and_it_is_said_once(tmp_path, write_lines):
    run = samples.scalars(events=6, uid="a")
    write_lines(tmp_path / "whole.jsonl", run)
    write_lines(tmp_path / "part.jsonl", run[:-3])
    catalog = _catalog(tmp_path)
    with pytest.warns(UserWarning, match=r"run a is also in .*whole\.jsonl") as warned:
        found = [*catalog, *catalog]
    assert found == ["a", "a"]
    assert len(catalog["a"]["primary"].read()["time"]) == 6
    assert len(warned) == 1


@pytest.mark.parametrize("nested", [False, True], ids=["one after the other", "nested"])
@pytest.mark.parametrize("as_list", [False, True], ids=["lines", "list"])
def test_several_runs_in_one_file_are_several_runs(tmp_path, nested, as_list):
    one, other = samples.scalars(events=3, uid="one"), samples.several_streams(events=2, uid="other", time=5.0)
    documents = [*one[:3], *other, *one[3:]] if nested else [*one, *other]
    lines = [json.dumps(pair) for pair in documents]
    (tmp_path / "both.jsonl").write_text("[" + ",".join(lines) + "]" if as_list else "\n".join(lines))
    catalog = _catalog(tmp_path)
    assert list(catalog) == ["other", "one"]
    assert len(catalog["one"]["primary"].read()["time"]) == 3
    assert sorted(catalog["other"]) == ["baseline", "monitor", "primary"]
    assert catalog["one"].metadata["stop"]["run_start"] == "one"


def test_several_large_runs_in_one_file_are_found(tmp_path, write_lines):
    one, other = samples.scalars(events=1500, uid="one"), samples.scalars(events=1500, uid="other", time=5.0)
    path = write_lines(tmp_path / "both.jsonl", [*one, *other])
    assert path.stat().st_size > _format.SMALL
    assert list(_catalog(tmp_path)) == ["other", "one"]
    write_lines(path, [*one, *other[:-1]])
    assert list(_catalog(tmp_path)) == ["other", "one"]


def test_a_large_file_is_read_at_its_ends_only(tmp_path, write_lines, monkeypatch):
    run = samples.scalars(events=1500, uid="a")
    write_lines(tmp_path / "a.jsonl", run)
    write_lines(tmp_path / "b.jsonl", [("start", {**run[0][1], "uid": "b"}), *run[1:-1]])
    monkeypatch.setattr(JSONFormat, "_outline_of_all", lambda self, path: pytest.fail("read as a whole"))
    catalog = _catalog(tmp_path)
    assert catalog["a"].metadata["stop"] == run[-1][1]
    assert catalog["b"].metadata["stop"] is None


# -- the index


def _answers(catalog) -> list:
    return [
        (uid, dict(catalog.collection.start(uid)), catalog.collection.stop(uid), list(catalog.search({"scan_id": 2})))
        for uid in catalog
    ]


@pytest.fixture
def folder(tmp_path, write_lines, settle):
    place = tmp_path / "runs"
    place.mkdir()
    for number, uid in enumerate("abcdef"):
        write_lines(place / f"{uid}.jsonl", _run(uid, number, sample={"name": uid}, label="é"))
    write_lines(place / "g.jsonl", _run("g", 10)[:-1])
    settle(place)
    return place


def test_a_second_catalog_opens_without_reading_the_files(folder, monkeypatch):
    first = _answers(_catalog(folder))
    monkeypatch.setattr(JSONFormat, "outline", lambda self, path, size: pytest.fail(f"{path} was read"))
    catalog = _catalog(folder)
    (folder / "g.jsonl").unlink()  # still going on: never kept
    assert _answers(catalog) == first[:-1]


@pytest.mark.parametrize(
    "changed",
    [
        {"uid": "half \ud800"},
        {"label": "half \udfff"},
        {"half \udfff": 1},
        {"time": 10**30},
        {"scan_id": 2**80},
        {"label": float("nan")},
        {"label": "x" * 1000},
        {f"key {n}": n for n in range(300)},
    ],
    ids=["uid", "text", "key", "time", "number", "nan", "long", "many"],
)
def test_what_the_index_cannot_hold_changes_no_answer(folder, settle, changed):
    run = [("start", {**_run("odd", 3)[0][1], **changed})]
    (folder / "odd.jsonl").write_text("\n".join(json.dumps(pair) for pair in run))
    settle(folder)

    def answers():
        catalog = _catalog(folder)
        starts = {uid: repr(dict(catalog.collection.start(uid))) for uid in catalog}
        return (
            starts,
            list(catalog.search({"label": "é"})),
            list(catalog.search({"key 299": 299})),
            list(catalog.search({"half \udfff": 1})),
        )

    first = answers()
    assert len(first[0]) == 8
    assert answers() == first


def test_a_file_from_before_1970_is_indexed(folder):
    os.utime(folder / "a.jsonl", ns=(-(10**9), -(10**9)))
    assert len(_catalog(folder)) == len(_catalog(folder)) == 7


def _damages():
    yield "deleted", lambda path, whole: path.unlink()
    yield "empty", lambda path, whole: path.write_bytes(b"")
    for cut in (1, 20, 60, 300):
        yield f"cut {cut}", lambda path, whole, cut=cut: path.write_bytes(whole[:-cut])
    yield "something else", lambda path, whole: path.write_bytes(os.urandom(3000))
    yield "twice", lambda path, whole: path.write_bytes(whole * 2)
    yield "of another catalog", lambda path, whole: path.write_bytes(whole.replace(b"JSON lines", b"NOSJ lines"))


@pytest.mark.parametrize("damage", [pytest.param(d, id=n) for n, d in _damages()])
def test_damage_to_the_index_changes_no_answer(folder, cache, damage):
    expected = _answers(_catalog(folder))
    (path,) = (cache / "runs").iterdir()
    damage(path, path.read_bytes())
    assert _answers(_catalog(folder)) == expected
    assert _answers(_catalog(folder)) == expected


def test_any_flipped_byte_of_the_index_changes_no_answer(folder, cache):
    expected = _answers(_catalog(folder))
    (path,) = (cache / "runs").iterdir()
    whole = path.read_bytes()
    for position in range(0, len(whole), 37):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x55]) + whole[position + 1 :])
        assert _answers(_catalog(folder)) == expected, position


def test_damage_while_it_is_in_use_changes_no_answer(folder, cache):
    expected = _answers(_catalog(folder))
    catalog = _catalog(folder)
    assert len(catalog) == 7
    (path,) = (cache / "runs").iterdir()
    with path.open("r+b") as file:
        file.truncate(200)
    assert _answers(catalog) == expected


def test_a_cache_that_cannot_be_written_changes_no_answer(folder, tmp_path, monkeypatch):
    expected = _answers(_catalog(folder))
    (tmp_path / "file").write_text("a file where the folder of caches would be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert _answers(_catalog(folder)) == expected


def test_an_index_grows_by_parts_and_is_made_anew_now_and_then(folder, cache, write_lines, settle, monkeypatch):
    for number in range(40):
        write_lines(folder / f"n{number}.jsonl", _run(f"n{number}", 100 + number))
        settle(folder)
        assert len(_catalog(folder)) == 8 + number
    assert len(_answers(_catalog(folder))) == 47
    assert len(list((cache / "runs").iterdir())) == 1


def test_processes_share_an_index(folder, write_lines):
    code = (
        "import sys\n"
        "from databroker_like.drivers.jsonl import BlueskyJSONLCatalog\n"
        "for _ in range(30):\n"
        "    c = BlueskyJSONLCatalog(sys.argv[1] + '/*.jsonl')\n"
        "    assert [c.collection.start(u)['uid'] for u in c] == list(c)\n"
        "    assert {'a', 'b', 'g'} <= set(c), list(c)\n"
    )
    workers = [subprocess.Popen([sys.executable, "-c", code, str(folder)], stderr=subprocess.PIPE) for _ in range(2)]
    for number in range(40):
        write_lines(folder / f"n{number}.jsonl", _run(f"n{number}", 100 + number))
        assert len(_catalog(folder)) == 8 + number
    for worker in workers:
        _, said = worker.communicate(timeout=300)
        assert worker.returncode == 0, said.decode()


def test_a_collection_pickles_as_its_paths(folder):
    collection = _catalog(folder).collection
    assert collection.count() == 7
    raw = pickle.dumps(collection)
    assert len(raw) < 2000
    assert list(pickle.loads(raw).find()) == list(collection.find())


# -- search


@pytest.mark.parametrize(
    "query",
    [
        {"scan_id": 2},
        {"scan_id": 2.0},
        {"label": "é"},
        {"sample": {"name": "c"}},
        {"sample.name": "c"},
        {"sample": {"$exists": True}},
        {"nothing": None},
        {"$nor": [{"scan_id": {"$lt": 3}}, {"sample.name": "d"}]},
        {"$or": [{"uid": "a"}, {"sample.name": {"$in": ["b", "c"]}}]},
        {"plan_name": {"$ne": "scan"}},
        {"scan_id": {"$not": {"$gt": 2}}},
    ],
)
def test_a_search_by_facets_finds_what_a_search_of_whole_documents_finds(folder, query):
    _catalog(folder).collection.count()
    collection = _catalog(folder).collection  # from the index
    node = parse(query)
    assert list(collection.find(node)) == [uid for uid, start in collection.starts().items() if node.matches(start)]
