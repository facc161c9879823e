"""Backups are stores, made while runs are recorded; restoring overwrites nothing."""

import contextlib
import os
import resource
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.errors import Conflict, InvalidFile, MissingFile, NotWritable
from databroker_like.store import _backup
from databroker_like.store import _schema as tables
from databroker_like.store._recording import StoreSink
from databroker_like.store._store import Store
from tests.store.conftest import files, harmful, make_run, record, recorded


@pytest.fixture
def filled(store, small):
    record(store, make_run("a", 40), make_run("b", 8, pages=4), make_run("c", 3, stop=False))
    return store


RUNS = {"a": make_run("a", 40), "b": make_run("b", 8, pages=4), "c": make_run("c", 3, stop=False)}


def test_a_backup_is_a_store_with_the_same_runs(filled, tmp_path):
    made = filled.backup(tmp_path / "backup")
    assert (made.path, made.runs, made.files) == (str(tmp_path / "backup"), 3, len(files(filled)))
    saved = BlueskyEmbeddedCatalog(made.path)
    assert {uid: recorded(saved.store, uid) for uid in saved} == RUNS
    assert saved.store.check(integrity=True) == []
    assert len(saved.search({"plan_name": "scan"})) == 3
    saved.close()


def test_a_backup_can_be_moved_and_read_where_nothing_can_be_written(filled, tmp_path):
    filled.backup(tmp_path / "backup")
    assert sorted(os.listdir(tmp_path / "backup")) == ["data", "store.db"]


def test_what_happens_to_the_store_does_not_happen_to_its_backup(filled, tmp_path):
    filled.backup(tmp_path / "backup")
    filled.delete(["a", "b"])
    filled.vacuum()
    saved = Store(tmp_path / "backup")
    assert recorded(saved, "a") == RUNS["a"]
    assert saved.check() == []
    saved.close()


def test_a_backup_is_made_while_runs_are_recorded(store, small, tmp_path):
    stop = threading.Event()

    def go_on():
        number = 0
        with contextlib.closing(StoreSink(store)) as sink:
            while not stop.is_set() or number < 2:  # however late it begins
                number += 1
                for name, doc in make_run(f"run{number}", 25, pages=number % 3):
                    sink.insert(name, doc)
        return number

    record(store, make_run("run0", 25))
    seen = []
    with ThreadPoolExecutor(1) as pool:
        recording = pool.submit(go_on)
        try:
            for number in range(5):
                saved = Store(store.backup(tmp_path / f"backup{number}").path)
                assert harmful(saved) == []
                with saved.database.read() as connection:
                    held = connection.execute(tables.run.select().where(tables.run.c.stop.is_not(None))).all()
                for row in held:
                    assert recorded(saved, row.uid) == make_run(row.uid, 25, pages=int(row.uid[3:]) % 3)
                seen.append(len(held))
                saved.close()
        finally:
            stop.set()
        assert recording.result() > 1
    assert seen == sorted(seen)
    assert seen[-1] > 1, "nothing was recorded meanwhile"


def test_a_backup_overwrites_nothing(filled, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_text("keep")
    with pytest.raises(Conflict, match="nothing is overwritten"):
        filled.backup(tmp_path / "there")
    assert (tmp_path / "there" / "file").read_text() == "keep"
    with pytest.raises(Conflict, match="nothing is overwritten"):
        filled.backup(filled.path)
    (tmp_path / "empty").mkdir()
    assert filled.backup(tmp_path / "empty").runs == 3


def test_there_is_no_backup_of_nothing(store, tmp_path):
    with pytest.raises(InvalidFile, match="there is no store"):
        store.backup(tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def test_a_file_that_is_missing_is_told_and_leaves_no_backup(filled, tmp_path):
    filled.files.delete(files(filled)[0])
    with pytest.raises(MissingFile, match=r"not there: .*see store\.check\(\)"):
        filled.backup(tmp_path / "backup")
    assert os.listdir(tmp_path) == ["store"]


def test_a_run_deleted_while_a_backup_is_made_is_not_in_it(filled, tmp_path, monkeypatch):
    copied = _backup._copy
    calls = []

    def copy(source, target, name, *, linked):
        if not calls:
            filled.delete("a")
        calls.append(name)
        copied(source, target, name, linked=linked)

    monkeypatch.setattr(_backup, "_copy", copy)
    assert filled.backup(tmp_path / "backup").runs == 2
    assert harmful(Store(tmp_path / "backup")) == []


def test_files_on_another_disk_are_copied(filled, tmp_path, monkeypatch):
    monkeypatch.setattr(filled.files, "link", lambda other, name: False)
    filled.backup(tmp_path / "backup")
    saved = Store(tmp_path / "backup")
    assert saved.check() == []
    assert all(os.stat(f"{saved.files.root}/{name}").st_nlink == 1 for name in files(saved))
    saved.close()


@pytest.mark.parametrize("spoiled", ["a file", "a folder within a file"])
def test_a_place_that_cannot_be_written_is_told(filled, tmp_path, spoiled):
    (tmp_path / "file").write_text("")
    target = tmp_path / "file" if spoiled == "a file" else tmp_path / "file" / "backup"
    with pytest.raises((Conflict, NotWritable)):
        filled.backup(target)


def test_a_full_disk_is_told_and_leaves_no_backup(filled, tmp_path):
    """The system refuses to write more than a few pages into a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(NotWritable, match=r"the backup of .* cannot be written"):
            filled.backup(tmp_path / "backup")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert os.listdir(tmp_path) == ["store"]
    assert filled.backup(tmp_path / "backup").runs == 3


# -- restoring


def test_a_restored_store_holds_what_was_saved_and_goes_on(filled, tmp_path):
    filled.backup(tmp_path / "backup")
    restored = Store(tmp_path / "restored")
    restored.restore(tmp_path / "backup")
    assert {uid: recorded(restored, uid) for uid in RUNS} == RUNS
    assert restored.identity == filled.identity
    record(restored, make_run("d"))
    assert restored.check(integrity=True) == []
    restored.close()
    assert Store(tmp_path / "backup").check() == []


def test_a_restored_store_shares_no_file_with_its_backup(filled, tmp_path):
    filled.backup(tmp_path / "backup")
    restored = Store(tmp_path / "restored")
    restored.restore(tmp_path / "backup")
    for name in files(restored):
        assert os.stat(f"{restored.files.root}/{name}").st_nlink == 1
    restored.close()


def test_data_files_are_restored_to_where_they_are_wanted(filled, tmp_path):
    filled.backup(tmp_path / "backup")
    restored = Store(tmp_path / "restored", data=tmp_path / "elsewhere")
    restored.restore(tmp_path / "backup")
    assert restored.check() == []
    assert not (tmp_path / "restored" / "data").exists()
    restored.close()


def test_restoring_overwrites_no_store(filled, tmp_path):
    filled.backup(tmp_path / "backup")
    with pytest.raises(Conflict, match="nothing is overwritten"):
        filled.restore(tmp_path / "backup")
    with pytest.raises(Conflict, match="holds files of this store already"):
        Store(tmp_path / "other", data=filled.files.root).restore(tmp_path / "backup")
    assert not (tmp_path / "other").exists()
    assert {uid: recorded(filled, uid) for uid in RUNS} == RUNS


def test_what_is_no_backup_is_not_restored(tmp_path):
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InvalidFile, match="is no backup"):
        Store(tmp_path / "restored").restore(tmp_path / "nothing")
    assert not (tmp_path / "restored").exists()


def test_a_damaged_backup_is_told(filled, tmp_path):
    filled.backup(tmp_path / "backup")
    saved = Store(tmp_path / "backup")
    path = f"{saved.files.root}/{files(saved)[0]}"
    os.unlink(path)
    with open(path, "wb") as file:
        file.write(b"damaged")
    saved.close()
    with pytest.raises(InvalidFile, match=r"the backup .* is damaged: run a: the events"):
        Store(tmp_path / "restored").restore(tmp_path / "backup")


def test_a_backup_that_lacks_a_file_is_not_restored(filled, tmp_path):
    filled.backup(tmp_path / "backup")
    saved = Store(tmp_path / "backup")
    saved.files.delete(files(saved)[0])
    saved.close()
    with pytest.raises(MissingFile):
        Store(tmp_path / "restored").restore(tmp_path / "backup")
    assert sorted(os.listdir(tmp_path)) == ["backup", "store"]
