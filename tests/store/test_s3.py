"""Data files in an object store: moto's S3 on loopback."""

import socket
import time
import uuid

import pytest

from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.errors import MissingFile, NotWritable, Unreachable
from databroker_like.store import _growth
from databroker_like.store._data_files import DataFiles
from databroker_like.store._recording import StoreSink
from databroker_like.store._store import Store
from databroker_like.store._vacuum import vacuum
from tests.store.conftest import files, harmful, make_run, record, recorded

pytestmark = pytest.mark.slow

KEYS = {"key": "someone", "secret": "something-secret"}


@pytest.fixture
def place(s3_server):
    """A bucket of its own, and what is needed to reach it."""
    import s3fs

    bucket = f"store-{uuid.uuid4().hex}"
    options = {"endpoint_url": s3_server, **KEYS}
    s3fs.S3FileSystem(**options).mkdir(bucket)
    return f"s3://{bucket}/runs", options


@pytest.fixture
def on_s3(tmp_path, place, small):
    store = Store(tmp_path / "store", data=place[0], data_options=place[1])
    yield store
    store.close()


def test_runs_are_recorded_and_read_through_the_catalog(tmp_path, place, small):
    catalog = BlueskyEmbeddedCatalog(tmp_path / "store", data=place[0], data_options=place[1])
    for name, doc in make_run("a", 40):
        catalog.insert(name, doc)
    assert len(files(catalog.store)) == 3
    assert not (tmp_path / "store" / "data").exists()
    again = BlueskyEmbeddedCatalog(tmp_path / "store", data=place[0], data_options=place[1])
    assert again["a"].primary.read()["n"].values.tolist() == list(range(1, 41))
    assert recorded(again.store, "a") == make_run("a", 40)
    assert again.store.check() == []
    catalog.close()
    again.close()


def test_deleting_takes_the_files_away(on_s3):
    record(on_s3, make_run("a", 40), make_run("b", 40))
    kept = files(on_s3)
    on_s3.delete("a")
    assert 0 < len(files(on_s3)) < len(kept)
    assert on_s3.check() == []
    assert recorded(on_s3, "b") == make_run("b", 40)


def test_what_nobody_refers_to_is_taken_away_when_it_is_old(on_s3):
    record(on_s3, make_run("a", 40))
    kept = files(on_s3)
    on_s3.files.write(f"{on_s3.file_prefix}/000000/9/0-left.arrow", b"left")
    assert on_s3.vacuum().files == 0
    assert [problem.harmless for problem in on_s3.check()] == [True]
    assert vacuum(on_s3, older_than=-5).files == 1
    assert files(on_s3) == kept


def test_a_missing_and_a_damaged_file_are_named(on_s3):
    record(on_s3, make_run("a", 40))
    first, second, _ = files(on_s3)
    on_s3.files.delete(first)
    on_s3.files.write(second, b"damaged")
    said = " ".join(harmful(on_s3))
    assert f"{first} of the store is not there" in said
    assert f"damaged in the data file {second}" in said


def test_a_backup_is_a_folder_and_restores_to_another_place(on_s3, tmp_path, place):
    record(on_s3, make_run("a", 40))
    assert on_s3.backup(tmp_path / "backup").files == 3
    saved = Store(tmp_path / "backup")
    assert recorded(saved, "a") == make_run("a", 40)
    saved.close()
    other = Store(tmp_path / "other", data=f"{place[0]}-other", data_options=place[1])
    other.restore(tmp_path / "backup")
    assert files(other) == files(on_s3)
    assert other.check() == []
    other.close()


def test_two_stores_keep_their_files_in_one_place(on_s3, tmp_path, place):
    other = Store(tmp_path / "other", data=place[0], data_options=place[1])
    record(on_s3, make_run("a", 40))
    record(other, make_run("a", 40))
    assert not set(files(on_s3)) & set(files(other))
    assert vacuum(on_s3, older_than=-5).files == 0
    on_s3.delete("a")
    assert other.check() == []
    assert recorded(other, "a") == make_run("a", 40)
    other.close()


def test_files_are_written_read_listed_and_deleted(place):
    data = DataFiles(*place)
    assert list(data.names("p")) == []
    data.write("p/000000/1/0-a.arrow", b"content")
    assert bytes(data.open("p/000000/1/0-a.arrow")) == b"content"
    ((name, written),) = data.names("p")
    assert name == "p/000000/1/0-a.arrow"
    assert abs(written - time.time()) < 60
    data.delete(name)
    data.delete(name)
    with pytest.raises(MissingFile, match=r"0-a\.arrow of the store is not there"):
        data.open(name)
    assert "something-secret" not in repr(data)


@pytest.fixture
def nobody():
    """An address where nobody answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield {"endpoint_url": f"http://127.0.0.1:{taken.getsockname()[1]}", **KEYS}


def test_an_object_store_that_does_not_answer_delays_no_recording(tmp_path, nobody, small, monkeypatch):
    """What is recorded is in the database until it can be sealed."""
    monkeypatch.setattr(_growth, "_PATIENCE", 1000.0)
    place = "s3://bucket/runs"
    store = Store(tmp_path / "store", data=place, data_options=nobody)
    docs = make_run("a", 200)
    sink = StoreSink(store)
    with pytest.warns(UserWarning, match=r"recorded and are not yet columns.*does not answer") as told:
        _send(sink, docs[:-1])
    assert len(told) == 1, "it is not tried again with each event"
    with pytest.warns(UserWarning, match=r"recorded, and its events are not yet sealed.*does not answer") as told:
        sink.insert(*docs[-1])
    assert "something-secret" not in str([str(one.message) for one in told])
    sink.close()
    assert recorded(store, "a") == docs
    store.close()


def _send(sink, docs):
    for name, doc in docs:
        sink.insert(name, doc)


def test_what_could_not_be_sealed_is_sealed_by_vacuum(tmp_path, nobody, place, small):
    docs = make_run("a", 40)
    with pytest.warns(UserWarning, match="does not answer"):
        record(Store(tmp_path / "store", data=place[0], data_options=nobody), docs)
    store = Store(tmp_path / "store", data=place[0], data_options=place[1])
    assert files(store) == []
    assert store.vacuum().runs == 1
    assert files(store)
    assert recorded(store, "a") == docs
    assert store.check() == []
    store.close()


def test_reading_from_an_object_store_that_does_not_answer_says_so(tmp_path, place, nobody, small):
    record(Store(tmp_path / "store", data=place[0], data_options=place[1]), make_run("a", 40))
    store = Store(tmp_path / "store", data=place[0], data_options=nobody)
    with pytest.raises(Unreachable, match=r"the object store of s3://.* does not answer"):
        recorded(store, "a")
    with pytest.raises(Unreachable, match="does not answer"):
        store.check()
    store.close()


def test_a_bucket_that_is_not_there_is_told(tmp_path, place, small):
    store = Store(tmp_path / "store", data="s3://there-is-none/runs", data_options=place[1])
    docs = make_run("a", 40)
    with pytest.warns(UserWarning, match=r"there-is-none.* cannot be written: .*bucket"):
        record(store, docs)
    assert recorded(store, "a") == docs
    with pytest.raises(NotWritable, match="is there such a bucket"):
        store.files.write("p/000000/1/0-a.arrow", b"content")
    store.close()
