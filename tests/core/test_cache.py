"""Runs made of documents as they come."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import event_model
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from databroker_like.core import BlueskyRunFromGenerator, DocumentCache, SingleRunCache
from databroker_like.errors import InvalidDocument, NoSuchDocument


def documents(count: int = 3) -> list[tuple[str, dict[str, Any]]]:
    """A run as event-model itself composes it."""
    run = event_model.compose_run()
    descriptor = run.compose_descriptor(
        name="primary", data_keys={"x": {"dtype": "number", "shape": [], "source": "here"}}, object_keys={"m": ["x"]}
    )
    found = [("start", run.start_doc), ("descriptor", descriptor.descriptor_doc)]
    for i in range(count):
        event = descriptor.compose_event(data={"x": float(i)}, timestamps={"x": float(i)}, time=float(i))
        found.append(("event", dict(event)))
    return [*found, ("stop", run.compose_stop())]


def test_a_single_run_is_readable_from_its_first_document_on() -> None:
    cache = SingleRunCache()
    assert cache.retrieve() is None
    run = None
    for i, (name, doc) in enumerate(documents()):
        cache.callback(name, doc)
        run = cache.retrieve()
        assert run is not None
        assert run.metadata["start"]["uid"]
        if i >= 2:
            assert run.primary.read().sizes["time"] == min(i - 1, 3)
        assert "in progress" in repr(cache) or name == "stop"
    assert run is cache.retrieve()
    assert run.metadata["stop"]["exit_status"] == "success"
    assert repr(cache) == f"<SingleRunCache uid={run.metadata['start']['uid']!r}>"


def test_a_second_run_is_refused() -> None:
    cache = SingleRunCache()
    docs = documents()
    for name, doc in docs:
        cache.callback(name, doc)
    with pytest.raises(ValueError, match="one run only"):
        cache.callback(*docs[0])
    other = DocumentCache()
    other(*docs[0])
    with pytest.raises(InvalidDocument, match="one cache holds one run"):
        other(*documents()[0])


def test_a_single_run_is_filled_with_the_handlers_given(tmp_path: Path, npy_handler: Any, images: Any) -> None:
    cache = SingleRunCache(
        handler_registry={"NPY": npy_handler},
        root_map={str(tmp_path): str(tmp_path)},
        transforms={"start": lambda doc: {**doc, "note": 1}},
    )
    assert cache.handler_registry["NPY"] is npy_handler
    for name, doc in images.run.documents(fill="no"):
        cache.callback(name, doc)
    run = cache.retrieve()
    assert run is not None
    assert run.metadata["start"]["note"] == 1
    xr.testing.assert_identical(run.primary.read(), images.run.primary.read())


def test_a_generator_makes_a_run_that_pickles() -> None:
    docs = documents()

    def generate(much: int, *, more: int) -> Any:
        assert (much, more) == (1, 2)
        yield from docs

    run = BlueskyRunFromGenerator(generate, (1,), {"more": 2}, None, None, name="made")
    assert run.primary.read().x.values.tolist() == [0.0, 1.0, 2.0]
    copy = pickle.loads(pickle.dumps(run))
    assert copy.name == "made"
    xr.testing.assert_identical(copy.primary.read(), run.primary.read())


def test_a_generator_without_start_is_named() -> None:
    def nothing() -> Any:
        yield from ()

    with pytest.raises(InvalidDocument, match="nothing yielded no start document"):
        BlueskyRunFromGenerator(nothing, (), {}, None, None)


def test_pages_handed_out_do_not_change_afterwards(recording: Any) -> None:
    descriptor = recording.descriptor({"x": {"dtype": "number"}})
    recording.event(descriptor, {"x": 1.0})
    (page,) = recording.run.source.get_event_pages(descriptor)
    recording.event(descriptor, {"x": 2.0})
    assert page["data"]["x"] == [1.0]
    assert recording.run.source.get_event_count(descriptor) == 2


def test_numpy_columns_of_pages_are_taken_in() -> None:
    cache = DocumentCache()
    page = {
        "descriptor": "d",
        "uid": ["a", "b"],
        "time": np.array([1.0, 2.0]),
        "seq_num": np.array([1, 2]),
        "data": {"x": np.array([1, 2])},
        "timestamps": {"x": np.array([1.0, 2.0])},
        "filled": {},
    }
    cache("event_page", page)
    assert cache.event_pages["d"][0]["data"]["x"] == [1, 2]


def test_what_a_cache_does_not_have_is_said() -> None:
    source = DocumentCache().source(None)  # type: ignore[arg-type]
    assert source.get_run_stop() is None
    assert source.get_event_count("d") == 0
    assert list(source.get_event_pages("d")) == list(source.get_datum_pages("r")) == []
    for ask in (
        source.get_run_start,
        lambda: source.get_resource("r"),
        lambda: source.lookup_resource_for_datum("r/0"),
    ):
        with pytest.raises(NoSuchDocument):
            ask()


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 3)), max_size=6),
    st.integers(0, 8),
    st.none() | st.integers(0, 8),
)
def test_any_rows_can_be_asked_for(steps: list[tuple[bool, int]], skip: int, limit: int | None) -> None:
    cache = DocumentCache()
    expected: list[int] = []
    for paged, count in steps:
        numbers = list(range(len(expected), len(expected) + count))
        expected += numbers
        events = [
            {
                "descriptor": "d",
                "uid": str(n),
                "time": float(n),
                "seq_num": n,
                "data": {"x": n},
                "timestamps": {"x": n},
                "filled": {"x": True} if paged else {},
            }
            for n in numbers
        ]
        if paged:
            cache("event_page", dict(event_model.pack_event_page(*events)))
        else:
            for event in events:
                cache("event", event)
    pages = cache.source(None).get_event_pages("d", skip, limit)  # type: ignore[arg-type]
    found = [n for page in pages for n in page["data"]["x"]]
    assert found == expected[skip : None if limit is None else skip + limit]
    assert cache.source(None).get_event_count("d") == len(expected)  # type: ignore[arg-type]
