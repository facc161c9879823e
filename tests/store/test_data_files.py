"""Data files in a folder: whole or not there, and never outside their root."""

import errno
import os
import resource
import signal

import pytest

from databroker_like.errors import MissingFile, NotWritable
from databroker_like.store import _data_files
from databroker_like.store._data_files import DataFiles

NAME = "0123456789ab/000000/1/0-a.arrow"


@pytest.fixture
def data(tmp_path):
    return DataFiles(str(tmp_path / "data"))


def test_what_is_written_is_read_listed_and_deleted(data):
    data.write(NAME, b"content")
    assert bytes(data.open(NAME)) == b"content"
    assert [name for name, _ in data.names("0123456789ab")] == [NAME]
    assert list(data.names("another")) == []
    data.delete(NAME)
    data.delete(NAME)
    assert list(data.names("0123456789ab")) == []


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../../x", "/etc/passwd", "a//b", "a", "", "a/b\n", "A/b", "a/./b", "a/..", "ab/..", "a/.", "a/b/../c"],
)
def test_a_name_leads_nowhere_else(data, name):
    for use in (data.open, data.delete, lambda name: data.write(name, b"")):
        with pytest.raises(MissingFile, match="is no name of a data file"):
            use(name)


def test_a_file_that_is_not_there_is_named(data, tmp_path):
    with pytest.raises(MissingFile, match=f"the data file {tmp_path}.*0-a.arrow of the store is not there"):
        data.open(NAME)
    with pytest.raises(MissingFile, match=r"is not there"):
        data.link(DataFiles(str(tmp_path / "other")), NAME)


def test_a_file_that_is_a_folder_cannot_be_read(data):
    os.makedirs(f"{data.root}/{NAME}")
    with pytest.raises(MissingFile, match="cannot be read"):
        data.open(NAME)


def test_a_reader_keeps_what_it_opened(data):
    data.write(NAME, b"content")
    held = data.open(NAME)
    data.delete(NAME)
    assert bytes(held) == b"content"


def test_two_folders_on_one_disk_share_a_file(data, tmp_path):
    other = DataFiles(str(tmp_path / "other"))
    data.write(NAME, b"content")
    assert data.link(other, NAME)
    data.delete(NAME)
    assert bytes(other.open(NAME)) == b"content"


def test_where_links_cannot_be_made_the_caller_is_told(data, tmp_path, monkeypatch):
    def refuse(*args):
        raise OSError(errno.EXDEV, "another disk")

    data.write(NAME, b"content")
    monkeypatch.setattr(os, "link", refuse)
    assert not data.link(DataFiles(str(tmp_path / "other")), NAME)
    assert not data.link(DataFiles("s3://bucket/x"), NAME)


def test_a_file_is_written_though_another_process_takes_its_empty_folder_away(data, monkeypatch):
    made = _data_files.make_folder
    taken = []

    def made_and_taken(folder):
        holders = made(folder)
        if len(taken) < 3:
            taken.append(os.rmdir(folder))
        return holders

    monkeypatch.setattr(_data_files, "make_folder", made_and_taken)
    data.write(NAME, b"content")
    assert bytes(data.open(NAME)) == b"content"
    assert len(taken) == 3


def test_a_folder_that_is_always_taken_away_is_told(data, monkeypatch):
    made = _data_files.make_folder
    monkeypatch.setattr(_data_files, "make_folder", lambda folder: (made(folder), os.rmdir(folder))[0])
    with pytest.raises(NotWritable, match="No such file"):
        data.write(NAME, b"content")


def test_a_full_disk_leaves_nothing_and_says_so(data, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(_data_files.os, "fsync", full)
    with pytest.raises(NotWritable, match=r"0-a\.arrow cannot be written: No space left on device; make room"):
        data.write(NAME, b"content")
    assert list(data.names("0123456789ab")) == []


def test_a_file_that_would_be_too_large_leaves_nothing(data):
    """The system itself says no, as it does when a quota is used up."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(NotWritable, match="cannot be written: File too large"):
            data.write(NAME, bytes(20_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert list(data.names("0123456789ab")) == []


def test_a_folder_that_is_a_file_is_told(tmp_path):
    (tmp_path / "data").write_text("")
    with pytest.raises(NotWritable, match="choose a folder that can be written to"):
        DataFiles(str(tmp_path / "data")).write(NAME, b"content")


def test_options_are_not_shown(tmp_path):
    assert "hidden" not in repr(DataFiles("s3://bucket", {"secret": "hidden"}))
