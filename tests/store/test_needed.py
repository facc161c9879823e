"""Documents of old runs are taken as they are, as long as they can be found and read again."""

import contextlib

import numpy
import pytest
from event_model import DocumentNames, schemas

from databroker_like.errors import InvalidDocument
from databroker_like.store._needed import _NEEDED, check_needed
from databroker_like.store._recording import StoreSink
from tests.store.conftest import as_page, make_event, make_run, recorded


@pytest.mark.parametrize("name", sorted(_NEEDED))
def test_no_more_is_needed_than_the_schema_asks_for(name):
    schema = schemas[DocumentNames[name]]
    parts = [schema, *(schema["$defs"][part["$ref"].rpartition("/")[2]] for part in schema.get("allOf", ()))]
    assert set(_NEEDED[name]) <= {key for part in parts for key in part["required"]}


@pytest.mark.parametrize(
    ("name", "doc"),
    [(name, doc) for name, doc in make_run("a", 1)] + [("event_page", as_page([make_event("a", 1)]))],
)
def test_without_what_is_needed_a_document_is_refused_by_name(store, name, doc):
    with contextlib.closing(StoreSink(store, checked=False)) as sink:
        for one in make_run("a", 0, stop=False):
            sink.insert(*one)
        for key in _NEEDED[name]:
            less = {inner: value for inner, value in doc.items() if inner != key}
            with pytest.raises(InvalidDocument, match=rf"^{name} .* cannot be stored: it has no '{key}'"):
                sink.insert(name, less)
    assert recorded(store, "a") == make_run("a", 0, stop=False)


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [("start", "time", "noon"), ("start", "uid", 5), ("event", "seq_num", None), ("event", "data", [1])],
)
def test_what_is_of_another_type_is_refused(name, key, value):
    doc = dict(next(doc for kind, doc in make_run("a", 1) if kind == name))
    with pytest.raises(InvalidDocument, match=f"its '{key}' is "):
        check_needed(name, {**doc, key: value})


def test_numbers_of_numpy_are_numbers():
    check_needed("event", {**make_event("a", 1), "seq_num": numpy.int64(1), "time": numpy.float64(1)})
