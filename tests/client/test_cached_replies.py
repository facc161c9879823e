from __future__ import annotations

import base64
import contextlib
import json
import os
import pickle
import sqlite3
import stat
import subprocess
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from databroker_like import errors
from databroker_like.client.cache import Cache


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    with Cache(tmp_path / "replies.db") as made:
        yield made


def asked(path: str = "a", key: str | None = "one", **headers: str) -> httpx.Request:
    who = {} if key is None else {"Authorization": key if " " in key else f"Apikey {key}"}
    return httpx.Request("GET", f"http://h/{path}", headers={"Accept": "text/plain", **who, **headers})


def reply(content: bytes = b"content", **headers: str) -> httpx.Response:
    return httpx.Response(200, content=content, headers={"ETag": "7", "Content-Type": "text/plain", **headers})


def token(**claims: Any) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"Bearer head.{body}.signature"


def test_what_is_set_is_got_with_its_headers(cache: Cache) -> None:
    assert cache.get(asked()) is None
    assert cache.set(request=asked(), response=reply(**{"Set-Cookie": "a=b"}))
    found = cache.get(asked())
    assert found is not None
    assert (found.status_code, found.content, found.headers["etag"]) == (200, b"content", "7")
    assert "set-cookie" not in found.headers
    assert (cache.count(), cache.size()) == (1, 7)
    cache.set(request=asked(), response=reply(b"new"))
    assert cache.get(asked()).content == b"new"  # type: ignore[union-attr]
    cache.delete(asked())
    assert cache.get(asked()) is None
    cache.set(request=asked(), response=reply())
    cache.clear()
    assert (cache.count(), cache.size()) == (0, 0)


@pytest.mark.parametrize(
    "other",
    [
        asked("b"),
        asked("a?x=1"),
        asked(key="two"),
        asked(key=None),
        asked(key=token(sub="one")),
        asked(Accept="image/png"),
        asked(Range="bytes=0-1"),
        asked(**{"X-Beamline": "7"}),
    ],
)
def test_what_was_answered_to_another_request_or_person_is_not_given(cache: Cache, other: httpx.Request) -> None:
    cache.set(request=asked(), response=reply())
    assert cache.get(other) is None


def test_the_next_token_of_the_same_person_reads_what_the_last_one_did(cache: Cache) -> None:
    cache.set(request=asked(key=token(sub="ann", exp=1, scp=["read"])), response=reply())
    assert cache.get(asked(key=token(sub="ann", exp=2, scp=["read"]))) is not None
    for other in (token(sub="bob", scp=["read"]), token(sub="ann", scp=[]), token(), "Bearer a.!.b", "Bearer a.W10.b"):
        assert cache.get(asked(key=other)) is None


def test_no_secret_is_in_the_file(cache: Cache) -> None:
    cache.set(
        request=asked("a?api_key=hushhush", key="secretsecret"), response=reply(**{"Set-Cookie": "k=cookiecookie"})
    )
    cache.close()
    stored = cache.filepath.read_bytes()
    assert b"api_key=..." in stored
    assert not [secret for secret in (b"hushhush", b"secretsecret", b"cookiecookie") if secret in stored]


@pytest.mark.skipif(sys.platform == "win32", reason="rights are another matter on Windows")
def test_the_file_is_for_its_owner_alone(cache: Cache) -> None:
    assert stat.S_IMODE(cache.filepath.stat().st_mode) == 0o600


def test_what_is_too_large_or_no_success_is_not_kept(tmp_path: Path) -> None:
    with Cache(tmp_path / "a.db", max_item_size=5) as cache:
        assert not cache.set(request=asked(), response=reply(b"123456"))
        assert not cache.set(request=asked(), response=httpx.Response(404, content=b"no"))
        assert not cache.set(request=httpx.Request("POST", "http://h/a"), response=reply(b"1"))
        assert cache.set(request=asked(), response=reply(b"12345"))
        assert cache.count() == 1


def test_what_was_not_used_for_longest_makes_room(tmp_path: Path) -> None:
    with Cache(tmp_path / "a.db", capacity=100, max_item_size=50) as cache:
        for name in "abcdefgh":
            cache.set(request=asked(name), response=reply(b"x" * 12))
        assert cache.size() == 96
        cache.get(asked("a"))
        cache.set(request=asked("new"), response=reply(b"x" * 12))
        assert cache.size() <= 100
        assert cache.get(asked("a")) is not None
        assert cache.get(asked("new")) is not None
        assert cache.get(asked("b")) is None
        cache.capacity = 30
        assert cache.size() <= 30


def test_it_is_read_only_when_told(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with pytest.raises(errors.MissingFile, match="not there"):
        Cache(path, readonly=True)
    with Cache(path) as cache:
        cache.set(request=asked(), response=reply())
        assert cache.write_safe()
    before = path.read_bytes()
    with Cache(path, readonly=True) as cache:
        assert cache.readonly
        assert not cache.write_safe()
        assert cache.get(asked()).content == b"content"  # type: ignore[union-attr]
        assert not cache.set(request=asked("b"), response=reply())
        cache.delete(asked())
        with pytest.raises(errors.NotWritable, match="only read"):
            cache.clear()
        assert cache.count() == 1
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"x" * 5000, b""])
def test_what_is_no_cache_is_told_where_it_is_only_read(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(content)
    with pytest.raises(errors.InvalidFile, match="damaged, or is no cache"):
        Cache(path, readonly=True)
    assert path.read_bytes() == content


def test_one_reply_may_be_no_larger_than_all_together(tmp_path: Path) -> None:
    with pytest.raises(errors.Invalid, match="more than the capacity of 10 bytes"):
        Cache(tmp_path / "a.db", capacity=10, max_item_size=100)
    with Cache(tmp_path / "a.db", capacity=10) as cache:
        assert cache.capacity == 10


def test_a_closed_one_says_so(cache: Cache) -> None:
    cache.close()
    cache.close()
    assert not cache.write_safe()
    assert not cache.set(request=asked(), response=reply())
    with pytest.raises(errors.Invalid, match="is closed"):
        cache.get(asked())


@pytest.mark.parametrize("damage", ["another file", "zeros in the middle"])
def test_a_damaged_file_is_set_aside_and_begun_anew(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a.db"
    with Cache(path) as cache:
        for at in range(50):
            cache.set(request=asked(str(at)), response=reply(b"x" * 1000))
    if damage == "another file":
        path.write_text("my notes, by mistake\n" * 100)
    else:
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(b"\0" * 20000)

    def read_it() -> Cache:
        opened = Cache(path)
        # What is damaged may be a page that is read late.
        with contextlib.suppress(errors.NotWritable):
            for at in range(50):
                opened.get(asked(str(at)))
        return opened

    with pytest.warns(UserWarning, match="is damaged"):
        cache = read_it()
    with cache:
        cache.set(request=asked(), response=reply())
        assert cache.get(asked()) is not None
    assert path.with_name("a.db.damaged").exists()


@pytest.mark.parametrize("within_a_page", [0, 2000])
def test_what_is_damaged_is_never_given(tmp_path: Path, within_a_page: int) -> None:
    path = tmp_path / "a.db"
    content = b"x" * 5000

    def read_it() -> list[bytes]:
        found = []
        for at in range(200):
            with contextlib.suppress(errors.NotWritable):
                given = cache.get(asked(str(at)))
                found += [] if given is None else [given.content]
        return found

    with Cache(path) as cache:
        for at in range(200):
            cache.set(request=asked(str(at)), response=reply(content))
    size = path.stat().st_size
    with path.open("r+b") as file:
        for at in range(size // 3 // 4096 * 4096, 2 * size // 3, 4096):
            file.seek(at + within_a_page)
            file.write(b"y" * 100)
    # SQLite notices some of it, and the checksums the rest.
    with warnings.catch_warnings(action="ignore", category=UserWarning), Cache(path) as cache:
        found = read_it()
        assert len(found) < 200
        assert set(found) <= {content}
        assert cache.set(request=asked(), response=reply())
        assert cache.get(asked()) is not None


@pytest.mark.parametrize("column", ["content", "headers"])
def test_what_a_disk_has_changed_unnoticed_is_not_given(cache: Cache, column: str) -> None:
    cache.set(request=asked(), response=reply(b"xyz"))
    with sqlite3.connect(cache.filepath) as other:
        other.execute(f"UPDATE databroker_like_replies SET {column} = substr({column}, 1, 2) || {column}")
    other.close()
    assert cache.get(asked()) is None
    assert cache.count() == 0


def test_another_table_in_the_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "shared.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE responses (x)")
        other.execute("INSERT INTO responses VALUES (7)")
    other.close()
    with Cache(path) as cache:
        cache.set(request=asked(), response=reply())
        cache.clear()
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT x FROM responses").fetchall() == [(7,)]
    other.close()


def test_threads_share_it(cache: Cache) -> None:
    def work(number: int) -> bool:
        cache.set(request=asked(str(number % 10)), response=reply(str(number % 10).encode()))
        found = cache.get(asked(str(number % 10)))
        return found is not None and found.content == str(number % 10).encode()

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(200)))
    assert cache.count() == 10


def test_processes_share_it(cache: Cache) -> None:
    code = (
        "import sys, httpx\n"
        "from databroker_like.client.cache import Cache\n"
        "with Cache(sys.argv[1]) as cache:\n"
        "    for at in range(40):\n"
        "        request = httpx.Request('GET', f'http://h/{sys.argv[2]}/{at}')\n"
        "        cache.set(request=request, response=httpx.Response(200, content=b'x'))\n"
    )
    asked_ = [subprocess.Popen([sys.executable, "-c", code, str(cache.filepath), name]) for name in "ab"]
    assert [process.wait(300) for process in asked_] == [0, 0]
    assert cache.count() == 80


def test_it_goes_to_another_process_as_its_address(cache: Cache) -> None:
    cache.set(request=asked(), response=reply())
    with pickle.loads(pickle.dumps(cache)) as again:
        assert again.filepath == cache.filepath
        assert again.get(asked()) is not None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_fork_opens_the_file_for_itself(cache: Cache) -> None:
    code = (
        "import os, sys, httpx\n"
        "from databroker_like.client.cache import Cache\n"
        "def request(name): return httpx.Request('GET', f'http://h/{name}')\n"
        "cache = Cache(sys.argv[1])\n"
        "cache.set(request=request('parent'), response=httpx.Response(200, content=b'x'))\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    found = cache.get(request('parent'))\n"
        "    cache.set(request=request('child'), response=httpx.Response(200, content=b'x'))\n"
        "    os._exit(0 if found is not None else 1)\n"
        "_, status = os.waitpid(child, 0)\n"
        "sys.exit(status or cache.get(request('child')) is None)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(cache.filepath)], check=True, timeout=300)
    assert cache.count() == 2


def test_where_it_is_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILED_CACHE_DIR", str(tmp_path / "told"))
    with Cache() as cache:
        assert cache.filepath == tmp_path / "told" / "databroker_like_replies.db"
    monkeypatch.delenv("TILED_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    with Cache() as cache:
        assert cache.filepath.parent.name == "databroker-like"
        assert cache.capacity == 500e6
        assert cache.max_item_size == 500e3


@pytest.mark.parametrize("size", [0, -1, "many", True, float("nan")])
def test_a_size_is_a_number_of_bytes(tmp_path: Path, size: Any) -> None:
    with pytest.raises(errors.Invalid, match="number of bytes"):
        Cache(tmp_path / "a.db", capacity=size)


def test_a_place_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.NotWritable, match="cannot be used"):
        Cache(tmp_path / "file" / "a.db")
