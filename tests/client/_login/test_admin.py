"""Administrators list users and services, make them, and give and take their API keys."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from databroker_like import errors
from databroker_like.client import Context
from databroker_like.client._login._admin import Admin
from databroker_like.nodes import MapNode
from databroker_like.tree import build_app
from tests.client.users_server import UsersServer, users_server


@pytest.fixture
def server() -> Iterator[UsersServer]:
    with users_server() as server:
        server.providers = [{"provider": "toy", "mode": "internal", "links": {}, "confirmation_message": None}]
        server.keys = {"adminkey": "adminkey"}
        yield server


@pytest.fixture
def admin(server: UsersServer) -> Iterator[Admin]:
    with Context(f"{server.uri}/api/v1", api_key="adminkey") as context:
        yield context.admin


def test_principals_are_listed_and_shown(admin: Admin, server: UsersServer) -> None:
    (ann,) = admin.list_principals()
    assert ann == admin.show_principal("12-ab")
    assert admin.list_principals(offset=1, limit=5) == []
    assert server.asked[-1].query == {"page[offset]": ["1"], "page[limit]": ["5"]}
    with pytest.raises(errors.NotFound, match="56-ef"):
        admin.show_principal("56-ef")


def test_keys_of_others_are_made_and_revoked(admin: Admin, server: UsersServer) -> None:
    made = admin.create_api_key("12-ab", scopes=["read:data"], expires_in="1h", note="for the lab")
    assert made == {
        "first_eight": "their8le",
        "secret": "their8letters",
        "scopes": ["read:data"],
        "expires_in": 3600,
        "note": "for the lab",
        "access_tags": None,
    }
    admin.revoke_api_key("12-ab", made["secret"])
    assert server.asked[-1].query == {"first_eight": ["their8le"]}
    assert "their8le" not in server.keys
    with pytest.raises(errors.NotFound):
        admin.revoke_api_key("12-ab", made["first_eight"])
    with pytest.raises(errors.Invalid, match="a time is written"):
        admin.create_api_key("12-ab", expires_in="soon")


def test_services_are_made(admin: Admin) -> None:
    assert admin.create_service_principal("user") == {"uuid": "34-cd", "type": "service", "roles": [{"name": "user"}]}


@pytest.mark.parametrize("uuid", ["", "a/b", "../whoami", "12?x=1", None])
def test_what_is_no_uuid_is_not_sent(admin: Admin, server: UsersServer, uuid: str) -> None:
    before = len(server.asked)
    with pytest.raises(errors.Invalid, match="list_principals"):
        admin.show_principal(uuid)
    assert len(server.asked) == before


def test_who_is_not_known_is_not_let_in(server: UsersServer) -> None:
    with Context(f"{server.uri}/api/v1", api_key="another") as context, pytest.raises(errors.NotAuthenticated):
        context.admin.list_principals()


def test_a_server_without_users_has_nothing_to_administer() -> None:
    with Context.from_app(build_app(MapNode({}), public=True)) as context:
        with pytest.raises(errors.NotOffered, match="has no users"):
            context.admin.list_principals()
        with pytest.raises(errors.NotOffered, match="has no users"):
            context.admin.create_service_principal("admin")
