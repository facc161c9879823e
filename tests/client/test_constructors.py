from __future__ import annotations

import inspect
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from databroker_like import errors
from databroker_like.client import Cache, Context, from_context, from_uri
from tests.client.small_server import SmallServer
from tests.client.users_server import UsersServer, users_server


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[UsersServer]:
    monkeypatch.setenv("TILED_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("TILED_API_KEY", raising=False)
    with users_server() as told:
        told.keys["one"] = "one"
        yield told


def test_a_server_is_opened_in_one_request_whatever_the_form_of_its_address(server: UsersServer) -> None:
    for end in ("", "/", "/api", "/api/v1", "/api/v1/", "/api/v1/metadata", "/api/v1/metadata/"):
        server.asked.clear()
        from_uri(f"{server.uri}{end}?api_key=one").context.close()
        assert server.paths() == ["GET /metadata/"]
        assert server.asked[0].query == {}


def test_a_server_that_has_no_such_api_is_not_said_to_lack_a_node(server: UsersServer) -> None:
    with pytest.raises(errors.NotFound, match=r"no server of the Tiled protocol at .*/elsewhere/api/v1.* right\?"):
        from_uri(f"{server.uri}/elsewhere?api_key=one")


def test_every_setting_reaches_the_conversation(server: UsersServer, tmp_path: Path) -> None:
    with Cache(tmp_path / "replies.db") as cache:
        client = from_uri(
            server.uri,
            "dask",
            api_key="one",
            cache=cache,
            remember_me=False,
            verify=False,
            headers={"X-Beamline": "7"},
            timeout=httpx.Timeout(7),
            include_data_sources=True,
            max_connections=3,
            show_progress=False,
            trust_env=False,
        )
        context = client.context
        assert server.asked[0].headers["x-beamline"] == "7"
        assert server.asked[0].query == {"include_data_sources": ["true"]}
        assert (context.cache, context.max_connections, context.show_progress) == (cache, 3, False)
        assert context.session._client.timeout == httpx.Timeout(7)
        assert client.structure_clients == "dask"
        assert cache.count() == 1
        with pickle.loads(pickle.dumps(context)) as again:
            assert again.cache.filepath == cache.filepath
            assert (again.max_connections, again.show_progress, again.api_key) == (3, False, "one")
            again.cache.close()
        context.close()


def test_credentials_of_another_kind_are_used_alone(server: UsersServer, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stamp(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
            request.headers["Authorization"] = "Apikey one"
            yield request

    monkeypatch.setenv("TILED_API_KEY", "of another server")
    client = from_uri(server.uri, auth=Stamp())
    assert client.context.authenticated
    assert client.context.api_key is None
    client.context.close()


def test_all_that_clients_of_tiled_take_is_taken() -> None:
    taken = set(inspect.signature(from_uri).parameters)
    assert taken == {
        "uri",
        "structure_clients",
        "cache",
        "remember_me",
        "api_key",
        "verify",
        "headers",
        "timeout",
        "include_data_sources",
        "auth",
        "max_connections",
        "show_progress",
        "trust_env",
    }


def test_a_context_that_does_not_open_is_closed(server: UsersServer, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[Any] = []
    monkeypatch.setattr(Context, "close", lambda self: closed.append(self))
    with pytest.raises(errors.NotAuthenticated, match="refuses this API key"):
        from_uri(server.uri, api_key="wrong")
    assert len(closed) == 1
    closed[0].session.close()


def test_what_a_server_says_of_its_users_is_read(server: UsersServer) -> None:
    with Context(f"{server.uri}/api/v1") as context:
        told = context.server_info.authentication
        assert told.required
        assert told.providers[0].takes_passwords
        assert told.providers[0].links["auth_endpoint"].endswith("/auth/provider/toy/token")


def test_what_was_read_is_read_again_without_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("databroker_like.http._passing.sleep", lambda seconds: None)
    server = SmallServer({"a": {"color": "red"}, "b": {}})
    away = False
    asked: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope)
        if away and scope["type"] == "http":
            await send({"type": "http.response.start", "status": 503, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        else:
            await server(scope, receive, send)

    def opened(cache: Cache) -> Context:
        return Context.from_app(app, cache=cache)

    with Cache(tmp_path / "replies.db") as cache:
        with opened(cache) as context:
            root = from_context(context)
            assert (root.keys()[:], root["a"].metadata["color"]) == (["a", "b"], "red")
            assert "array" in context.server_info.formats
        away = True
        with opened(cache) as context:
            with pytest.warns(UserWarning, match="what is cached is given"):
                root = from_context(context)
            assert (root.keys()[:], root["a"].metadata["color"]) == (["a", "b"], "red")
            assert "array" in context.server_info.formats
            tried = len(asked)
            with pytest.raises(errors.Unreachable):
                root["b"]
            # It is waited for once, not for each thing.
            assert len(asked) == tried + 1
