"""Runs and streams that another machine serves: they are there, and say that they cannot be read."""

from __future__ import annotations

import pickle

import pytest

from databroker_like.core import RemoteBlueskyEventStream, RemoteBlueskyRun
from databroker_like.errors import NotOffered

URL = "http://beamline:8000"


@pytest.fixture(params=[RemoteBlueskyRun, RemoteBlueskyEventStream])
def remote(request: pytest.FixtureRequest) -> object:
    return request.param(URL, {}, "41fb8ca9", {"a": 1}, metadata={"start": {"uid": "41fb8ca9"}}, more="passed over")


def test_it_keeps_what_it_was_made_of_and_pickles(remote: RemoteBlueskyRun) -> None:
    for one in (remote, pickle.loads(pickle.dumps(remote))):
        assert (one.url, one.name, one.parameters) == (URL, "41fb8ca9", {"a": 1})
        assert one.metadata["start"]["uid"] == "41fb8ca9"
        assert "41fb8ca9" in repr(one)
    assert remote() is remote
    assert remote.configure_new(name="other").name == "other"


def test_it_is_not_persisted(remote: RemoteBlueskyRun) -> None:
    assert (remote.is_persisted, remote.has_been_persisted, remote.pmode) == (False, False, "never")
    with pytest.raises(NotImplementedError):
        remote.persist()
    with pytest.raises(KeyError):
        remote.get_persisted()


def test_reading_says_where_the_data_is(remote: RemoteBlueskyRun) -> None:
    with pytest.raises(NotOffered):
        remote.read()
    with pytest.raises(NotOffered):
        remote.to_dask()


def test_a_run_has_no_documents_and_no_streams_here() -> None:
    run = RemoteBlueskyRun(URL, headers={"a": "b"})
    assert run.http_args == {"headers": {"a": "b"}}
    for ask in (
        lambda: run.documents(fill="no"),
        lambda: run.canonical(fill="yes"),
        run.read_canonical,
        lambda: run["primary"],
        lambda: list(run),
        lambda: len(run),
        lambda: "primary" in run,
        run.search,
    ):
        with pytest.raises(NotOffered):
            ask()
    with pytest.raises(NotOffered, match="delayed"):
        run.documents(fill="delayed")
    with pytest.raises(ValueError, match="fill"):
        run.documents(fill="perhaps")
    assert not hasattr(run, "get_file_list")


def test_a_stream_has_no_partitions_here() -> None:
    stream = RemoteBlueskyEventStream(URL)
    with pytest.raises(NotOffered, match=URL):
        stream.read_partition({"index": 0})
    stream.close()
