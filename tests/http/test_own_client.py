"""Who makes requests of his own sends what a session sends: to its server, and to no other."""

from __future__ import annotations

from collections.abc import Callable, Generator

import httpx
import pytest

from databroker_like.http import Session, client_of

OWN = "http://data.example:8000"
Answer = Callable[[httpx.Request], httpx.Response]


class Server:
    """Answers, and keeps the requests."""

    def __init__(self, answer: Answer = lambda request: httpx.Response(200, json={"path": request.url.path})) -> None:
        self.answer = answer
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.answer(request)


def session(server: Server, **settings: object) -> Session:
    made = Session(
        f"{OWN}/api/v1",
        transport=httpx.MockTransport(server),
        headers={"X-Lab": "3"},
        **settings,  # type: ignore[arg-type]
    )
    made.authorization = "Apikey secret"
    return made


def test_paths_and_urls_of_the_server_are_asked_with_its_headers_and_its_key() -> None:
    server = Server()
    client = client_of(session(server))
    for url in ("/api/v1/metadata/a", f"{OWN}/api/v1/metadata/a"):
        reply = client.get(url, params={"fields": "specs"}, headers={"Accept": "application/json"})
        assert reply.raise_for_status().json() == {"path": "/api/v1/metadata/a"}
        sent = server.requests[-1]
        assert str(sent.url) == f"{OWN}/api/v1/metadata/a?fields=specs"
        assert (sent.headers["x-lab"], sent.headers["authorization"]) == ("3", "Apikey secret")
        assert sent.headers["accept"] == "application/json"
    assert "authorization" not in client.headers
    assert "secret" not in repr(client.headers)


def test_what_the_caller_says_goes_before() -> None:
    server = Server()
    client_of(session(server)).get("/", headers={"Authorization": "Bearer mine", "X-Lab": "4"})
    assert (server.requests[0].headers["authorization"], server.requests[0].headers["x-lab"]) == ("Bearer mine", "4")


def test_another_server_gets_nothing_of_it_not_by_a_redirect_either() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        away = request.url.path == "/away"
        return httpx.Response(302, headers={"location": "http://other.example/b"}) if away else httpx.Response(200)

    server = Server(answer)
    client = client_of(session(server))
    for url in ("http://other.example/a", f"{OWN[:-4]}9000/a", "/away"):
        assert client.get(url).status_code == 200
        assert not {"x-lab", "authorization"} & set(server.requests[-1].headers)
    assert str(server.requests[-1].url) == "http://other.example/b"
    client.get("http://other.example/a", headers={"Authorization": "Bearer theirs"})
    assert server.requests[-1].headers["authorization"] == "Bearer theirs"


def test_a_refusal_is_a_response_and_what_breaks_is_an_error_of_httpx() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/gone":
            raise httpx.ReadError("broken", request=request)
        return httpx.Response(503)

    server = Server(answer)
    client = client_of(session(server))
    assert client.get("/").status_code == 503
    with pytest.raises(httpx.ReadError):
        client.get("/gone")
    assert len(server.requests) == 2


def test_a_token_that_is_too_old_is_renewed_once() -> None:
    server = Server(lambda request: httpx.Response(200 if request.headers["authorization"] == "Bearer new" else 401))
    made = session(server)
    refused = []

    def renew(old: str | None) -> bool:
        refused.append(old)
        made.authorization = "Bearer new"
        return True

    made.renew = renew
    assert client_of(made).get("/").status_code == 200
    assert client_of(made).get("/", headers={"Authorization": "Bearer mine"}).status_code == 401
    assert refused == ["Apikey secret"]


def test_credentials_of_another_kind_go_to_the_server_alone() -> None:
    class Signed(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
            request.headers["X-Signed"] = "by me"
            yield request

    server = Server()
    client = client_of(session(server, auth=Signed()))
    client.get("/")
    client.get("http://other.example/")
    assert [request.headers.get("x-signed") for request in server.requests] == ["by me", None]


def test_a_large_reply_comes_in_pieces_and_is_decoded() -> None:
    content = bytes(range(256)) * 4096
    server = Server(lambda _: httpx.Response(200, content=content))
    with client_of(session(server)).stream("GET", "/") as reply:
        assert b"".join(reply.iter_bytes(1 << 16)) == content
