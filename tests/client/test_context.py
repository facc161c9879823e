from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from databroker_like import errors
from databroker_like import queries as q
from databroker_like.client import Context
from databroker_like.client._finding._filters import filters_of
from databroker_like.client.constructors import from_context, from_uri
from tests.client.small_server import SmallServer


@pytest.mark.parametrize(
    ("uri", "api", "path"),
    [
        ("http://h:1", "http://h:1/api/v1", []),
        ("http://h:1/", "http://h:1/api/v1", []),
        ("http://h:1/api", "http://h:1/api/v1", []),
        ("http://h:1/api/v1/", "http://h:1/api/v1", []),
        ("https://h/inner/api/v1/metadata/a%2Fb/c/", "https://h/inner/api/v1", ["a/b", "c"]),
        ("https://h/inner", "https://h/inner/api/v1", []),
        ("http://h/api/v1/metadata//a", "http://h/api/v1", ["a"]),
    ],
)
def test_every_form_of_a_uri_is_understood(uri: str, api: str, path: list[str]) -> None:
    context, found = Context.from_any_uri(uri)
    assert (context.api_uri, found) == (api, path)
    context.close()


@pytest.mark.parametrize("uri", ["localhost:8000", "ftp://h/a", "", "http://", "http://h/api/v1/array/full/a"])
def test_what_is_no_address_is_told(uri: str) -> None:
    with pytest.raises(errors.Invalid):
        from_uri(uri)


def test_keys_come_from_the_argument_the_uri_or_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILED_API_KEY", "fromtheenvironment")
    with Context("http://h/api/v1", api_key="given") as context:
        assert context.api_key == "given"
    with Context.from_any_uri("http://h?api_key=inuri")[0] as context:
        assert context.api_key == "inuri"
        assert "inuri" not in repr(context) + context.api_uri
    with Context("http://h/api/v1") as context:
        assert context.api_key == "fromtheenvironment"
        again = pickle.loads(pickle.dumps(context))
        assert (again.api_uri, again.api_key) == (context.api_uri, context.api_key)
        again.close()
    with Context.from_app(SmallServer({})) as context:
        assert context.api_key is None
        with pytest.raises(TypeError, match="in process"):
            pickle.dumps(context)
    with pytest.raises(errors.Invalid, match="without spaces"):
        Context("http://h/api/v1", api_key="a\r\nX-Other: 1")


def test_a_server_that_wants_a_key_says_so() -> None:
    server = SmallServer({"a": {}}, key="right")
    with Context.from_app(server) as context:
        with pytest.raises(errors.NotAuthenticated, match="wants an API key"):
            from_context(context)
        context.api_key = "wrong"
        with pytest.raises(errors.NotAuthenticated, match="refuses this API key"):
            from_context(context)
        context.api_key = "right"
        assert list(from_context(context)) == ["a"]


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ((200, "text/html", b"<html>"), "is the address right"),
        ((200, "application/json", b"{"), "is broken"),
        ((200, "application/x-msgpack", b"\xc1"), "is broken"),
        ((500, "application/json", b'{"detail":"disk"}'), "disk"),
    ],
)
def test_a_server_of_something_else_is_told(reply: Any, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    server = SmallServer({})
    monkeypatch.setattr(server, "answer", lambda *_: reply)
    with Context.from_app(server) as context, pytest.raises(errors.ServiceFailed, match=said):
        from_context(context)


def test_what_a_server_says_of_itself_is_asked_once() -> None:
    server = SmallServer({})
    with Context.from_app(server) as context:
        assert context.server_info.formats["array"] == context.server_info.formats["array"]
    assert len(server.asked) == 1


def test_requests_of_ones_own_are_made_to_an_application_too() -> None:
    with Context.from_app(SmallServer({}, key="secret", form="json"), api_key="secret") as context:
        assert context.http_client is context.http_client
        for url in ("/api/v1/metadata/", f"{context.api_uri}/metadata/"):
            assert context.http_client.get(url).json()["data"]["id"] == ""
        assert context.http_client.get("/api/v1/metadata/nothing").status_code == 404


def test_a_server_that_is_not_there_is_told() -> None:
    with pytest.raises(errors.Unreachable, match="there is no server"):
        from_uri("http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("query", "name", "fields"),
    [
        (q.FullText("a b"), "fulltext", {"text": "a b"}),
        (q.KeyLookup("k"), "lookup", {"key": "k"}),
        (q.KeysFilter(["a", "b"]), "keys_filter", {"keys": '["a", "b"]'}),
        (q.Regex("k", "p.*", case_sensitive=False), "regex", {"key": "k", "pattern": "p.*", "case_sensitive": "false"}),
        (q.Eq("k", "red"), "eq", {"key": "k", "value": '"red"'}),
        (q.NotEq("k", None), "noteq", {"key": "k", "value": "null"}),
        (q.Comparison("gt", "k", 3), "comparison", {"operator": "gt", "key": "k", "value": "3"}),
        (q.Lte("k", 3), "comparison", {"operator": "le", "key": "k", "value": "3"}),
        (q.Contains("k", [1]), "contains", {"key": "k", "value": "[1]"}),
        (q.In("k", (1, "a")), "in", {"key": "k", "value": '[1, "a"]'}),
        (q.NotIn("k", [1]), "notin", {"key": "k", "value": "[1]"}),
        (q.KeyPresent("k", False), "keypresent", {"key": "k", "exists": "false"}),
        (q.Like("k", "a%"), "like", {"key": "k", "pattern": '"a%"'}),
        (q.SpecsQuery(["a"], ["b"]), "specs", {"include": '["a"]', "exclude": '["b"]'}),
        (q.StructureFamilyQuery("table"), "structure_family", {"value": "table"}),
        (q.AccessTagsFilter(["t"]), "access_tags_filter", {"tags": '["t"]'}),
    ],
)
def test_queries_are_written_as_tiled_writes_them(query: Any, name: str, fields: dict[str, str]) -> None:
    assert filters_of(query) == ((name, tuple(fields.items())),)


@pytest.mark.parametrize("query", ["red", q.Eq("a", 1) | q.Eq("b", 1), q.Eq("a", float("nan")), q.Eq("a", object())])
def test_what_the_protocol_does_not_have_is_told(query: Any) -> None:
    with pytest.raises(errors.InvalidQuery, match="cannot be"):
        filters_of(query)


def test_the_client_imports_no_server_and_little_else() -> None:
    code = (
        "import sys, databroker_like.client as c; "
        "print([m for m in sys.modules if m.split('.')[0] in ('starlette', 'uvicorn', 'intake', 'dask', 'pandas') "
        "or m.startswith(('databroker_like.core', 'databroker_like.tree', 'databroker_like.service', "
        "'databroker_like.nodes', 'databroker_like.store', 'databroker_like.drivers'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(sys.platform != "linux", reason="what a process takes is told in other units elsewhere")
def test_the_client_is_light() -> None:
    # Not ru_maxrss, which a child has from its parent.
    code = "import databroker_like.client; print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    told = [subprocess.check_output([sys.executable, "-c", code]) for _ in range(3)]
    # Of which two thirds are Python and what it needs to ask over HTTP.
    assert min(int(kilobytes) for kilobytes in told) < 50_000


def test_what_comes_from_another_process_shares_one_context() -> None:
    with Context("http://h/api/v1", api_key="given") as context:
        sent = pickle.dumps(context)
    first, second = pickle.loads(sent), pickle.loads(sent)
    assert first is second
    first.close()
    third = pickle.loads(sent)
    assert third is not first
    assert not third.session.is_closed
    with Context("http://h/api/v1", api_key="another") as other:
        assert pickle.loads(pickle.dumps(other)) is not third
    third.close()


@pytest.mark.parametrize("cache", ["c.db", Path("c.db")])
def test_a_path_in_the_place_of_a_cache_is_told(cache: Any) -> None:
    with pytest.raises(errors.WrongType, match=r"write cache=Cache\('c.db'\)"):
        from_uri("http://localhost:1", cache=cache)
