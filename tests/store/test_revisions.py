"""Revisions: the model is a list of what the documents of a run were, one entry for each amendment."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import multiprocessing
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from databroker_like.core._correction import Patch
from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.drivers.jsonl import BlueskyJSONLCatalog
from databroker_like.drivers.msgpack import BlueskyMsgpackCatalog
from databroker_like.errors import (
    Conflict,
    Invalid,
    InvalidDocument,
    NoSuchRun,
    NotOffered,
    NotWritable,
    OutOfRange,
    TransformFailed,
)
from databroker_like.store import _schema as tables
from databroker_like.store._recording import StoreSink
from databroker_like.store._stored_run import StoredRun
from databroker_like.store._terms import terms_of
from databroker_like.testing import _runs as samples
from databroker_like.testing._strategies import documents as any_documents

Documents = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[BlueskyEmbeddedCatalog]:
    with contextlib.closing(BlueskyEmbeddedCatalog(tmp_path / "store", fsync="never")) as made:
        yield made


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BlueskyEmbeddedCatalog]:
    folder = tmp_path_factory.mktemp("revisions")
    with contextlib.closing(BlueskyEmbeddedCatalog(folder / "store", fsync="never")) as made:
        yield made


def record(catalog: Any, run: Documents) -> str:
    for name, doc in run:
        catalog.insert(name, doc)
    return run[0][1]["uid"]


def record_as_it_is(catalog: BlueskyEmbeddedCatalog, run: Documents) -> str:
    """Whatever the documents are: those of old runs are not all valid today."""
    with contextlib.closing(StoreSink(catalog.store, checked=False)) as sink:
        for name, doc in run:
            sink.insert(name, doc)
    return run[0][1]["uid"]


def kept(catalog: BlueskyEmbeddedCatalog, uid: str, revision: int | None = None) -> dict[tuple[str, str], Any]:
    """The documents of a run that can be amended, at a revision, from their getters."""
    collection = catalog.collection
    source = collection.source(uid, None) if revision is None else collection.source_at(uid, None, revision)
    found = [("start", source.get_run_start()), ("stop", source.get_run_stop())]
    found += [("descriptor", doc) for doc in source.get_event_descriptors()]
    found += [("resource", doc) for doc in source.get_resources()]
    return {(name, doc["uid"]): doc for name, doc in found if doc is not None}


def text_of(documents: Any) -> str:
    """What two lots of documents have in common when they are the same to the letter, but for the order of keys."""
    if isinstance(documents, dict):
        documents = sorted(documents.items())
    return json.dumps(documents, sort_keys=True, default=lambda value: value.tolist())


def check_index(catalog: BlueskyEmbeddedCatalog, uid: str) -> None:
    """The index has the terms of the current documents of a run, at its current time, and no others."""
    term, key = tables.term, tables.key
    source = catalog.collection.source(uid, None)
    with catalog.store.database.read() as connection:
        run_id, at = connection.execute(select(tables.run.c.id, tables.run.c.time).where(tables.run.c.uid == uid)).one()
        rows = connection.execute(
            select(key.c.name, term.c.kind, term.c.num, term.c.txt, term.c.time)
            .join(key, key.c.id == term.c.key_id)
            .where(term.c.run_id == run_id)
        ).all()
    assert at == float(source.get_run_start()["time"])
    assert {tuple(row) for row in rows} == {
        (*found, at) for found in terms_of(source.get_run_start(), source.get_run_stop())
    }


def units(run: Any) -> str:
    return run.primary.metadata["descriptors"][0]["data_keys"]["motor"]["units"]


# -- any sequence of amendments

_leaves = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=4)
_values = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=5,
)
_of_start = st.fixed_dictionaries(
    {}, optional={"purpose": _values, "note": _values, "md": _values, "time": st.floats(0, 2e9) | st.integers(0, 2**62)}
)
_of_stop = st.fixed_dictionaries({}, optional={"reason": st.text(max_size=4), "md": _values})
_of_descriptor = st.fixed_dictionaries({}, optional={"time": st.floats(0, 2e9), "md": _values})
_of_resource = st.fixed_dictionaries(
    {}, optional={"root": st.text(max_size=4), "resource_kwargs": st.dictionaries(st.sampled_from("abc"), _values)}
)
_amendments = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "start": _of_start,
            "stop": _of_stop,
            "descriptor": st.dictionaries(st.integers(0, 1), _of_descriptor, max_size=2),
            "resource": st.dictionaries(st.just(0), _of_resource, max_size=1),
        },
    ).filter(bool),
    max_size=5,
)


def model_of(old: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = {**old} if isinstance(old, dict) else {}
    for key, value in patch.items():
        merged[key] = model_of(merged.get(key), value)
    return {key: value for key, value in merged.items() if key not in patch or patch[key] is not None}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(amendments=_amendments, is_external=st.booleans())
def test_each_revision_is_what_the_documents_were_after_so_many_amendments(shared_store, amendments, is_external):
    uid = str(uuid.uuid4())
    folder = Path(shared_store.store.path).parent
    made = samples.external(folder, uid=uid) if is_external else samples.several_streams(uid=uid)
    run = shared_store[record(shared_store, made)]
    recorded = list(run.documents(fill="no"))
    models = [kept(shared_store, uid)]
    changed = []
    for amendment in amendments:
        changes = dict(amendment)
        for kind in ("descriptor", "resource"):
            uids = [document_uid for name, document_uid in models[0] if name == kind]
            changes[kind] = {uids[n]: patch for n, patch in amendment.get(kind, {}).items() if n < len(uids)}
        new = dict(models[-1])
        for name, document_uid in new:
            patch = changes.get(name, {})
            patch = patch if name in ("start", "stop") else patch.get(document_uid, {})
            new[name, document_uid] = model_of(new[name, document_uid], patch)
        different = {key for key in new if text_of(new[key]) != text_of(models[-1][key])}
        if not different:
            with pytest.raises(Invalid, match="nothing was amended"):
                run.amend(changes, reason="none")
            continue
        revision = run.amend(changes, author="ada", reason=f"number {len(models)}")
        assert (revision.number, revision.author, revision.reason) == (len(models), "ada", f"number {len(models)}")
        assert set(revision.changed) == different
        models.append(new)
        changed.append(revision)
    assert run.revisions == changed
    for number, model in enumerate(models):
        assert text_of(kept(shared_store, uid, number)) == text_of(model)
    assert text_of(kept(shared_store, uid)) == text_of(models[-1])
    assert text_of(dict(run.metadata["start"])) == text_of(models[-1]["start", uid])
    assert text_of(list(run.documents(fill="no", revision=0))) == text_of(recorded)
    assert text_of(list(run.documents(fill="no", revision=len(models) - 1))) == text_of(list(run.documents(fill="no")))
    check_index(shared_store, uid)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(documents=any_documents(), note=st.text(max_size=4))
def test_any_run_is_at_revision_0_what_was_recorded(shared_store, documents, note):
    uid = str(uuid.uuid4())
    documents = json.loads(json.dumps(documents).replace(documents[0][1]["uid"], uid))
    run = shared_store[record_as_it_is(shared_store, documents)]
    before = list(run.documents(fill="no"))
    exactly = list(StoredRun(shared_store.store, uid).recorded())
    run.amend({"start": {"note": note, "time": 5.0, "sample": None}}, reason="any")
    assert text_of(list(run.documents(fill="no", revision=0))) == text_of(before)
    assert text_of(list(StoredRun(shared_store.store, uid).recorded())) == text_of(exactly)
    assert run.metadata["start"]["note"] == note
    check_index(shared_store, uid)


# -- recorded runs


def _recorded_at_beamlines(folder: Path) -> Iterator[Any]:
    yield from BlueskyMsgpackCatalog(str(folder / "*-pack" / "documents" / "*.msgpack")).values()
    yield from BlueskyJSONLCatalog(
        [str(folder / "edge-scans-jsonl" / "*.jsonl"), str(folder / "beamline-json" / "*.json")]
    ).values()


def test_runs_of_beamlines_are_at_revision_0_what_was_recorded(catalog, shared_data):
    count = 0
    for original in _recorded_at_beamlines(shared_data):
        uid = original.metadata["start"]["uid"]
        run = catalog[record_as_it_is(catalog, list(original.documents(fill="no")))]
        before = list(run.documents(fill="no"))
        changes: dict[str, Any] = {"start": {"sample": "amended", "scan_id": None}}
        for descriptor in run.at_revision(0)._descriptors:
            changes.setdefault("descriptor", {})[descriptor["uid"]] = {"hints": None, "time": 1.0}
        run.amend(changes, reason="to see that nothing is lost")
        assert text_of(list(run.documents(fill="no", revision=0))) == text_of(before)
        assert [name for name, _ in run.documents(fill="no")] == [name for name, _ in before]
        assert "scan_id" not in catalog[uid].metadata["start"]
        check_index(catalog, uid)
        count += 1
    assert count == len(catalog.search({"sample": "amended"})) > 10


# -- reading and searching


def test_an_amended_run_reads_and_is_found_as_amended(catalog):
    uid = record(catalog, samples.scalars(uid="41fb8ca9", sample="gold"))
    record(catalog, samples.scalars(uid="55aa", time=samples.BEGAN + 10))
    run = catalog[uid]
    descriptor = run.primary.metadata["descriptors"][0]["uid"]
    configuration = {"device": {"data": {"gain": 3.5}}}
    revision = catalog.amend(
        "41fb",
        {
            "start": {"sample": "silver", "time": samples.BEGAN + 100},
            "descriptor": {descriptor: {"data_keys": {"motor": {"units": "cm"}}, "configuration": configuration}},
            "stop": {"exit_status": "fail", "reason": "no beam"},
        },
        author="ada",
        reason="the sample was silver",
    )
    assert revision.changed == (("start", uid), ("stop", run.metadata["stop"]["uid"]), ("descriptor", descriptor))
    assert time.time() - 60 < revision.time <= time.time()
    for found in (run, catalog[uid], catalog[-1], BlueskyEmbeddedCatalog(catalog.store.path)[uid]):
        assert found.metadata["start"]["sample"] == "silver"
        assert found.metadata["stop"]["reason"] == "no beam"
        assert units(found) == "cm"
        assert found.primary.config["device"].read()["gain"].values.tolist() == [3.5] * 5
        assert [each.reason for each in found.revisions] == ["the sample was silver"]
    assert list(catalog) == ["55aa", uid]
    assert list(catalog.search({"sample": "silver"})) == [uid]
    assert list(catalog.search({"sample": "gold"})) == []
    assert list(catalog.search({"stop.exit_status": "fail"})) == [uid]
    assert list(catalog.search({"stop.exit_status": "success"})) == ["55aa"]
    before = run.at_revision(0)
    assert before.metadata["start"]["sample"] == "gold"
    assert units(before) == "mm"
    assert before.primary.config["device"].read()["gain"].values.tolist() == [2.5] * 5
    assert before.cat is catalog


def test_an_amended_root_is_where_files_are_read(catalog, tmp_path):
    (tmp_path / "new").mkdir()
    uid = record(catalog, samples.external(tmp_path / "new", uid="41fb8ca9"))
    run = catalog[uid]
    (resource,) = catalog.collection.source(uid, None).get_resources()
    (tmp_path / "new").rename(tmp_path / "archive")
    with pytest.warns(UserWarning, match="'image' is left out; there is no file"):
        run.primary.read()
    run.amend({"resource": {resource["uid"]: {"root": str(tmp_path / "archive")}}}, reason="the files were archived")
    assert run.primary.read()["image"].shape[0] == 3
    (before,) = [doc for name, doc in run.documents(fill="no", revision=0) if name == "resource"]
    assert before == resource


def test_somebody_elses_amendment_shows_when_the_run_is_asked_for_again(catalog):
    uid = record(catalog, samples.scalars(uid="41fb8ca9"))
    run = catalog[uid]
    descriptor = run.primary.metadata["descriptors"][0]["uid"]
    assert catalog[uid] is run
    other = BlueskyEmbeddedCatalog(catalog.store.path)
    other.amend(uid, {"descriptor": {descriptor: {"data_keys": {"motor": {"units": "cm"}}}}}, reason="units")
    assert catalog[uid] is not run
    assert units(catalog[uid]) == "cm"
    (found,) = catalog.values()
    assert found is catalog[uid]
    other.amend(uid, {"stop": {"reason": "x"}}, reason="reason")
    assert next(catalog.values()).metadata["stop"]["reason"] == "x"
    other.close()


def test_runs_are_amended_while_those_found_are_gone_through(catalog):
    for number in range(260):
        catalog.insert("start", {"uid": f"run{number}", "time": 1e9 + number, "sample": "glod"})
    for run in catalog.search({"sample": "glod"}).values():
        run.amend({"start": {"sample": "gold", "time": 5.0}}, reason="misspelt")
    assert len(catalog.search({"sample": "gold"})) == 260
    assert len(catalog.search({"sample": "glod"})) == 0


def test_a_run_that_was_cut_off_is_ended_and_then_amended(catalog):
    documents = samples.external(Path(catalog.store.path).parent, uid="41fb8ca9")
    record(catalog, documents[:-1])
    (resource,) = [doc["uid"] for name, doc in documents if name == "resource"]
    changes = {"resource": {resource: {"root": "/archive"}}}
    with pytest.raises(Invalid, match="once a stop document is inserted"):
        catalog.amend("41fb", changes, reason="archived")
    catalog.insert("stop", {"uid": "5a", "run_start": "41fb8ca9", "time": 3e9, "exit_status": "abort"})
    catalog.amend("41fb", changes, reason="archived")
    assert catalog.collection.source("41fb8ca9", None).get_resource(resource)["root"] == "/archive"


def test_a_run_that_goes_on_is_amended_and_recorded_further(catalog):
    documents = samples.scalars(uid="41fb8ca9", sample="gold")
    for name, doc in documents[:4]:
        catalog.insert(name, doc)
    run = catalog[-1]
    run.amend({"start": {"sample": "silver", "time": 5.0}}, reason="typo")
    descriptor = documents[1][1]["uid"]
    with pytest.raises(Invalid, match="cannot be amended while the run goes on"):
        run.amend({"descriptor": {descriptor: {"time": 1.0}}}, reason="typo")
    for name, doc in documents[4:]:
        catalog.insert(name, doc)
    catalog.insert(*documents[0])  # the same document again is no error: it is the one that was recorded
    check_index(catalog, "41fb8ca9")
    assert list(catalog.search({"sample": "silver", "stop.exit_status": "success"})) == ["41fb8ca9"]
    assert catalog[-1].metadata["start"]["time"] == 5.0
    run.amend({"descriptor": {descriptor: {"time": 1.0}}}, reason="typo")
    assert catalog[-1].primary.metadata["descriptors"][0]["time"] == 1.0
    assert [dict(doc) for name, doc in run.documents(fill="no", revision=0) if name == "start"] == [documents[0][1]]
    assert len(run.primary.read()["time"]) == 5


def test_a_run_without_changes_has_no_revisions(catalog):
    run = catalog[record(catalog, samples.scalars(uid="41fb8ca9"))]
    assert run.revisions == []
    with pytest.raises(OutOfRange, match="run 41fb8ca9 has no revision 1; it has revision 0 alone"):
        run.documents(fill="no", revision=1)
    with pytest.raises(OutOfRange, match="revision -1"):
        run.at_revision(-1)


def test_an_earlier_revision_is_not_amended_and_pickles(catalog):
    import pickle

    run = catalog[record(catalog, samples.scalars(uid="41fb8ca9", sample="gold"))]
    run.amend({"start": {"sample": "silver"}}, reason="typo")
    before = pickle.loads(pickle.dumps(run.at_revision(0)))
    assert before.metadata["start"]["sample"] == "gold"
    assert [each.number for each in before.revisions] == [1]
    with pytest.raises(NotOffered, match=r"as it was at revision 0.*catalog\['41fb8ca9'\].amend"):
        before.amend({"start": {"sample": "lead"}}, reason="typo")
    assert pickle.loads(pickle.dumps(run)).at_revision(0).metadata["start"]["sample"] == "gold"


def test_dask_takes_no_revision_for_another(catalog):
    from dask.base import tokenize

    run = catalog[record(catalog, samples.scalars(uid="41fb8ca9", sample="gold"))]
    recorded = tokenize(run), tokenize(run.primary)
    run.amend({"start": {"sample": "silver"}}, reason="typo")
    amended = tokenize(run), tokenize(run.primary)
    run.amend({"start": {"sample": "lead"}}, reason="typo")
    again = tokenize(run), tokenize(run.primary)
    assert len({*recorded, *amended, *again}) == 6
    views = [run.at_revision(number) for number in range(3)]
    assert [(tokenize(view), tokenize(view.primary)) for view in views] == [recorded, amended, again]


def test_transforms_of_the_catalog_mend_what_is_current_and_no_revision(catalog, tmp_path):
    uid = record(catalog, samples.scalars(uid="41fb8ca9", sample="gold"))
    mended = BlueskyEmbeddedCatalog(
        catalog.store.path, transforms={"start": lambda doc: {**doc, "sample": doc["sample"].upper()}}
    )
    mended.amend(uid, {"start": {"sample": "silver"}}, reason="typo")
    assert mended[uid].metadata["start"]["sample"] == "SILVER"
    assert mended[uid].at_revision(1).metadata["start"]["sample"] == "silver"
    assert next(mended[uid].documents(fill="no", revision=0))[1]["sample"] == "gold"
    mended.close()


# -- what cannot be


@pytest.mark.parametrize(
    ("changes", "kwargs", "error"),
    [
        ({"start": {"uid": "other"}}, {"reason": "x"}, Invalid),
        ({"start": {"time": "noon"}}, {"reason": "x"}, InvalidDocument),
        ({"start": {"sample": "silver"}}, {}, Invalid),
        ({"start": {"sample": "silver"}}, {"reason": " "}, Invalid),
        ({"start": {"sample": "silver"}}, {"reason": "x", "author": ""}, Invalid),
        ({"start": {"sample": "gold"}}, {"reason": "x"}, Invalid),
        ({"start": {"sample": "silver"}, "stop": {"exit_status": "good"}}, {"reason": "x"}, InvalidDocument),
    ],
)
def test_what_is_refused_leaves_the_run_as_it_is(catalog, changes, kwargs, error):
    uid = record(catalog, samples.scalars(uid="41fb8ca9", sample="gold"))
    before = kept(catalog, uid)
    with pytest.raises(error):
        catalog.amend(uid, changes, **kwargs)
    assert kept(catalog, uid) == before
    assert catalog[uid].revisions == []
    check_index(catalog, uid)


def test_an_amendment_that_breaks_off_leaves_nothing(catalog, monkeypatch):
    from databroker_like.store import _revisions

    uid = record(catalog, samples.scalars(uid="41fb8ca9", sample="gold"))

    def full(*args):
        raise NotWritable("the disk is full")

    monkeypatch.setattr(_revisions, "index_run", full)
    with pytest.raises(NotWritable, match="full"):
        catalog.amend(uid, {"start": {"sample": "silver"}}, reason="typo")
    monkeypatch.undo()
    assert catalog[uid].revisions == []
    check_index(catalog, uid)
    assert catalog.amend(uid, {"start": {"sample": "silver"}}, reason="typo").number == 1


def test_a_store_to_be_read_only_is_not_amended(catalog):
    uid = record(catalog, samples.scalars(uid="41fb8ca9"))
    reader = BlueskyEmbeddedCatalog(catalog.store.path, read_only=True)
    with pytest.raises(NotWritable, match="read only"):
        reader.amend(uid, {"start": {"sample": "silver"}}, reason="typo")
    assert reader[uid].revisions == []
    reader.close()


def test_a_run_that_is_not_there_is_not_amended(catalog):
    record(catalog, samples.scalars(uid="41fb8ca9"))
    with pytest.raises(NoSuchRun):
        catalog.amend("55", {"start": {"x": 1}}, reason="x")
    for ask in (
        lambda: catalog.collection.amend("41fb8ca8", {"start": {"x": 1}}, reason="x"),
        lambda: catalog.collection.revisions("41fb8ca8"),
        lambda: catalog.collection.source_at("41fb8ca8", None, 0),
    ):
        with pytest.raises(NoSuchRun, match="'41fb8ca9'"):
            ask()


def test_files_say_where_runs_can_be_amended(tmp_path):
    files = BlueskyJSONLCatalog(str(tmp_path / "*.jsonl"))
    record(files, samples.scalars(uid="41fb8ca9"))
    files.close()
    with pytest.raises(NotOffered, match=r"embedded store \(BlueskyEmbeddedCatalog\)"):
        files[-1].amend({"start": {"x": 1}}, reason="x")
    assert files[-1].revisions == []
    assert list(files[-1].documents(fill="no", revision=0)) == list(files[-1].documents(fill="no"))


# -- several at once


def _amend_many(path: str, uid: str, name: str, count: int) -> list[int]:
    with contextlib.closing(BlueskyEmbeddedCatalog(path, fsync="never")) as catalog:
        return [
            catalog.amend(uid, {"start": {"md": {f"{name}{n}": n}}}, author=name, reason="many").number
            for n in range(count)
        ]


def test_processes_that_amend_at_once_follow_one_another(catalog):
    uid = record(catalog, samples.scalars(uid="41fb8ca9"))
    catalog.close()
    each, names = 6, ["ada", "bob", "eve"]
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(len(names), mp_context=context) as pool:
        done = [pool.submit(_amend_many, catalog.store.path, uid, name, each) for name in names]
        numbers = [future.result(timeout=400) for future in done]
    assert sorted(number for some in numbers for number in some) == list(range(1, each * len(names) + 1))
    assert catalog[uid].metadata["start"]["md"] == {f"{name}{n}": n for name in names for n in range(each)}
    assert [revision.number for revision in catalog[uid].revisions] == list(range(1, each * len(names) + 1))
    for revision in catalog[uid].revisions:
        # Each is on top of the one before: it has one key more.
        assert len(catalog[uid].at_revision(revision.number).metadata["start"]["md"]) == revision.number
    check_index(catalog, uid)


class _Interrupted(Patch):
    """A correction during which somebody else amends the same run, so many times."""

    def __init__(self, changes: Any, others: list[Any]) -> None:
        super().__init__(changes)
        self.others = others

    def corrected(self, documents: Any) -> Any:
        if self.others:
            self.others.pop()()
        return super().corrected(documents)


def test_the_second_of_two_is_on_top_of_the_first(catalog):
    uid = record(catalog, samples.scalars(uid="41fb8ca9", sample="gold"))
    other = BlueskyEmbeddedCatalog(catalog.store.path)
    others = [lambda n=n: other.amend(uid, {"start": {"count": n}}, reason="first") for n in range(2)]
    revision = catalog.collection.amend(uid, _Interrupted({"start": {"sample": "silver"}}, others), reason="second")
    assert revision.number == 3
    assert [each.reason for each in catalog[uid].revisions] == ["first", "first", "second"]
    assert catalog[uid].metadata["start"]["count"] == 0
    assert catalog[uid].metadata["start"]["sample"] == "silver"
    other.close()


def test_a_run_may_end_while_it_is_amended(catalog):
    documents = samples.scalars(uid="41fb8ca9", sample="gold")
    for name, doc in documents[:-1]:
        catalog.insert(name, doc)
    correction = _Interrupted({"start": {"sample": "silver"}}, [lambda: catalog.insert(*documents[-1])])
    catalog.collection.amend("41fb8ca9", correction, reason="typo")
    check_index(catalog, "41fb8ca9")
    assert list(catalog.search({"sample": "silver", "stop.exit_status": "success"})) == ["41fb8ca9"]


# -- taken over from elsewhere


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[BlueskyEmbeddedCatalog]:
    """Another store with the same run, amended twice."""
    with contextlib.closing(BlueskyEmbeddedCatalog(tmp_path / "elsewhere", fsync="never")) as made:
        for name, doc in DOCUMENTS:
            made.insert(name, doc)
        made.amend("41fb8ca9", {"start": {"sample": "silver", "time": 5.0}}, author="ada", reason="typo")
        made.amend("41fb8ca9", {"start": {"count": 3}, "stop": {"reason": "x"}}, author="bob", reason="more")
        yield made


DOCUMENTS = samples.scalars(uid="41fb8ca9", sample="gold")


def test_revisions_made_elsewhere_are_taken_over_as_they_are(catalog, elsewhere):
    uid = record(catalog, DOCUMENTS)
    for _ in range(2):  # the second time nothing happens
        for revision, documents in elsewhere.collection.history(uid):
            catalog.collection.adopt(uid, revision, documents)
    assert catalog[uid].revisions == elsewhere[uid].revisions
    for number in range(3):
        assert text_of(kept(catalog, uid, number)) == text_of(kept(elsewhere, uid, number))
    assert list(catalog.search({"sample": "silver", "stop.reason": "x"})) == [uid]
    check_index(catalog, uid)


def test_history_has_the_documents_that_each_revision_put_in_place(elsewhere):
    (first, of_first), (second, of_second) = elsewhere.collection.history("41fb8ca9")
    assert (first, second) == tuple(elsewhere[-1].revisions)
    assert set(of_first) == set(first.changed)
    assert set(of_second) == set(second.changed)
    assert of_first["start", "41fb8ca9"] == {**DOCUMENTS[0][1], "sample": "silver", "time": 5.0}


def test_a_revision_is_not_taken_over_in_the_place_of_another(catalog, elsewhere):
    uid = record(catalog, DOCUMENTS)
    (first, documents), (second, later) = elsewhere.collection.history(uid)
    with pytest.raises(Conflict, match="not at revision 1"):
        catalog.collection.adopt(uid, second, later)
    catalog.amend(uid, {"start": {"sample": "lead"}}, author="eve", reason="typo")
    with pytest.raises(Conflict, match=r"has another revision 1 by eve: typo .*; revision 1 by ada: typo"):
        catalog.collection.adopt(uid, first, documents)
    assert [revision.author for revision in catalog[uid].revisions] == ["eve"]
    check_index(catalog, uid)


def test_a_revision_of_other_documents_is_not_taken_over(catalog, elsewhere):
    uid = record(catalog, samples.scalars(uid="41fb8ca9"))  # whose stop document is another one
    (first, documents), (second, later) = elsewhere.collection.history(uid)
    catalog.collection.adopt(uid, first, documents)
    with pytest.raises(Conflict, match="of other documents"):
        catalog.collection.adopt(uid, second, later)
    assert catalog[uid].revisions == [first]


def test_files_take_no_revisions_over(tmp_path, elsewhere):
    files = BlueskyJSONLCatalog(str(tmp_path / "*.jsonl"))
    record(files, DOCUMENTS)
    files.close()
    assert files.collection.history("41fb8ca9") == []
    with pytest.raises(NotOffered, match="revision 1 by ada"):
        files.collection.adopt("41fb8ca9", *elsewhere.collection.history("41fb8ca9")[0])


# -- transforms tried, and applied


def mend_sample(doc: Any) -> Any:
    if doc.get("sample") == "glod":
        doc["sample"] = "gold"
    return doc


def in_centimetres(doc: Any) -> Any:
    for data_key in doc["data_keys"].values():
        if data_key.get("units") == "mm":
            data_key["units"] = "cm"
    return doc


@pytest.fixture
def several(catalog) -> BlueskyEmbeddedCatalog:
    for number, sample in enumerate(["glod", "gold", "glod", "silver"]):
        record(catalog, samples.scalars(uid=f"run{number}", sample=sample, scan_id=number, time=1e9 + number))
    return catalog


def test_transforms_are_tried_on_a_search_result_without_writing(several):
    found = several.search({"sample": "glod"})
    trial = found.with_transforms({"start": mend_sample, "descriptor": in_centimetres})
    assert type(trial) is BlueskyEmbeddedCatalog
    assert list(trial) == ["run0", "run2"]
    assert trial["run0"].metadata["start"]["sample"] == "gold"
    assert units(trial["run0"]) == "cm"
    assert several["run0"].metadata["start"]["sample"] == "glod"
    assert found["run0"].metadata["start"]["sample"] == "glod"
    assert found["run0"] is several["run0"]
    assert several["run0"].revisions == []
    # A search of the trial is a trial of fewer runs.
    assert trial.search({"scan_id": 2})["run2"].metadata["start"]["sample"] == "gold"


def test_tried_transforms_are_applied_for_good(several):
    trial = several.search({"scan_id": {"$lt": 3}}).with_transforms({"start": mend_sample})
    would = trial.apply_transforms(dry_run=True)
    assert (would.runs, would.changed, would.failed) == (
        3,
        {"run0": (("start", "run0"),), "run2": (("start", "run2"),)},
        {},
    )
    assert repr(would) == "<AppliedTransforms: 2 of 3 runs would be amended, 0 failed>"
    assert several["run0"].revisions == []
    done = trial.apply_transforms(author="ada", reason="misspelt")
    assert (done.runs, done.changed, done.failed, done.dry_run) == (3, would.changed, {}, False)
    assert sorted(several.search({"sample": "gold"})) == ["run0", "run1", "run2"]
    assert [revision.reason for revision in several["run0"].revisions] == ["misspelt"]
    assert several["run1"].revisions == []
    assert several["run0"].at_revision(0).metadata["start"]["sample"] == "glod"
    assert trial.apply_transforms(author="ada", reason="misspelt").changed == {}


def test_runs_that_no_longer_match_are_amended_all_the_same(several):
    done = (
        several.search({"sample": "glod"}).with_transforms({"start": mend_sample}).apply_transforms(reason="misspelt")
    )
    assert sorted(done.changed) == ["run0", "run2"]
    assert list(several.search({"sample": "glod"})) == []


def test_all_documents_of_a_run_become_one_revision(several):
    changes = {
        "start": mend_sample,
        "descriptor": in_centimetres,
        "stop": lambda doc: {**doc, "reason": "checked"},
    }
    several.search({"scan_id": 0}).with_transforms(changes).apply_transforms(reason="checked")
    (revision,) = several["run0"].revisions
    assert [name for name, _ in revision.changed] == ["start", "stop", "descriptor"]
    assert units(several["run0"]) == "cm"


@pytest.mark.parametrize("time", [float("nan"), float("inf"), 10**400])
def test_a_time_that_no_run_begins_at_is_refused(several, time):
    with pytest.raises(InvalidDocument, match=r"not valid at 'time': .* is no time of a run"):
        several["run0"].amend({"start": {"time": time}}, reason="a slip")
    assert several["run0"].revisions == []
    assert several.store.check() == []


def test_a_run_on_which_a_transform_fails_is_left_and_reported(several):
    def fails(doc):
        if doc["scan_id"] == 1:
            raise RuntimeError("no such sample")
        if doc["scan_id"] == 2:
            return {**doc, "time": "noon"}
        if doc["scan_id"] == 3:
            return {**doc, "uid": "other"}
        return {**doc, "checked": True}

    trial = several.with_transforms({"start": fails})
    for dry_run in (True, False):
        report = trial.apply_transforms(reason="checked", dry_run=dry_run)
        assert list(report.changed) == ["run0"]
        assert sorted(report.failed) == ["run1", "run2", "run3"]
        assert "no such sample" in report.failed["run1"]
        assert "not valid at 'time'" in report.failed["run2"]
        assert "'uid'" in report.failed["run3"]
    assert [len(run.revisions) for run in several.values()] == [1, 0, 0, 0]
    with pytest.raises(TransformFailed, match="no such sample"):
        trial["run1"].metadata  # noqa: B018  (it is a property)


def test_a_trial_shows_what_the_catalog_will_show(several):
    mended = BlueskyEmbeddedCatalog(
        several.store.path, transforms={"start": lambda doc: {**doc, "sample": doc["sample"].upper()}}
    )
    trial = mended.with_transforms({"start": mend_sample})
    seen = [run.metadata["start"] for run in trial.values()]
    assert seen[0]["sample"] == "GOLD"
    trial.apply_transforms(reason="misspelt")
    assert [run.metadata["start"] for run in mended.values()] == seen
    # Its own transform is applied on reading, as before, and was not written.
    assert several["run0"].metadata["start"]["sample"] == "gold"
    with pytest.raises(Invalid, match=r"with_transforms\("):
        mended.apply_transforms(reason="all")
    mended.close()


def test_to_apply_for_good_takes_a_reason(several):
    trial = several.with_transforms({"start": mend_sample})
    with pytest.raises(Invalid, match="reason"):
        trial.apply_transforms()
    assert several["run0"].revisions == []


@pytest.mark.parametrize("transforms", [None, [], {"event": mend_sample}, {"start": 3}])
def test_what_are_no_transforms_are_not_tried(several, transforms):
    if transforms is None:
        with pytest.raises(Invalid, match="no transforms are tried"):
            several.with_transforms(transforms).apply_transforms(reason="x")
        return
    with pytest.raises((Invalid, NotOffered)):
        several.with_transforms(transforms)


def test_transforms_are_tried_over_files_and_not_applied(tmp_path):
    files = BlueskyJSONLCatalog(str(tmp_path / "*.jsonl"))
    record(files, samples.scalars(uid="41fb8ca9", sample="glod"))
    files.close()
    trial = files.search({}).with_transforms({"start": mend_sample})
    assert trial[-1].metadata["start"]["sample"] == "gold"
    assert list(trial.apply_transforms(dry_run=True).changed) == ["41fb8ca9"]
    with pytest.raises(NotOffered, match="copy it into an embedded store"):
        trial.apply_transforms(reason="misspelt")


def test_where_nothing_can_be_written_applying_stops_and_says_how_far_it_came(several, monkeypatch):
    trial = several.with_transforms({"start": lambda doc: {**doc, "checked": True}})
    amend, left = several.collection.amend, [2]

    def fails_later(*args: Any, **kwargs: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise NotWritable("the disk is full")
        return amend(*args, **kwargs)

    monkeypatch.setattr(several.collection, "amend", fails_later)
    with pytest.raises(NotWritable, match="full") as caught:
        trial.apply_transforms(reason="checked")
    assert caught.value.__notes__ == ["2 runs were amended before; the same call again goes on with the rest"]
    monkeypatch.undo()
    assert len(trial.apply_transforms(reason="checked").changed) == 2


def test_a_trial_is_pickled(several):
    import pickle

    trial = several.search({"sample": "glod"}).with_transforms({"start": mend_sample})
    other = pickle.loads(pickle.dumps(trial))
    assert other["run0"].metadata["start"]["sample"] == "gold"
    assert len(other.apply_transforms(reason="misspelt").changed) == 2
    other.close()
