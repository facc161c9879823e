"""Validation: the verdict of event-model's own validator, sooner, with the document named and numpy let in."""

import copy
import math
import pickle
import types

import jsonschema
import numpy
import pytest
from event_model import DocumentNames, schema_validators
from hypothesis import given
from hypothesis import strategies as st

from databroker_like.core._document import KINDS, wrap
from databroker_like.core._validation import validate
from databroker_like.errors import Invalid, InvalidDocument

DATA_KEY = {"source": "PV:x", "dtype": "number", "shape": [], "limits": {"control": {"low": -1, "high": 1.5}}}
VALID = {
    "start": {
        "uid": "s",
        "time": 1.0,
        "scan_id": 5,
        "plan_name": "scan",
        "hints": {"dimensions": [[["motor"], "primary"]]},
        "sample": {"name": "gold", "holes": [1, None]},
        "projections": [
            {
                "name": "p",
                "version": "1",
                "configuration": {},
                "projection": {
                    "x": {"type": "linked", "location": "event", "stream": "primary", "field": "x"},
                    "y": {"type": "static", "value": [1]},
                },
            }
        ],
    },
    "stop": {"uid": "e", "run_start": "s", "time": 2.0, "exit_status": "success", "num_events": {"primary": 3}},
    "descriptor": {
        "uid": "d",
        "run_start": "s",
        "time": 1.5,
        "name": "primary",
        "data_keys": {"x": DATA_KEY, "img": {**DATA_KEY, "dtype": "array", "shape": [3, None], "external": "FILE:"}},
        "object_keys": {"det": ["x", "img"]},
        "configuration": {"det": {"data": {"a": 1}, "timestamps": {"a": 1.0}, "data_keys": {"a": DATA_KEY}}},
        "hints": {"det": {"fields": ["x"]}},
    },
    "event": {
        "uid": "v",
        "descriptor": "d",
        "time": 1.6,
        "seq_num": 1,
        "data": {"x": 1, "img": "r/0"},
        "timestamps": {"x": 1.6, "img": 1.6},
        "filled": {"img": False},
    },
    "event_page": {
        "uid": ["v", "w"],
        "descriptor": "d",
        "time": [1.6, 1.7],
        "seq_num": [1, 2],
        "data": {"x": [1, 2], "img": ["r/0", "r/1"]},
        "timestamps": {"x": [1.6, 1.7], "img": [1.6, 1.7]},
        "filled": {"img": [False, "r/1"]},
    },
    "datum": {"datum_id": "r/0", "resource": "r", "datum_kwargs": {"n": 0}},
    "datum_page": {"datum_id": ["r/0", "r/1"], "resource": "r", "datum_kwargs": {"n": [0, 1]}},
    "resource": {
        "uid": "r",
        "run_start": "s",
        "spec": "AD_HDF5",
        "root": "/",
        "resource_path": "a.h5",
        "resource_kwargs": {},
        "path_semantics": "posix",
    },
    "stream_resource": {
        "uid": "sr",
        "run_start": "s",
        "data_key": "img",
        "mimetype": "application/x-hdf5",
        "uri": "file://localhost/a.h5",
        "parameters": {"dataset": "/entry"},
    },
    "stream_datum": {
        "uid": "sd/0",
        "descriptor": "d",
        "stream_resource": "sr",
        "indices": {"start": 0, "stop": 2},
        "seq_nums": {"start": 1, "stop": 3},
    },
}
KIND_NAMES = sorted(VALID)


def reference_accepts(name, doc):
    try:
        schema_validators[DocumentNames[name]].validate(doc)
    except jsonschema.ValidationError:
        return False
    return True


def accepts(name, doc):
    try:
        validate(name, doc)
    except InvalidDocument:
        return False
    return True


@pytest.mark.parametrize("name", KIND_NAMES)
def test_a_valid_document_of_every_kind_is_accepted(name):
    assert set(VALID) == set(KINDS)
    assert reference_accepts(name, VALID[name])
    validate(name, VALID[name])
    validate(name, wrap(name, VALID[name]))
    validate(name, types.MappingProxyType(VALID[name]))


@pytest.mark.parametrize("name", KIND_NAMES)
def test_each_required_key_is_missed(name):
    for key in schema_validators[DocumentNames[name]].schema["required"]:
        doc = {k: v for k, v in VALID[name].items() if k != key}
        with pytest.raises(InvalidDocument, match=key):
            validate(name, doc)


# -- as the reference validator ---------------------------------------------------------------------------------------

PLACES = st.integers(0, 10_000)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.integers(),
    st.floats(),
    st.sampled_from(["success", "number", "linked", "static", "posix", "a.b", "a/b", ""]),
    st.text(max_size=5),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["uid", "x", "a.b", ""]), inner),
    max_leaves=5,
)


def places(value, path=()):
    """All paths in a document, from the top."""
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key))
    elif isinstance(value, list):
        for n, member in enumerate(value):
            yield from places(member, (*path, n))


def changed(doc, path, change):
    """A copy with one place changed."""
    if not path:
        return change(doc)
    doc = copy.copy(doc)
    doc[path[0]] = changed(doc[path[0]], path[1:], change)
    return doc


@st.composite
def mutated_documents(draw):
    """A valid document with some places replaced, removed or added to."""
    name = draw(st.sampled_from(KIND_NAMES))
    doc = VALID[name]
    for _ in range(draw(st.integers(1, 3))):
        paths = list(places(doc))[1:]
        if not paths:
            break
        path = paths[draw(PLACES) % len(paths)]
        value = draw(ANYTHING)
        what = draw(st.sampled_from(["replace", "remove", "add"]))
        if what == "replace":
            doc = changed(doc, path, lambda _, value=value: value)
        elif what == "remove":
            doc = changed(
                doc,
                path[:-1],
                lambda place, key=path[-1]: (
                    {k: v for k, v in place.items() if k != key} if isinstance(place, dict) else place[:key]
                ),
            )
        else:
            key = draw(st.sampled_from(["new", "a.b", "units", "data_type"]))
            doc = changed(
                doc,
                path[:-1],
                lambda place, key=key, value=value: (
                    {**place, key: value} if isinstance(place, dict) else [*place, value]
                ),
            )
    return name, doc


@given(mutated_documents())
def test_the_verdict_is_that_of_the_reference_validator(named):
    name, doc = named
    assert accepts(name, doc) == reference_accepts(name, doc)


@given(st.sampled_from(KIND_NAMES), st.dictionaries(st.text(max_size=4), ANYTHING, max_size=4))
def test_the_verdict_on_any_dictionary_is_that_of_the_reference_validator(name, doc):
    assert accepts(name, doc) == reference_accepts(name, doc)


# -- what the error says ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "path", "value", "says"),
    [
        ("start", ("time",), "noon", "the start document 's' is not valid at 'time'"),
        ("stop", ("exit_status",), "good", "the stop document 'e' is not valid at 'exit_status'"),
        ("descriptor", ("data_keys", "x", "dtype"), "float", "the descriptor document 'd'.*at 'data_keys.x.dtype'"),
        ("event", ("filled", "img"), 5, "the event document 'v'.*at 'filled.img'"),
        ("event_page", ("seq_num", 1), "2", "the event_page document 'v' to 'w'.*at 'seq_num.1'"),
        ("datum", ("datum_kwargs",), [], "the datum document 'r/0'.*at 'datum_kwargs'"),
        ("datum_page", ("datum_kwargs", "n"), 0, "the datum_page document 'r/0' to 'r/1'.*at 'datum_kwargs.n'"),
        ("stream_datum", ("indices", "stop"), "2", "the stream_datum document 'sd/0'.*at 'indices.stop'"),
        ("start", ("uid",), 5, "the start document 5 is not valid at 'uid'"),
        ("start", ("uid",), None, "the start document without uid is not valid at 'uid'"),
        ("event_page", ("uid",), [], ""),
    ],
)
def test_the_error_names_the_document_and_the_path(name, path, value, says):
    doc = changed(VALID[name], path, lambda _: value)
    if not says:
        validate(name, doc)
        return
    with pytest.raises(InvalidDocument, match=says):
        validate(name, doc)


def test_the_error_is_short_and_pickles():
    with pytest.raises(InvalidDocument) as caught:
        validate("event", {**VALID["event"], "time": "x" * 100_000})
    assert len(str(caught.value)) < 500
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize("time", ["noon", object(), b"noon"])
def test_the_error_travels_with_what_led_to_it(time):
    """dask.distributed sends the cause and the context of an error along."""
    with pytest.raises(InvalidDocument) as caught:
        validate("start", {"uid": "s", "time": time})
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_an_unknown_kind_names_the_nearest():
    with pytest.raises(Invalid, match="no kind of document 'evnt'; there is 'event'"):
        validate("evnt", {})


# -- numpy and what else is not JSON ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("start", ("time",), numpy.float64(1)),
        ("start", ("time",), numpy.float32(1)),
        ("start", ("time",), numpy.int32(1)),
        ("start", ("time",), numpy.array(1.5)),
        ("start", ("time",), math.nan),
        ("start", ("time",), numpy.float64("inf")),
        ("start", ("scan_id",), numpy.int64(5)),
        ("start", ("plan_name",), numpy.str_("scan")),
        ("start", ("sample",), {"image": numpy.zeros((3, 3)), "good": numpy.bool_(True), 5: 5}),
        ("event", ("seq_num",), numpy.uint8(5)),
        ("event", ("filled", "img"), numpy.bool_(False)),
        ("event", ("data", "x"), numpy.zeros((2, 2))),
        ("event_page", ("time",), numpy.array([1.5, 2.5])),
        ("event_page", ("time",), numpy.array([math.nan, 2.5])),
        ("event_page", ("time",), (1.5, 2.5)),
        ("event_page", ("seq_num",), numpy.array([1, 2])),
        ("event_page", ("seq_num",), numpy.array([1.0, 2.0])),
        ("event_page", ("seq_num",), [numpy.int64(1), 2]),
        ("event_page", ("uid",), numpy.array(["v", "w"])),
        ("event_page", ("uid",), numpy.array(["v", "w"], dtype=object)),
        ("event_page", ("filled", "img"), numpy.array([False, False])),
        ("event_page", ("data", "x"), numpy.zeros((2, 5, 5))),
        ("event_page", ("data", "x"), numpy.array([1 + 2j, 2])),
        ("event_page", ("data", "x"), numpy.array([])),
        ("descriptor", ("data_keys", "img", "shape"), numpy.array([3, 4])),
    ],
)
def test_numpy_stands_where_lists_numbers_and_strings_stand(name, path, value):
    if name == "start" and path == ("sample",):
        value = {key: member for key, member in value.items() if key != 5}
    validate(name, changed(VALID[name], path, lambda _: value))


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("start", ("time",), numpy.str_("noon")),
        ("start", ("time",), numpy.array([1.5])),
        ("start", ("time",), object()),
        ("start", ("time",), b"noon"),
        ("start", ("time",), numpy.datetime64("2020-01-01")),
        ("start", ("scan_id",), numpy.float64(1.5)),
        ("start", ("sample",), {5: 5}),
        ("event_page", ("time",), numpy.array(["a", "b"])),
        ("event_page", ("time",), numpy.array([1 + 2j, 2])),
        ("event_page", ("time",), numpy.array(["2020-01-01"], dtype="datetime64[s]")),
        ("event_page", ("seq_num",), numpy.array([1.0, 2.5])),
        ("event_page", ("seq_num",), numpy.array([[1], [2]])),
        ("event_page", ("seq_num",), numpy.array([math.nan, 1.0])),
        ("event_page", ("uid",), numpy.array([1, 2])),
        ("event_page", ("uid",), numpy.array(["v", 2], dtype=object)),
        ("event_page", ("data", "x"), numpy.float64(1)),
        ("event_page", ("filled", "img"), numpy.array([1.5, 2.5])),
        ("event", ("data",), numpy.zeros(3)),
    ],
)
def test_numpy_does_not_stand_where_something_else_belongs(name, path, value):
    with pytest.raises(InvalidDocument):
        validate(name, changed(VALID[name], path, lambda _: value))


class Lazy:
    """An array that must not be read for its type to be known."""

    ndim = 2

    def __init__(self, dtype):
        self.dtype, self.shape = numpy.dtype(dtype), (2, 3)

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("it was read")


def test_a_lazy_array_is_not_read():
    validate("event_page", changed(VALID["event_page"], ("data", "x"), lambda _: Lazy("f8")))
    with pytest.raises(InvalidDocument):
        validate("event_page", changed(VALID["event_page"], ("seq_num",), lambda _: Lazy("f8")))


def test_a_big_array_costs_no_more_than_a_small_one(monkeypatch):
    doc = changed(VALID["event"], ("data", "x"), lambda _: numpy.zeros((2000, 2000)))
    doc["seq_num"] = numpy.int64(1)
    from databroker_like.core import _validation

    seen = []
    plain = _validation._plain
    monkeypatch.setattr(_validation, "_plain", lambda value: seen.append(1) or plain(value))
    validate("event", doc)
    assert len(seen) < 50
