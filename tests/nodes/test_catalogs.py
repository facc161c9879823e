"""A catalog file is a tree: each source a node, what fails is seen as that, and what changes shows."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from databroker_like import v2
from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.errors import InvalidCatalog
from databroker_like.nodes import ArrayNode, ContainerNode, TableNode, _held_source, find
from databroker_like.nodes.catalogs import BROKEN, BrokenNode, CatalogNode
from databroker_like.nodes.runs import RunNode, RunsNode
from databroker_like.queries import Eq, KeyLookup
from databroker_like.testing import _runs as samples

SOURCES = """
description: What the laboratory has
metadata: {laboratory: north}
sources:
  runs:
    description: Recorded here
    driver: bluesky-embedded-catalog
    metadata: {beamline: 3}
    args: {path: "{{ CATALOG_DIR }}/store"}
  one: {driver: csv, args: {urlpath: "{{ CATALOG_DIR }}/a.csv"}}
  several: {driver: csv, args: {urlpath: "{{ CATALOG_DIR }}/?.csv", csv_kwargs: {usecols: [x]}}}
  listed: {driver: csv, args: {urlpath: ["{{ CATALOG_DIR }}/b.csv", "{{ CATALOG_DIR }}/a.csv"], sep: ","}}
  document: {driver: jsonfiles, args: {urlpath: "{{ CATALOG_DIR }}/d.json"}}
  records: {driver: jsonfiles, args: {urlpath: "{{ CATALOG_DIR }}/r.json"}}
  text: {driver: textfiles, args: {urlpath: "{{ CATALOG_DIR }}/*.txt"}}
  array: {driver: numpy, args: {path: "{{ CATALOG_DIR }}/m.npy"}}
  arrays: {driver: numpy, args: {path: ["{{ CATALOG_DIR }}/m.npy", "{{ CATALOG_DIR }}/n.npy"]}}
  zarr: {driver: ndzarr, args: {urlpath: "{{ CATALOG_DIR }}/z.zarr"}}
  inner: {driver: yaml_file_cat, args: {path: "{{ CATALOG_DIR }}/inner.yml"}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    store = BlueskyEmbeddedCatalog(tmp_path / "store")
    for name, doc in samples.scalars(3, uid="one"):
        store.insert(name, doc)
    store.close()
    pd.DataFrame({"x": [1, 2], "name": ["a", "b"]}).to_csv(tmp_path / "a.csv", index=False)
    pd.DataFrame({"x": [3], "name": ["c"]}).to_csv(tmp_path / "b.csv", index=False)
    (tmp_path / "d.json").write_text(json.dumps({"gain": 3, "motors": ["x", "y"]}))
    (tmp_path / "r.json").write_text(json.dumps([{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]))
    (tmp_path / "s.txt").write_text("one\ntwo\n")
    (tmp_path / "t.txt").write_text("three")
    np.save(tmp_path / "m.npy", np.arange(6).reshape(2, 3))
    np.save(tmp_path / "n.npy", np.arange(6, 12).reshape(2, 3))
    zarr = pytest.importorskip("zarr")
    made = zarr.open(str(tmp_path / "z.zarr"), mode="w", shape=(4, 6), chunks=(2, 3), dtype="i4")
    made[:] = np.arange(24).reshape(4, 6)
    (tmp_path / "inner.yml").write_text('sources: {deep: {driver: csv, args: {urlpath: "{{ CATALOG_DIR }}/a.csv"}}}')
    return tmp_path


@pytest.fixture(autouse=True)
def _looks_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found out is not kept for a second, as it is otherwise."""
    monkeypatch.setattr(_held_source, "FAILED_FOR", 0.0)
    monkeypatch.setattr(_held_source, "WELL_FOR", 0.0)


def _tree(folder: Path, text: str) -> CatalogNode:
    (folder / "lab.yml").write_text(text)
    return CatalogNode.of_file(folder / "lab.yml")


@pytest.fixture
def tree(folder: Path) -> Iterator[CatalogNode]:
    with _tree(folder, SOURCES) as made:
        yield made


def _table(node: Any) -> dict[str, list[Any]]:
    assert isinstance(node, TableNode), getattr(node, "metadata", node)
    found: dict[str, list[Any]] = node.read().to_pydict()
    assert node.read_partition(0).num_columns == len(node.structure().columns)
    return found


def test_each_source_is_a_node_of_its_kind(tree: CatalogNode) -> None:
    assert list(tree.keys()) == [
        *("runs", "one", "several", "listed", "document", "records", "text", "array", "arrays", "zarr", "inner")
    ]
    assert tree.count() == tree.structure().count == 11
    assert tree.metadata == {"laboratory": "north", "description": "What the laboratory has"}
    assert _table(tree.get("one")) == {"x": [1, 2], "name": ["a", "b"]}
    assert _table(tree.get("several")) == {"x": [1, 2, 3]}
    assert _table(tree.get("listed")) == {"x": [3, 1, 2], "name": ["c", "a", "b"]}
    assert _table(tree.get("records")) == {"a": [1, 2], "b": ["x", "y"]}
    assert _table(tree.get("text")) == {"text": ["one", "two", "three"]}
    document = tree.get("document")
    assert isinstance(document, ContainerNode)
    assert (document.metadata, document.count()) == ({"gain": 3, "motors": ["x", "y"]}, 0)
    for name, wanted in {
        "array": np.arange(6).reshape(2, 3),
        "arrays": np.arange(12).reshape(2, 2, 3),
        "zarr": np.arange(24, dtype="i4").reshape(4, 6),
    }.items():
        node = tree.get(name)
        assert isinstance(node, ArrayNode), name
        np.testing.assert_array_equal(node.read(), wanted)
        np.testing.assert_array_equal(node.read((1, slice(None, None, 2))), wanted[1, ::2])
        assert node.structure().data_type.to_numpy_dtype() == wanted.dtype
    zarr = tree.get("zarr")
    assert isinstance(zarr, ArrayNode)
    assert zarr.structure().chunks == ((2, 2), (3, 3))


def test_runs_are_runs_with_what_the_file_says_of_them(tree: CatalogNode) -> None:
    runs = tree.get("runs")
    assert isinstance(runs, RunsNode)
    assert runs.metadata == {"beamline": 3, "description": "Recorded here"}
    assert runs.specs[0].name == "CatalogOfBlueskyRuns"
    assert isinstance(find(tree, ["runs", "one"]), RunNode)


def test_a_catalog_in_a_catalog_is_a_container(tree: CatalogNode) -> None:
    assert _table(find(tree, ["inner", "deep"])) == {"x": [1, 2], "name": ["a", "b"]}


def test_only_what_is_asked_for_is_opened(tree: CatalogNode, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []
    make = _held_source.node_of_source
    monkeypatch.setattr(_held_source, "node_of_source", lambda *args: opened.append(args[0]) or make(*args))
    assert list(tree.keys(2, 2)) == ["several", "listed"]
    assert list(tree.sorted([("", -1)]).keys(0, 2)) == ["inner", "zarr"]
    assert opened == []
    tree.get("one")
    tree.get("one")
    assert len(opened) == 1
    assert [key for key, _ in tree.items(1, 2)] == ["one", "several"]
    assert len(opened) == 2


def test_it_is_searched_and_sorted_as_any_container(tree: CatalogNode) -> None:
    assert list(tree.search(Eq("beamline", 3)).keys()) == ["runs"]
    assert list(tree.search(KeyLookup("text")).keys()) == ["text"]
    assert tree.search(Eq("beamline", 4)).count() == 0
    assert next(iter(tree.sorted([("gain", 1)]).keys())) == "document"
    assert tree.distinct("beamline")[0][0] is None
    with pytest.raises(ValueError, match="1 or -1"):
        tree.sorted([("gain", 2)])


FAULTY = """
sources:
  good: {driver: csv, args: {urlpath: "{{ CATALOG_DIR }}/a.csv"}}
  unknown: {driver: no-such-driver, args: {}}
  wrong: {driver: bluesky-embedded-catalog, args: {paht: x}}
  gone: {driver: csv, description: Was here, args: {urlpath: "{{ CATALOG_DIR }}/gone.csv"}}
  pickled: {driver: numpy, args: {path: "{{ CATALOG_DIR }}/pickled.npy"}}
  unset: {driver: csv, args: {urlpath: "{{ env(NOBODY_SET_THIS) }}/a.csv"}}
  inner: {driver: yaml_file_cat, args: {path: "{{ CATALOG_DIR }}/inner.yml"}}
  last: {driver: csv, args: {urlpath: "{{ CATALOG_DIR }}/b.csv"}}
"""


def test_a_template_that_cannot_be_filled_in_is_told_by_the_argument_it_stands_in(folder: Path) -> None:
    sources = """
sources:
  division: {driver: csv, args: {urlpath: "{{ CATALOG_DIR }}/{{ 1/0 }}", csv_kwargs: {sep: "{{ ',' }}"}}}
  inside: {driver: csv, args: {urlpath: "{{ CATALOG_DIR }}/a.csv", csv_kwargs: {sep: "{{ 'a' + 1 }}"}}}
  server: {driver: tiled_cat, args: {server: "{{ 1 % 0 }}"}}
"""
    with _tree(folder, sources) as tree:
        errors = {name: node.metadata["error"] for name, node in tree.items()}
    start = "the template of {} below 'args' cannot be filled in: {}: "
    assert list(errors) == ["division", "inside", "server"]
    assert errors["division"].startswith(start.format("'urlpath'", "ZeroDivisionError"))
    assert errors["inside"].startswith(start.format("'csv_kwargs'", "TypeError"))
    assert errors["server"].startswith(start.format("'server'", "ZeroDivisionError"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[1, 2], [3]]", "lists of different lengths"),
        ('[[1], "a"]', "lists of different lengths, or of lists and other values"),
        ('[{"a": 1, "b": 1}, {"a": 2, "b": "x"}]', "under 'b' is of no one type"),
        ('[{"a": [1, 2]}, {"a": [[1]]}]', "under 'a' is of no one type"),
        ('[{"a": {"b": 1}}, {"a": 2}]', "under 'a' is of no one type"),
        ('[{"a": 36893488147419103232}]', "under 'a' is of no one type"),
    ],
)
def test_json_that_makes_neither_array_nor_table_is_told_in_words_of_ours(folder: Path, text: str, said: str) -> None:
    (folder / "odd.json").write_text(text)
    with _tree(folder, 'sources:\n  odd: {driver: jsonfiles, args: {urlpath: "{{ CATALOG_DIR }}/odd.json"}}\n') as tree:
        error = tree.get("odd").metadata["error"]
    assert said in error
    assert "inhomogeneous" not in error


def test_a_source_that_fails_is_seen_as_that_and_the_rest_is_served(folder: Path) -> None:
    np.save(folder / "pickled.npy", np.array([{}], dtype=object), allow_pickle=True)
    (folder / "inner.yml").write_text(
        'sources: {bad: {driver: nothing}, deep: {driver: csv, args: {urlpath: "{{ CATALOG_DIR }}/a.csv"}}}'
    )
    with _tree(folder, FAULTY) as tree:
        names = ["good", "unknown", "wrong", "gone", "pickled", "unset", "inner", "last"]
        assert list(tree.keys()) == names
        nodes = dict(tree.items())
        assert list(nodes) == names
        broken = {name: node.metadata["error"] for name, node in nodes.items() if isinstance(node, BrokenNode)}
        assert list(broken) == ["unknown", "wrong", "gone", "pickled", "unset"]
        assert "no driver 'no-such-driver'" in broken["unknown"]
        assert "'paht'" in broken["wrong"]
        assert "there is no file 'gone.csv'" in broken["gone"]
        assert "pickled objects are never loaded" in broken["pickled"]
        assert nodes["gone"].metadata["description"] == "Was here"
        assert nodes["gone"].specs == (BROKEN,)
        assert isinstance(nodes["gone"], ContainerNode)
        assert nodes["gone"].count() == 0
        for error in broken.values():
            assert str(folder) not in error
            assert "Traceback" not in error
        assert _table(tree.get("good")) == {"x": [1, 2], "name": ["a", "b"]}
        assert _table(tree.get("last")) == {"x": [3], "name": ["c"]}
        assert isinstance(find(tree, ["inner", "bad"]), BrokenNode)
        assert _table(find(tree, ["inner", "deep"])) == {"x": [1, 2], "name": ["a", "b"]}
        # What failed is there as soon as it can be opened.
        pd.DataFrame({"x": [9]}).to_csv(folder / "gone.csv", index=False)
        assert _table(tree.get("gone")) == {"x": [9]}


MISTAKEN = """
sources:
  empty: {driver: csv}
  unnamed: {driver: jsonfiles, args: {}}
  elsewhere: {driver: tiled_cat, args: {uri: "http://127.0.0.1:9"}}
  nowhere: {driver: tiled_cat}
  cut: {driver: jsonfiles, args: {urlpath: "{{ CATALOG_DIR }}/cut.json"}}
  binary: {driver: jsonfiles, args: {urlpath: "{{ CATALOG_DIR }}/binary.json"}}
  blank: {driver: csv, args: {urlpath: "{{ CATALOG_DIR }}/blank.csv"}}
  odd: {driver: csv, args: {urlpath: "{{ CATALOG_DIR }}/a.csv", colour: red}}
  folder: {driver: ndzarr, args: {urlpath: "{{ CATALOG_DIR }}/plain"}}
  runs: {driver: bluesky-embedded-catalog, args: {path: "{{ CATALOG_DIR }}/nothing"}}
"""


def test_what_is_wrong_with_a_source_is_said_in_a_sentence(folder: Path) -> None:
    (folder / "cut.json").write_text('{"a": ')
    (folder / "binary.json").write_bytes(b"\xff\xfe{")
    (folder / "blank.csv").write_text("")
    (folder / "plain").mkdir()
    (folder / "plain" / "x.txt").write_text("x")
    with _tree(folder, MISTAKEN) as tree:
        said = {name: str(node.metadata.get("error")) for name, node in tree.items()}
        assert said["empty"] == "'csv' needs 'urlpath' below 'args'"
        assert said["unnamed"] == "'jsonfiles' needs 'urlpath' below 'args'"
        needed = "'tiled_cat' needs 'server' below 'args', the address of a server such as http://localhost:8000"
        assert (said["elsewhere"], said["nowhere"]) == (f"{needed}; it has 'uri'", needed)
        assert said["cut"].startswith("'cut.json' cannot be read as one document of JSON: Expecting value")
        assert said["binary"].startswith("'binary.json' cannot be read as one document of JSON: 'utf-8'")
        assert said["blank"].startswith("'blank.csv' cannot be read as CSV: ")
        assert "not taken by the reader of CSV: " in said["odd"]
        assert "'colour'" in said["odd"]
        assert said["folder"] == "'plain' cannot be read as an array of Zarr: there is none in it"
        assert said["runs"] == "there is no folder 'nothing', which should be that of a store"
        assert not (folder / "nothing").exists()


def test_a_store_is_there_as_soon_as_it_is_made_and_broken_when_it_is_deleted(folder: Path) -> None:
    with _tree(
        folder, 'sources: {runs: {driver: bluesky-embedded-catalog, args: {path: "{{ CATALOG_DIR }}/new"}}}'
    ) as tree:
        assert isinstance(tree.get("runs"), BrokenNode)
        (folder / "new").mkdir()
        assert isinstance(tree.get("runs"), RunsNode)
        (folder / "new").rmdir()
        assert isinstance(tree.get("runs"), BrokenNode)


def test_runs_are_not_searched_for_one_that_is_called_as_an_attribute(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(v2, "find_uid", lambda collection, query, key: asked.append(key) or "")
    sources = 'sources: {runs: {driver: bluesky-jsonl-catalog, args: {paths: "{{ CATALOG_DIR }}/*.jsonl"}}}'
    with _tree(folder, sources) as tree:
        assert type(tree.get("runs")) is RunsNode
    assert asked == []


def test_a_server_that_is_away_keeps_nothing_else_from_being_listed(folder: Path) -> None:
    text = """
sources:
  away: {driver: tiled_cat, args: {server: "http://127.0.0.1:9"}}
  here: {driver: csv, args: {urlpath: "{{ CATALOG_DIR }}/a.csv"}}
"""
    with _tree(folder, text) as tree:
        nodes = dict(tree.items())
        assert isinstance(nodes["away"], BrokenNode)
        assert isinstance(nodes["here"], TableNode)


def _write_later(path: Path, text: str) -> None:
    before = path.stat().st_mtime_ns
    path.write_text(text)
    os.utime(path, ns=(before + 10**9, before + 10**9))


def test_what_is_changed_in_the_file_shows(tree: CatalogNode, folder: Path) -> None:
    lab = folder / "lab.yml"
    assert _table(tree.get("one"))["x"] == [1, 2]
    _write_later(lab, 'sources: {one: {driver: csv, args: {urlpath: "{{ CATALOG_DIR }}/b.csv"}}}')
    assert list(tree.keys()) == ["one"]
    assert _table(tree.get("one"))["x"] == [3]
    assert tree.get("runs") is None
    # A mistake while it is edited: what it said before goes on.
    _write_later(lab, "sources: [")
    assert list(tree.keys()) == ["one"]
    assert "line 1" in tree.metadata["error"]
    assert str(folder) not in tree.metadata["error"]
    lab.unlink()
    assert _table(tree.get("one"))["x"] == [3]
    lab.write_text('sources: {two: {driver: csv, args: {urlpath: "{{ CATALOG_DIR }}/b.csv"}}}')
    assert list(tree.keys()) == ["two"]
    assert "error" not in tree.metadata


def test_what_is_changed_in_the_data_shows(tree: CatalogNode, folder: Path) -> None:
    assert _table(tree.get("one"))["x"] == [1, 2]
    held = tree.get("one")
    assert tree.get("one") is held
    _write_later(folder / "a.csv", "x,name\n7,z\n")
    assert _table(tree.get("one")) == {"x": [7], "name": ["z"]}
    (folder / "u.txt").write_text("four")
    assert _table(tree.get("text"))["text"][-1] == "four"


def test_a_file_with_a_mistake_of_its_own_is_refused_at_once(folder: Path) -> None:
    with pytest.raises(InvalidCatalog, match="line 1"):
        _tree(folder, "source: {}")


def test_many_threads_ask_at_once(tree: CatalogNode) -> None:
    wrong: list[Any] = []

    def ask() -> None:
        for _ in range(5):
            try:
                if [key for key, _ in tree.items()] != list(tree.keys()) or _table(tree.get("one"))["x"] != [1, 2]:
                    wrong.append("another answer")
            except Exception as error:  # noqa: BLE001 - whatever goes wrong in a thread is told by the test
                wrong.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_what_was_read_as_a_whole_is_let_go_of_when_there_is_no_room(
    tree: CatalogNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree._memory._most = 1
    read: list[Any] = []
    make = _held_source.node_of_source
    monkeypatch.setattr(_held_source, "node_of_source", lambda *args: read.append(args[0]) or make(*args))
    for name in ("one", "one", "several", "one"):
        assert _table(tree.get(name))["x"][:2] == [1, 2]
    assert len(read) == 3


def test_a_source_that_hangs_keeps_nobody_waiting_for_the_others(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_held_source, "PATIENCE", 0.05)
    goes_on = threading.Event()
    make = _held_source.node_of_source

    def slow(source: Any, said: Any) -> Any:
        if said.get("slow"):
            assert goes_on.wait(300)
        return make(source, said)

    monkeypatch.setattr(_held_source, "node_of_source", slow)
    text = """
sources:
  slow: {driver: csv, metadata: {slow: true}, args: {urlpath: "{{ CATALOG_DIR }}/a.csv"}}
  quick: {driver: csv, args: {urlpath: "{{ CATALOG_DIR }}/b.csv"}}
"""
    with _tree(folder, text) as tree:
        first = tree.get("slow")
        assert isinstance(first, BrokenNode)
        assert "takes long" in first.metadata["error"]
        monkeypatch.setattr(_held_source, "PATIENCE", 300.0)
        assert _table(tree.get("quick")) == {"x": [3], "name": ["c"]}
        assert isinstance(tree.get("slow"), BrokenNode)
        goes_on.set()
        until = time.monotonic() + 300
        while isinstance(tree.get("slow"), BrokenNode) and time.monotonic() < until:
            time.sleep(0.01)
        assert _table(tree.get("slow"))["x"] == [1, 2]


def test_documents_of_which_not_each_has_every_key_are_a_table_with_all_keys(folder: Path) -> None:
    (folder / "r.json").write_text(json.dumps([{"a": 1}, {"b": "x", "a": 2}, {"c": [3]}]))
    with _tree(folder, SOURCES) as tree:
        assert _table(tree.get("records")) == {"a": [1, 2, None], "b": [None, "x", None], "c": [None, None, [3]]}


def test_what_a_file_says_of_itself_is_as_it_is_now(folder: Path) -> None:
    with _tree(folder, "description: one\nmetadata: {a: 1}\nsources: {}\n") as tree:
        assert tree.metadata == {"a": 1, "description": "one"}
        (folder / "lab.yml").write_text("description: two\nmetadata: {b: 22}\nsources: {}\n")
        assert tree.metadata == {"b": 22, "description": "two"}
        (folder / "lab.yml").write_text("description: [three\nsources: {}\n")
        assert tree.metadata["error"].startswith("lab.yml, line ")
        assert (tree.metadata["b"], tree.metadata["description"]) == (22, "two")
