"""The header of a run that a search found."""

from __future__ import annotations

import pickle
from typing import Any

from databroker_like import Broker
from databroker_like.core._header import FoundHeader, Header
from databroker_like.core._transforms import parse_transforms
from databroker_like.in_memory import BlueskyInMemoryCatalog
from databroker_like.testing import _runs as samples


class _Counted:
    """A collection that counts the sources that it made."""

    def __init__(self, catalog: Any) -> None:
        self.collection = catalog.collection
        self.made = 0

    def source(self, uid: str, get_filler: Any) -> Any:
        self.made += 1
        return self.collection.source(uid, get_filler)

    def revisions(self, uid: str) -> list[Any]:
        return [uid]


def _found(transforms: Any = None, *, with_stop: bool = True) -> tuple[_Counted, FoundHeader]:
    catalog: Broker = BlueskyInMemoryCatalog()
    docs = samples.scalars(2, uid="a")
    for name, doc in docs:
        catalog.insert(name, doc)
    counted: Any = _Counted(catalog)
    stop = docs[-1][1] if with_stop else None
    return counted, FoundHeader(counted, "a", None, parse_transforms(transforms), docs[0][1], stop)


def test_the_source_of_a_run_that_was_found_is_made_when_more_is_asked_for() -> None:
    collection, header = _found()
    assert header.start["uid"] == "a"
    assert header.stop is not None
    assert header.stop["run_start"] == "a"
    assert collection.made == 0
    assert header.stream_names == ["primary"]
    assert header.has_stream("primary")
    assert [doc["run_start"] for doc in header.descriptors] == ["a"]
    assert collection.made == 1
    assert header.revision == 1


def test_a_run_that_went_on_when_it_was_found_is_asked_whether_it_has_ended() -> None:
    collection, header = _found(with_stop=False)
    assert header.start["uid"] == "a"
    assert collection.made == 0
    assert header.stop is not None
    assert collection.made == 1


def test_what_was_found_goes_through_the_transforms_once() -> None:
    def more(doc: Any) -> Any:
        return {**doc, "times": doc.get("times", 0) + 1}

    _, header = _found({"start": more, "stop": more})
    assert [header.start["times"], header.start["times"]] == [1, 1]
    assert header.stop is not None
    assert header.stop["times"] == 1


def test_it_goes_to_another_process_as_any_header() -> None:
    catalog = BlueskyInMemoryCatalog()
    for name, doc in samples.scalars(2, uid="a"):
        catalog.insert(name, doc)
    collection, found = catalog.collection, catalog.collection.start("a")
    header = FoundHeader(collection, "a", None, {}, found, None)
    there = pickle.loads(pickle.dumps(header))
    assert isinstance(there, Header)
    assert there.start == header.start
    assert there.stream_names == header.stream_names
