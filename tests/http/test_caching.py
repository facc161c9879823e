from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx
import pytest

from databroker_like import errors
from databroker_like.client.cache import Cache
from databroker_like.http import Session


@pytest.fixture(autouse=True)
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses, which take no time; there are four attempts."""
    pauses: list[float] = []
    monkeypatch.setattr("databroker_like.http._passing.sleep", pauses.append)
    monkeypatch.setenv("TILED_RETRY_ATTEMPTS", "4")
    return pauses


class Server:
    """Answers with a content and an ETag; says 304 to who has it."""

    def __init__(self, **headers: str) -> None:
        self.headers = headers
        self.content = b"one"
        self.requests: list[httpx.Request] = []
        self.away: Exception | httpx.Response | None = None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if isinstance(self.away, Exception):
            raise self.away
        if self.away is not None:
            return self.away
        headers = {"ETag": self.content.decode(), "Date": formatdate(usegmt=True), **self.headers}
        if request.headers.get("if-none-match") == headers["ETag"]:
            return httpx.Response(304, headers=headers)
        return httpx.Response(200, content=self.content, headers={**headers, "Content-Type": "text/plain"})


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    with Cache(tmp_path / "replies.db", max_item_size=1000) as made:
        yield made


@pytest.fixture
def speak(cache: Cache) -> Callable[..., Session]:
    def session(server: Server, key: str = "secret", **settings: Any) -> Session:
        made = Session("http://h:1", transport=httpx.MockTransport(server), cache=cache, **settings)
        made.authorization = f"Apikey {key}"
        return made

    return session


Speak = Callable[..., Session]


def test_what_has_not_changed_is_not_sent_again(speak: Speak) -> None:
    server = Server()
    speaking = speak(server)
    replies = [speaking.fetch("GET", "/a") for _ in range(2)]
    assert [(r.content, r.content_type) for r in replies] == [(b"one", "text/plain")] * 2
    assert [r.headers.get("if-none-match") for r in server.requests] == [None, "one"]
    server.content = b"two"
    assert speaking.fetch("GET", "/a").content == b"two"
    assert speaking.fetch("GET", "/a").content == b"two"
    assert [r.headers.get("if-none-match") for r in server.requests[2:]] == ["one", "two"]


@pytest.mark.parametrize(
    "said", [{"Cache-Control": "max-age=60"}, {"Expires": formatdate(time.time() + 86400, usegmt=True)}]
)
def test_what_is_as_good_as_new_is_not_asked_for(speak: Speak, said: dict[str, str]) -> None:
    server = Server(**said)
    for speaking in (speak(server), speak(server)):
        assert speaking.fetch("GET", "/a").content == b"one"
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "said",
    [
        {"Cache-Control": "max-age=0"},
        {"Cache-Control": "no-cache, max-age=60"},
        {"Cache-Control": "max-age=60", "Age": "61"},
        {"Cache-Control": "max-age=soon"},
        {"Expires": "0"},
        {"Expires": formatdate(time.time() - 60, usegmt=True)},
        {"Cache-Control": "must-revalidate"},
    ],
)
def test_what_may_have_changed_is_asked_for(speak: Speak, said: dict[str, str]) -> None:
    server = Server(**said)
    speaking = speak(server)
    assert [speaking.fetch("GET", "/a").content for _ in range(2)] == [b"one"] * 2
    assert len(server.requests) == 2


@pytest.mark.parametrize("said", [{"Cache-Control": "no-store"}, {"Vary": "*"}])
def test_what_is_not_to_be_kept_is_not(speak: Speak, cache: Cache, said: dict[str, str]) -> None:
    server = Server()
    speaking = speak(server)
    speaking.fetch("GET", "/a")
    assert cache.count() == 1
    server.headers, server.content = said, b"two"
    assert speaking.fetch("GET", "/a").content == b"two"
    assert cache.count() == 0


def test_what_was_fresh_is_asked_for_when_something_was_written(speak: Speak) -> None:
    server = Server(**{"Cache-Control": "max-age=60"})
    speaking = speak(server)
    speaking.fetch("GET", "/a")
    speaking.fetch("PUT", "/a", content=b"x")
    speaking.fetch("GET", "/a")
    assert [r.method for r in server.requests] == ["GET", "PUT", "GET"]


def test_what_one_may_read_is_not_given_to_another(speak: Speak) -> None:
    server = Server(**{"Cache-Control": "max-age=60"})
    speak(server, "ann").fetch("GET", "/a")
    speak(server, "bob").fetch("GET", "/a")
    assert [r.headers.get("if-none-match") for r in server.requests] == [None, None]
    server.away = httpx.ConnectError("refused")
    with pytest.raises(errors.Unreachable):
        speak(server, "eve").fetch("GET", "/a")


@pytest.mark.parametrize("away", [httpx.ConnectError("refused"), httpx.ConnectTimeout("slow"), httpx.Response(503)])
def test_while_a_server_is_away_what_is_cached_is_given_and_that_is_said_once(speak: Speak, away: Any) -> None:
    server = Server(**{"Cache-Control": "must-revalidate"})
    speak(server).fetch("GET", "/a")
    server.away = away
    speaking = speak(server)
    with pytest.warns(UserWarning, match="what is cached is given") as said:
        assert [speaking.fetch("GET", "/a").content for _ in range(3)] == [b"one"] * 3
    assert len(said) == 1
    with pytest.raises(errors.Unreachable):
        speaking.fetch("GET", "/b")


def test_a_server_that_comes_back_is_asked_again(speak: Speak, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server()
    speaking = speak(server)
    speaking.fetch("GET", "/a")
    server.away = httpx.ReadError("reset")
    with pytest.warns(UserWarning, match="what is cached is given"):
        speaking.fetch("GET", "/a")
    tried = len(server.requests)
    # It was there a moment ago: some patience, and then none for a while.
    assert 1 < tried < 5
    assert speaking.fetch("GET", "/a").content == b"one"
    assert len(server.requests) == tried
    server.away, server.content = None, b"two"
    monkeypatch.setattr(speaking, "_away_until", 0.0)
    assert speaking.fetch("GET", "/a").content == b"two"


def test_a_refusal_is_a_refusal_whatever_is_cached(speak: Speak) -> None:
    server = Server()
    speaking = speak(server)
    speaking.fetch("GET", "/a")
    for status, error in ((401, errors.NotAuthenticated), (403, errors.NotPermitted), (404, errors.NotFound)):
        server.away = httpx.Response(status)
        with pytest.raises(error):
            speaking.fetch("GET", "/a")


def test_what_is_too_large_comes_whole_and_is_not_kept(speak: Speak, cache: Cache) -> None:
    def told(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=b"x" * 1001, headers={"ETag": "1"})

    def untold(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=iter([b"x" * 600] * 3), headers={"ETag": "1"})

    for handler, size in ((told, 1001), (untold, 1800)):
        session = Session("http://h:1", transport=httpx.MockTransport(handler), cache=cache)
        assert session.fetch("GET", "/a").content == b"x" * size
    assert cache.count() == 0


def test_what_was_compressed_on_the_way_is_kept_as_it_is(speak: Speak, cache: Cache) -> None:
    import gzip

    def compressed(request: httpx.Request) -> httpx.Response:
        if "if-none-match" in request.headers:
            return httpx.Response(304, headers={"ETag": "1", "Content-Encoding": "gzip"})
        return httpx.Response(200, content=gzip.compress(b"plain"), headers={"ETag": "1", "Content-Encoding": "gzip"})

    session = Session("http://h:1", transport=httpx.MockTransport(compressed), cache=cache)
    assert [session.fetch("GET", "/a").content for _ in range(3)] == [b"plain"] * 3


def test_only_what_is_read_from_this_server_is_kept(speak: Speak, cache: Cache) -> None:
    server = Server()
    speaking = speak(server)
    speaking.fetch("POST", "/a", json=1, repeat=True)
    speaking.fetch("GET", "http://other/a")
    assert cache.count() == 0


def test_data_comes_when_the_cache_fails(speak: Speak, cache: Cache) -> None:
    server = Server()
    speaking = speak(server)
    cache.close()
    with pytest.warns(UserWarning, match="nothing is cached"):
        assert speaking.fetch("GET", "/a").content == b"one"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert speaking.fetch("GET", "/a").content == b"one"
