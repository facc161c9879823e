"""The helpers that notebooks of version 1 import do what they did."""

from __future__ import annotations

import copy
import pickle
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databroker_like import utils
from databroker_like.errors import Conflict, Invalid, NotMutable
from databroker_like.utils import (
    ALL,
    DeprecatedDoct,
    Doct,
    LazyMap,
    apply_to_dict_recursively,
    ensure_path_exists,
    format_time,
    get_fields,
    normalize_human_friendly_time,
    sanitize_np,
    transpose,
    wrap_in_deprecated_doct,
    wrap_in_doct,
)

# -- documents


def test_a_document_is_a_dictionary_whose_items_are_attributes() -> None:
    doc = wrap_in_doct("start", {"uid": "a", "items": 1, "sample": {"name": "Ni"}})
    assert (doc.uid, doc["uid"], doc.sample["name"], doc._name) == ("a", "a", "Ni", "Run Start")
    assert dict(doc.items())["items"] == 1
    assert doc == {"uid": "a", "items": 1, "sample": {"name": "Ni"}}
    assert doc.to_name_dict_pair() == ("Run Start", dict(doc))
    assert {"uid", "sample", "keys"} <= set(dir(doc))
    assert type(doc.copy()) is dict
    assert repr(doc) == repr(dict(doc))


def test_nothing_warns_of_dots() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert wrap_in_deprecated_doct("stop", {"uid": "a"}).uid == "a"


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.__setitem__("a", 2),
        lambda d: d.__delitem__("a"),
        lambda d: d.__ior__({"a": 2}),
        lambda d: d.update(a=2),
        lambda d: d.pop("a"),
        lambda d: d.popitem(),
        lambda d: d.clear(),
        lambda d: d.setdefault("b", 2),
        lambda d: setattr(d, "a", 2),
        lambda d: delattr(d, "a"),
        lambda d: setattr(d, "_name", "x"),
    ],
)
def test_a_document_cannot_be_changed(change: Any) -> None:
    doc = wrap_in_deprecated_doct("event", {"a": 1})
    with pytest.raises(NotMutable, match="this Event document"):
        change(doc)
    assert (doc, doc._name) == ({"a": 1}, "Event")


@given(st.dictionaries(st.text(), st.one_of(st.integers(), st.lists(st.integers())), max_size=4))
def test_a_copy_of_a_document_is_one(content: dict[str, Any]) -> None:
    doc = DeprecatedDoct("Event", content)
    for again in (copy.copy(doc), copy.deepcopy(doc), pickle.loads(pickle.dumps(doc))):
        assert (again, again._name, type(again)) == (doc, "Event", DeprecatedDoct)


def test_a_document_is_shown_as_a_table() -> None:
    shown = str(wrap_in_doct("stop", {"time": 1.5, "num_events": {"primary": 3}}))
    assert shown.splitlines()[:2] == ["Run Stop", "========"]
    assert "  primary         : 3" in shown


@pytest.mark.parametrize("wrap", [wrap_in_doct, wrap_in_deprecated_doct])
def test_every_kind_of_document_has_a_name_and_no_other(wrap: Any) -> None:
    for kind, name in utils.DOCT_NAMES.items():
        assert wrap(kind, {})._name == name
    with pytest.raises(Invalid, match="no kind of document"):
        wrap("bogus", {})


def test_a_document_of_keys_alone_and_one_without_the_attribute() -> None:
    assert Doct.fromkeys(["a"], 1) == {"a": 1}
    with pytest.raises(AttributeError, match="nearest: 'plan_name'"):
        _ = wrap_in_doct("start", {"plan_name": "scan"}).plan_nme


# -- lazy maps


def test_a_lazy_map_makes_each_value_once_when_it_is_asked_for() -> None:
    made: list[str] = []
    lazy = LazyMap({"a": lambda: made.append("a") or 1}, b=lambda: made.append("b") or 2)
    assert (len(lazy), list(lazy), "a" in lazy, "c" in lazy, made) == (2, ["a", "b"], True, False, [])
    assert (lazy["a"], lazy["a"], made) == (1, 1, ["a"])
    with pytest.raises(KeyError):
        lazy["c"]
    lazy.add(c=lambda: 3)
    assert dict(lazy) == {"a": 1, "b": 2, "c": 3}
    with pytest.raises(Conflict, match="'a'"):
        lazy.add({"a": lambda: 5, "d": lambda: 6})
    assert "d" not in lazy
    assert repr(lazy) == "LazyMap('a', 'b', 'c')"


def test_a_lazy_map_pickles_what_it_makes() -> None:
    again = pickle.loads(pickle.dumps(LazyMap(a=lambda: 1)))
    assert dict(again) == {"a": 1}
    assert len(pickle.loads(pickle.dumps(LazyMap()))) == 0
    again.add(b=int)
    assert again["b"] == 0


# -- times


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2020-01-02 03:04:05", 1577952245.0),
        ("2020-01-02 03:04", 1577952240.0),
        ("2020-01-02 03", 1577952000.0),
        ("2020-01-02", 1577941200.0),
        ("2020-01", 1577854800.0),
        (" 2020 ", 1577854800.0),
        (datetime(2020, 1, 2), 1577941200.0),
        (datetime(2020, 1, 2, tzinfo=UTC), 1577923200.0),
        (5, 5),
        (None, None),
    ],
)
def test_a_date_is_seconds_in_its_time_zone(value: Any, expected: Any) -> None:
    assert normalize_human_friendly_time(value, "US/Eastern") == expected


def test_what_is_no_date_says_so() -> None:
    with pytest.raises(ValueError, match="failed to parse time: 'junk'"):
        normalize_human_friendly_time("junk", "UTC")
    with pytest.raises(ValueError, match="no time zone 'Nowhere'"):
        normalize_human_friendly_time("2020", "Nowhere")
    assert normalize_human_friendly_time("2020", UTC) == 1577836800.0


def test_since_and_until_become_a_condition_on_the_time() -> None:
    query: dict[str, Any] = {"since": "2020", "until": 1609477200.0, "x": 1}
    assert format_time(query, "US/Eastern") is None
    assert query == {"x": 1, "time": {"$gte": 1577854800.0, "$lte": 1609477200.0}}
    plain = {"x": 1}
    format_time(plain, "UTC")
    assert plain == {"x": 1}


# -- plain data


def test_events_are_transposed() -> None:
    events = [{"data": {"a": 1, "b": 2}}, {"data": {"a": 3, "b": 4}}]
    assert transpose(events, ["a", "b"], "data") == {"a": [1, 3], "b": [2, 4]}
    assert transpose([], ["a"], "data") == {"a": []}
    with pytest.raises(KeyError):
        transpose(events, ["z"], "data")


def test_numpy_values_become_pythons() -> None:
    for value, expected in [(np.float64(3), 3.0), (np.arange(3), [0, 1, 2]), (np.array(5), 5), ("x", "x"), ([1], [1])]:
        assert sanitize_np(value) == expected
        assert type(sanitize_np(value)) is type(expected)
    assert sanitize_np(np.bool_(True)) is True


def test_a_function_is_applied_through_dictionaries() -> None:
    doc = {"a": 1, "b": {"c": 2}, "d": [1, {"e": 3}]}
    assert apply_to_dict_recursively(doc, lambda v: v if isinstance(v, list) else str(v)) is None
    assert doc == {"a": "1", "b": {"c": "2"}, "d": [1, {"e": 3}]}


def test_a_folder_is_made(tmp_path: Path) -> None:
    ensure_path_exists(tmp_path / "a" / "b")
    ensure_path_exists(tmp_path / "a" / "b")
    with pytest.raises(FileExistsError):
        ensure_path_exists(tmp_path / "a" / "b", exist_ok=False)


def test_fields_are_those_of_the_descriptors() -> None:
    class Header:
        descriptors = [
            {"name": "primary", "data_keys": {"a": {}, "b": {}}},
            {"data_keys": {"c": {}}},
            {"name": "baseline", "data_keys": {"a": {}, "d": {}}},
        ]

    assert get_fields(Header()) == get_fields(Header(), ALL) == {"a", "b", "c", "d"}
    assert get_fields(Header(), "primary") == {"a", "b", "c"}
    assert get_fields(Header(), "nobody") == set()


def test_a_handler_registered_twice_is_the_error_of_version_1() -> None:
    from databroker_like.v2 import Broker

    catalog = Broker(handler_registry={"X": dict})
    with pytest.raises(utils.DuplicateHandler):
        catalog.register_handler("X", list)
