"""Folders are made and forced to the disk, with those they are in."""

import errno
import os

import pytest

from databroker_like.files._folders import make_folder, sync_folder
from databroker_like.store._data_files import DataFiles
from databroker_like.store._store import Store
from tests.store.conftest import make_run, record


@pytest.fixture
def forced(monkeypatch):
    """The files and folders that were forced to the disk."""
    found, real = [], os.fsync

    def fsync(descriptor):
        found.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return found


def test_what_is_new_is_told_from_the_inside_out(tmp_path):
    deep = f"{tmp_path}/a/b/c"
    assert make_folder(deep) == [deep, f"{tmp_path}/a/b", f"{tmp_path}/a", str(tmp_path)]
    assert os.path.isdir(deep)
    assert make_folder(deep) == [deep]


def test_a_relative_folder_is_made_where_one_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert make_folder("a/b")[0] == "a/b"
    assert os.path.isdir(tmp_path / "a" / "b")


def test_a_file_system_that_has_nothing_to_force_is_none_to_complain_of(tmp_path, monkeypatch):
    def fails(code):
        def fsync(descriptor):
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(os, "fsync", fsync)

    fails(errno.EINVAL)
    sync_folder(str(tmp_path))
    fails(errno.EIO)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        sync_folder(str(tmp_path))


def test_a_data_file_is_forced_to_the_disk_with_each_folder_that_is_new(tmp_path, forced):
    files = DataFiles(str(tmp_path / "data"))
    files.write("0a/000/1/0-b.arrow", b"columns")
    assert forced[1:] == [f"{tmp_path}/data/{inside}".rstrip("/") for inside in ("0a/000/1", "0a/000", "0a", "")] + [
        str(tmp_path)
    ]
    del forced[:]
    files.write("0a/000/1/1-b.arrow", b"columns")
    assert forced[1:] == [f"{tmp_path}/data/0a/000/1"]


def test_the_folder_of_a_store_is_forced_to_the_disk_when_it_is_made(tmp_path, forced):
    store = Store(tmp_path / "deep" / "store")
    record(store, make_run("a", 1))
    assert forced[:3] == [f"{tmp_path}/deep/store", f"{tmp_path}/deep", str(tmp_path)]
    store.close()
