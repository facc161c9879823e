"""Rows of an array on a server are a lazy array, whichever rows and however it is cut."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from databroker_like.client._runs._column import RemoteColumn
from databroker_like.client._runs._server import Server, server_at
from databroker_like.client.array import ArrayClient
from databroker_like.core._external import RaggedFrames
from databroker_like.errors import DatabrokerError, Invalid, MissingFile, NoSuchHandler
from databroker_like.files._lazy import LazyArray, to_dask
from databroker_like.nodes import ArrayData, MapNode
from databroker_like.structures import ArrayStructure, data_type_of
from databroker_like.testing import LazyArrayContract
from tests.client.remote_runs import live_tree

FRAMES = np.arange(9 * 4 * 5, dtype="<u2").reshape(9, 4, 5)
CHUNKS = ((2, 2, 2, 2, 1), (4,), (3, 2))


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    with live_tree(MapNode({"frames": ArrayData(FRAMES, chunks=CHUNKS), "numbers": ArrayData(np.arange(9.0))})) as url:
        yield url


def _column(url: str, start: int = 3, rows: int = 5, name: str = "frames") -> RemoteColumn:
    server, path = server_at(f"{url}/{name}", api_key="secret")
    array = FRAMES if name == "frames" else np.arange(9.0)
    chunks = CHUNKS if name == "frames" else ((9,),)
    return RemoteColumn(server, path, ArrayStructure(data_type_of(array.dtype), chunks, array.shape), start, rows)


class TestRowsOfFrames(LazyArrayContract):
    @pytest.fixture(autouse=True)
    def _of_this_service(self, service: str) -> None:
        type(self).url = service

    url: str

    def make(self, folder: Path) -> tuple[LazyArray, np.ndarray]:
        return _column(self.url), FRAMES[3:8]


class TestAllNumbers(TestRowsOfFrames):
    def make(self, folder: Path) -> tuple[LazyArray, np.ndarray]:
        return _column(self.url, 0, 9, "numbers"), np.arange(9.0)


def test_it_is_cut_as_the_server_cuts_it(service: str) -> None:
    column = _column(service)
    assert column.blocks == ((1, 2, 2), (4,), (3, 2))
    lazy = to_dask(column, column.blocks)
    assert lazy.chunks == column.blocks
    np.testing.assert_array_equal(lazy.compute(), FRAMES[3:8])
    assert _column(service, 0, 9).blocks == CHUNKS
    assert (_column(service, 2, 0).blocks[0], _column(service, 2, 0)[()].shape) == ((0,), (0, 4, 5))


def test_the_same_rows_have_the_same_name(service: str) -> None:
    assert _column(service).token == _column(service).token
    assert len({_column(service, start, 2).token for start in range(4)}) == 4


@pytest.mark.parametrize("error", [MissingFile("it is gone"), NoSuchHandler("nobody reads it")])
def test_an_array_that_cannot_be_read_says_so_when_it_is_looked_at(error: DatabrokerError, service: str) -> None:
    server, path = server_at(f"{service}/frames", api_key="secret")
    column = RemoteColumn(server, path, error, 0, 9)
    assert column.rows == 9
    for look in (lambda: column.shape, lambda: column.blocks, lambda: column[0]):
        with pytest.raises(type(error), match=str(error)):
            look()


def test_an_array_that_is_not_there_is_a_file_that_is_missing(service: str) -> None:
    server, _ = server_at(service, api_key="secret")
    told = ArrayStructure(data_type_of(np.dtype("f8")), ((3,),), (3,))
    with pytest.raises(MissingFile, match="nothing"):
        RemoteColumn(server, ("nothing",), told, 0, 3)[()]


def test_values_that_are_no_one_array_come_one_by_one(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    column = _column(service)

    def refuse(*args: Any) -> None:
        raise Invalid("values of different shapes are no one array")

    odd = RemoteColumn(column._server, column._path, column._structure, 3, 2, lambda: [np.zeros(2), np.zeros(3)])
    with monkeypatch.context() as patch:
        patch.setattr(ArrayClient, "read", refuse)
        with pytest.raises(RaggedFrames, match="different shapes"):
            odd[0]
        with pytest.raises(Invalid):
            column[0]
    assert [value.shape for value in odd.values()] == [(2,), (3,)]
    assert [value.shape for value in column.values()] == [(4, 5)] * 5


def test_there_is_one_server_for_all_addresses_on_it(service: str) -> None:
    one, path = server_at(f"{service}/a/b", api_key="secret")
    other, _ = server_at(service, api_key="secret")
    assert one is other
    assert path == ("a", "b")
    assert server_at(service, api_key="other")[0] is not one
    assert server_at(service, api_key="secret", headers={"a": "b"})[0] is not one
    assert isinstance(one, Server)
    assert "secret" not in repr(one)
