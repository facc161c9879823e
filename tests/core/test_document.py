"""Documents: nobody changes them, everybody can copy, keep and send them."""

import copy
import operator
import pickle
import subprocess
import sys

import pytest
from dask.base import tokenize
from hypothesis import given
from hypothesis import strategies as st

import databroker_like.core
from databroker_like.core import _document as documents
from databroker_like.errors import Invalid, NotMutable, NotOffered

KINDS = list(documents.KINDS.values())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=10),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def doc(cls=documents.Start):
    return cls({"uid": "a", "datum_id": "r/0", "nested": {"list": [1, 2]}, "filled": {}})


MUTATIONS = {
    "setitem": lambda d: operator.setitem(d, "uid", "b"),
    "new item": lambda d: operator.setitem(d, "new", "b"),
    "delitem": lambda d: operator.delitem(d, "uid"),
    "|=": lambda d: operator.ior(d, {"uid": "b"}),
    "|= of nothing": lambda d: operator.ior(d, {}),
    "update": lambda d: d.update({"uid": "b"}),
    "update by keyword": lambda d: d.update(uid="b"),
    "setdefault of a new key": lambda d: d.setdefault("new", 1),
    "setdefault of an old key": lambda d: d.setdefault("uid", 1),
    "pop": lambda d: d.pop("uid"),
    "pop with default": lambda d: d.pop("new", None),
    "popitem": lambda d: d.popitem(),
    "clear": lambda d: d.clear(),
    "attribute": lambda d: setattr(d, "other", 1),
}


@pytest.mark.parametrize("cls", [documents.Document, *KINDS])
@pytest.mark.parametrize("mutate", MUTATIONS.values(), ids=MUTATIONS)
def test_no_mutator_changes_a_document(cls, mutate):
    document = doc(cls)
    before = document.to_dict()
    with pytest.raises((NotMutable, AttributeError)):
        mutate(document)
    assert document == before


def test_every_mutator_of_dict_is_covered():
    """A method that dict has and a tuple-like mapping has not is one that changes it."""
    reading = set(dir(__import__("collections").abc.Mapping)) | {"copy", "fromkeys", "__or__", "__ror__"}
    changing = {name for name in vars(dict) if name not in reading and name not in vars(object)}
    changing -= {"__reversed__", "__class_getitem__", "__len__", "__iter__", "__getitem__"}
    assert changing == {
        "__setitem__",
        "__delitem__",
        "__ior__",
        "update",
        "setdefault",
        "pop",
        "popitem",
        "clear",
    }
    for name in changing:
        assert getattr(documents.Document, name) is not getattr(dict, name)


def test_the_error_says_what_to_do_and_is_a_type_error():
    with pytest.raises(TypeError, match=r"Descriptor cannot be changed; to_dict\(\)"):
        doc(documents.Descriptor)["x"] = 1
    assert databroker_like.core.NotMutable is NotMutable


@pytest.mark.parametrize("cls", [documents.Document, *KINDS])
def test_copies_keep_the_class(cls):
    original = doc(cls)
    shallow, deep = copy.copy(original), copy.deepcopy(original)
    assert type(shallow) is type(deep) is cls
    assert shallow == deep == original
    assert shallow["nested"] is original["nested"]
    assert deep["nested"] is not original["nested"]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("cls", [documents.Document, *KINDS])
def test_pickle_keeps_the_class_and_what_is_shared(cls, protocol):
    original = doc(cls)
    one, other = pickle.loads(pickle.dumps([original, original], protocol))
    assert type(one) is cls
    assert one == original
    assert one is other
    with pytest.raises(NotMutable):
        one["uid"] = "b"


def test_the_operators_of_dict_give_plain_dictionaries():
    assert type(doc().copy()) is dict
    assert type(doc() | {"x": 1}) is dict
    assert type({"x": 1} | doc()) is dict
    assert (doc() | {"x": 1})["x"] == 1
    assert isinstance(doc(), dict)


def test_fromkeys_makes_a_document():
    assert documents.Start.fromkeys(["uid", "time"], 0) == documents.Start(uid=0, time=0)
    assert type(documents.Start.fromkeys(["uid"])) is documents.Start


@given(st.dictionaries(st.text(max_size=10), JSON))
def test_to_dict_is_an_independent_equal_and_the_repr_is_python(content):
    document = documents.Start(content)
    mine = document.to_dict()
    assert mine == content
    assert type(mine) is dict
    mine["new"] = 1
    assert document == content
    assert eval(repr(document), {"Start": documents.Start}) == document


def test_changing_to_dict_deeply_leaves_the_document():
    document = doc()
    document.to_dict()["nested"]["list"].append(3)
    assert document["nested"]["list"] == [1, 2]


class Printer:
    """What IPython hands to ``_repr_pretty_``."""

    def __init__(self):
        self.written = ""

    def text(self, text):
        self.written += text


@given(st.dictionaries(st.text(max_size=10), JSON, max_size=8))
def test_what_ipython_shows_is_python(content):
    printer = Printer()
    documents.Start(content)._repr_pretty_(printer, False)
    assert eval(printer.written, {"Start": documents.Start}) == content


def test_what_ipython_shows_of_a_long_document_is_aligned_and_in_its_order():
    printer = Printer()
    documents.Start({"uid": "b" * 60, "detectors": ["a" * 30, "b" * 30]})._repr_pretty_(printer, False)
    first, second = printer.written.splitlines()[:2]
    assert first.startswith("Start({'uid'")
    assert second.index("'detectors'") == first.index("'uid'")


def test_a_document_inside_itself_is_shown_once():
    printer = Printer()
    doc()._repr_pretty_(printer, True)
    assert printer.written == "Start(...)"


@pytest.fixture
def tokens():
    documents.register_dask_tokens()
    return tokenize


@pytest.mark.parametrize("cls", KINDS)
def test_the_token_is_made_of_kind_and_identity(cls, tokens):
    one, same, other = doc(cls), doc(cls), cls(uid="b", datum_id="r/1")
    assert one.__dask_tokenize__() == (cls._kind, one["datum_id" if "datum_id" in cls._identity else "uid"])
    assert tokens(one) == tokens(same) == tokens(pickle.loads(pickle.dumps(one)))
    assert tokens(one) != tokens(other)


def test_tokens_of_different_kinds_with_one_uid_differ(tokens):
    assert len({tokens(cls(uid="a", datum_id="a")) for cls in KINDS}) == len(KINDS)


def test_the_token_of_an_event_tells_filled_data_from_what_was_recorded(tokens):
    recorded = documents.Event(uid="a", data={"img": "r/0"}, filled={"img": False})
    filled = documents.Event(uid="a", data={"img": [[1]]}, filled={"img": "r/0"})
    assert recorded.__dask_tokenize__() == ("event", "a")
    assert tokens(recorded) != tokens(filled)
    pages = [documents.EventPage(uid=["a"], filled={"img": [state]}) for state in (False, "r/0")]
    assert pages[0].__dask_tokenize__() == ("event_page", ["a"])
    assert tokens(pages[0]) != tokens(pages[1])


def test_a_bare_document_has_no_token(tokens):
    with pytest.raises(NotImplementedError) as caught:
        tokens(documents.Document(uid="a"))
    assert isinstance(caught.value, NotOffered)


@pytest.mark.parametrize("order", ["dask.tokenize, databroker_like.core._document", "databroker_like.core._document"])
def test_tokens_come_from_uids_in_a_fresh_process(order):
    code = f"""
import {order}
from databroker_like.core._document import Start, register_dask_tokens
if {"dask" not in order}:
    import sys
    assert not any(name in sys.modules for name in ("dask", "numpy"))
    register_dask_tokens()
from dask.base import tokenize
assert tokenize(Start(uid="a", x=1)) == tokenize(Start(uid="a"))
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", documents.KINDS)
def test_wrap_knows_every_kind_and_does_not_wrap_twice(name):
    document = documents.wrap(name, {"uid": "a"})
    assert type(document) is documents.KINDS[name]
    assert documents.wrap(name, document) is document


def test_wrap_names_the_nearest_kind():
    with pytest.raises(Invalid, match=r"'event_pag'; there is 'event', 'event_page'"):
        documents.wrap("event_pag", {})


@pytest.mark.parametrize("name", ["Document", *(cls.__name__ for cls in KINDS), "NotMutable"])
def test_core_offers_every_kind(name):
    assert getattr(databroker_like.core, name) is getattr(documents, name)
