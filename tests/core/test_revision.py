"""Corrections: what a merge patch and a transform make of documents, what they may not change, and what is reported."""

import copy
import getpass
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databroker_like.core import BlueskyRun, parse_transforms
from databroker_like.core._collection import NoRuns, check_revision
from databroker_like.core._correction import Patch, TransformedDocuments, checked_author, checked_reason, merged
from databroker_like.core._revision import Revision
from databroker_like.core._trial import AppliedTransforms, Tried, on_trial, tried_in
from databroker_like.errors import (
    Invalid,
    InvalidDocument,
    NoSuchDocument,
    NotOffered,
    OutOfRange,
    TransformFailed,
    WrongType,
)

START = {"uid": "41fb", "time": 1.0, "sample": {"name": "gold", "id": 3}}
STOP = {"uid": "5a", "time": 2.0, "run_start": "41fb", "exit_status": "success"}
DESCRIPTOR = {
    "uid": "d0",
    "time": 1.5,
    "run_start": "41fb",
    "name": "primary",
    "data_keys": {"motor": {"source": "x", "dtype": "number", "shape": []}},
}
RESOURCE = {
    "uid": "r0",
    "run_start": "41fb",
    "spec": "TIFF",
    "root": "/data",
    "resource_path": "a",
    "resource_kwargs": {},
    "path_semantics": "posix",
}
RUN = {("start", "41fb"): START, ("descriptor", "d0"): DESCRIPTOR, ("resource", "r0"): RESOURCE, ("stop", "5a"): STOP}
GOES_ON = {key: doc for key, doc in RUN.items() if key[0] != "stop"}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=10,
)


# -- merge patches


@pytest.mark.parametrize(
    ("document", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_patches_merge_as_the_examples_of_rfc_7396_do(document, patch, expected):
    before = copy.deepcopy((document, patch))
    assert merged(document, patch) == expected
    assert (document, patch) == before


def _without_none(value):
    if isinstance(value, dict):
        return {key: _without_none(inner) for key, inner in value.items() if inner is not None}
    return value


@given(document=json_values, patch=json_values)
def test_a_patch_applied_twice_is_a_patch_applied_once(document, patch):
    once = merged(document, patch)
    assert merged(once, patch) == once


@given(document=json_values, patch=st.dictionaries(st.text(max_size=2), json_values, max_size=3))
def test_each_key_of_a_patch_says_what_becomes_of_it(document, patch):
    found = merged(document, patch)
    old = document if isinstance(document, dict) else {}
    for key in old.keys() | patch.keys():
        if key not in patch:
            assert found[key] == old[key]
        elif patch[key] is None:
            assert key not in found
        elif not isinstance(patch[key], dict):
            assert found[key] == patch[key]
        elif not isinstance(old.get(key), dict):
            assert found[key] == _without_none(patch[key])


# -- what a patch changes


def test_a_patch_gives_those_documents_that_become_others():
    before = copy.deepcopy(RUN)
    patch = Patch(
        {
            "start": {"sample": {"name": "silver"}, "note": "later"},
            "stop": {"exit_status": "success"},
            "descriptor": {"d0": {"data_keys": {"motor": {"units": "mm"}}}},
            "resource": {"r0": {"root": "/archive"}},
        }
    )
    changed = patch.changes(RUN)
    assert set(changed) == {("start", "41fb"), ("descriptor", "d0"), ("resource", "r0")}
    assert changed["start", "41fb"] == {**START, "sample": {"name": "silver", "id": 3}, "note": "later"}
    assert changed["descriptor", "d0"]["data_keys"]["motor"]["units"] == "mm"
    assert changed["resource", "r0"] == {**RESOURCE, "root": "/archive"}
    assert before == RUN


@pytest.mark.parametrize(("old", "new", "is_change"), [(1, 1, False), (1, 1.0, True), (1, True, True), ("1", 1, True)])
def test_a_number_of_another_type_is_a_change(old, new, is_change):
    assert (
        bool(Patch({"start": {"x": new}}).changes({("start", "a"): {"uid": "a", "time": 0.0, "x": old}})) is is_change
    )


def test_arrays_and_nan_are_compared_too():
    import numpy

    start = {"uid": "a", "time": 0.0, "mask": numpy.arange(3), "gain": float("nan")}
    run = {("start", "a"): start}
    assert Patch({"start": {"mask": numpy.arange(3), "gain": float("nan")}}).changes(run) == {}
    assert list(Patch({"start": {"mask": numpy.arange(4)}}).changes(run)) == [("start", "a")]


@pytest.mark.parametrize(
    "changes",
    [
        {"start": {"uid": "other"}},
        {"start": {"uid": None}},
        {"stop": {"run_start": "other"}},
        {"descriptor": {"d0": {"uid": "d1"}}},
        {"descriptor": {"d0": {"run_start": ["41fb"]}}},
        {"resource": {"r0": {"run_start": None}}},
    ],
)
def test_uids_and_references_stay(changes):
    with pytest.raises(Invalid, match="cannot be amended: it says which document it is"):
        Patch(changes).changes(RUN)


def test_a_reference_may_be_repeated():
    assert Patch({"stop": {"run_start": "41fb", "reason": "x"}}).changes(RUN)["stop", "5a"]["reason"] == "x"


@pytest.mark.parametrize("keys", [{"motor": None}, {"other": {"source": "x", "dtype": "number", "shape": []}}])
def test_data_keys_neither_come_nor_go(keys):
    with pytest.raises(Invalid, match="data keys of the descriptor 'd0' cannot come or go"):
        Patch({"descriptor": {"d0": {"data_keys": keys}}}).changes(RUN)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"start": {"time": "noon"}}, "start document '41fb' is not valid at 'time'"),
        ({"start": {"time": None}}, "'time' is a required property|\"time\" is a required property"),
        ({"stop": {"exit_status": "good"}}, "stop document '5a' is not valid at 'exit_status'"),
        ({"descriptor": {"d0": {"data_keys": 3}}}, "descriptor document 'd0' is not valid at 'data_keys'"),
        ({"resource": {"r0": {"spec": None}}}, "resource document 'r0' is not valid"),
        ({"start": {"thing": object()}}, "start document '41fb' cannot be kept"),
        ({"start": {"inner": {2: 1}}}, "a key in it is not a string"),
    ],
)
def test_what_comes_out_is_valid_and_can_be_kept(changes, where):
    with pytest.raises(InvalidDocument, match=where):
        Patch(changes).changes(RUN)


def test_what_was_wrong_with_a_document_before_need_not_be_put_right():
    old = {**RESOURCE, "id": 4711}  # which is not allowed any more
    run = {**RUN, ("resource", "r0"): old}
    assert Patch({"resource": {"r0": {"root": "/x"}}}).changes(run) == {("resource", "r0"): {**old, "root": "/x"}}
    with pytest.raises(InvalidDocument, match="'other'"):
        Patch({"resource": {"r0": {"other": 1}}}).changes(run)


def test_only_the_start_document_is_amended_while_a_run_goes_on():
    assert list(Patch({"start": {"note": "x"}}).changes(GOES_ON)) == [("start", "41fb")]
    with pytest.raises(Invalid, match="cannot be amended while the run goes on; its start document can"):
        Patch({"resource": {"r0": {"root": "/x"}}}).changes(GOES_ON)
    with pytest.raises(NoSuchDocument, match="no stop document yet"):
        Patch({"stop": {"reason": "x"}}).changes(GOES_ON)


def test_a_document_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(NoSuchDocument, match="no descriptor 'd1'; it has 'd0'"):
        Patch({"descriptor": {"d1": {}}}).changes(RUN)
    with pytest.raises(NoSuchDocument, match=r"no descriptor 'time'; it has 'd0'.*{uid: {\.\.\.}}"):
        Patch({"descriptor": {"time": 3}}).changes(RUN)


@pytest.mark.parametrize("changes", [{}, {"event": {}}, {"starts": {"a": 1}}])
def test_changes_of_nothing_or_of_other_kinds_are_refused(changes):
    with pytest.raises(Invalid, match=r"there are no changes|'(event|starts)' cannot be amended"):
        Patch(changes)


@pytest.mark.parametrize("changes", [None, "start", [("start", {})], {"start": 3}, {"start": None}])
def test_changes_of_another_form_are_refused(changes):
    with pytest.raises(WrongType, match="mapping"):
        Patch(changes)


def test_changes_of_a_descriptor_are_a_mapping():
    with pytest.raises(WrongType, match="changes of descriptor 'd0' are a mapping, not 3"):
        Patch({"descriptor": {"d0": 3}}).changes(RUN)


# -- who and why


def test_the_author_is_who_is_logged_in(monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "ada")
    assert checked_author(None) == "ada"
    assert checked_author("  bob ") == "bob"


def test_where_nobody_is_logged_in_the_author_is_asked_for(monkeypatch):
    def nobody():
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr(getpass, "getuser", nobody)
    with pytest.raises(Invalid, match=r"say who amends: author='...'"):
        checked_author(None)


@pytest.mark.parametrize("text", ["", "  \n", "a\0b", "\ud800", "x" * 10_001])
def test_what_is_no_reason_is_refused(text):
    with pytest.raises(Invalid, match="reason"):
        checked_reason(text)


def test_a_reason_is_text():
    with pytest.raises(WrongType, match="reason is text, not 3"):
        checked_reason(3)
    assert checked_reason(" the sample was silver\n") == "the sample was silver"


# -- numbers of revisions


@pytest.mark.parametrize("number", [-1, 3, 10**30])
def test_a_revision_that_is_not_there_is_told_with_those_that_are(number):
    with pytest.raises(OutOfRange, match=f"run a has no revision {number}; it has revisions 0 to 2"):
        check_revision("a", number, 2)
    with pytest.raises(OutOfRange, match="it has revision 0 alone"):
        check_revision("a", 1, 0)


@pytest.mark.parametrize("number", [True, 1.0, "1", None])
def test_a_revision_is_a_whole_number(number):
    with pytest.raises(WrongType, match="whole number"):
        check_revision("a", number, 2)


def test_a_collection_keeps_runs_as_recorded_unless_it_says_otherwise():
    runs = NoRuns()
    assert runs.revisions("a") == []
    with pytest.raises(NotOffered, match="copy it into an embedded store"):
        runs.amend("a", {"start": {"x": 1}}, reason="why")
    with pytest.raises(OutOfRange, match="run a has no revision 1"):
        runs.source_at("a", None, 1)


def test_a_revision_is_frozen_and_tells_what_it_is():
    revision = Revision(2, 5.0, "ada", "typo", (("start", "a"), ("descriptor", "b"), ("descriptor", "c")))
    assert str(revision) == "revision 2 by ada: typo (start, descriptor)"
    assert pickle.loads(pickle.dumps(revision)) == revision
    with pytest.raises(AttributeError):
        revision.reason = "other"


# -- runs without a catalog


def _run(transforms=None):
    return BlueskyRun(
        get_run_start=lambda: START,
        get_run_stop=lambda: STOP,
        get_event_descriptors=list,
        get_resources=list,
        transforms=transforms,
    )


def test_a_run_from_getters_has_one_revision_without_transforms():
    run = _run({"start": lambda doc: {**doc, "sample": "mended"}})
    assert run.revisions == []
    assert run.metadata["start"]["sample"] == "mended"
    assert list(run.documents(fill="no", revision=0)) == [("start", START), ("stop", STOP)]
    assert run.at_revision(0).metadata["start"] == START
    with pytest.raises(OutOfRange, match="revision 0 alone"):
        run.documents(fill="no", revision=1)


def test_a_run_from_getters_is_not_amended():
    with pytest.raises(NotOffered, match="run 41fb comes from getters"):
        _run().amend({"start": {"x": 1}}, reason="why")


# -- transforms on trial


def silver(doc):
    doc["sample"]["name"] = "silver"
    return doc


def upper(doc):
    return {**doc, "sample": {**doc["sample"], "name": doc["sample"]["name"].upper()}}


def fails(doc):
    raise RuntimeError("broken")


def test_tried_transforms_come_before_those_of_the_catalog():
    trial = parse_transforms(on_trial(parse_transforms({"start": upper}), {"start": silver}))
    assert trial["start"](copy.deepcopy(START))["sample"]["name"] == "SILVER"
    assert tried_in(trial).changes(RUN) == {("start", "41fb"): {**START, "sample": {"name": "silver", "id": 3}}}


def test_transforms_are_tried_one_after_another():
    first = parse_transforms(on_trial(parse_transforms(None), {"start": silver}))
    second = parse_transforms(on_trial(first, {"start": upper, "stop": lambda doc: {**doc, "reason": "x"}}))
    changed = tried_in(second).changes(RUN)
    assert changed["start", "41fb"]["sample"]["name"] == "SILVER"
    assert changed["stop", "5a"]["reason"] == "x"
    assert isinstance(second["start"], Tried)
    assert not isinstance(second["resource"], Tried)


def test_a_trial_is_pickled():
    trial = on_trial(parse_transforms({"start": upper}), {"start": silver})
    assert pickle.loads(pickle.dumps(trial)) == trial


def test_a_failing_transform_of_a_trial_is_named():
    trial = parse_transforms(on_trial(parse_transforms(None), {"start": silver}))
    trial = parse_transforms(on_trial(trial, {"start": fails}))
    with pytest.raises(TransformFailed, match=r"transform '[\w.]*test_revision.fails' raised on the start.*broken"):
        tried_in(trial).changes(RUN)


def test_where_nothing_is_tried_nothing_is_applied():
    with pytest.raises(Invalid, match=r"with_transforms\("):
        tried_in(parse_transforms({"start": silver}))


@pytest.mark.parametrize(
    ("transforms", "error"),
    [
        ({"start": lambda doc: {**doc, "uid": "other"}}, Invalid),
        ({"stop": lambda doc: {**doc, "exit_status": "good"}}, InvalidDocument),
        ({"descriptor": lambda doc: {**doc, "data_keys": {}}}, Invalid),
        ({"start": lambda doc: None}, TransformFailed),
        ({"resource": fails}, TransformFailed),
        ({"start": lambda doc: {**doc, "thing": object()}}, InvalidDocument),
    ],
)
def test_what_a_transform_may_not_make_is_refused(transforms, error):
    with pytest.raises(error):
        TransformedDocuments(transforms).changes(RUN)


def test_a_report_tells_how_many_and_the_first_failures():
    report = AppliedTransforms(15, {"a": (("start", "a"),)}, {f"run{n}": "broken" for n in range(12)}, dry_run=False)
    assert repr(report).startswith("<AppliedTransforms: 1 of 15 runs were amended, 12 failed\n  run0: broken\n")
    assert repr(report).endswith("  and 2 more, in .failed>")
