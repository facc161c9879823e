"""A run that a server has as nodes and nothing else is the same Dataset; its documents are made, the same each time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from databroker_like.drivers.in_memory import BlueskyInMemoryCatalog
from databroker_like.errors import NoSuchRun
from databroker_like.testing import _runs as samples
from tests.client.remote_runs import RECORDED, assert_same, counting, read_quietly, recorded, served


@pytest.fixture(params=[*RECORDED, *samples.SAMPLES])
def both(request: pytest.FixtureRequest, shared_data: Path) -> Iterator[tuple[Any, Any]]:
    """A catalog, and the same one over a service that tells runs as nodes alone."""
    if request.param in RECORDED:
        here = recorded(request.param, shared_data)
    else:
        here = BlueskyInMemoryCatalog()
        for name, doc in samples.SAMPLES[request.param]():
            here.v1.insert(name, doc)
    with served(here) as there:
        there.collection._server.tells_parts = False
        yield here, there


def test_the_values_are_those_of_the_nodes(both: tuple[Any, Any]) -> None:
    here, there = both
    for uid, run in here.items():
        assert sorted(there[uid]) == sorted(run)
        for name in run:
            expected, _ = read_quietly(run[name].read)
            found, _ = read_quietly(there[uid][name].read)
            assert list(found.data_vars) == list(expected.data_vars)
            for key in expected.variables:
                _same_values(found[key], expected[key])
            lazy, _ = read_quietly(there[uid][name].to_dask)
            # That the data of a node cannot be read is not known before it is read.
            assert set(lazy) - set(found) <= {"ns_image", "strange"}
            assert lazy[list(found)].compute().identical(found)


def _same_values(found: Any, expected: Any) -> None:
    assert found.dims == expected.dims
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found.values, expected.values)


def test_documents_are_made_the_same_each_time(both: tuple[Any, Any]) -> None:
    here, there = both
    for uid, run in here.items():
        documents, _ = read_quietly(lambda uid=uid: list(there[uid].documents(fill="no")))
        other = type(there)("", context=there._context)
        other.collection._server.tells_parts = False
        again, _ = read_quietly(lambda uid=uid, other=other: list(other[uid].documents(fill="no")))
        assert_same(_plain(again), _plain(documents))
        names = [name for name, _ in documents]
        assert names[0] == "start"
        assert ("stop" in names) is (run.metadata["stop"] is not None)
        assert documents[0][1] == run.metadata["start"]
        uids = [page["uid"][0] for name, page in documents if name == "event_page"]
        assert len(set(uids)) == len(uids)


def _plain(value: Any) -> Any:
    """Documents as dictionaries and lists."""
    if hasattr(value, "items"):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def test_a_run_costs_two_requests_and_one_for_each_block(shared_data: Path) -> None:
    with served(recorded("absorption", shared_data)) as there:
        there.collection._server.tells_parts = False
        (uid,) = there
        there.collection._forget()
        run = there._opened(there.collection.source(uid, None), name=uid)
        with counting(there) as asked:
            run["primary"].read()
        tables = [url for url in asked if "/table/" in url]
        arrays = [url for url in asked if "/array/" in url]
        assert len(asked) <= len(tables) + len(arrays) + 2, asked


def test_what_is_no_run_is_refused(shared_data: Path) -> None:
    with served(recorded("absorption", shared_data)) as there:
        (uid,) = there
        there.collection._server.tells_parts = False
        for path in ("nothing", f"{uid}/primary"):
            run = there._opened(there.collection.source(path, None), name=path)
            with pytest.raises(NoSuchRun, match=path.rpartition("/")[2]):
                list(run)
