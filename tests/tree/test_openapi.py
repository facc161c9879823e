"""The description of the routes is right, and made of the routes themselves."""

import pytest
from openapi_spec_validator import validate

from databroker_like.tree._parameters import Parameter, choice, flag, text, whole
from databroker_like.tree.routes._all import API, ROUTES, VIEWS
from tests.tree.conftest import caller


@pytest.fixture
def description(tree):
    reply = caller(tree, api_key="secret", public=False).get("/openapi.json")
    assert reply.headers["content-type"] == "application/json"
    return reply.json()


def test_the_description_is_one_of_openapi(description):
    assert description["openapi"] == "3.1.0"
    assert description["servers"] == [{"url": "http://testserver"}]
    validate(description)


def test_every_route_is_described_with_its_parameters(description):
    for name, answers in ROUTES.items():
        for path in (f"{API}/{name}/", f"{API}/{name}/{{path}}"):
            described = description["paths"][path]
            assert {method.upper() for method in described} == set(answers.methods)
            for operation in described.values():
                names = [one["name"] for one in operation["parameters"] if one["in"] == "query"]
                assert names == [one.name for one in answers.parameters]
                assert len(set(names)) == len(names)
    assert {f"{prefix}/{{path}}" for prefix in VIEWS} <= description["paths"].keys()


def test_every_query_is_described_with_its_fields(description):
    names = {one["name"] for one in description["paths"][f"{API}/search/"]["get"]["parameters"]}
    assert {"filter[eq][condition][key]", "filter[specs][condition][exclude]", "page[cursor]", "sort"} <= names


def test_people_read_the_same_without_a_network(tree):
    reply = caller(tree).get("/docs")
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    for name in ROUTES:
        assert f"{API}/{name}/{{path}}" in reply.text
    assert "src=" not in reply.text
    assert "//" not in reply.text.replace("<!doctype html>", "")
    assert "default-src 'none'" in reply.headers["content-security-policy"]


def test_who_comes_to_the_door_is_shown_the_way(tree):
    door = caller(tree).get("/").json()
    assert door == {
        "api": "http://testserver/api/v1/",
        "documentation": "http://testserver/docs",
        "openapi": "http://testserver/openapi.json",
    }


@pytest.mark.parametrize(
    ("parameter", "schema"),
    [
        (whole("n", "", 1, 5, 2), {"type": "integer", "minimum": 1, "maximum": 5, "default": 2}),
        (flag("b", ""), {"type": "boolean", "default": False}),
        (text("t", "", pattern="^a$", longest=3), {"type": "string", "pattern": "^a$", "maxLength": 3}),
        (choice("c", "", ("a", "b")), {"type": "string", "enum": ["a", "b"]}),
        (text("m", "", many=True), {"type": "array", "items": {"type": "string"}}),
    ],
)
def test_a_parameter_is_described_by_what_it_may_be(parameter: Parameter, schema):
    described = parameter.described()
    assert described["schema"] == schema
    assert (described["in"], described["required"]) == ("query", False)
