from __future__ import annotations

import copy
import pickle
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from databroker_like.client.metadata_update import DELETE_KEY, merged, patch_between

keys = st.text("ab/~0é", max_size=3)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats(-1, 1) | st.text("xy", max_size=2),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
documents = st.dictionaries(keys, values, max_size=4)


def applied(patch: list[dict[str, Any]], document: Any) -> Any:
    """JSON Patch as its standard says, for the operations that there are."""
    whole = {"": copy.deepcopy(document)}
    for step in patch:
        assert step["op"] in ("add", "remove", "replace")
        *above, last = [part.replace("~1", "/").replace("~0", "~") for part in step["path"].split("/")]
        place: Any = whole
        for part in above:
            place = place[int(part)] if isinstance(place, list) else place[part]
        if isinstance(place, list):
            at = int(last)
            assert 0 <= at <= len(place) - (step["op"] != "add")
            place[at : at + (step["op"] != "add")] = [] if step["op"] == "remove" else [step["value"]]
        else:
            assert step["op"] == "add" or last in place
            place.pop(last, None)
            if step["op"] != "remove":
                place[last] = step["value"]
    return whole[""]


@given(documents, documents)
def test_the_steps_lead_from_one_to_the_other(before: Any, after: Any) -> None:
    kept = copy.deepcopy(before)
    found = applied(patch_between(before, after), before)
    # As text, for Python takes 1, 1.0 and True for the same.
    assert sorted(repr(found)) == sorted(repr(after))
    assert found == after
    assert before == kept


@given(documents)
def test_what_is_the_same_needs_no_steps(document: Any) -> None:
    assert patch_between(document, copy.deepcopy(document)) == []


def test_numbers_of_another_kind_are_other_values() -> None:
    assert patch_between({"a": [1, True]}, {"a": [1.0, 1]}) == [
        {"op": "replace", "path": "/a/0", "value": 1.0},
        {"op": "replace", "path": "/a/1", "value": 1},
    ]


def test_a_list_loses_its_end_from_behind() -> None:
    assert [step["path"] for step in patch_between([1, 2, 3], [1])] == ["/2", "/1"]


@given(documents, documents)
def test_an_update_has_the_last_word_and_leaves_the_rest(before: Any, update: Any) -> None:
    kept = copy.deepcopy((before, update))
    found = merged(before, update)
    assert set(found) == {*before, *update}
    for key in found:
        if key not in update:
            assert found[key] == before[key]
        elif not isinstance(update[key], dict):
            assert found[key] == update[key]
    assert (before, update) == kept


def test_a_key_goes_only_when_it_is_told_to() -> None:
    assert merged({"a": 1, "b": {"c": 2}}, {"a": None, "b": {"c": DELETE_KEY, "x": DELETE_KEY}}) == {"a": None, "b": {}}


def test_the_mark_is_one_of_a_kind() -> None:
    assert copy.deepcopy(DELETE_KEY) is copy.copy(DELETE_KEY) is pickle.loads(pickle.dumps(DELETE_KEY)) is DELETE_KEY
    assert repr(DELETE_KEY) == "DELETE_KEY"
