from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from email.utils import formatdate
from typing import Any

import httpx
import pytest

from databroker_like import errors
from databroker_like.http import Session

Answer = Callable[[httpx.Request], httpx.Response]


@pytest.fixture(autouse=True)
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses, which take no time; there are four attempts."""
    pauses: list[float] = []
    monkeypatch.setattr("databroker_like.http._passing.sleep", pauses.append)
    monkeypatch.setenv("TILED_RETRY_ATTEMPTS", "4")
    return pauses


class Server:
    """Gives its answers one after another, the last one for ever; keeps the requests."""

    def __init__(self, *answers: Answer | httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else answer(request)


def session(server: Server, url: str = "http://data.example:8000", **settings: Any) -> Session:
    made = Session(url, transport=httpx.MockTransport(server), **settings)
    made.authorization = "Apikey secret"
    return made


def ok(content: bytes = b"fine") -> httpx.Response:
    return httpx.Response(200, content=content, headers={"content-type": "text/plain; charset=utf-8"})


def test_a_reply_has_its_content_its_type_and_where_it_came_from() -> None:
    server = Server(ok())
    reply = session(server).fetch("GET", "/a?api_key=hush", params=[("b", 1), ("b", "ü[")])
    assert (reply.content, reply.content_type) == (b"fine", "text/plain")
    assert reply.url == "http://data.example:8000/a?api_key=...&b=1&b=%C3%BC%5B"
    assert server.requests[0].url.params.get_list("b") == ["1", "ü["]


def test_credentials_and_headers_go_to_their_own_server_and_to_no_other() -> None:
    server = Server(lambda request: ok())
    speaking = session(server, headers={"X-Beamline": "7"})
    for url in ("/a", "http://data.example:8000/b", "http://data.example:9000/c", "http://other.example:8000/d"):
        speaking.fetch("GET", url)
    given = [(r.headers.get("authorization"), r.headers.get("x-beamline")) for r in server.requests]
    assert given == [("Apikey secret", "7")] * 2 + [(None, None)] * 2


def test_a_redirect_to_another_server_is_followed_without_credentials() -> None:
    server = Server(httpx.Response(307, headers={"location": "http://store.example/a"}), ok())
    session(server).fetch("GET", "/a")
    assert str(server.requests[1].url) == "http://store.example/a"
    assert "authorization" not in server.requests[1].headers


def test_a_redirect_to_https_is_followed_with_credentials_and_stays() -> None:
    server = Server(httpx.Response(308, headers={"location": "https://data.example/a"}), ok(), ok())
    speaking = session(server, "http://data.example")
    with pytest.warns(UserWarning, match="unencrypted once; write https://"):
        speaking.fetch("GET", "/a")
    speaking.fetch("GET", "/b")
    assert [str(r.url) for r in server.requests[1:]] == ["https://data.example/a", "https://data.example/b"]
    assert all(r.headers["authorization"] == "Apikey secret" for r in server.requests[1:])


def test_links_of_a_server_that_does_not_know_of_its_https_are_followed_by_https() -> None:
    server = Server(ok())
    session(server, "https://data.example").fetch("GET", "http://data.example/api/v1/a")
    assert str(server.requests[0].url) == "https://data.example/api/v1/a"


def test_no_redirect_leads_away_from_https() -> None:
    server = Server(httpx.Response(302, headers={"location": "http://data.example/a"}))
    with pytest.raises(errors.ServiceFailed, match="from https to http"):
        session(server, "https://data.example").fetch("GET", "/a")
    assert len(server.requests) == 1


def test_redirects_without_end_end() -> None:
    server = Server(httpx.Response(302, headers={"location": "/a"}))
    with pytest.raises(errors.ServiceFailed, match="again and again"):
        session(server).fetch("GET", "/a")


@pytest.mark.parametrize("passing", [429, 502, 503, 504])
def test_what_may_pass_is_asked_again(passing: int) -> None:
    server = Server(httpx.Response(passing), ok())
    assert session(server).fetch("GET", "/a").content == b"fine"
    assert len(server.requests) == 2


@pytest.mark.parametrize("lasting", [400, 401, 403, 404, 409, 410, 422, 500, 501])
def test_what_will_not_pass_is_asked_once(lasting: int) -> None:
    server = Server(httpx.Response(lasting, json={"detail": "because"}))
    with pytest.raises(errors.DatabrokerError, match=f"because \\({lasting} from http://data.example:8000/a\\)"):
        session(server).fetch("GET", "/a")
    assert len(server.requests) == 1


def test_there_is_an_end_to_asking_again() -> None:
    server = Server(httpx.Response(503, json={"detail": "busy"}))
    with pytest.raises(errors.Unreachable, match="busy"):
        session(server).fetch("GET", "/a")
    assert len(server.requests) == 4


def test_what_writes_is_not_repeated_and_what_only_asks_is() -> None:
    server = Server(httpx.Response(503), ok())
    with pytest.raises(errors.Unreachable):
        session(server).fetch("POST", "/a", json=["x"])
    server = Server(httpx.Response(503), ok())
    assert session(server).fetch("POST", "/a", json=["x"], repeat=True).content == b"fine"


def test_a_connection_that_breaks_is_made_again_but_a_server_that_was_never_there_is_not() -> None:
    server = Server(ok(), httpx.ReadError("reset"), ok())
    speaking = session(server)
    speaking.fetch("GET", "/a")
    speaking.fetch("GET", "/b")
    assert len(server.requests) == 3
    server = Server(httpx.ConnectError("refused"))
    with pytest.raises(errors.Unreachable, match=r"there is no server: refused; is the server running\?"):
        session(server).fetch("GET", "/a")
    assert len(server.requests) == 1


@pytest.mark.parametrize("reply", [httpx.Response(404), httpx.ReadError("reset"), httpx.ConnectError("refused")])
def test_a_long_query_does_not_stand_in_an_error(reply: Any) -> None:
    with pytest.raises(errors.DatabrokerError) as raised:
        session(Server(reply)).fetch("GET", "/a", params=[("filter[eq][condition][key]", "start.plan_name")] * 5)
    assert "http://data.example:8000/a?..." in str(raised.value)
    assert "filter" not in str(raised.value)


@pytest.mark.parametrize("answers", [1, 2])
def test_an_error_comes_without_the_tracebacks_of_what_is_below(answers: int) -> None:
    server = Server(*[ok()] * (answers - 1), httpx.ConnectError("refused"))
    speaking = session(server)
    if answers == 2:
        speaking.fetch("GET", "/a")
    with pytest.raises(errors.Unreachable) as raised:
        speaking.fetch("GET", "/a")
    whole = "".join(traceback.format_exception(raised.value))
    assert whole.count("Traceback (most recent call last)") == 1
    assert "httpx." not in whole
    assert whole.endswith("there is no server: refused; is the server running? (http://data.example:8000/a)\n")


def test_a_server_without_https_that_is_asked_by_https_is_not_said_to_be_away() -> None:
    server = Server(httpx.ConnectError("[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)"))
    with pytest.raises(errors.Unreachable, match=r"no secure connection .* https at all: .*WRONG"):
        session(server, "https://data.example:8000").fetch("GET", "/a")


def test_a_body_that_breaks_off_is_read_again_from_the_start() -> None:
    class Broken(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield b"fi"
            raise httpx.ReadError("reset")

    server = Server(httpx.Response(200, stream=Broken()), ok())
    assert session(server).fetch("GET", "/a").content == b"fine"


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [
        ("1", 1.0, 1.0),
        (29, 0.1, 29.0),
        (-9, 0.0, 0.0),
        ("3600", 30.0, 30.0),
        ("soon", 0.1, 0.3),
        ("-1", 0.1, 0.3),
    ],
)
def test_a_server_that_says_when_is_asked_then(said: str | int, least: float, most: float, waited: list[float]) -> None:
    if isinstance(said, int):
        said = formatdate(time.time() + said, usegmt=True)
    server = Server(httpx.Response(429, headers={"retry-after": said}), ok())
    session(server).fetch("GET", "/a")
    assert len(waited) == 1
    assert least <= waited[0] <= most


def test_one_waits_longer_each_time_and_not_for_ever(waited: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILED_RETRY_ATTEMPTS", "10")
    with pytest.raises(errors.Unreachable):
        session(Server(httpx.Response(503))).fetch("GET", "/a")
    assert len(waited) == 9
    assert all(0.1 * 2**at <= pause <= 0.3 * 2**at for at, pause in enumerate(waited[:6]))
    assert max(waited) <= 15
    waited.clear()
    monkeypatch.setenv("TILED_RETRY_TIMEOUT", "2")
    with pytest.raises(errors.Unreachable):
        session(Server(httpx.Response(503, headers={"retry-after": "3"}))).fetch("GET", "/a")
    assert waited == []


def test_nothing_is_said_aloud_while_one_waits(capfd: pytest.CaptureFixture[str]) -> None:
    session(Server(httpx.Response(503), ok())).fetch("GET", "/a")
    assert capfd.readouterr() == ("", "")


def test_how_often_and_how_long_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILED_RETRY_ATTEMPTS", "1")
    server = Server(httpx.Response(503))
    with pytest.raises(errors.Unreachable):
        session(server).fetch("GET", "/a")
    assert len(server.requests) == 1


def test_a_refusal_of_any_length_is_read_in_part() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"no " * 10000

    server = Server(httpx.Response(400, content=endless()))
    with pytest.raises(errors.Invalid) as caught:
        session(server).fetch("GET", "/a")
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("url", ["http://data.example:port/", "http://[::1", "\x00"])
def test_what_is_no_url_is_told(url: str) -> None:
    with pytest.raises(errors.Invalid, match="is no URL"):
        Session(url)


def test_no_secret_is_shown() -> None:
    made = session(Server(ok()), "http://me:password@data.example/?api_key=hush")
    assert repr(made) == "Session('http://data.example/?api_key=...')"
    with pytest.raises(errors.NotFound) as caught:
        session(Server(httpx.Response(404))).fetch("GET", "/a?api_key=hush")
    assert "hush" not in str(caught.value)


def test_memory_is_sent_as_it_is_and_again_when_the_server_is_busy() -> None:
    server = Server(httpx.Response(503), ok())
    sent = memoryview(bytes(range(256)) * 13000).cast("B")
    session(server).fetch("PUT", "/a", content=sent, content_type="application/octet-stream", repeat=True)
    assert len(sent) > 3 << 20
    for request in server.requests:
        assert request.content == sent
        assert request.headers["content-length"] == str(len(sent))
        assert request.headers["content-type"] == "application/octet-stream"
        assert "transfer-encoding" not in request.headers


@pytest.mark.parametrize(
    ("failure", "attempts"),
    [
        (httpx.Response(429), 2),
        (httpx.ConnectError("refused"), 2),
        (httpx.ReadError("reset"), 1),
        (httpx.Response(503), 1),
    ],
)
def test_what_may_not_be_done_twice_is_repeated_only_when_it_was_not_begun(failure: Any, attempts: int) -> None:
    server = Server(ok(), failure, ok())
    speaking = session(server)
    speaking.fetch("GET", "/")
    if attempts == 1:
        with pytest.raises(errors.Unreachable):
            speaking.fetch("PATCH", "/a", content=b"row")
    else:
        speaking.fetch("PATCH", "/a", content=b"row")
    assert len(server.requests) == attempts + 1


@pytest.mark.parametrize(("failure", "doubts"), [(httpx.ReadError("reset"), 1), (httpx.Response(429), 0)])
def test_attempts_of_which_nobody_knows_are_told(failure: Any, doubts: int) -> None:
    server, told = Server(ok(), failure, ok()), []
    speaking = session(server)
    speaking.fetch("GET", "/")
    speaking.fetch("POST", "/a", json={}, repeat=True, doubted=lambda: told.append(True))
    assert len(told) == doubts


def test_refused_credentials_are_renewed_once_and_the_request_is_made_again() -> None:
    server = Server(httpx.Response(401), ok(b"read"), httpx.Response(401))
    speaking = session(server)
    refused: list[str | None] = []

    def renew(used: str | None) -> bool:
        refused.append(used)
        speaking.authorization = "Bearer new"
        return True

    speaking.renew = renew
    assert speaking.fetch("POST", "/a", json={"x": 1}).content == b"read"
    assert [r.headers["authorization"] for r in server.requests] == ["Apikey secret", "Bearer new"]
    assert [r.content for r in server.requests] == [b'{"x":1}'] * 2
    with pytest.raises(errors.NotAuthenticated):
        speaking.fetch("GET", "/a")
    assert refused == ["Apikey secret", "Bearer new"]
    assert len(server.requests) == 4


def test_who_may_too_little_is_told_so_and_is_not_asked_for_other_credentials() -> None:
    refusal = httpx.Response(401, headers={"www-authenticate": 'Bearer scope="create:node"'}, json={"detail": "no"})
    speaking = session(Server(refusal))
    speaking.renew = lambda used: pytest.fail("credentials are renewed that are good")
    with pytest.raises(errors.NotPermitted, match="no"):
        speaking.fetch("GET", "/a")
    speaking.authorization = None
    speaking.renew = None
    with pytest.raises(errors.NotAuthenticated):
        speaking.fetch("GET", "/a")


def test_a_token_that_is_too_old_is_renewed_also_where_the_server_names_what_one_must_be_allowed() -> None:
    said = {"www-authenticate": 'Bearer scope="apikeys"'}
    too_old = httpx.Response(401, headers=said, json={"detail": "Access token has expired. Refresh token."})
    server = Server(too_old, ok(b"made"))
    speaking = session(server)

    def renew(used: str | None) -> bool:
        speaking.authorization = "Bearer new"
        return True

    speaking.renew = renew
    assert speaking.fetch("POST", "/auth/apikey", json={}).content == b"made"
    assert [r.headers["authorization"] for r in server.requests] == ["Apikey secret", "Bearer new"]
    # What is very long is no such sentence, and is not read for it.
    long = httpx.Response(401, headers=said, content=b"expired" + bytes(1 << 17))
    with pytest.raises(errors.NotPermitted):
        session(Server(long)).fetch("GET", "/a")


def test_credentials_are_not_renewed_for_another_server() -> None:
    server = Server(httpx.Response(401))
    speaking = session(server)
    speaking.renew = lambda used: pytest.fail("another server makes us renew")
    with pytest.raises(errors.NotAuthenticated):
        speaking.fetch("GET", "http://other.example/a")


def test_a_secret_goes_without_credentials_and_nowhere_else() -> None:
    server = Server(ok(), httpx.Response(307, headers={"location": "http://data.example:9000/login"}), ok())
    speaking = session(server)
    speaking.fetch("POST", "/login", json={"password": "p"}, secret=True)
    assert "authorization" not in server.requests[0].headers
    with pytest.raises(errors.ServiceFailed, match="a secret"):
        speaking.fetch("POST", "/login", json={"password": "p"}, secret=True)
    assert len(server.requests) == 2
    server = Server(httpx.Response(308, headers={"location": "https://data.example/login"}), ok())
    with pytest.warns(UserWarning, match="unencrypted once"):
        session(server, "http://data.example").fetch("POST", "/login", json={"password": "p"}, secret=True)
    assert server.requests[1].url == "https://data.example/login"


def test_cookies_are_not_kept() -> None:
    server = Server(httpx.Response(200, headers={"set-cookie": "tiled_api_key=hush; Path=/"}), ok())
    speaking = session(server)
    speaking.fetch("GET", "/a")
    speaking.fetch("GET", "http://data.example:9000/a")
    speaking.fetch("GET", "/a")
    assert not any("cookie" in r.headers for r in server.requests)


def test_credentials_of_another_kind_go_to_their_own_server_alone() -> None:
    class Stamp(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
            request.headers["X-Stamp"] = "7"
            yield request

    server = Server(ok())
    speaking = session(server, auth=Stamp())
    speaking.fetch("GET", "/a")
    speaking.fetch("GET", "http://other.example/a")
    assert [r.headers.get("x-stamp") for r in server.requests] == ["7", None]


@pytest.mark.parametrize("name", ["TILED_RETRY_ATTEMPTS", "TILED_RETRY_TIMEOUT"])
def test_nonsense_in_the_environment_is_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "often")
    with pytest.raises(errors.Invalid, match="TILED_RETRY"):
        session(Server(ok())).fetch("GET", "/a")


@pytest.mark.parametrize("status", [300, 302, 304])
def test_a_redirect_to_nowhere_is_told(status: int) -> None:
    with pytest.raises(errors.ServiceFailed, match="leads nowhere"):
        session(Server(httpx.Response(status))).fetch("GET", "/a")
