"""Runs and streams on a server: made of an address and nothing else, until something is asked of them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import intake
import pytest
import yaml

from databroker_like.core import BlueskyEventStream, BlueskyRun, RemoteBlueskyEventStream, RemoteBlueskyRun
from databroker_like.errors import Invalid, NotOffered, Unreachable

# Nobody listens on the port of discarded bytes.
URL = "http://127.0.0.1:9/api/v1/metadata/raw/41fb8ca9"


@pytest.fixture(params=[RemoteBlueskyRun, RemoteBlueskyEventStream])
def remote(request: pytest.FixtureRequest) -> Any:
    url = URL if request.param is RemoteBlueskyRun else f"{URL}/primary"
    return request.param(url, {}, "41fb8ca9", {"a": 1}, metadata={"place": "there"}, more="passed over")


def test_it_keeps_what_it_was_made_of_and_pickles(remote: Any) -> None:
    for one in (remote, pickle.loads(pickle.dumps(remote))):
        assert one.url.startswith(URL)
        assert (one.name, one.parameters) == ("41fb8ca9", {"a": 1})
    assert remote() is remote


def test_a_run_is_made_anew_with_other_arguments() -> None:
    run = RemoteBlueskyRun(URL, {"headers": {"a": "b"}}, "41fb8ca9", metadata={"place": "there"})
    other = run.configure_new(name="other")
    assert (other.name, other.url, other.http_args) == ("other", URL, {"headers": {"a": "b"}})
    assert RemoteBlueskyRun(URL, headers={"a": "b"}).http_args == {"headers": {"a": "b"}}


def test_it_is_not_persisted(remote: Any) -> None:
    assert (remote.is_persisted, remote.has_been_persisted, remote.pmode) == (False, False, "never")
    with pytest.raises(NotImplementedError):
        remote.persist()
    with pytest.raises(KeyError):
        remote.get_persisted()


def test_it_is_one_of_the_runs_and_streams_that_are_here() -> None:
    assert issubclass(RemoteBlueskyRun, BlueskyRun)
    assert issubclass(RemoteBlueskyEventStream, BlueskyEventStream)


def test_a_stream_is_called_as_its_address_ends() -> None:
    assert RemoteBlueskyEventStream(f"{URL}/primary?api_key=secret").name == "primary"
    assert RemoteBlueskyEventStream(f"{URL}/streams/a%20b").name == "a b"
    with pytest.raises(Invalid, match="no address of a stream"):
        RemoteBlueskyEventStream("http://127.0.0.1:9")


def test_a_server_that_is_not_there_is_told_when_something_is_asked(remote: Any) -> None:
    ask = remote.read if isinstance(remote, RemoteBlueskyEventStream) else lambda: list(remote)
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:9"):
        ask()


def test_the_key_is_not_shown() -> None:
    run = RemoteBlueskyRun(f"{URL}?api_key=hushhush")
    with pytest.raises(Unreachable) as told:
        list(run)
    assert "hushhush" not in f"{run!r} {told.value} {run.source}"


def test_what_is_saved_says_where_it_is_and_no_secret(tmp_path: Path) -> None:
    headers = {"X-Lab": "3", "authorization": "Apikey hush1"}
    bare = RemoteBlueskyRun(URL, {"headers": headers}, api_key="hush2", metadata={"note": "good"})
    with_key = f"{URL.replace('//', '//me:hush3@')}/primary?api_key=hush4"
    stream = RemoteBlueskyEventStream(
        with_key, headers, None, {"include": ["det"]}, {"note": "good"}, api_key="hush5", sub_dict="data"
    )
    for saved, where, name in ((bare, URL, "41fb8ca9"), (stream, f"{URL}/primary", "primary")):
        written = saved.yaml()
        assert "hush" not in written
        assert "python/" not in written
        said = yaml.safe_load(written)["sources"][name]
        assert (said["args"]["url"], said["metadata"]["note"]) == (where, "good")
        path = tmp_path / f"{name}.yml"
        path.write_text(written)
        again = intake.open_catalog(str(path))[name]
        assert (type(again), again.url, again.parameters) == (type(saved), where, saved.parameters)
        sent = again.http_args["headers"] if isinstance(again, RemoteBlueskyRun) else again.headers
        assert sent == {"X-Lab": "3"}
    assert said["args"]["sub_dict"] == "data"


def test_what_was_opened_from_its_source_alone_has_no_address_to_be_saved() -> None:
    run = RemoteBlueskyRun(source=RemoteBlueskyRun(URL).source)
    with pytest.raises(NotOffered, match="no address"):
        run.yaml()


def test_a_key_is_given_as_to_a_catalog(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def source(url: str, **settings: Any) -> Any:
        asked.append((url, settings["api_key"]))
        return made, None

    made = RemoteBlueskyRun(URL).source
    monkeypatch.setattr("databroker_like.client._runs._collection.remote_source", source)
    run = RemoteBlueskyRun(URL, api_key="one")
    run.configure_new(name="other")
    RemoteBlueskyEventStream(f"{URL}/primary", api_key="one")
    assert asked == [(URL, "one")] * 3


def test_a_run_without_an_address_is_none() -> None:
    with pytest.raises(Invalid, match="url"):
        RemoteBlueskyRun()


def test_what_a_run_does_not_do_is_said_without_asking() -> None:
    run = RemoteBlueskyRun(URL)
    assert not hasattr(run, "get_file_list")
    with pytest.raises(NotOffered, match="search"):
        run.search({})
    with pytest.raises(ValueError, match="fill"):
        run.documents(fill="perhaps")
