"""A catalog of runs is a tree: found by page, searched by its storage, and with the values that reading gives."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from databroker_like import queries
from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.drivers.in_memory import BlueskyInMemoryCatalog
from databroker_like.drivers.jsonl import BlueskyJSONLCatalog
from databroker_like.errors import InvalidQuery, MissingFile, NoSuchHandler, OutOfRange
from databroker_like.nodes import ArrayNode, TableNode, find
from databroker_like.nodes.runs import RunNode, RunsNode, StreamNode
from databroker_like.store._collection import StoreCollection
from databroker_like.store._layout import run_layout
from databroker_like.structures import Spec
from databroker_like.testing import _runs as samples

KINDS = ("embedded", "jsonl", "in_memory")


def _catalog(kind: str, folder: Path) -> Any:
    if kind == "embedded":
        return BlueskyEmbeddedCatalog(str(folder / "store"))
    return BlueskyJSONLCatalog(str(folder / "*.jsonl")) if kind == "jsonl" else BlueskyInMemoryCatalog()


def _insert(catalog: Any, documents: Any) -> None:
    for name, doc in documents:
        catalog.v1.insert(name, doc)


@pytest.fixture(params=KINDS)
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    found = _catalog(request.param, tmp_path)
    for number in range(12):
        plan = ("scan", "count")[number % 2]
        claimed = {"tiled_specs": [{"name": "XAS", "version": "1"}]} if number == 3 else {}
        run = samples.scalars(3, uid=f"run-{number}", time=1000.0 + number, scan_id=number, plan_name=plan, **claimed)
        _insert(found, run)
    yield found
    found.close()


def test_runs_are_listed_page_by_page_in_the_order_of_time(catalog: Any) -> None:
    node = RunsNode(catalog)
    uids = [f"run-{number}" for number in range(12)]
    assert node.specs == (Spec("CatalogOfBlueskyRuns", "3.0"),)
    assert node.metadata == {}
    assert node.count() == node.structure().count == 12
    assert list(node.keys()) == uids
    assert list(node.keys(3, 4)) == [key for key, _ in node.items(3, 4)] == uids[3:7]
    assert (
        list(node.sorted([("", -1)]).keys(0, 2)) == list(node.sorted([("start.time", -1)]).keys(0, 2)) == uids[:-3:-1]
    )


def test_other_orders_have_numbers_as_numbers(catalog: Any) -> None:
    node = RunsNode(catalog)
    backwards = node.sorted([("start.scan_id", -1)])
    assert list(backwards.keys(0, 3)) == ["run-11", "run-10", "run-9"]
    assert [key for key, _ in backwards.items(1, 2)] == ["run-10", "run-9"]
    by_plan = node.sorted([("start.plan_name", 1), ("start.scan_id", -1)])
    assert list(by_plan.keys(0, 2)) == ["run-11", "run-9"]
    assert by_plan.sorting == (("start.plan_name", 1), ("start.scan_id", -1))


@pytest.mark.parametrize("key", ["scan_id", "time", "nope", "start", "start.stop.x"])
def test_runs_are_not_sorted_by_what_no_run_has(catalog: Any, key: str) -> None:
    with pytest.raises(InvalidQuery, match=f"'{key}' is no key in the metadata of a run.*'start.plan_name'"):
        RunsNode(catalog).sorted([("start.scan_id", 1), (key, -1)])


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        (queries.Eq("start.plan_name", "count"), [1, 3, 5, 7, 9, 11]),
        (queries.Comparison("ge", "start.scan_id", 10), [10, 11]),
        (queries.Eq("stop.exit_status", "success"), list(range(12))),
        (queries.KeyLookup("run-4"), [4]),
        (queries.KeysFilter(["run-4", "run-7"]), [4, 7]),
        (queries.SpecsQuery(["BlueskyRun"]), list(range(12))),
        (queries.SpecsQuery(["XAS", "BlueskyRun"]), [3]),
        (queries.SpecsQuery([], ["XAS"]), [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11]),
        (queries.SpecsQuery([], ["BlueskyRun"]), []),
        (queries.StructureFamilyQuery("container"), list(range(12))),
        (queries.StructureFamilyQuery("array"), []),
    ],
)
def test_a_search_is_answered_by_the_storage(catalog: Any, query: Any, numbers: list[int]) -> None:
    found = RunsNode(catalog).search(query)
    assert list(found.keys()) == [f"run-{number}" for number in numbers]
    assert found.count() == len(numbers)
    assert all((found.get(f"run-{number}") is not None) == (number in numbers) for number in range(12))


def test_searches_follow_one_another_and_start_from_what_the_catalog_has(catalog: Any) -> None:
    node = RunsNode(catalog.search({"plan_name": "scan"}))
    assert node.count() == 6
    assert node.get("run-1") is None
    assert list(node.search(queries.Comparison("lt", "start.scan_id", 3)).keys()) == ["run-0", "run-2"]
    with pytest.raises(InvalidQuery, match="'start' and 'stop'"):
        node.search(queries.Eq("plan_name", "scan"))


def test_different_values_are_counted(catalog: Any) -> None:
    node = RunsNode(catalog)
    assert node.distinct("start.plan_name") == [("count", 6), ("scan", 6)]
    assert node.distinct_families() == [("container", 12)]
    both = (Spec("XAS", "1"), Spec("BlueskyRun", "3.0"))
    assert node.distinct_specs() == [((Spec("BlueskyRun", "3.0"),), 11), (both, 1)]
    assert node.search(queries.KeyLookup("run-0")).distinct_specs() == [((Spec("BlueskyRun", "3.0"),), 1)]
    assert node.search(queries.KeyLookup("nothing")).distinct_families() == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sample", samples.SAMPLES)
def test_a_run_lies_in_the_tree_as_its_layout_says(kind: str, sample: str, tmp_path: Path) -> None:
    documents = samples.SAMPLES[sample]()
    catalog = _catalog(kind, tmp_path)
    _insert(catalog, documents)
    uid = documents[0][1]["uid"]
    run = RunsNode(catalog).get(uid)
    assert isinstance(run, RunNode)
    _same_tree(run, catalog[uid])
    told = [(name, dict(doc)) for name, doc in run.documents(fill="no")]
    assert told == [(name, dict(doc)) for name, doc in catalog[uid].documents(fill="no")]
    catalog.close()


def test_recorded_runs_lie_in_the_tree(shared_data: Path) -> None:
    catalog = BlueskyJSONLCatalog(str(shared_data / "edge-scans-jsonl" / "*.jsonl"))
    node = RunsNode(catalog)
    assert node.count() > 0
    for uid, run in node.items():
        _same_tree(run, catalog[uid])


def _same_tree(run: RunNode, read: Any) -> None:
    layout = run_layout(read.source)
    assert (run.metadata, run.specs) == (layout.metadata, layout.specs)
    assert list(run.keys()) == list(layout.streams)
    for name, stream in run.items():
        wanted = layout.streams[name]
        assert isinstance(stream, StreamNode)
        assert (stream.metadata, stream.specs) == (wanted.metadata, wanted.specs)
        assert list(stream.keys()) == list(wanted.nodes)
        for key, leaf in stream.items():
            if isinstance(leaf, TableNode):
                table = wanted.tables[key]
                assert leaf.read().equals(table.read())
                assert leaf.structure().schema.equals(table.schema, check_metadata=True)
                assert leaf.read_partition(0).num_rows == table.rows
            else:
                assert isinstance(leaf, ArrayNode)
                found = leaf.structure()
                assert tuple(map(sum, found.chunks)) == found.shape
                try:
                    values = wanted.arrays[key].read()
                except NoSuchHandler:  # described all the same
                    with pytest.raises(NoSuchHandler):
                        leaf.read()
                else:
                    np.testing.assert_array_equal(leaf.read(), values)
            assert leaf.metadata == wanted.nodes[key].metadata


def test_a_column_of_events_is_read_in_parts(catalog: Any) -> None:
    column = find(RunsNode(catalog), ["run-0", "primary", "internal", "seq_num"])
    assert isinstance(column, ArrayNode)
    assert column.structure().shape == (3,)
    whole = np.array([1, 2, 3])
    for index in (0, -1, slice(1, None), slice(None, None, -1), slice(2, 0, -2), slice(5, 9)):
        np.testing.assert_array_equal(column.read((index,)), whole[index])
    with pytest.raises(OutOfRange):
        column.read((3,))


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_is_followed_while_it_goes_on(kind: str, tmp_path: Path) -> None:
    catalog = _catalog(kind, tmp_path)
    documents = samples.scalars(4, uid="growing")
    node = RunsNode(catalog)
    assert node.get("growing") is None
    _insert(catalog, documents[:1])
    run = node.get("growing")
    assert run is not None
    assert (list(run.metadata), run.count(), run.version) == (["start"], 0, None)
    _insert(catalog, documents[1:4])
    assert find(node, ["growing", "primary", "internal"]).read().num_rows == 2  # type: ignore[attr-defined]
    _insert(catalog, documents[4:])
    run = node.get("growing")
    assert run is not None
    assert list(run.metadata) == ["start", "stop"]
    assert find(node, ["growing", "primary", "internal"]).read().num_rows == 4  # type: ignore[attr-defined]
    catalog.close()


def test_a_run_that_is_amended_or_deleted_is_not_what_it_was(tmp_path: Path) -> None:
    catalog = _catalog("embedded", tmp_path)
    _insert(catalog, samples.scalars(2, uid="one"))
    node = RunsNode(catalog)
    run = node.get("one")
    assert run is not None
    assert node.get("one") is run
    before = run.version
    assert before is not None
    catalog.amend("one", {"start": {"sample": "gold"}}, reason="it was forgotten")
    run = node.get("one")
    assert run is not None
    assert run.metadata["start"]["sample"] == "gold"
    assert run.version not in (None, before)
    catalog.delete("one")
    assert node.get("one") is None
    catalog.close()


def test_transforms_of_the_catalog_apply(tmp_path: Path) -> None:
    catalog = BlueskyEmbeddedCatalog(str(tmp_path / "store"), transforms={"start": _golden})
    _insert(catalog, samples.scalars(1, uid="one"))
    run = RunsNode(catalog).get("one")
    assert run is not None
    assert run.metadata["start"]["sample"] == "gold"
    catalog.close()


def _golden(doc: dict[str, Any]) -> dict[str, Any]:
    return {**doc, "sample": "gold"}


def test_a_file_that_is_gone_is_still_described(tmp_path: Path) -> None:
    catalog = _catalog("embedded", tmp_path)
    files = tmp_path / "images"
    files.mkdir()
    _insert(catalog, samples.external(files, uid="one"))
    image = find(RunsNode(catalog), ["one", "primary", "image"])
    assert isinstance(image, ArrayNode)
    found = image.structure()
    assert image.read((1, 0, 0)) == image.read_block((0, 0, 0), (1, 0, 0)) == 1
    for file in files.iterdir():
        file.unlink()
    gone = find(RunsNode(catalog), ["one", "primary", "image"])
    assert isinstance(gone, ArrayNode)
    assert (gone.structure().shape, gone.structure().dims) == (found.shape, found.dims)
    with pytest.raises(MissingFile):
        gone.read()
    catalog.close()


def test_many_threads_ask_at_once(catalog: Any) -> None:
    node = RunsNode(catalog)
    wrong: list[object] = []

    def ask(first: int) -> None:
        for number in range(24):
            uid = f"run-{(first + number) % 12}"
            run = node.get(uid)
            if run is None or run.metadata["start"]["uid"] != uid or run.get("primary").count() != 1:  # type: ignore
                wrong.append(uid)

    threads = [threading.Thread(target=ask, args=(first,)) for first in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_page_does_not_ask_for_all_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = _catalog("embedded", tmp_path)
    for number in range(5):
        _insert(catalog, samples.scalars(1, uid=f"run-{number}", time=float(number)))
    collection = catalog.collection

    def refuse(*args: Any) -> None:
        raise AssertionError("all start documents were asked for")

    monkeypatch.setattr(collection, "starts", refuse)
    node = RunsNode(catalog)
    assert list(node.keys(1, 2)) == ["run-1", "run-2"]
    assert len(list(node.items(0, 2))) == 2
    assert node.search(queries.Eq("start.plan_name", "nothing")).count() == 0
    assert node.get("run-4") is not None
    catalog.close()


def test_a_page_of_runs_tells_how_many_streams_each_has(catalog: Any) -> None:
    start, descriptor, *rest = samples.scalars(2, uid="two", time=2000.0)
    baseline = ("descriptor", {**descriptor[1], "uid": "d-baseline", "name": "baseline"})
    _insert(catalog, [start, descriptor, baseline, *rest])
    stop = {"uid": "s", "run_start": "none", "time": 2002.0, "exit_status": "fail"}
    _insert(catalog, [("start", {"uid": "none", "time": 2001.0}), ("stop", stop)])
    node = RunsNode(catalog)
    count, page = node.page(10, 10)
    assert count == 14
    counted = {uid: run.count() for uid, run in page}
    assert counted == {uid: len(list(run.keys())) for uid, run in page}
    assert counted == {"run-10": 1, "run-11": 1, "two": 2, "none": 0}
    assert RunsNode(catalog).page(14, 5) == (14, [])


def test_the_streams_of_a_run_that_goes_on_are_counted_as_they_come(tmp_path: Path) -> None:
    catalog = _catalog("embedded", tmp_path)
    start, descriptor, *_ = samples.scalars(2, uid="run", time=1.0)
    _insert(catalog, [start])
    ((_, run),) = RunsNode(catalog).page(0, 1)[1]
    assert run.count() == 0
    _insert(catalog, [descriptor])
    assert run.count() == 1
    catalog.close()


def test_only_what_was_recorded_is_counted_without_a_look_at_each_run(tmp_path: Path) -> None:
    catalog = _catalog("embedded", tmp_path)
    assert catalog.collection.stream_counts({}) == {}
    for number in range(3):
        _insert(catalog, samples.scalars(2, uid=f"run-{number}", time=1000.0 + number))
    start, (_, descriptor), *rest = samples.scalars(1, uid="old", time=5.0)
    nameless = {key: value for key, value in descriptor.items() if key != "name"}
    _insert(catalog, [start, ("descriptor", nameless), *rest])
    with pytest.warns(UserWarning, match="no 'name'"):
        assert RunsNode(catalog).page(0, 1)[1][0][1].count() == 1
    catalog["run-1"].amend({"start": {"sample": "gold"}}, reason="it was")
    versions = {uid: catalog.collection.version(uid) for uid in ("run-0", "run-1", "run-2", "old")}
    assert catalog.collection.stream_counts(versions) == {"run-0": 1, "run-2": 1}
    assert [run.count() for _, run in RunsNode(catalog).page(1, 5)[1]] == [1, 1, 1]
    catalog.close()


def test_a_run_that_is_deleted_while_it_is_listed_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog, tell = _catalog("embedded", tmp_path), StoreCollection.version
    for number in range(4):
        _insert(catalog, samples.scalars(2, uid=f"run-{number}", time=1000.0 + number))
    gone: list[str] = []

    def version(self: StoreCollection, uid: str) -> Any:
        if uid == "run-0":
            catalog.delete(gone[-1])
        self._seen = None  # as when another thread lists runs, too
        return tell(self, uid)

    monkeypatch.setattr(StoreCollection, "version", version)
    gone.append("run-1")
    assert [uid for uid, _ in RunsNode(catalog).page(0, 9)[1]] == ["run-0", "run-2", "run-3"]
    gone.append("run-2")
    assert [uid for uid, _ in RunsNode(catalog).items()] == ["run-0", "run-3"]
    catalog.close()


def test_streams_that_a_transform_names_are_asked_for(tmp_path: Path) -> None:
    def renamed(doc: Any) -> Any:
        return {**doc, "name": "same"}

    _insert(_catalog("embedded", tmp_path), samples.scalars(2, uid="run", time=1.0))
    catalog = BlueskyEmbeddedCatalog(str(tmp_path / "store"), transforms={"descriptor": renamed})
    ((_, run),) = RunsNode(catalog).page(0, 5)[1]
    assert (run.count(), list(run.keys())) == (1, ["same"])
    catalog.close()
