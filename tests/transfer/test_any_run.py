"""Any run that event-model allows survives being copied, packed and unpacked."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.drivers.in_memory import BlueskyInMemoryCatalog
from databroker_like.errors import InvalidDocument
from databroker_like.testing._strategies import documents as any_documents
from databroker_like.transfer import copy, pack, unpack
from databroker_like.transfer._counts import digests
from databroker_like.transfer._recorded import Recorded, recorded_in

Documents = list[tuple[str, dict[str, Any]]]


def said(catalog: Any) -> dict[tuple[str, str], bytes]:
    (uid,) = catalog
    return dict(digests(Recorded(recorded_in(catalog, uid)).documents()))


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("any")
    return (folder / str(number) for number in itertools.count())


@given(documents=any_documents(), kind=st.sampled_from(["msgpack", "jsonl"]), cut=st.integers(1, 20))
@settings(max_examples=40)
def test_any_run_arrives_as_it_was_recorded(documents: Documents, kind: str, cut: int, places: Any) -> None:
    source, place = BlueskyInMemoryCatalog(), next(places)
    try:
        for name, doc in documents:
            source.insert(name, doc)
    except InvalidDocument:  # some are such as a file may hold, and no recorder takes
        reject()
    # Another recorder began with it.
    store = BlueskyEmbeddedCatalog(Path(place) / "store", fsync="never")
    for name, doc in documents[:cut]:
        store.insert(name, doc)
    copy(source, store, verify="documents").raise_if_failed()
    assert said(store) == said(source)
    pack(store, Path(place) / "pack", format=kind).raise_if_failed()
    dest = BlueskyInMemoryCatalog()
    unpack(Path(place) / "pack", into=dest, verify="documents").raise_if_failed()
    assert said(dest) == said(source)
    store.close()
