"""A folder of files over HTTP: what callers get, while files come, change, break and go."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import httpx
import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr

from databroker_like.nodes.files import FolderNode
from databroker_like.tree import build_app
from tests.support.settling import settle


class Caller:
    """Asks a service of a folder, and looks through every answer for the path of the folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tree = FolderNode(folder)
        self.app = build_app(self.tree, public=True)

    def get(self, path: str, **headers: str) -> httpx.Response:
        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
                return await client.get(f"/api/v1{path}", headers=headers)

        reply = asyncio.run(asked())
        assert str(self.folder).encode() not in reply.content
        assert str(self.folder.parent).encode() not in reply.content
        assert reply.status_code < 500, reply.text
        return reply

    def data(self, path: str) -> Any:
        reply = self.get(path)
        assert reply.status_code == 200, reply.text
        return reply.json()["data"]

    def keys(self, path: str = "/search/") -> list[str]:
        return [one["id"] for one in self.data(path)]


@pytest.fixture
def caller(tmp_path: Path) -> Iterator[Caller]:
    """Somebody who asks a service of an empty folder."""
    made = Caller(tmp_path)
    yield made
    made.tree.close()


def test_files_come_change_and_go_while_they_are_served(caller: Caller, tmp_path: Path) -> None:
    assert caller.keys() == []
    np.save(tmp_path / "a.npy", np.arange(3.0))
    assert caller.keys() == ["a"]
    settle(tmp_path)
    first = caller.get("/array/full/a?format=application/octet-stream")
    assert np.frombuffer(first.content).tolist() == [0, 1, 2]
    tag = first.headers["ETag"]
    again = caller.get("/array/full/a?format=application/octet-stream", **{"If-None-Match": tag})
    assert again.status_code == 304
    np.save(tmp_path / "a.npy", np.arange(5.0))
    changed = caller.get("/array/full/a?format=application/octet-stream", **{"If-None-Match": tag})
    assert changed.status_code == 200
    assert np.frombuffer(changed.content).tolist() == [0, 1, 2, 3, 4]
    (tmp_path / "a.npy").unlink()
    assert caller.get("/array/full/a").status_code == 404
    assert caller.keys() == []


def test_a_broken_file_is_told_and_to_read_it_is_a_sentence(caller: Caller, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "broken.h5").write_bytes(b"half of a file")
    np.save(tmp_path / "sub" / "whole.npy", np.arange(3))
    listed = {one["id"]: one["attributes"] for one in caller.data("/search/sub")}
    assert set(listed) == {"broken", "whole"}
    assert listed["broken"]["specs"][0]["name"] == "broken"
    sentence = listed["broken"]["metadata"]["error"]
    assert sentence.startswith("'sub/broken.h5' cannot be read as an HDF5 file")
    for route in ("array/full", "array/block", "table/full", "table/partition", "container/full", "node/full"):
        reply = caller.get(f"/{route}/sub/broken?block=0&partition=0")
        assert (reply.status_code, reply.json()["detail"]) == (400, sentence), route
    assert caller.get("/metadata/sub/broken/entry/data").status_code in (400, 404)
    assert caller.get("/array/full/sub/whole").status_code == 200


def test_a_dataset_damaged_while_it_is_served_is_a_sentence(caller: Caller, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((50, 50), "u2"))
    assert caller.get("/array/full/a").status_code == 200
    node = caller.tree.get("a")
    assert node is not None
    os.truncate(tmp_path / "a.tif", 3000)
    reply = caller.get("/array/full/a?format=application/octet-stream")
    assert reply.status_code == 400
    assert "a.tif" in reply.json()["detail"]


@pytest.mark.parametrize(
    "path",
    [
        "sub%2f..",
        "../secret",
        "%2e%2e%2fsecret",
        "..%2fsecret",
        "%2fetc%2fpasswd",
        "sub/..%2f..%2fsecret",
        "a.npy",
        ".hidden",
        "a%00",
    ],
)
def test_no_path_leads_out_of_the_folder(tmp_path: Path, path: str) -> None:
    served = tmp_path / "served"
    (served / "sub").mkdir(parents=True)
    np.save(tmp_path / "secret.npy", np.arange(3))
    np.save(served / "a.npy", np.arange(3))
    np.save(served / ".hidden.npy", np.arange(3))
    caller = Caller(served)
    for route in ("metadata", "array/full", "search"):
        assert caller.get(f"/{route}/{path}").status_code in (400, 404, 422)


def test_a_small_file_is_told_with_what_is_in_it(caller: Caller, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["entry/x"] = [1, 2]
        file["entry/y"] = 3.5
    contents = caller.data("/metadata/a")["attributes"]["structure"]["contents"]
    assert set(contents) == {"entry"}
    inner = contents["entry"]["attributes"]["structure"]["contents"]
    assert inner["x"]["attributes"]["structure"]["shape"] == [2]


@pytest.mark.parametrize("path", ["", "folder", "several_", "zarr", "links"])
def test_what_was_exported_of_many_files_is_exported_anew_when_one_of_them_has_changed(
    caller: Caller, tmp_path: Path, path: str
) -> None:
    """Whether anything in it has changed is not known without a look at all of it."""
    (tmp_path / "folder").mkdir()
    group = zarr.open_group(tmp_path / "zarr", mode="w")
    group.create_array("x", shape=(3,), dtype="i8")
    with h5py.File(tmp_path / "links.h5", "w") as file:
        file["link"] = h5py.ExternalLink("data.h5", "x")
    tags: list[str] = []
    for number in (1, 2):
        for name in ("folder/a", "several_1"):
            np.save(tmp_path / f"{name}.npy", np.full(3, number))
        np.save(tmp_path / "several_2.npy", np.full(4, number))
        group["x"][...] = number
        caller.tree.close()
        written_anew = tmp_path / "new.part"
        with h5py.File(written_anew, "w") as file:
            file["x"] = np.full(3, number)
        written_anew.rename(tmp_path / "data.h5")
        settle(tmp_path)
        reply = caller.get(
            f"/container/full/{path}?format=application/x-hdf5", **{"If-None-Match": ", ".join(tags) or '"none"'}
        )
        assert reply.status_code == 200
        seen: list[Any] = []
        with h5py.File(io.BytesIO(reply.content)) as file:
            file.visititems(
                lambda _, found, seen=seen: seen.extend(np.ravel(found)) if hasattr(found, "shape") else None
            )
        assert set(seen) == {number}
        tags += [reply.headers["ETag"]] if "ETag" in reply.headers else []


def test_of_files_with_much_in_them_some_is_told_with_them(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("databroker_like.tree._envelopes._MOST_TOLD_IN_ALL", 10)
    for name in "ab":
        with h5py.File(caller.folder / f"{name}.h5", "w") as file:
            for group in range(3):
                for number in range(3):
                    file[f"g{group}/x{number}"] = number
    one = caller.data("/metadata/a")["attributes"]["structure"]
    assert one["count"] == 3
    inside = [group["attributes"]["structure"] for group in one["contents"].values()]
    assert [group["count"] for group in inside] == [3, 3, 3]
    assert [group["contents"] and len(group["contents"]) for group in inside] == [3, 3, None]
    both = [node["attributes"]["structure"]["contents"] for node in caller.data("/search/")]
    assert both[0].keys() == one["contents"].keys()
    assert both[1] is None
    assert caller.data("/metadata/a/g2")["attributes"]["structure"]["contents"].keys() == {"x0", "x1", "x2"}


def test_a_page_of_ten_thousand_files_is_listed(caller: Caller, tmp_path: Path) -> None:
    content = b"\x93NUMPY\x01\x00"
    for number in range(10_000):
        (tmp_path / f"file{number:05d}x.npy").write_bytes(content)
    reply = caller.get("/search/?fields=&page[offset]=9990&page[limit]=20")
    assert reply.json()["meta"]["count"] == 10_000
    assert [one["id"] for one in reply.json()["data"]][-1] == "file09999x"


def test_search_and_distinct_over_files(caller: Caller, tmp_path: Path) -> None:
    for name, color in (("a", "red"), ("b", "blue"), ("c", "red")):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file.attrs["color"] = color
    pd.DataFrame({"x": [1]}).to_csv(tmp_path / "t.csv", index=False)
    query = "filter[eq][condition][key]=color&filter[eq][condition][value]=%22red%22"
    assert caller.keys(f"/search/?{query}") == ["a", "c"]
    found = caller.get("/distinct/?metadata=color&counts=true&structure_families=true").json()
    assert found["metadata"]["color"][:1] == [{"value": "red", "count": 2}]
    assert {one["value"] for one in found["structure_families"]} == {"container", "table"}


def test_links_of_two_files_into_each_other_are_searched_and_exported_as_far_as_they_lead(caller: Caller) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        with h5py.File(caller.folder / f"{name}.h5", "w") as file:
            file["group/x"] = [1, 2]
            file["group/over"] = h5py.ExternalLink(f"{other}.h5", "/")
    found = caller.get("/search-deep/?page[limit]=100").json()
    paths = ["/".join([*one["attributes"]["ancestors"], one["id"]]) for one in found["data"]]
    assert found["meta"]["count"] == len(paths) == 14
    assert "a/group/over/group/over" in paths
    whole = caller.get("/container/full/a/group?format=json").json()
    assert set(whole["contents"]["over"]["contents"]["group"]["contents"]) == {"over", "x"}
    assert whole["contents"]["over"]["contents"]["group"]["contents"]["over"]["contents"] == {}
    assert caller.get("/container/full/a?format=h5").content[:4] == b"\x89HDF"


def test_a_name_that_is_no_utf_8_is_asked_for_by_the_key_that_is_listed(caller: Caller) -> None:
    with h5py.File(caller.folder / "a.h5", "w") as file:
        file["good"] = [1, 2]
        file.create_group(b"gr\xfcn")
    assert caller.keys("/search/a") == ["good", "gr\\xfcn"]
    assert "not UTF-8" in caller.data("/metadata/a/gr%5Cxfcn")["attributes"]["metadata"]["error"]
    assert caller.get("/array/full/a/good?format=json").json() == [1, 2]
    assert caller.get("/container/full/a?format=h5").status_code == 200
