from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import httpx
import pytest

from databroker_like import errors
from databroker_like.client._saving import Into, to_file


def breaking(*parts: bytes) -> httpx.Response:
    def stream() -> Any:
        yield from parts
        raise httpx.ReadError("gone")

    return httpx.Response(200, content=stream())


def whole(*parts: bytes) -> httpx.Response:
    return httpx.Response(200, content=iter(parts))


def test_a_reply_is_written_anew_when_the_connection_broke() -> None:
    file = io.BytesIO(b"kept ")
    file.seek(5)
    into = Into(file)
    with pytest.raises(httpx.ReadError):
        into(breaking(b"a long beginning"))
    into(whole(b"all ", b"of it"))
    assert file.getvalue() == b"kept all of it"


def test_what_failed_for_good_is_taken_back() -> None:
    file = io.BytesIO(b"kept ")
    file.seek(5)
    into = Into(file)
    with pytest.raises(httpx.ReadError):
        into(breaking(b"half"))
    into.take_back()
    assert file.getvalue() == b"kept "


def test_a_stream_that_cannot_be_taken_back_is_told() -> None:
    class Stream:
        """Takes bytes, and gives none back."""

        def write(self, part: bytes) -> None: ...

    into = Into(Stream())
    with pytest.raises(httpx.ReadError):
        into(breaking(b"half"))
    with pytest.raises(errors.ServiceFailed, match="taken back"):
        into(whole(b"all"))


@pytest.mark.parametrize("file", [io.StringIO(), 3, None])
def test_files_of_text_are_told(file: Any) -> None:
    with pytest.raises(errors.WrongType, match="binary"):
        Into(file)


def test_a_file_is_there_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("before")

    def fails(file: Any) -> None:
        file.write(b"half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        to_file(path, fails)
    assert (path.read_text(), len(list(tmp_path.iterdir()))) == ("before", 1)
    to_file(path, lambda file: file.write(b"after"))
    assert (path.read_text(), len(list(tmp_path.iterdir()))) == ("after", 1)
