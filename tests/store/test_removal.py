"""Deleting runs: nothing by a slip, and nothing of them is left."""

import shutil
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from databroker_like.codecs import encode
from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.errors import Invalid, InvalidDocument, MissingFile, NoSuchDocument, NoSuchRun, NotWritable
from databroker_like.queries import TimeRange
from databroker_like.store import _schema as tables
from databroker_like.store._collection import StoreCollection
from databroker_like.store._recording import StoreSink
from databroker_like.store._store import Store
from databroker_like.store._stored_run import StoredRun
from databroker_like.testing import _runs as samples
from tests.store.conftest import files, harmful, make_event, make_run, record, recorded

OF_RUNS = ("run", "document", "descriptor", "event", "segment", "datum", "datum_id", "term", "revision", "revised")


def rows(store):
    with store.database.read() as connection:
        counted = {t: connection.execute(select(func.count()).select_from(tables.metadata.tables[t])) for t in OF_RUNS}
        return {name: result.scalar_one() for name, result in counted.items() if name in OF_RUNS}


@pytest.fixture
def catalog(tmp_path, small):
    made = BlueskyEmbeddedCatalog(tmp_path / "store")
    record(made.store, make_run("a", 40, plan="x"), make_run("b", 3, time=1.6e9), make_run("c", 7, stop=False))
    yield made
    made.close()


def test_nothing_of_a_deleted_run_is_left(store, small, tmp_path):
    record(store, make_run("a", 40, words=["some", "words"]), samples.external(tmp_path, uid="b"))
    with store.write() as connection:
        connection.execute(tables.revision.insert().values(run_id=1, number=1, time=0.0, author="me", reason=""))
    assert files(store)
    store.delete(["a", "b"])
    assert rows(store) == dict.fromkeys(OF_RUNS, 0)
    assert files(store) == []
    assert list((tmp_path / "store" / "data").rglob("*.arrow")) == []
    assert (tmp_path / "image_0.npy").exists(), "the files of detectors stay"


def test_the_others_are_as_they_were(catalog):
    before = recorded(catalog.store, "b"), recorded(catalog.store, "c")
    catalog.delete("a")
    assert list(catalog) == ["b", "c"]
    assert (recorded(catalog.store, "b"), recorded(catalog.store, "c")) == before
    assert harmful(catalog.store) == []
    assert list(catalog.search({"plan": "x"})) == []


def test_a_deleted_run_is_not_found_any_more(catalog):
    run = catalog["a"]
    catalog.delete("a")
    with pytest.raises(NoSuchRun):
        catalog["a"]
    with pytest.raises((NoSuchRun, NoSuchDocument)):
        run.primary.read()


def test_what_was_read_before_is_there_after(catalog):
    """Files that are mapped into memory are there for as long as they are."""
    run = catalog.collection.source("a", None)
    pages = list(run.get_event_pages("a-d"))
    catalog.delete("a")
    assert [n for page in pages for n in page["data"]["n"]] == list(range(1, 41))


def test_a_part_of_a_uid_deletes_nothing(catalog):
    record(catalog.store, make_run("41fb8ca9-1"))
    with pytest.raises(NoSuchRun, match=r"nothing is deleted.*'41fb8ca9-1'"):
        catalog.store.delete("41fb8ca9")
    with pytest.raises(NoSuchRun, match="nothing is deleted"):
        catalog.delete("41fb8ca9")
    assert "41fb8ca9-1" in catalog


def test_numbers_delete_nothing(catalog):
    for key in (-1, 1, None, ["a"]):
        with pytest.raises(NoSuchRun):
            catalog.delete(key)
    assert len(catalog) == 3


def test_of_several_none_is_deleted_when_one_is_not_there(catalog):
    with pytest.raises(NoSuchRun, match="'zzz'"):
        catalog.delete("a", "zzz")
    assert len(catalog) == 3


def test_an_unfinished_run_is_deleted_only_when_told(catalog):
    with pytest.raises(Invalid, match=r"'c' has no stop document.*unfinished=True"):
        catalog.delete("a", "c")
    assert len(catalog) == 3
    catalog.delete("a", "c", unfinished=True)
    assert list(catalog) == ["b"]
    assert catalog.store.check() == []


def test_a_search_result_deletes_only_what_it_found(catalog):
    with pytest.raises(NoSuchRun, match="no run of this catalog"):
        catalog.search({"plan": "x"}).delete("b")
    catalog.search({"plan": "x"}).delete("a")
    assert list(catalog) == ["b", "c"]


def test_a_store_that_is_not_there_has_nothing_to_delete(store):
    with pytest.raises(NoSuchRun):
        store.delete("a")
    assert not store.exists


def test_a_store_opened_to_be_read_deletes_nothing(catalog):
    with pytest.raises(NotWritable, match="read only"):
        Store(catalog.store.path, read_only=True).delete("a")
    assert len(catalog) == 3


# -- retention


def test_deleting_what_a_search_found_says_first_what_it_would_delete(catalog):
    found = catalog.search({"plan_name": "scan"})
    assert found.delete_all() == ["b", "a"]
    assert len(catalog) == 3
    assert found.delete_all(dry_run=False) == ["b", "a"]
    assert list(catalog) == ["c"]
    assert found.delete_all(dry_run=False, unfinished=True) == ["c"]
    assert len(catalog) == 0
    assert catalog.store.check() == []


def test_retention_is_by_age_and_query(catalog):
    import time

    record(catalog.store, make_run("new", 2, time=time.time() - 60))
    month = timedelta(days=30)
    assert catalog.delete_all(older_than=month) == ["b", "a"]
    assert catalog.search({"plan": "x"}).delete_all(older_than=month) == ["a"]
    assert catalog.search(TimeRange(until="2021")).delete_all(dry_run=False) == ["b"]
    assert list(catalog) == ["a", "c", "new"]


def test_what_somebody_else_deletes_meanwhile_is_as_good_as_deleted(catalog, monkeypatch):
    heads = StoreCollection.heads

    def beaten(self, query, **options):
        found = list(heads(self, query, **options))
        if len(found) == 2:
            other = Store(catalog.store.path)
            other.delete("a")
            other.close()
        return iter(found)

    monkeypatch.setattr(StoreCollection, "heads", beaten)
    assert catalog.search(TimeRange(until="2100")).delete_all(dry_run=False, unfinished=False) == ["b", "a"]
    assert list(catalog) == ["c"]


def test_uids_of_no_run_are_passed_over_where_that_is_wanted(catalog):
    catalog.store.delete(["a", "nothing"], missing_ok=True)
    catalog.store.delete(["nothing"], missing_ok=True)
    assert list(catalog) == ["b", "c"]
    with pytest.raises(Invalid, match="no stop document"):
        catalog.store.delete(["b", "c", "nothing"], missing_ok=True)
    assert list(catalog) == ["b", "c"]


def test_all_runs_are_never_deleted_without_a_search(catalog):
    for dry_run in (True, False):
        with pytest.raises(Invalid, match="every run; say which"):
            catalog.delete_all(dry_run=dry_run)
    assert len(catalog) == 3


# -- and recording


def test_a_deleted_run_can_be_recorded_again_by_who_recorded_it(store, small):
    sink = StoreSink(store)
    for _ in range(2):
        for name, doc in make_run("a", 12):
            sink.insert(name, doc)
        assert recorded(store, "a") == make_run("a", 12)
        other = Store(store.path)
        other.delete("a")
        other.close()
    sink.close()
    assert store.check() == []


@pytest.mark.parametrize("pages", [0, 3])
def test_a_run_deleted_while_it_is_recorded_is_told(store, small, pages):
    docs = make_run("a", 12, pages=pages)
    sink = StoreSink(store)
    for name, doc in docs[:4]:
        sink.insert(name, doc)
    store.delete("a", unfinished=True)
    for name, doc in docs[4:]:
        with pytest.raises(ValueError, match="which is in no run that is being recorded"):
            sink.insert(name, doc)
    sink.close()
    assert rows(store) == dict.fromkeys(OF_RUNS, 0)
    assert store.check() == []


def test_a_damaged_run_can_be_deleted(store):
    record(store, make_run("a"))
    with store.write() as connection:
        connection.execute(tables.run.update().values(start=b"\xc1"))
    store.delete("a")
    assert rows(store) == dict.fromkeys(OF_RUNS, 0)


def test_a_run_that_was_amended_leaves_no_terms(store):
    record(store, make_run("a", sample="gold"))
    from databroker_like.store._revisions import amend

    amend(store, "a", _patch({"sample": "silver", "time": 5.0}), author="me", reason="a slip")
    assert rows(store)["revised"] > 0
    assert store.check() == []
    store.delete("a")
    assert rows(store) == dict.fromkeys(OF_RUNS, 0)


def _patch(start):
    from databroker_like.core._correction import Patch

    return Patch.of({"start": start})


def test_the_id_of_a_deleted_run_is_not_given_again(store):
    record(store, make_run("a"))
    store.delete("a")
    record(store, make_run("b"))
    with store.database.read() as connection:
        assert connection.execute(select(tables.run.c.id)).scalar_one() == 2


def test_a_file_that_cannot_be_deleted_is_told_and_the_run_is_gone(store, small, monkeypatch):
    record(store, make_run("a", 40))

    def fail(name):
        raise NotWritable(f"{name} cannot be written: no")

    monkeypatch.setattr(store.files, "delete", fail)
    with pytest.warns(UserWarning, match=r"run a is deleted.*store\.vacuum\(\)"):
        store.delete("a")
    assert harmful(store) == []
    assert len(store.check()) == len(files(store)) > 0


def test_reading_a_file_that_is_gone_says_which(store, small):
    record(store, make_run("a", 40))
    catalog = BlueskyEmbeddedCatalog(store.path)
    store.files.delete(files(store)[0])
    with pytest.raises(MissingFile, match=r"the data file .*arrow of the store is not there"):
        catalog["a"].primary.read()
    catalog.close()


def test_encoded_documents_are_deleted_whatever_is_in_them(store):
    """Terms of any kind of value are found again to be taken away."""
    odd = {"n": float("inf"), "big": 2**70, "list": [1, "a", None, {"deep": True}], "text": "x" * 1000, "é": "\u2028"}
    record(store, make_run("a", **odd))
    assert encode(odd)
    assert store.check() == []
    store.delete("a")
    assert rows(store)["term"] == 0


class TestADeletedRunThatIsStillHeld:
    """It says that it was deleted; it is never taken for an empty run."""

    @pytest.fixture
    def held(self, tmp_path):
        catalog = BlueskyEmbeddedCatalog(tmp_path / "store")
        for name, doc in make_run("a", 5):
            catalog.insert(name, doc)
        other = BlueskyEmbeddedCatalog(tmp_path / "store")
        runs = [catalog["a"], other["a"]]
        assert runs[0].metadata["start"]["uid"] == "a"
        stream = runs[0].primary
        other.delete("a")
        yield [*runs, stream]
        catalog.close()
        other.close()

    def test_when_its_documents_are_asked_for(self, held):
        for run in held[:2]:
            with pytest.raises(NoSuchRun, match="no run a any more"):
                list(run.documents(fill="no"))

    def test_when_its_metadata_are_asked_for_first(self, held):
        with pytest.raises(NoSuchRun, match="no run a any more"):
            _ = held[1].metadata

    def test_when_a_stream_of_it_is_read(self, held):
        with pytest.raises(NoSuchRun, match="no run a any more"):
            held[2].read()
        with pytest.raises(NoSuchRun, match="no run a any more"):
            held[1]["primary"].read()

    def test_when_what_was_recorded_is_asked_for(self, store):
        record(store, make_run("a", 2))
        run = StoredRun(store, "a")
        run.get_run_start()
        store.delete("a")
        with pytest.raises(NoSuchRun, match="no run a any more"):
            list(run.recorded())

    def test_when_it_was_recorded_again_it_is_found_after_one_error(self, store):
        record(store, make_run("a", 2))
        run = StoredRun(store, "a")
        run.get_run_start()
        store.delete("a")
        record(store, make_run("a", 3))
        with pytest.raises(NoSuchRun):
            run.get_run_start()
        assert run.get_event_count("a-d") == 3


class TestAStoreThatIsDeletedWhileItIsOpen:
    """What is acknowledged is there afterwards, and what is read is what is there."""

    @pytest.fixture
    def catalog(self, tmp_path):
        made = BlueskyEmbeddedCatalog(tmp_path / "store")
        self.record(made, make_run("old", 5))
        assert list(made) == ["old"]
        yield made
        made.close()

    def record(self, catalog, documents):
        for name, doc in documents:
            catalog.insert(name, doc)

    def test_readers_see_that_it_is_gone(self, catalog, tmp_path):
        shutil.rmtree(tmp_path / "store")
        assert len(catalog) == 0
        assert list(catalog.problems) == [str(tmp_path / "store")]
        assert not (tmp_path / "store").exists()

    def test_the_next_run_goes_into_a_new_one(self, catalog, tmp_path, small):
        shutil.rmtree(tmp_path / "store")
        self.record(catalog, make_run("new", 50, plan="x"))
        other = BlueskyEmbeddedCatalog(tmp_path / "store")
        for one in (catalog, other):
            assert list(one) == list(one.search({"plan": "x"})) == ["new"]
            assert one["new"]["primary"].read().sizes["time"] == 50
            assert harmful(one.store) == []
        other.close()

    def test_a_run_that_was_being_recorded_does_not_go_on(self, catalog, tmp_path):
        begun = make_run("begun", 10, stop=False)
        self.record(catalog, begun[:-1])
        shutil.rmtree(tmp_path / "store")
        with pytest.raises(InvalidDocument, match="in no run that is being recorded"):
            catalog.insert(*begun[-1])

    def test_another_store_in_its_place_is_read_and_recorded_into(self, catalog, tmp_path):
        self.record(catalog, begun := make_run("begun", 4, stop=False))
        saved = tmp_path / "saved"
        catalog.store.backup(saved)
        self.record(catalog, make_run("lost", 3))
        shutil.rmtree(tmp_path / "store")
        saved.rename(tmp_path / "store")
        assert set(catalog) == {"old", "begun"}
        self.record(catalog, [("event", make_event("begun", 5))])
        self.record(catalog, [*begun, *make_run("begun", 5)[5:]])
        assert catalog["begun"]["primary"].read()["n"].values.tolist() == [1, 2, 3, 4, 5]
        assert harmful(catalog.store) == []
