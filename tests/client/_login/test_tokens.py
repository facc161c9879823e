from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from databroker_like import errors
from databroker_like.client._login._tokens import TokenFolder, Tokens


@pytest.mark.parametrize("uri", ["http://localhost:8000/api/v1", "http://localhost:8000/api/v1/"])
def test_each_server_has_a_folder_called_as_the_clients_of_tiled_call_it(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TILED_CACHE_DIR", str(tmp_path))
    assert TokenFolder(uri).path == tmp_path / "tokens" / "http%3A%2F%2Flocalhost%3A8000%2Fapi%2Fv1%2F"
    assert TokenFolder(uri, tmp_path / "mine").path.parent == tmp_path / "mine"
    monkeypatch.delenv("TILED_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    assert TokenFolder(uri).path.parent.name == "tokens"


def test_what_is_written_is_read_until_it_is_forgotten(tmp_path: Path) -> None:
    folder = TokenFolder("http://h/api/v1", tmp_path)
    assert folder.read() is None
    folder.write(Tokens("a", "r"))
    assert folder.read() == Tokens("a", "r")
    folder.write(Tokens("b"))
    assert folder.read() == Tokens("b")
    assert TokenFolder("http://h:81/api/v1", tmp_path).read() is None
    folder.forget()
    folder.forget()
    assert folder.read() is None


@pytest.mark.skipif(sys.platform == "win32", reason="rights are another matter on Windows")
def test_tokens_are_for_their_owner_alone(tmp_path: Path) -> None:
    folder = TokenFolder("http://h/api/v1", tmp_path)
    folder.write(Tokens("a", "r"))
    folder.write(Tokens("b", "s"))
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.path.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert {file.name for file in folder.path.iterdir()} == {"access_token", "refresh_token"}


@pytest.mark.parametrize("content", [b"", b"a\r\nX-Other: 1", b"two words", b"\xff\xfe", b"x" * (1 << 17) + b"\n y"])
def test_what_is_no_token_is_not_taken_for_one(tmp_path: Path, content: bytes) -> None:
    folder = TokenFolder("http://h/api/v1", tmp_path)
    folder.path.mkdir(parents=True)
    (folder.path / "access_token").write_bytes(content)
    found = folder.read()
    assert found is None or found.access_token.strip("x") == ""


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.NotWritable, match="cannot be remembered"):
        TokenFolder("http://h/api/v1", tmp_path / "file").write(Tokens("a"))
