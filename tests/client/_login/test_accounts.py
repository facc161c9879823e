from __future__ import annotations

import getpass
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from databroker_like import errors
from databroker_like.client import Context, from_context, from_uri
from databroker_like.client._login._tokens import TokenFolder, Tokens
from tests.client.users_server import UsersServer, users_server


@pytest.fixture
def server() -> Iterator[UsersServer]:
    with users_server() as told:
        yield told


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TILED_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("TILED_API_KEY", raising=False)
    return tmp_path / "tokens"


@pytest.fixture
def context(server: UsersServer) -> Iterator[Context]:
    with Context(f"{server.uri}/api/v1") as made:
        yield made


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Somebody sits at the terminal and gives these answers; what was asked is kept."""

    def give(*said: str) -> list[str]:
        waiting, asked = list(said), []

        def answer(question: str = "") -> str:
            asked.append(question.strip())
            return waiting.pop(0)

        monkeypatch.setenv("TILED_FORCE_PROMPT", "1")
        monkeypatch.setattr("builtins.input", answer)
        monkeypatch.setattr(getpass, "getpass", answer)
        return asked

    return give


def tokens_of(server: UsersServer) -> TokenFolder:
    return TokenFolder(f"{server.uri}/api/v1")


# -- logging in ------------------------------------------------------------------------------------------------------


def test_user_and_password_are_asked_for_and_the_session_is_remembered(
    server: UsersServer, answers: Callable[..., list[str]]
) -> None:
    asked = answers("ann", "wrong", "ann", "ann's")
    client = from_uri(server.uri)
    assert asked == ["Username:", "Password:"] * 2
    assert client.context.tokens == {"access_token": "access1", "refresh_token": "refresh1"}
    assert tokens_of(server).read() == Tokens("access1", "refresh1")
    client.context.close()
    client = from_uri(server.uri)
    assert len(asked) == 4
    assert server.paths()[-1] == "GET /metadata/"
    client.context.close()


def test_a_remembered_session_needs_one_request(server: UsersServer) -> None:
    server.access.add("known")
    tokens_of(server).write(Tokens("known"))
    from_uri(server.uri).context.close()
    assert server.paths() == ["GET /metadata/"]
    assert server.asked[0].headers["authorization"] == "Bearer known"


def test_what_is_not_to_be_remembered_is_not(server: UsersServer, answers: Callable[..., list[str]]) -> None:
    answers("ann", "ann's")
    from_uri(server.uri, remember_me=False).context.close()
    assert tokens_of(server).read() is None


def test_after_three_wrong_passwords_it_is_over(context: Context, answers: Callable[..., list[str]]) -> None:
    asked = answers(*["ann", "wrong"] * 3)
    with pytest.raises(errors.NotAuthenticated, match="does not let 'ann' in: Incorrect"):
        context.authenticate()
    assert len(asked) == 6


def test_a_password_that_is_given_is_tried_once(server: UsersServer, context: Context) -> None:
    with pytest.raises(errors.NotAuthenticated):
        context.login(username="ann", password="wrong")
    assert server.paths().count("POST /auth/provider/toy/token") == 1
    context.login(username="ann", password="ann's")
    assert context.authenticated
    assert "authorization" not in server.asked[-1].headers


def test_where_nobody_can_be_asked_it_is_said_what_to_do(server: UsersServer, context: Context) -> None:
    with pytest.raises(errors.NotAuthenticated, match=r"TILED_API_KEY.*TILED_FORCE_PROMPT"):
        from_uri(server.uri)
    with pytest.raises(errors.NotAuthenticated, match="nobody here to be asked"):
        context.login()
    server.providers = []
    with pytest.raises(errors.NotAuthenticated, match="wants an API key"):
        from_uri(server.uri)
    with Context(f"{server.uri}/api/v1") as another, pytest.raises(errors.NotOffered, match="no way to log in"):
        another.login()


def test_one_of_several_ways_to_log_in_is_chosen(
    server: UsersServer, context: Context, answers: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    far = {"provider": "far", "mode": "external", "links": {}, "confirmation_message": ""}
    server.providers = [far, {**server.providers[0], "confirmation_message": "Welcome, {id}."}]
    answers("3", "two", "2", "ann", "ann's")
    context.login()
    said = capsys.readouterr().out
    assert "1. far\n2. toy" in said
    assert "between 1 and 2" in said
    assert "Welcome, ann." in said
    with pytest.raises(errors.Invalid, match="it has 'toy'"):
        context.login(provider="top")
    with pytest.raises(errors.ServiceFailed, match="does not say where"):
        context.login(provider="far")


@pytest.mark.parametrize("theirs", [False, True], ids=["the server waits", "the other site waits"])
def test_a_code_is_entered_elsewhere(
    theirs: bool,
    server: UsersServer,
    context: Context,
    answers: Callable[..., list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    answers()
    links = {"auth_endpoint": f"{server.uri}/api/v1/auth/provider/far/authorize"}
    if theirs:
        links = {
            "auth_endpoint": f"{server.uri}/idp/device",
            "token_endpoint": f"{server.uri}/idp/token",
            "client_id": "cli",
        }
    server.providers = [{"provider": "far", "mode": "external", "links": links}]
    pending = {"error": "authorization_pending"}
    server.waiting = [(400, pending if theirs else {"detail": pending}), (502, {})]
    context.login()
    said = capsys.readouterr().out
    assert f"{server.uri}/enter" in said
    assert "AB-CD" in said
    assert context.tokens["access_token"] == "access1"
    last = server.asked[-1]
    if theirs:
        grant = "urn:ietf:params:oauth:grant-type:device_code"
        assert last.form == {"device_code": "dc", "grant_type": grant, "client_id": "cli"}
    else:
        assert last.headers["content-type"] == "application/json"
    assert len([asked for asked in server.asked if asked.path == last.path]) == 3


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((400, {"error": "access_denied", "error_description": "no"}), "was refused: access_denied: no"),
        ((404, {"detail": "No such device_code"}), "not entered in time"),
    ],
)
def test_a_code_that_is_refused_or_too_late_is_told(
    answer: Any, said: str, server: UsersServer, context: Context, answers: Callable[..., list[str]]
) -> None:
    answers()
    links = {"auth_endpoint": f"{server.uri}/api/v1/auth/provider/far/authorize"}
    server.providers = [{"provider": "far", "mode": "external", "links": links}]
    server.waiting = [answer]
    with pytest.raises(errors.NotAuthenticated, match=said):
        context.login()


# -- the next token --------------------------------------------------------------------------------------------------


def test_a_token_that_is_too_old_is_renewed_once_for_all_who_wait(server: UsersServer, context: Context) -> None:
    context.login(username="ann", password="ann's")
    server.access.clear()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: context.get_item([])["id"], range(16)))
    assert found == [""] * 16
    assert server.paths().count("POST /auth/session/refresh") == 1
    assert tokens_of(server).read() == Tokens("access2", "refresh2")


def test_the_token_that_another_process_got_is_taken(server: UsersServer, context: Context) -> None:
    context.login(username="ann", password="ann's")
    server.access = {"theirs"}
    tokens_of(server).write(Tokens("theirs", "refresh1"))
    context.get_item([])
    assert "POST /auth/session/refresh" not in server.paths()
    assert context.tokens["access_token"] == "theirs"


def test_a_session_that_is_over_is_forgotten(server: UsersServer, context: Context) -> None:
    context.login(username="ann", password="ann's")
    server.access.clear()
    server.refresh.clear()
    with pytest.raises(errors.NotAuthenticated, match=r"is over; log in again.*expired"):
        context.get_item([])
    assert not context.authenticated
    assert tokens_of(server).read() is None
    with pytest.raises(errors.NotAuthenticated, match="nobody has logged in"):
        context.force_auth_refresh()


def test_a_remembered_session_that_is_over_is_no_hindrance(
    server: UsersServer, answers: Callable[..., list[str]]
) -> None:
    tokens_of(server).write(Tokens("old", "old"))
    server.public = True
    client = from_uri(server.uri)
    assert not client.context.authenticated
    client.context.close()
    server.public = False
    tokens_of(server).write(Tokens("old", "old"))
    answers("ann", "ann's")
    client = from_uri(server.uri)
    assert client.context.whoami()["identities"] == [{"id": "ann"}]
    client.context.close()


def test_the_token_of_another_site_is_renewed_there(server: UsersServer, context: Context) -> None:
    server.links = {"refresh_session": f"{server.uri}/idp/token"}
    links = {"auth_endpoint": "", "token_endpoint": f"{server.uri}/idp/token", "client_id": "cli"}
    server.providers = [{"provider": "far", "mode": "external", "links": links}]
    context.configure_auth({"access_token": "old", "refresh_token": "r"}, remember_me=False)
    context.get_item([])
    renewing = next(asked for asked in server.asked if asked.path == "/idp/token")
    assert renewing.form == {"grant_type": "refresh_token", "refresh_token": "r", "client_id": "cli"}
    assert "authorization" not in renewing.headers


def test_a_token_is_not_renewed_where_the_server_merely_says_so(server: UsersServer, context: Context) -> None:
    server.links = {"refresh_session": "http://evil.example/collect"}
    context.login(username="ann", password="ann's")
    context.force_auth_refresh()
    assert server.paths()[-1] == "POST /auth/session/refresh"


def test_a_token_without_another_is_used_until_it_ends(server: UsersServer, context: Context) -> None:
    server.access.add("only")
    context.configure_auth({"access_token": "only"}, remember_me=False)
    context.get_item([])
    server.access.clear()
    with pytest.raises(errors.NotAuthenticated, match="is over"):
        context.get_item([])


@pytest.mark.parametrize("tokens", [{}, {"access_token": None}, {"access_token": "a b"}, {"access_token": "a\r\nX: 1"}])
def test_what_is_no_token_is_told(context: Context, tokens: dict[str, Any]) -> None:
    with pytest.raises(errors.Invalid, match="'access_token'"):
        context.configure_auth(tokens)


def test_cached_tokens_are_tried(server: UsersServer, context: Context) -> None:
    assert not context.use_cached_tokens()
    tokens_of(server).write(Tokens("known", "r"))
    server.access.add("known")
    assert context.use_cached_tokens()
    server.access.clear()
    assert not context.use_cached_tokens()
    assert not context.authenticated


# -- who one is, keys, the end ---------------------------------------------------------------------------------------


def test_api_keys_are_made_and_revoked(server: UsersServer, context: Context) -> None:
    assert context.whoami() is None
    with pytest.raises(errors.Invalid, match="no API key is in use"):
        context.which_api_key()
    context.login(username="ann", password="ann's")
    made = context.create_api_key(["read:data"], expires_in="2h", note="n", access_tags=["t"])
    asked = {name: made[name] for name in ("scopes", "expires_in", "note", "access_tags")}
    assert asked == {"scopes": ["read:data"], "expires_in": 7200, "note": "n", "access_tags": ["t"]}
    context.api_key = made["secret"]
    assert context.tokens == {}
    assert context.which_api_key() == {"first_eight": "made1mad"}
    context.revoke_api_key(made["secret"])
    assert server.asked[-1].query == {"first_eight": ["made1mad"]}
    with pytest.raises(errors.NotAuthenticated, match="refuses this API key"):
        context.whoami()


@pytest.mark.parametrize("span", [0, -1, True, "1w", "h", "", 1.5, "-1d"])
def test_what_is_no_time_is_told(context: Context, span: Any) -> None:
    with pytest.raises(errors.Invalid, match="a time is written"):
        context.create_api_key(expires_in=span)


def test_a_server_without_users_says_so(server: UsersServer, context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    server.providers, server.keys = [], {"one": "one"}
    monkeypatch.setattr(server, "answer", lambda asked: (404, {}) if "auth" in asked.path else (200, {}))
    context.api_key = "one"
    assert context.whoami() is None
    with pytest.raises(errors.NotOffered, match="has no users"):
        context.which_api_key()


def test_a_session_is_revoked_by_its_identity(server: UsersServer, context: Context) -> None:
    context.login(username="ann", password="ann's")
    context.revoke_session("12-ab")
    assert server.paths()[-1] == "DELETE /auth/session/revoke/12-ab"
    with pytest.raises(errors.Invalid, match="no identity of a session"):
        context.revoke_session("../apikey")


def test_logging_out_ends_the_session_here_and_there(server: UsersServer, context: Context) -> None:
    context.login(username="ann", password="ann's")
    context.logout()
    assert server.refresh == set()
    assert tokens_of(server).read() is None
    assert not context.authenticated
    context.logout()
    # What another context left in the folder ends, too.
    tokens_of(server).write(Tokens("a", "b"))
    context.logout()
    assert server.paths()[-1] == "POST /auth/session/revoke"


def test_logging_out_keeps_an_api_key_and_forgets_though_the_server_is_away(
    server: UsersServer, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens_of(server).write(Tokens("a", "b"))
    context.api_key = "one"
    context.logout()
    assert context.api_key == "one"
    tokens_of(server).write(Tokens("a", "b"))
    monkeypatch.setattr(server, "answer", lambda asked: (503, {}))
    with pytest.raises(errors.Unreachable):
        context.logout()
    assert tokens_of(server).read() is None


def test_one_is_logged_in_though_it_cannot_be_remembered(server: UsersServer, folder: Path, context: Context) -> None:
    folder.write_text("no folder")
    with pytest.warns(UserWarning, match="cannot be remembered"):
        context.login(username="ann", password="ann's")
    context.get_item([])
    server.access.clear()
    context.get_item([])


@pytest.mark.parametrize("told", [{}, {"access_token": 7}, {"access_token": "a b"}])
def test_a_server_that_gives_no_token_is_told(told: dict[str, Any], server: UsersServer, context: Context) -> None:
    context.login(username="ann", password="ann's")
    server.tokens = lambda: told  # type: ignore[method-assign]
    with pytest.raises(errors.ServiceFailed, match="gives no access token"):
        context.force_auth_refresh()


@pytest.mark.parametrize("body", [b"<html>", b"[1]"])
def test_a_server_of_something_else_is_told(
    body: bytes, server: UsersServer, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert context.server_info is not None
    monkeypatch.setattr("tests.client.users_server.json.dumps", lambda content: body.decode())
    with pytest.raises(errors.ServiceFailed, match=r"the reply of .*/token is"):
        context.login(username="ann", password="ann's")


def test_no_secret_is_shown(server: UsersServer, context: Context) -> None:
    context.login(username="ann", password="ann's")
    shown = f"{context!r} {context.tokens!r} {context.session!r} {context._tokens!r}"
    assert "access1" not in shown
    assert "refresh1" not in shown


def test_a_session_goes_with_the_context_to_another_process(server: UsersServer, context: Context) -> None:
    context.login(username="ann", password="ann's", remember_me=False)
    with pickle.loads(pickle.dumps(context)) as again:
        assert from_context(again).context.whoami() is not None


def test_an_application_in_process_is_given_no_remembered_token(server: UsersServer) -> None:
    from tests.client.small_server import SmallServer

    seen: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.extend(name for name, _ in scope.get("headers", ()))
        await SmallServer({})(scope, receive, send)

    TokenFolder(f"{server.uri}/api/v1").write(Tokens("known"))
    with Context.from_app(app, uri=f"{server.uri}/api/v1") as made:
        from_context(made)
    assert b"authorization" not in seen


def test_a_session_at_one_server_is_none_at_another(server: UsersServer, context: Context) -> None:
    context.login(username="ann", password="ann's")
    with users_server() as other:
        other.public = True
        client = from_uri(other.uri)
        assert not client.context.authenticated
        # Not even when the one server hands out links to the other.
        context.session.fetch("GET", f"{other.uri}/api/v1/metadata/")
        client.context.close()
        assert [asked.headers.get("authorization") for asked in other.asked] == [None, None]
