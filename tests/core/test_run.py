"""A run as a catalog of streams and as documents."""

from __future__ import annotations

import heapq
import json
import pickle
import warnings
from pathlib import Path
from typing import Any

import dask.array as da
import event_model
import intake
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from databroker_like.core import BlueskyRun, BlueskyRunFromGenerator, Descriptor, Resource, Start, Stop
from databroker_like.errors import Invalid, NotOffered, WrongType

NUMBER = {"dtype": "number"}


def names(run: BlueskyRun, **options: Any) -> list[str]:
    return [name for name, _ in run.documents(**{"fill": "no", **options})]


# -- a catalog of streams ----------------------------------------------------------------------------------------------


def test_streams_are_members_by_name_and_attribute_and_always_the_same(scalars: Any) -> None:
    scalars.descriptor({"motor": NUMBER}, name="baseline")
    run = scalars.run
    assert list(run) == ["primary", "baseline"]
    assert run.primary is run["primary"] is run.primary()
    assert "baseline" in run
    assert len(run) == 2
    assert dict(run.items()).keys() == {"primary", "baseline"}
    assert "primary" in dir(run)
    assert run() is run.get() is run.configure_new() is run


def test_a_mistaken_stream_name_is_told_with_those_there_are(scalars: Any) -> None:
    scalars.descriptor({"motor": NUMBER}, name="baseline")
    run = scalars.run
    with pytest.raises(KeyError) as caught:
        run["baselin"]
    assert str(caught.value) == "no stream 'baselin' in run 41fb8ca9; it has 'baseline', 'primary'"
    with pytest.raises(AttributeError, match="no stream 'baselin'"):
        run.baselin  # noqa: B018
    assert not hasattr(run, "_nothing")
    assert "baselin" not in run


def test_metadata_is_always_current(recording: Any) -> None:
    run = recording.open(metadata={"catalog_dir": "/somewhere", "more": 1})
    assert isinstance(run.metadata["start"], Start)
    assert run.metadata["stop"] is None
    assert run.metadata["catalog_dir"] == "/somewhere"
    assert run.metadata["more"] == 1
    assert recording.run.metadata["catalog_dir"] is None
    assert list(run) == []
    recording.descriptor({"det": NUMBER})
    assert list(run) == ["primary"]
    recording.stop()
    assert isinstance(run.metadata["stop"], Stop)


def test_making_a_run_reads_nothing() -> None:
    def read() -> Any:
        raise AssertionError("something was read")

    run = BlueskyRun(get_run_start=read, get_run_stop=read, get_event_descriptors=read, get_resources=read)
    with pytest.raises(AssertionError):
        run.metadata  # noqa: B018


def test_what_is_no_getter_is_refused_and_a_missing_one_only_when_it_is_needed() -> None:
    with pytest.raises(Invalid, match="get_run_stop=3 is not a callable"):
        BlueskyRun(get_run_start=dict, get_run_stop=3)
    run = BlueskyRun(get_run_start=lambda: {"uid": "a"})
    with pytest.raises(TypeError, match="'get_run_stop'"):
        run.metadata  # noqa: B018


def test_a_run_itself_is_not_read(scalars: Any) -> None:
    run = scalars.run
    for reading in (run.read, run.to_dask):
        with pytest.raises(NotImplementedError, match=r"run\['primary'\].read\(\)"):
            reading()
    with pytest.raises(NotOffered, match="search the catalog"):
        run.search({})


def test_intakes_persistence_is_answered_with_no(scalars: Any) -> None:
    for thing in (scalars.run, scalars.run.primary):
        assert thing.is_persisted is False
        assert thing.has_been_persisted is False
        assert thing.pmode == thing._pmode == "never"
        thing._pmode = "always"
        assert thing.pmode == "never"
        with pytest.raises(NotImplementedError):
            thing.persist(ttl=5)
        with pytest.raises(KeyError):
            thing.get_persisted()


def test_a_run_describes_and_shows_itself(scalars: Any) -> None:
    run = scalars.run
    assert run.container == "bluesky-run"
    assert run.PARTITION_SIZE == 100
    assert run.npartitions == 1
    assert run.describe()["container"] == "bluesky-run"
    assert repr(run) == f"<BlueskyRun uid={scalars.uid!r}>"
    assert "primary" in run._repr_html_()
    assert run._ipython_display_ is None


def test_a_run_pickles_with_its_transforms(images: Any) -> None:
    run = images.open(transforms={"start": add_note}, name="mine")
    copy = pickle.loads(pickle.dumps(run))
    assert copy.metadata["start"]["note"] == "added"
    xr.testing.assert_identical(copy.primary.read(), run.primary.read())
    assert copy.name == "mine"
    assert copy == run
    assert hash(copy) == hash(run)


def add_note(doc: Any) -> dict[str, Any]:
    return {**doc, "note": "added"}


def test_transforms_mend_every_kind_of_document(images: Any, tmp_path: Path) -> None:
    for file in tmp_path.glob("frame_*.npy"):
        file.rename(tmp_path / file.name.replace("frame", "other"))
    run = images.open(
        transforms={
            "start": add_note,
            "stop": add_note,
            "descriptor": add_note,
            "resource": lambda doc: {**doc, "resource_path": "other"},
        }
    )
    assert run.metadata["start"]["note"] == run.metadata["stop"]["note"] == "added"
    assert run.primary.metadata["descriptors"][0]["note"] == "added"
    assert run.primary.read().img.values[3, 0, 0] == 3
    docs = dict(run.documents(fill="no"))
    assert docs["resource"]["resource_path"] == "other"
    assert docs["descriptor"]["note"] == docs["start"]["note"] == docs["stop"]["note"] == "added"


def test_a_run_opens_from_yaml_with_dotted_getters(tmp_path: Path) -> None:
    (tmp_path / "getters_for_yaml.py").write_text(
        "def start(): return {'uid': 'abc', 'time': 0.0}\n"
        "def stop(): return {'uid': 'def', 'run_start': 'abc', 'time': 1.0, 'exit_status': 'success'}\n"
        "def descriptors(): return [{'uid': 'd', 'name': 'primary', 'run_start': 'abc', 'time': 0.0,\n"
        "    'data_keys': {'x': {'dtype': 'number', 'shape': [], 'source': ''}}, 'object_keys': {'x': ['x']}}]\n"
        "def pages(uid): return [{'descriptor': 'd', 'uid': ['e'], 'time': [0.5], 'seq_num': [1],\n"
        "    'data': {'x': [2.5]}, 'timestamps': {'x': [0.5]}, 'filled': {}}]\n"
        "def count(uid): return 1\n"
        "def none(*args): return []\n"
        "def double(doc): return {**doc, 'doubled': True}\n"
    )
    getters = {
        "get_run_start": "start",
        "get_run_stop": "stop",
        "get_event_descriptors": "descriptors",
        "get_event_pages": "pages",
        "get_event_count": "count",
        "get_resources": "none",
        "get_datum_pages": "none",
    }
    args = "".join(f"      {name}: getters_for_yaml.{function}\n" for name, function in getters.items())
    catalog = tmp_path / "catalog.yml"
    catalog.write_text(
        "sources:\n  it:\n    driver: databroker_like.core.BlueskyRun\n    args:\n"
        f"{args}      transforms:\n        start: getters_for_yaml.double\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        run = intake.open_catalog(str(catalog))["it"]
        assert run.metadata["start"]["doubled"] is True
        assert run.primary.read().x.values.tolist() == [2.5]
        assert names(run) == ["start", "descriptor", "event_page", "stop"]


# -- documents -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fill", [True, False, None, "maybe"])
def test_fill_is_one_of_three_words(scalars: Any, fill: Any) -> None:
    with pytest.raises(ValueError, match="'yes', 'no' or 'delayed'"):
        scalars.run.documents(fill=fill)
    with pytest.raises(TypeError):
        scalars.run.documents()


def test_documents_come_in_order_and_as_their_kinds(images: Any) -> None:
    docs = list(images.run.documents(fill="no"))
    assert [name for name, _ in docs] == [
        "start",
        "descriptor",
        "resource",
        "datum_page",
        *["event_page"] * 4,
        "stop",
    ]
    kinds = {name: type(doc) for name, doc in docs}
    assert kinds == {
        "start": Start,
        "descriptor": Descriptor,
        "resource": Resource,
        "stop": Stop,
        "datum_page": dict,
        "event_page": dict,
    }


def test_event_pages_hold_one_event_unless_the_order_may_be_loose(images: Any) -> None:
    strict = [doc for name, doc in images.run.documents(fill="no") if name == "event_page"]
    assert [len(page["uid"]) for page in strict] == [1, 1, 1, 1]
    loose = [doc for name, doc in images.run.documents(fill="no", strict_order=False) if name == "event_page"]
    assert [len(page["uid"]) for page in loose] == [4]


@pytest.mark.parametrize("strict_order", [True, False])
def test_pages_hold_lists_that_are_the_callers_to_change(images: Any, strict_order: bool) -> None:
    before = json.dumps(list(images.run.documents(fill="no", strict_order=strict_order)))
    for name, doc in images.run.documents(fill="no", strict_order=strict_order):
        if name == "event_page":
            for column in (doc["uid"], *doc["data"].values(), *doc["timestamps"].values()):
                column.append(None)
        elif name == "datum_page":
            doc["datum_id"].append(None)
    assert json.dumps(list(images.run.documents(fill="no", strict_order=strict_order))) == before


def test_a_run_without_stop_ends_without_one(recording: Any) -> None:
    descriptor = recording.descriptor({"det": NUMBER})
    recording.event(descriptor, {"det": 1.0})
    assert names(recording.run) == ["start", "descriptor", "event_page"]


def test_fill_no_gives_the_documents_as_they_were_recorded(images: Any) -> None:
    recorded = next(iter(images.cache.event_pages.values()))
    pages = [doc for name, doc in images.run.documents(fill="no", strict_order=False) if name == "event_page"]
    assert pages == recorded
    single = [event for page in pages for event in event_model.unpack_event_page(page)]
    assert [event["filled"] for event in single] == [{"img": False}] * 4


@pytest.mark.parametrize("strict_order", [True, False])
def test_fill_yes_puts_arrays_in_the_place_of_datum_ids(images: Any, strict_order: bool) -> None:
    docs = images.run.documents(fill="yes", strict_order=strict_order)
    events = [e for name, page in docs if name == "event_page" for e in event_model.unpack_event_page(page)]
    assert [event["data"]["img"][0, 0] for event in events] == [0, 1, 2, 3]
    assert all(isinstance(event["data"]["img"], np.ndarray) for event in events)
    assert [event["filled"]["img"] for event in events] == [f"41fb8ca9-resource-0/{i}" for i in range(4)]
    assert [event["data"]["det"] for event in events] == [0.0, 1.0, 2.0, 3.0]


def test_fill_delayed_puts_dask_arrays_there(images: Any) -> None:
    pages = [doc for name, doc in images.run.documents(fill="delayed") if name == "event_page"]
    arrays = [page["data"]["img"][0] for page in pages]
    assert all(isinstance(array, da.Array) for array in arrays)
    assert [array.compute()[0, 0] for array in arrays] == [0, 1, 2, 3]
    assert arrays[0].dtype == "uint16"
    assert isinstance(images.cache.event_pages["41fb8ca9-descriptor-0"][0]["data"]["img"][0], str)


def test_the_older_names_of_documents_warn(scalars: Any) -> None:
    expected = names(scalars.run)
    with pytest.warns(UserWarning, match="use run.documents"):
        assert [name for name, _ in scalars.run.canonical(fill="no")] == expected
    with pytest.warns(UserWarning, match="fill='yes'"):
        assert [name for name, _ in scalars.run.read_canonical()] == expected


def test_events_of_several_streams_are_in_the_order_of_their_times(recording: Any) -> None:
    first = recording.descriptor({"a": NUMBER})
    second = recording.descriptor({"b": NUMBER}, name="monitor")
    for time in (1.0, 4.0, 6.0):
        recording.event(first, {"a": 1.0}, time=time)
    for time in (2.0, 3.0, 5.0):
        recording.event(second, {"b": 1.0}, time=time)
    docs = list(recording.run.documents(fill="no"))
    assert [name for name, _ in docs[:3]] == ["start", "descriptor", "descriptor"]
    assert [doc["time"][0] for name, doc in docs if name == "event_page"] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    loose = [doc for name, doc in recording.run.documents(fill="no", strict_order=False) if name == "event_page"]
    assert [page["time"] for page in loose] == [[1.0, 4.0, 6.0], [2.0, 3.0, 5.0]]


def test_resources_that_no_listing_has_come_before_the_events_that_need_them(images: Any) -> None:
    source = images.run.source
    object.__setattr__(source, "get_resources", list)
    run = BlueskyRun.from_source(source)
    for fill in ("yes", "no", "delayed"):
        assert names(run, fill=fill)[:5] == ["start", "descriptor", "resource", "datum_page", "event_page"]
        assert names(run, fill=fill).count("resource") == 1
    assert run.primary.read().img.values[3, 0, 0] == 3


def check_references(docs: list[tuple[str, Any]]) -> None:
    """Every document comes after all those it refers to, and none comes twice."""
    seen: set[str] = set()

    def add(uid: str) -> None:
        assert uid not in seen
        seen.add(uid)

    for name, doc in docs:
        if name in ("descriptor", "resource", "stop"):
            assert doc["run_start"] in seen
        if name == "datum_page":
            assert doc["resource"] in seen
            for datum_id in doc["datum_id"]:
                add(datum_id)
        elif name == "event_page":
            assert doc["descriptor"] in seen
            for key, flags in doc["filled"].items():
                assert all(doc["data"][key][i] in seen for i, flag in enumerate(flags) if flag is False)
        else:
            add(doc["uid"])


@given(st.data())
def test_every_document_comes_after_what_it_refers_to(record: Any, data: st.DataObject) -> None:
    recording = record()
    streams = data.draw(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=1, max_size=3))
    events: list[tuple[float, str]] = []
    for number, (external, count) in enumerate(streams):
        key = {"dtype": "array", "shape": [2], "external": "FILESTORE:"} if external else NUMBER
        descriptor = recording.descriptor({"x": key}, name=f"stream{number}")
        resource = recording.resource(Path("/nowhere"), "a") if external else ""
        times = sorted(data.draw(st.lists(st.floats(0, 100), min_size=count, max_size=count)))
        for i, time in enumerate(times):
            value = recording.datum(resource, i) if external else 1.0
            events.append((time, recording.event(descriptor, {"x": value}, time=time)))
    recording.stop()
    docs = list(recording.run.documents(fill="no"))
    check_references(docs)
    times = [doc["time"][0] for name, doc in docs if name == "event_page"]
    assert times == sorted(time for time, _ in events)
    found = [doc["uid"][0] for name, doc in docs if name == "event_page"]
    assert sorted(found) == sorted(uid for _, uid in events)
    assert docs[0][0] == "start"
    assert docs[-1][0] == "stop"
    loose = list(recording.run.documents(fill="no", strict_order=False))
    check_references(loose)
    assert list(heapq.merge([page["time"][0] for name, page in loose if name == "event_page"])) == sorted(
        page["time"][0] for name, page in loose if name == "event_page"
    )


def test_documents_that_refill_a_catalog_give_the_same_run(images: Any) -> None:
    copy = BlueskyRunFromGenerator(images.run.documents, (), {"fill": "no"}, images.get_filler(), None)
    xr.testing.assert_identical(copy.primary.read(), images.run.primary.read())
    assert list(copy.documents(fill="no")) == list(images.run.documents(fill="no"))


# -- files and fillers -------------------------------------------------------------------------------------------------


def test_the_files_of_a_resource_are_listed(images: Any, tmp_path: Path) -> None:
    run = images.run
    (resource,) = [doc for name, doc in run.documents(fill="no") if name == "resource"]
    assert run.get_file_list(resource) == [str(tmp_path / f"frame_{i}.npy") for i in range(4)]
    images.handlers["NPY"] = lambda path: lambda index: None
    with pytest.raises(NotOffered, match="get_file_list"):
        images.run.get_file_list(resource)
    with pytest.raises(WrongType, match=r"'x' is no resource document; the run has them as: \[doc for"):
        run.get_file_list("x")


def test_fillers_are_those_of_event_model(images: Any) -> None:
    fillers = images.run.fillers
    assert list(fillers) == ["yes", "no", "delayed"]
    assert isinstance(fillers["yes"], event_model.Filler)
    assert isinstance(fillers["no"], event_model.NoFiller)
    assert fillers["yes"] is fillers["yes"]
    filled = [fillers["yes"](name, doc) for name, doc in images.run.documents(fill="no")]
    assert [np.asarray(doc["data"]["img"][0])[0, 0] for name, doc in filled if name == "event_page"] == [0, 1, 2, 3]


def test_nothing_here_warns_of_the_libraries_below(images: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = images.run
        run.primary.read()
        run.primary.to_dask().compute()
        list(run.documents(fill="yes"))
