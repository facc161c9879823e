"""A header gives its documents one by one, its configuration, and what people look at."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import event_model
import numpy as np
import pytest
import xarray
from IPython.lib.pretty import pretty

from databroker_like import ALL, v1
from databroker_like.drivers.in_memory import BlueskyInMemoryCatalog
from databroker_like.drivers.jsonl import BlueskyJSONLCatalog
from databroker_like.errors import NoSuchStream, NotMutable
from databroker_like.testing import _runs as samples
from databroker_like.utils import DeprecatedDoct
from databroker_like.v1._documents import as_fields, as_fill
from databroker_like_handlers.npy import NumpySeqHandler

from .conftest import put

SINGLES = {"event_page": "event", "datum_page": "datum"}


def one_by_one(documents: Any) -> list[tuple[str, dict[str, Any]]]:
    """Documents with the pages taken apart, by event-model."""
    found = []
    for name, doc in documents:
        singles = [doc]
        if name == "event_page":
            singles = list(event_model.unpack_event_page(doc))
        elif name == "datum_page":
            singles = list(event_model.unpack_datum_page(doc))
        found += [(SINGLES.get(name, name), dict(single)) for single in singles]
    return found


@pytest.fixture
def images(tmp_path: Path) -> Any:
    folder = tmp_path / "images"
    folder.mkdir()
    catalog = BlueskyInMemoryCatalog(handler_registry={"NPY_SEQ": NumpySeqHandler})
    put(catalog.v1, samples.external(folder, uid="aaaa"))
    return catalog.v1


@pytest.mark.parametrize("kind", sorted(set(samples.SAMPLES) - {"external", "stream_external"}))
def test_documents_are_those_of_version_2_one_by_one(db: Any, kind: str) -> None:
    put(db, samples.SAMPLES[kind]())
    header, run = db[-1], db.v2[-1]
    expected = one_by_one(run.documents(fill="no", strict_order=True))
    np.testing.assert_equal([(name, dict(doc)) for name, doc in header.documents()], expected)
    assert list(header.stream()) == list(header.documents())
    assert list(db.restream(header)) == list(db.stream(header)) == list(db.get_documents(header))


@pytest.mark.parametrize("fill", [False, True])
def test_documents_of_images_are_those_of_version_2(images: Any, fill: bool) -> None:
    expected = one_by_one(images.v2[-1].documents(fill="yes" if fill else "no"))
    np.testing.assert_equal([(name, dict(doc)) for name, doc in images[-1].documents(fill=fill)], expected)


def test_documents_of_one_stream_and_of_some_fields(db: Any) -> None:
    put(db, samples.several_streams(uid="aaaa"))
    header = db[-1]
    for stream in header.stream_names:
        names = [name for name, _ in header.documents(stream)]
        descriptors = [doc for doc in header.descriptors if doc["name"] == stream]
        events = len(header.table(stream))
        assert names == ["start", *["descriptor"] * len(descriptors), *["event"] * events, "stop"]
        assert list(header.events(stream)) == [doc for name, doc in header.documents(stream) if name == "event"]
        field = sorted(header.fields(stream))[0]
        for event in header.events(stream, [field]):
            assert set(event["data"]) == set(event["timestamps"]) == {field}
    assert len(list(header.events(ALL))) == len(header.table(ALL))
    assert list(header.events("nobody")) == list(header.events("nobody", fields=["nobody"])) == []
    assert [name for name, _ in header.documents("nobody")] == ["start", "stop"]


def test_some_fields_are_filled_and_the_others_are_not(images: Any) -> None:
    (event, *_) = images[-1].events(fill=["motor"])
    assert event["filled"] == {"image": False}
    assert isinstance(event["data"]["image"], str)
    (event, *_) = images[-1].events(fill=["image"])
    assert isinstance(event["filled"]["image"], str)
    assert event["data"]["image"].shape == (4, 5)
    (event, *_) = images[-1].events(fields=["motor"], fill=True)
    assert (event["data"], event["filled"]) == ({"motor": 0.0}, {})
    assert [event["data"]["image"].max() for event in images.get_events(images(), fill=True)] == [0, 1, 2]


def test_the_values_of_one_field(images: Any, db: Any) -> None:
    header = images[-1]
    assert [value.max() for value in header.data("image")] == [0, 1, 2]
    assert list(header.data("image", fill=False)) == list(header.table()["image"])
    assert list(header.data("motor")) == [0.0, 0.1, 0.2]
    assert list(header.data("motor", "nobody")) == []
    put(db, samples.several_streams(uid="aaaa"))
    for stream in db[-1].stream_names:
        for field in db[-1].fields(stream):
            assert list(db[-1].data(field, stream)) == [e["data"][field] for e in db[-1].events(stream)]


#: What asks for a field that is not there, and where it is not.
ASKING: list[tuple[Callable[[Any], Any], str]] = [
    (lambda header: list(header.data("moter")), "the stream 'primary'"),
    (lambda header: list(header.events(fields=["moter"])), "the stream 'primary'"),
    (lambda header: list(header.events(fill=["moter"])), "the stream 'primary'"),
    (lambda header: list(header.documents(fields="moter")), "the run"),
    (lambda header: header.table(fields=["moter"]), "the stream 'primary'"),
    (lambda header: header.table(fill=["moter"]), "the stream 'primary'"),
    (lambda header: header.table(ALL, fields=["moter", "time"]), "the run"),
]


@pytest.mark.parametrize(("ask", "where"), ASKING)
def test_a_field_that_is_not_there_is_told_with_the_nearest(images: Any, ask: Callable[[Any], Any], where: str) -> None:
    with pytest.warns(UserWarning, match=f"^there is no data key 'moter' in {where}; it has 'motor'$") as told:
        ask(images[-1])
    ours = [warning.filename for warning in told if "no data key" in str(warning.message)]
    assert ours == [__file__]


def test_a_run_without_streams_yet_has_none_of_the_fields_and_says_nothing(db: Any) -> None:
    db.insert("start", {"uid": "aaaa", "time": 1000.0})
    assert db[-1].table(fields=["motor"]).empty
    assert list(db[-1].data("motor")) == list(db[-1].events(fields=["motor"], fill=["motor"])) == []


@pytest.mark.parametrize(
    ("fields", "expected"), [(None, None), ([], None), ("", None), ("x", {"x"}), (("x", "y"), {"x", "y"})]
)
def test_fields_are_named_in_any_way(fields: Any, expected: Any) -> None:
    assert as_fields(fields) == expected


@pytest.mark.parametrize(
    ("fill", "expected"),
    [
        (True, (True, None)),
        (False, (False, None)),
        (None, (False, None)),
        ("yes", (True, None)),
        ("no", (False, None)),
        ("img", (True, {"img"})),
        (["a", "b"], (True, {"a", "b"})),
        (set(), (False, None)),
    ],
)
def test_what_is_filled_is_named_in_any_way(fill: Any, expected: Any) -> None:
    assert as_fill(fill) == expected


def test_a_header_is_what_its_documents_say(db: Any) -> None:
    put(db, samples.scalars(uid="aaaa", plan_name="scan", sample={"name": "gold"}))
    header = db[-1]
    run = db.v2[-1]
    assert header.uid == "aaaa"
    assert dict(header.start) == dict(run.metadata["start"])
    assert dict(header.stop) == dict(run.metadata["stop"])
    assert [dict(doc) for doc in header.descriptors] == [dict(doc) for doc in run._descriptors]
    assert header.stream_names == db.stream_names_given_header(header) == list(run)
    assert db.get_fields(header) == header.fields()
    assert db.get_fields(header, "primary") == header.fields("primary")
    assert header.fields() == header.fields(ALL) == set(run["primary"].read())
    assert header.fields("nobody") == header.devices("nobody") == set()
    assert list(header) == list(header.keys()) == ["start", "descriptors", "stop", "ext"]
    assert dict(header.items())["start"] == header["start"] == header.get("start") == header.start
    assert list(header.values())[2] == header.stop
    assert header.get("nobody", 5) == 5
    assert "start" in header
    assert "nobody" not in header


def test_documents_are_dictionaries_and_have_dots(one: Any) -> None:
    put(one, samples.scalars(uid="aaaa", plan_name="scan"))
    start = one[-1].start
    assert isinstance(start, DeprecatedDoct)
    assert start.plan_name == start["plan_name"] == "scan"
    assert all(isinstance(doc, DeprecatedDoct) for _, doc in one[-1].documents())
    with pytest.raises(NotMutable):
        start["plan_name"] = "count"
    with pytest.raises(AttributeError, match="'plan_name'"):
        start.plan_nam  # noqa: B018
    assert start == dict(start) == copy.deepcopy(start) == pickle.loads(pickle.dumps(start))


def test_a_hook_prepares_every_document(one: Any) -> None:
    put(one, samples.scalars(uid="aaaa"))
    one.prepare_hook = lambda name, doc: (name, dict(doc))
    header = one[-1]
    assert header.start[0] == "start"
    assert header.stop[0] == "stop"
    assert header.descriptors[0][0] == "descriptor"
    assert all(doc[0] == name for name, doc in header.documents())
    assert all(event[0] == "event" for event in header.events())


def test_headers_are_compared_by_their_start(one: Any) -> None:
    put(one, samples.scalars(uid="aaaa"), samples.scalars(uid="bbbb"))
    assert one["aaaa"] == one["aaaa"]
    assert one["aaaa"] == v1.Header(one.v2["aaaa"])
    assert one["aaaa"] != one["bbbb"]
    assert one["aaaa"] != 3
    assert len({one["aaaa"], one["aaaa"], one["bbbb"]}) == 2


def test_a_run_without_a_stop_has_an_empty_one(db: Any) -> None:
    put(db, samples.no_stop(uid="aaaa"))
    assert not db[-1].stop
    assert db[-1].stop == {}
    assert "stop" not in [name for name, _ in db[-1].documents()]


def test_streams_are_read_as_labelled_arrays(db: Any) -> None:
    put(db, samples.arrays(uid="aaaa"))
    header, stream = db[-1], db.v2[-1]["primary"]
    xarray.testing.assert_identical(header.xarray(), stream.read())
    xarray.testing.assert_identical(header.xarray_dask().compute(), stream.read())
    assert all(hasattr(variable.data, "dask") for variable in header.xarray_dask().data_vars.values())
    with pytest.raises(NoSuchStream, match="'primary'"):
        header.xarray("primry")


def test_configuration_is_by_stream_one_for_each_time_it_was_recorded(one: Any) -> None:
    start = {"uid": "aaaa", "time": 0.0}
    docs: list[Any] = [("start", start)]
    for number, stream in enumerate(["primary", "primary", "baseline"]):
        configuration = {"det": {"data": {"det_gain": number}, "timestamps": {"det_gain": 0.0}, "data_keys": {}}}
        docs.append(
            (
                "descriptor",
                {
                    "uid": f"d{number}",
                    "run_start": "aaaa",
                    "time": 0.0,
                    "name": stream,
                    "data_keys": {},
                    "configuration": configuration,
                    "object_keys": {"det": []},
                },
            )
        )
    one.v2.upsert(start, None, lambda: iter(docs), (), {})
    assert one[-1].config_data("det") == {
        "primary": [{"det_gain": 0}, {"det_gain": 1}],
        "baseline": [{"det_gain": 2}],
    }
    assert one[-1].config_data("nobody") == {}
    assert one[-1].devices() == one[-1].devices("baseline") == {"det"}


# -- what people see


def test_a_header_is_shown_in_a_terminal_and_in_a_notebook(one: Any) -> None:
    spiteful = "<script>alert('x')</script>"
    long = {f"key {n}": n for n in range(100)}
    put(one, samples.scalars(uid="aaaa", plan_name=spiteful, deep={"a": {"b": {"c": {"d": {"e": {}}}}}}, long=long))
    header = one[-1]
    assert repr(header) == "<Header uid='aaaa'>"
    assert pretty(header).startswith("Header\n  uid='aaaa'")
    shown = header._repr_html_()
    assert spiteful not in shown
    assert "&lt;script&gt;" in shown
    assert "key 10" in shown
    assert "and 60 more" in shown
    assert all(word in shown for word in ("Start", "Descriptors", "Stop", "success"))
    assert shown.count("<table>") == shown.count("</table>")


def test_a_header_that_cannot_be_read_any_more_is_shown_with_the_reason(tmp_path: Path) -> None:
    from databroker_like.drivers.jsonl import BlueskyJSONLCatalog

    catalog = BlueskyJSONLCatalog(str(tmp_path / "*.jsonl"))
    put(catalog.v1, samples.scalars(uid="aaaa"))
    catalog.close()
    (header,) = catalog.v1()
    for file in tmp_path.iterdir():
        file.unlink()
    assert "aaaa" in header._repr_html_()
    assert "aaaa" in pretty(header)


def test_a_header_pickles_whether_it_was_looked_up_or_found(tmp_path) -> None:
    db = BlueskyJSONLCatalog(str(tmp_path / "*.jsonl")).v1
    for name, doc in samples.scalars():
        db.insert(name, doc)
    for header in (db[-1], next(iter(db()))):
        again = pickle.loads(pickle.dumps(header))
        assert again.start == header.start
        assert again.table()["motor"].tolist() == header.table()["motor"].tolist()
