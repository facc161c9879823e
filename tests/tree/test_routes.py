"""Every route that the clients of the protocol read from is there, and each is asked for what it may be."""

import numpy as np
import pytest

from databroker_like.nodes import ArrayData, MapNode
from databroker_like.tree.routes._all import API, ROUTES
from tests.tree.conftest import caller

#: The rows of the protocol that read, as the clients ask: method and path, with a node for what takes one.
READING = [
    ("GET", f"{API}/"),
    ("GET", f"{API}/metadata/x"),
    ("GET", f"{API}/search/x"),
    ("GET", f"{API}/search-deep/x"),
    ("GET", f"{API}/distinct/x"),
    ("GET", f"{API}/revisions/x"),
    ("GET", f"{API}/array/full/x"),
    ("GET", f"{API}/array/block/x"),
    ("GET", f"{API}/table/partition/x"),
    ("POST", f"{API}/table/partition/x"),
    ("GET", f"{API}/table/full/x"),
    ("POST", f"{API}/table/full/x"),
    ("GET", f"{API}/container/full/x"),
    ("POST", f"{API}/container/full/x"),
    ("GET", f"{API}/node/full/x"),
    ("GET", f"{API}/awkward/buffers/x"),
    ("POST", f"{API}/awkward/buffers/x"),
    ("GET", f"{API}/awkward/full/x"),
    ("GET", f"{API}/ragged/full/x"),
    ("GET", f"{API}/asset/manifest/x"),
    ("GET", f"{API}/asset/bytes/x"),
    ("GET", f"{API}/documents/x"),
    ("GET", "/healthz"),
    ("GET", "/openapi.json"),
    ("GET", "/docs"),
    ("GET", "/"),
    ("GET", "/zarr/v2/x/.zarray"),
    ("GET", "/zarr/v2/x/.zgroup"),
    ("GET", "/zarr/v2/x/.zattrs"),
    ("GET", "/zarr/v2/x/0.0"),
    ("GET", "/zarr/v3/x/zarr.json"),
    ("GET", "/zarr/v3/x/c/0/0"),
]
#: What is answered where there is no route.
NOWHERE = "there is nothing at this URL"


@pytest.mark.parametrize(("method", "path"), READING)
def test_every_route_that_reads_is_there(tree, method, path):
    client = caller(tree)
    reply = client.request(method, path)
    assert reply.status_code != 405
    assert NOWHERE not in reply.text
    if method == "GET":
        head = client.request("HEAD", path)
        assert (head.status_code, head.content) == (reply.status_code, b"")


def test_no_route_is_there_that_the_table_does_not_have():
    served = {(method, f"{API}/{name}/x") for name, answers in ROUTES.items() for method in answers.methods}
    assert served == {(method, path) for method, path in READING if path.startswith(f"{API}/") and path != f"{API}/"}


def test_a_path_that_is_no_route_is_told_so(tree):
    for path in ("/api/v1/nope/x", "/nope", "/api/v2/metadata/", "/api/v1/metadatax", "/healthz/x"):
        reply = caller(tree).get(path)
        assert reply.status_code == 404
        assert NOWHERE in reply.json()["detail"]


@pytest.mark.parametrize("name", ROUTES)
def test_a_parameter_that_is_given_is_taken_as_the_table_says(name):
    """Numbers beyond what the table says, and what is neither true nor false, are refused; the bounds are not."""
    client = caller(MapNode({"x": MapNode({"a": ArrayData(np.arange(3))})}))
    needed = {one.name: one.schema.get("minimum", 0) for one in ROUTES[name].parameters if one.required}
    for parameter in ROUTES[name].parameters:
        kind, schema = parameter.schema["type"], parameter.schema
        beyond = [schema[end] + by for end, by in (("minimum", -1), ("maximum", 1)) if end in schema]
        wrong = {"integer": ["x", "", "1.5", "9" * 400, *beyond], "boolean": ["perhaps", "", "2"], "string": []}[kind]
        if "enum" in schema and name != "container/full":  # where 'fill' is for runs alone
            wrong = ["nope"]
        for value in wrong:
            reply = client.get(f"{API}/{name}/x", params={**needed, parameter.name: value})
            assert reply.status_code in (404, 422), (parameter.name, value, reply.text)
        if name in ("metadata", "search", "search-deep", "revisions") and kind == "integer":
            for end in ("minimum", "maximum"):
                reply = client.get(f"{API}/{name}/x", params={**needed, parameter.name: schema[end]})
                assert reply.status_code == 200, reply.text


def test_what_a_parameter_is_by_default_is_what_the_table_says(tree):
    client = caller(tree)
    for name in ("metadata", "search", "search-deep", "distinct"):
        defaults = {one.name: one.schema["default"] for one in ROUTES[name].parameters if "default" in one.schema}
        assert defaults
        url = f"{API}/{name}/inner"
        with_all = client.get(url, params={key: str(value).lower() for key, value in defaults.items()})
        assert with_all.json().get("data") == client.get(url).json().get("data")


def test_a_key_may_have_the_end_of_a_line_in_it() -> None:
    ask = caller(MapNode({"two\nlines": ArrayData(np.arange(3))}))
    found = ask.get(f"{API}/metadata/two%0Alines")
    assert (found.status_code, found.json()["data"]["id"]) == (200, "two\nlines")
    read = ask.get(f"{API}/array/full/two%0Alines?format=json")
    assert read.json() == [0, 1, 2]
    assert ask.get(f"{API}/metadata/two%0Alines%0A").status_code == 404
