from __future__ import annotations

from typing import Any

import pytest

from databroker_like.client._revisions import MetadataRevisions
from databroker_like.nodes import MapNode, Revised
from databroker_like.structures import Spec


class Server:
    """Answers with revisions from 1 on, a few on a page, as a server that keeps them does."""

    def __init__(self, count: int) -> None:
        self.all = [{"revision_number": n + 1, "attributes": {"metadata": {"n": n}}} for n in range(count)]
        self.asked: list[Any] = []

    def node_url(self, path_parts: Any) -> str:
        return "http://h/api/v1/metadata/" + "/".join(path_parts)

    def get_json(self, url: str, params: Any = ()) -> Any:
        assert url == "http://h/api/v1/revisions/metadata/x"
        self.asked.append(dict(params))
        start, limit = int(self.asked[-1]["page[offset]"]), min(int(self.asked[-1]["page[limit]"]), 3)
        more = start + limit < len(self.all)
        following = f"{url}?page[offset]={start + limit}&page[limit]={limit}" if more else None
        return {"data": self.all[start : start + limit], "links": {"next": following}}


@pytest.mark.parametrize(
    "part",
    [0, 3, -1, -7, slice(None), slice(2, 5), slice(None, 2), slice(5, None), slice(-2, None), slice(None, None, -3)],
)
def test_they_are_taken_as_from_a_list(part: Any) -> None:
    server = Server(7)
    assert MetadataRevisions(server, ["metadata", "x"])[part] == server.all[part]  # type: ignore[arg-type]


def test_no_more_is_asked_for_than_is_wanted() -> None:
    server = Server(7)
    revisions = MetadataRevisions(server, ["metadata", "x"])  # type: ignore[arg-type]
    assert revisions[4]["revision_number"] == 5
    assert server.asked == [{"page[offset]": 4, "page[limit]": 1}]
    assert revisions[3:3] == []
    assert len(server.asked) == 1
    assert (len(revisions), [r["revision_number"] for r in revisions]) == (7, list(range(1, 8)))


def test_what_is_not_there_is_told() -> None:
    revisions = MetadataRevisions(Server(2), ["metadata", "x"])  # type: ignore[arg-type]
    for at in (2, -3):
        with pytest.raises(IndexError, match="'metadata/x'"):
            revisions[at]
    with pytest.raises(TypeError, match="position"):
        revisions["a"]  # type: ignore[index]


class Changed(MapNode):
    """A node that was something else before."""

    def revisions(self) -> list[Revised]:
        return [Revised(n + 1, {"color": color}, (Spec("demo"),)) for n, color in enumerate(("red", "blue", "green"))]


def test_our_service_tells_them(served: Any) -> None:
    node = served(MapNode({"a": Changed({}, metadata={"color": "black"}), "b": MapNode({})}), "a")
    found = node.metadata_revisions
    assert [one["attributes"]["metadata"]["color"] for one in found] == ["red", "blue", "green"]
    assert (found[-1]["revision_number"], found[1:2][0]["revision_number"], len(found)) == (3, 2, 3)
    assert found[0]["attributes"]["specs"] == [{"name": "demo", "version": None}]
    assert list(node.parent["b"].metadata_revisions) == []
