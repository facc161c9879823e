"""Every recorded run is the same from a service as it is here: datasets, documents, metadata."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from databroker_like.core import RemoteBlueskyEventStream, RemoteBlueskyRun
from tests.client.remote_runs import RECORDED, assert_same, read_quietly, recorded, served


@pytest.fixture(params=RECORDED)
def both(request: pytest.FixtureRequest, shared_data: Path) -> Iterator[tuple[Any, Any]]:
    """A catalog of recorded runs, and the same one over a service."""
    here = recorded(request.param, shared_data)
    with served(here) as there:
        yield here, there


def test_the_runs_and_their_metadata_are_the_same(both: tuple[Any, Any]) -> None:
    here, there = both
    assert list(there) == list(here)
    assert len(there) == len(here)
    for uid, run in here.items():
        other = there[uid]
        assert isinstance(other, RemoteBlueskyRun)
        assert_same(_plain(other.metadata), _plain(run.metadata))
        assert list(other) == list(run)
        assert other == run
        assert repr(other) == f"<RemoteBlueskyRun uid={uid!r}>"
        for name in run:
            assert isinstance(other[name], RemoteBlueskyEventStream)
            assert_same(_plain(other[name].metadata), _plain(run[name].metadata))
    assert there[-1].metadata["start"]["uid"] == here[-1].metadata["start"]["uid"]


def test_the_datasets_are_identical(both: tuple[Any, Any]) -> None:
    here, there = both
    for uid, run in here.items():
        for name in run:
            for of in (lambda stream: stream, lambda stream: stream.timestamps):
                expected, left_out = read_quietly(of(run[name]).read)
                found, also = read_quietly(of(there[uid][name]).read)
                assert found.identical(expected)
                assert also == left_out
                lazy, _ = read_quietly(of(there[uid][name]).to_dask)
                assert lazy.compute().identical(expected)
                assert {key: array.dtype for key, array in lazy.items()} == {k: a.dtype for k, a in expected.items()}


def test_the_configurations_are_identical(both: tuple[Any, Any]) -> None:
    here, there = both
    for uid, run in here.items():
        for name in run:
            assert list(there[uid][name].config) == list(run[name].config)
            for device in run[name].config:
                for view in ("config", "config_timestamps"):
                    expected, _ = read_quietly(getattr(run[name], view)[device].read)
                    found, _ = read_quietly(getattr(there[uid][name], view)[device].read)
                    assert found.identical(expected)


@pytest.mark.parametrize("strict_order", [True, False])
@pytest.mark.parametrize("fill", ["no", "yes", "delayed"])
def test_the_documents_are_the_same(both: tuple[Any, Any], fill: str, strict_order: bool) -> None:
    here, there = both
    for uid, run in here.items():
        expected, failure = _documents(run, fill, strict_order)
        found, also = _documents(there[uid], fill, strict_order)
        assert also is failure
        assert [name for name, _ in found] == [name for name, _ in expected]
        for (_, one), (_, other) in zip(found, expected, strict=True):
            assert_same(_plain(one), _plain(other))


def _documents(run: Any, fill: str, strict_order: bool) -> tuple[list[tuple[str, Any]], Any]:
    """The documents as far as they come, and the class of the error that ends them."""
    found = []
    try:
        for name, doc in run.documents(fill=fill, strict_order=strict_order):
            found.append((name, doc))
    except Exception as error:  # noqa: BLE001 - whatever it is here, it is the same there
        return found, type(error)
    return found, None


def _plain(value: Any) -> Any:
    """Documents as dictionaries, and filled columns as the lists that they are."""
    if hasattr(value, "items"):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value
