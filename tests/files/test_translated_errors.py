"""What libraries raise, in our words."""

import os

import pytest

from databroker_like.errors import InvalidFile, MissingFile, NoSuchHandler, NotWritable
from databroker_like.files._translate import reading


def test_a_missing_file_says_whether_its_folder_is_there(tmp_path):
    with (
        pytest.raises(MissingFile, match=f"the folder '{tmp_path}' is there") as caught,
        reading(str(tmp_path / "a"), "a file"),
    ):
        os.stat(tmp_path / "a")
    assert caught.value.filename == str(tmp_path / "a")
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    gone = tmp_path / "gone" / "a"
    with pytest.raises(MissingFile, match="nor is there a folder"), reading(str(gone), "a file"):
        os.stat(gone)


def test_a_file_that_may_not_be_read_says_so(tmp_path):
    (tmp_path / "a").write_text("x")
    with pytest.raises(NotWritable, match="may not be read by this user"), reading(str(tmp_path / "a"), "a file"):
        raise PermissionError(13, "Permission denied")


def test_what_the_library_calls_trouble_is_an_invalid_file(tmp_path):
    (tmp_path / "a").write_text("x")
    with (
        pytest.raises(InvalidFile, match="cannot be read as a file: broken header") as caught,
        reading(str(tmp_path / "a"), "a file", KeyError, ValueError),
    ):
        raise ValueError("broken header")
    assert isinstance(caught.value.__cause__, ValueError)


def test_an_empty_file_is_said_to_be_empty(tmp_path):
    (tmp_path / "a").touch()
    with pytest.raises(InvalidFile, match="it is empty"), reading(str(tmp_path / "a"), "a file"):
        raise OSError("strange words")


def test_other_errors_pass_unchanged(tmp_path):
    with pytest.raises(ZeroDivisionError), reading(str(tmp_path), "a file", ValueError):
        raise ZeroDivisionError
    with pytest.raises(NoSuchHandler, match="as it was"), reading(str(tmp_path), "a file", Exception):
        raise NoSuchHandler("as it was")
