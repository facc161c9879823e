"""What nodes were before they were changed."""

from datetime import UTC, datetime, timedelta, timezone

from databroker_like.nodes import MapNode, Revised
from databroker_like.structures import Spec
from tests.tree.conftest import API, caller


class Changed(MapNode):
    """Was changed three times."""

    def revisions(self):
        zone = timezone(timedelta(hours=2))
        return [
            Revised(n, {"color": n}, (Spec("demo", "1"),), datetime(2026, 1, n, 2, tzinfo=zone)) for n in (1, 2)
        ] + [Revised(3, {"color": "3"})]


TREE = MapNode({"changed": Changed({}, metadata={"color": "now"}), "same": MapNode({})})


def test_what_a_node_was_is_told_and_not_what_it_is():
    body = caller(TREE).get("/api/v1/revisions/changed").json()
    assert body["data"][0] == {
        "revision_number": 1,
        "attributes": {
            "metadata": {"color": 1},
            "specs": [{"name": "demo", "version": "1"}],
            "time_updated": datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None).isoformat(),
        },
    }
    assert [one["revision_number"] for one in body["data"]] == [1, 2, 3]
    assert body["data"][2]["attributes"] == {"metadata": {"color": "3"}, "specs": [], "time_updated": None}
    assert (body["meta"], body["links"]["next"]) == ({"count": 3}, None)


def test_what_a_node_was_is_told_page_by_page():
    client = caller(TREE)
    body = client.get("/api/v1/revisions/changed?page[limit]=2").json()
    assert body["links"]["next"].startswith(f"{API}/revisions/changed?")
    rest = client.get(body["links"]["next"]).json()
    assert [one["revision_number"] for one in body["data"] + rest["data"]] == [1, 2, 3]
    assert client.get("/api/v1/revisions/changed?page[offset]=9").json()["data"] == []


def test_a_node_that_was_never_changed_has_none():
    body = caller(TREE).get("/api/v1/revisions/same").json()
    assert (body["data"], body["meta"]) == ([], {"count": 0})
    assert caller(TREE).get("/api/v1/revisions/missing").status_code == 404
