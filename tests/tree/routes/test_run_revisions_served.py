"""Runs are sent as they were before they were amended, where that is asked for."""

from contextlib import closing

import numpy as np
import orjson
import pytest

from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.nodes import ArrayData, MapNode
from databroker_like.nodes.runs import RunsNode
from databroker_like.testing import _runs as samples
from databroker_like.tree.routes._all import REVISION, ROUTES
from tests.tree.conftest import caller


def without_sample(start):
    return {key: value for key, value in start.items() if key != "sample"}


@pytest.fixture
def catalog(tmp_path):
    with closing(BlueskyEmbeddedCatalog(str(tmp_path / "store"))) as catalog:
        files = tmp_path / "files"
        files.mkdir()
        for name, doc in samples.external(files, uid="run", sample="gold"):
            catalog.v1.insert(name, doc)
        for sample in ("silver", "copper"):
            catalog["run"].amend({"start": {"sample": sample}}, reason="it was another")
        yield catalog


def documents(client, query):
    reply = client.get(f"/api/v1/documents/raw/run{query}")
    assert reply.status_code == 200, reply.text
    return [orjson.loads(line) for line in reply.content.splitlines()]


def test_each_revision_has_its_documents(catalog):
    client = caller(MapNode({"raw": RunsNode(catalog)}))
    for query, sample in {
        "": "copper",
        "?revision=0": "gold",
        "?revision=1": "silver",
        "?revision=2": "copper",
    }.items():
        found = documents(client, query)
        assert found[0]["doc"]["sample"] == sample
        assert found[1:] == documents(client, "")[1:]


def test_what_is_in_a_run_is_read_at_a_revision(catalog, tmp_path):
    client = caller(MapNode({"raw": RunsNode(catalog)}))
    resource = next(dict(doc) for name, doc in catalog["run"].documents(fill="no") if name == "resource")
    (tmp_path / "others").mkdir()
    for number in range(3):
        np.save(tmp_path / "others" / f"image_{number}.npy", np.full((4, 5), 9, dtype="uint16"))
    catalog["run"].amend({"resource": {resource["uid"]: {"root": str(tmp_path / "others")}}}, reason="they were moved")
    full, block = "/api/v1/array/full/raw/run/primary/image", "/api/v1/array/block/raw/run/primary/image"
    for url, said in ((full, {}), (block, {"block": "0,0,0"})):
        now, before = (client.get(url, params={**said, **more}) for more in ({}, {"revision": 0}))
        assert now.content == np.full((3, 4, 5), 9, dtype="uint16").tobytes()
        assert np.frombuffer(before.content, "uint16").reshape(3, 20)[:, 0].tolist() == [0, 1, 2]
        assert now.headers["etag"] != before.headers["etag"]


def test_a_finished_run_is_told_with_a_version_that_every_amendment_makes_another(catalog):
    client = caller(MapNode({"raw": RunsNode(catalog), "other": MapNode({})}))
    (descriptor,) = catalog["run"]["primary"].metadata["descriptors"]

    def versions(**params):
        node = client.get("/api/v1/metadata/raw/run", params=params).json()["data"]
        (listed,) = client.get("/api/v1/search/raw", params=params).json()["data"]
        return node["meta"], listed["meta"]

    seen = []
    for unit in ("um", "cm"):
        alone, listed = versions()
        assert alone == listed == versions(fields="metadata")[0]
        assert alone not in seen
        seen.append(alone)
        amended = {"data_keys": {"motor": {"units": unit}}}
        catalog["run"].amend({"descriptor": {descriptor["uid"]: amended}}, reason="it was another")
    assert versions(fields="specs") == (None, None)
    for name, doc in list(samples.scalars(1, uid="goes-on"))[:-1]:
        catalog.v1.insert(name, doc)
    for path in ("raw/goes-on", "other"):
        assert client.get(f"/api/v1/metadata/{path}").json()["data"]["meta"] is None


def test_what_transforms_take_away_is_taken_away_of_what_was_before_too(catalog, tmp_path):
    with closing(BlueskyEmbeddedCatalog(str(tmp_path / "store"), transforms={"start": without_sample})) as mended:
        client = caller(MapNode({"raw": RunsNode(mended)}))
        assert "sample" not in documents(client, "?revision=0")[0]["doc"]
        revisions = client.get("/api/v1/revisions/raw/run").json()["data"]
        assert [one["attributes"]["metadata"]["start"].get("sample") for one in revisions] == [None, None]


@pytest.mark.parametrize(
    "query", ["revision=3", "revision=-1", "revision=", "revision=0&revision=1", f"revision={10**30}"]
)
def test_a_revision_that_is_not_there_is_refused(catalog, query):
    reply = caller(MapNode({"raw": RunsNode(catalog)})).get(f"/api/v1/documents/raw/run?{query}")
    assert reply.status_code in (400, 422)
    assert "revision" in reply.json()["detail"]


def test_what_is_in_no_run_has_no_revision_and_other_routes_pass_it_over():
    client = caller(MapNode({"a": ArrayData(np.arange(3))}))
    reply = client.get("/api/v1/array/full/a?revision=0")
    assert (reply.status_code, "'a' is neither" in reply.json()["detail"]) == (422, True)
    assert client.get("/api/v1/metadata/a?revision=0").status_code == 200
    assert [name for name, answers in ROUTES.items() if REVISION in answers.parameters] == [
        "array/full",
        "array/block",
        "documents",
    ]
