"""Our client logs in to the real tiled server, and shares what is remembered with the real tiled client."""

from __future__ import annotations

import json
import os
import pickle
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from databroker_like import errors
from databroker_like.client import Cache, Context, from_context, from_uri, load_profiles, profiles
from tests.interop.tiled_server import clean_environment, tiled_python, tiled_server

pytestmark = [pytest.mark.peer, pytest.mark.slow]

#: How long an access token is good, in seconds.
_SHORT = 3
_CONFIG = f"""
authentication:
  providers:
    - provider: toy
      authenticator: tiled.authenticators:DictionaryAuthenticator
      args:
        users_to_passwords: {{ann: ann's password, bob: bob's password, eve: eve's password}}
  tiled_admins:
    - {{provider: toy, id: eve}}
  secret_keys: [not much of a secret]
  access_token_max_age: {_SHORT}
  refresh_token_max_age: 3600
database:
  uri: "sqlite:///authn.db"
  init_if_not_exists: true
trees:
  - path: /
    tree: catalog
    args:
      uri: "sqlite:///catalog.db"
      writable_storage: data
      init_if_not_exists: true
"""
_REAL_CLIENT = """
import json, sys
from tiled.client import from_uri
client = from_uri(sys.argv[1])
print(json.dumps([identity["id"] for identity in client.context.whoami()["identities"]]))
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with users."""
    place = tmp_path_factory.mktemp("tiled")
    (place / "config.yml").write_text(_CONFIG)
    with tiled_server(place, "config", "config.yml") as uri:
        yield uri


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of tokens of its own for each test."""
    monkeypatch.setenv("TILED_CACHE_DIR", str(tmp_path / "tiled"))
    monkeypatch.delenv("TILED_API_KEY", raising=False)
    return tmp_path / "tiled" / "tokens"


def logged_in(server: str, name: str = "ann", **settings: Any) -> Context:
    context = Context.from_any_uri(server, **settings)[0]
    context.login(username=name, password=f"{name}'s password")
    return context


def name_of(context: Context) -> str:
    told = context.whoami()
    assert told is not None
    return told["identities"][0]["id"]


def sessions_of(context: Context) -> set[str]:
    told = context.whoami()
    assert told is not None
    return {session["uuid"] for session in told["sessions"]}


def test_a_server_with_users_says_how_to_log_in(server: str) -> None:
    with pytest.raises(errors.NotAuthenticated, match="wants to know who you are"):
        from_uri(server)
    with Context(f"{server}/api/v1") as context:
        assert context.server_info.authentication.required
        assert [provider.provider for provider in context.server_info.authentication.providers] == ["toy"]
        assert context.whoami() is None
        with pytest.raises(errors.NotAuthenticated, match="does not let 'ann' in"):
            context.login(username="ann", password="wrong")
        assert not context.authenticated


def test_one_logs_in_reads_and_logs_out(server: str, folder: Path) -> None:
    with logged_in(server) as context:
        assert name_of(context) == "ann"
        assert len(from_context(context)) == 0
        assert set(context.tokens) == {"access_token", "refresh_token"}
        old = dict(context.tokens)
        context.logout()
        context.logout()
        assert not context.authenticated
        with pytest.raises(errors.NotAuthenticated):
            from_context(context)
        assert not list(folder.rglob("*_token"))
        # The session is over at the server, too.
        context.configure_auth(old, remember_me=False)
        with pytest.raises(errors.NotAuthenticated, match="is over"):
            context.force_auth_refresh()


def test_a_session_is_remembered_and_renewed(server: str, folder: Path) -> None:
    logged_in(server).close()
    files = sorted(folder.rglob("*_token"))
    assert [file.name for file in files] == ["access_token", "refresh_token"]
    if sys.platform != "win32":
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    before = files[0].read_text()
    time.sleep(_SHORT + 1.5)
    client = from_uri(server)
    try:
        assert name_of(client.context) == "ann"
        assert files[0].read_text() != before
        assert client.context.tokens["access_token"] == files[0].read_text()
    finally:
        client.context.close()
    with Context(f"{server}/api/v1") as another:
        assert another.use_cached_tokens()
        told = another.force_auth_refresh()
        assert told["access_token"] == another.tokens["access_token"]
    with pytest.raises(errors.NotAuthenticated):
        from_uri(server, remember_me=False)


def test_a_session_that_was_ended_elsewhere_is_told(server: str) -> None:
    with logged_in(server) as here, Context(f"{server}/api/v1") as there:
        before = sessions_of(here)
        there.login(username="ann", password="ann's password", remember_me=False)
        (new,) = sessions_of(here) - before
        here.revoke_session(new)
        time.sleep(_SHORT + 1.5)
        with pytest.raises(errors.NotAuthenticated, match="is over"):
            from_context(there, remember_me=False)


def test_the_real_client_takes_our_session_and_we_take_its(server: str, folder: Path) -> None:
    environment = {**clean_environment(), "TILED_CACHE_DIR": str(folder.parent)}

    def real(*code: str) -> str:
        asked = [str(tiled_python()), "-c", *code]
        return subprocess.run(asked, env=environment, check=True, capture_output=True, text=True).stdout

    logged_in(server).close()
    assert json.loads(real(_REAL_CLIENT, server)) == ["ann"]
    for file in folder.rglob("*_token"):
        file.unlink()
    logging_in = (
        "import sys\n"
        "from tiled.client.context import Context, password_grant\n"
        "context = Context(sys.argv[1] + '/api/v1')\n"
        "endpoint = context.server_info.authentication.providers[0].links['auth_endpoint']\n"
        "tokens = password_grant(context.http_client, endpoint, 'toy', 'bob', \"bob's password\")\n"
        "context.configure_auth(tokens, remember_me=True)\n"
    )
    real(logging_in, server)
    client = from_uri(server)
    assert name_of(client.context) == "bob"
    client.context.close()


def test_api_keys_are_made_told_and_revoked(server: str) -> None:
    with logged_in(server) as context:
        made = context.create_api_key(scopes=["read:metadata"], expires_in="1h", note="for a program")
        assert made["note"] == "for a program"
        client = from_uri(server, api_key=made["secret"])
        assert client.context.which_api_key()["first_eight"] == made["secret"][:8]
        assert name_of(client.context) == "ann"
        with pytest.raises(errors.NotPermitted, match="Not enough permissions"):
            client.create_container("not with this key")
        client.context.close()
        context.revoke_api_key(made["secret"])
        with pytest.raises(errors.NotAuthenticated, match="refuses this API key"):
            from_uri(server, api_key=made["secret"])
        with pytest.raises(errors.Invalid, match="no API key"):
            context.which_api_key()
        with pytest.raises(errors.NotPermitted):
            context.create_api_key(scopes=["no such scope"])


def test_a_context_goes_to_another_process_with_its_session(server: str) -> None:
    with logged_in(server) as context, pickle.loads(pickle.dumps(context)) as again:
        assert name_of(again) == "ann"


def test_profiles_are_shared_with_the_real_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "profiles"
    monkeypatch.setenv("TILED_PROFILES", str(folder))
    monkeypatch.setenv("TILED_SITE_PROFILES", str(tmp_path / "none"))
    load_profiles.cache_clear()
    profiles.create_profile("http://localhost:1234", "ours", verify=False)
    profiles.set_default_profile_name("ours")
    code = (
        "import json\n"
        "from tiled import profiles\n"
        "profiles.create_profile('http://localhost:5678', 'theirs')\n"
        "told = {name: content for name, (_, content) in profiles.load_profiles().items()}\n"
        "print(json.dumps([told, profiles.get_default_profile_name()]))\n"
    )
    names = ("TILED_PROFILES", "TILED_SITE_PROFILES", "TILED_CACHE_DIR")
    environment = {**clean_environment(), **{name: os.environ[name] for name in names}}
    asked = [str(tiled_python()), "-c", code]
    told = json.loads(subprocess.run(asked, env=environment, check=True, capture_output=True, text=True).stdout)
    load_profiles.cache_clear()
    ours = {name: content for name, (_, content) in load_profiles().items()}
    load_profiles.cache_clear()
    assert told == [ours, "ours"]
    assert ours["theirs"]["uri"] == "http://localhost:5678"


def test_what_was_read_is_there_when_the_server_is_not(tmp_path: Path) -> None:
    place = tmp_path / "another server"
    place.mkdir()
    with Cache(tmp_path / "replies.db") as cache:
        with tiled_server(place, "catalog", "--temp", "--api-key", "secret") as uri:
            client = from_uri(uri, api_key="secret", cache=cache)
            client.create_container("kept", metadata={"color": "red"})
            assert client["kept"].metadata["color"] == "red"
            client.context.close()
        with pytest.warns(UserWarning, match="what is cached is given"):
            away = from_uri(uri, api_key="secret", cache=cache)
        assert away["kept"].metadata["color"] == "red"
        away.context.close()
        with pytest.raises(errors.Unreachable):
            from_uri(uri, api_key="another", cache=cache)


def test_administrators_list_principals_and_make_services_and_keys(server: str) -> None:
    with logged_in(server) as ann, logged_in(server, "eve") as eve:
        with pytest.raises(errors.NotPermitted):
            ann.admin.list_principals()
        told = ann.whoami()
        assert told is not None
        assert told["uuid"] in {principal["uuid"] for principal in eve.admin.list_principals()}
        assert eve.admin.list_principals(offset=1000) == []
        assert eve.admin.show_principal(told["uuid"])["identities"][0]["id"] == "ann"
        time.sleep(_SHORT + 1.5)
        service = eve.admin.create_service_principal("user")
        made = eve.admin.create_api_key(service["uuid"], scopes=["read:metadata"], expires_in="1h", note="a robot")
        with Context(f"{server}/api/v1", api_key=made["secret"]) as robot:
            assert robot.which_api_key()["note"] == "a robot"
            assert len(from_context(robot)) == 0
        eve.admin.revoke_api_key(service["uuid"], made["first_eight"])
        with Context(f"{server}/api/v1", api_key=made["secret"]) as robot, pytest.raises(errors.NotAuthenticated):
            from_context(robot)
        with pytest.raises(errors.NotFound):
            eve.admin.show_principal("00000000-0000-0000-0000-000000000000")


def test_requests_of_ones_own_are_made_as_whoever_has_logged_in(server: str) -> None:
    with logged_in(server) as context:
        reply = context.http_client.get("/api/v1/auth/whoami", headers={"Accept": "application/json"})
        assert reply.json()["identities"][0]["id"] == "ann"
        time.sleep(_SHORT + 1.5)
        assert context.http_client.get("/api/v1/auth/whoami").status_code == 200
        assert context.http_client.get("/api/v1/metadata/nothing").status_code == 404
