"""Tiled's query classes, as its clients write them."""

from __future__ import annotations

import inspect
from dataclasses import fields

import pytest

from databroker_like import queries
from databroker_like.errors import InvalidQuery
from databroker_like.queries import (
    AccessTagsFilter,
    All,
    And,
    Comparison,
    Contains,
    ElemMatch,
    Eq,
    Everything,
    FullText,
    Gt,
    In,
    Key,
    KeyLookup,
    KeyPresent,
    KeysFilter,
    Like,
    Node,
    Not,
    NotEq,
    NotIn,
    Operator,
    Or,
    Regex,
    SpecQuery,
    SpecsQuery,
    StructureFamilyQuery,
    parse,
    run_query,
    searched,
)

START = {
    "uid": "41fb8ca9",
    "plan_name": "scan",
    "num_points": 5,
    "detectors": ["det", "img"],
    "sample": {"name": "Gold leaf (50%)"},
}
STOP = {"uid": "5f", "exit_status": "success", "num_events": {"primary": 5}}
RUN = searched(START, STOP)

# Name and parameters of each class of tiled.queries, as version 0.2.20 has them.
SIGNATURES = {
    "FullText": ["text"],
    "KeyLookup": ["key"],
    "KeysFilter": ["keys"],
    "Regex": ["key", "pattern", "case_sensitive"],
    "Eq": ["key", "value"],
    "NotEq": ["key", "value"],
    "Comparison": ["operator", "key", "value"],
    "Contains": ["key", "value"],
    "KeyPresent": ["key", "exists"],
    "Like": ["key", "pattern"],
    "SpecsQuery": ["include", "exclude"],
    "SpecQuery": ["spec"],
    "AccessTagsFilter": ["tags"],
    "StructureFamilyQuery": ["value"],
    "Key": ["key"],
}


@pytest.mark.parametrize("name", sorted(SIGNATURES))
def test_names_and_parameters_are_those_of_tiled(name):
    parameters = list(inspect.signature(getattr(queries, name)).parameters)
    assert [p for p in parameters if p != "options"] == SIGNATURES[name]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Eq("start.plan_name", "scan"), True),
        (Eq("start.plan_name", "count"), False),
        (Eq("stop.exit_status", "success"), True),
        (NotEq("start.plan_name", "count"), True),
        (NotEq("start.plan_name", "scan"), False),
        (NotEq("start.nothing", "scan"), False),
        (In("start.plan_name", ["scan", "count"]), True),
        (NotIn("start.plan_name", ["scan"]), False),
        (Comparison("gt", "start.num_points", 4), True),
        (Comparison(Operator.le, "start.num_points", 4), False),
        (Comparison("ge", "stop.num_events.primary", 5), True),
        (Comparison("lt", "start.num_points", 5), False),
        (Contains("start.detectors", "img"), True),
        (Contains("start.detectors", "im"), False),
        (Contains("start.plan_name", "scan"), False),
        (KeyPresent("start.sample.name"), True),
        (KeyPresent("start.sample.form"), False),
        (KeyPresent("start.sample.form", False), True),
        (KeyPresent("stop.reason", exists=False), True),
        (Like("start.sample.name", "gold%"), True),
        (Like("start.sample.name", "%50_)"), True),
        (Like("start.sample.name", "leaf"), False),
        (Like("start.plan_name", "sc.n"), False),
        (Regex("start.plan_name", "^S"), False),
        (Regex("start.plan_name", "^S", False), True),
        (Regex("start.plan_name", "^S", case_sensitive=False), True),
        (Regex("start.plan_name", "^s", case_sensitive=True), True),
        (FullText("gold"), True),
        (FullText("success"), False),
        (KeyLookup("41fb8ca9"), True),
        (KeyLookup("41fb"), False),
        (KeysFilter(["a", "41fb8ca9"]), True),
        (KeysFilter([]), False),
        (SpecsQuery(["BlueskyRun"]), True),
        (SpecsQuery([], ["BlueskyRun"]), False),
        (SpecQuery("xarray_dataset"), False),
        (StructureFamilyQuery("container"), True),
        (StructureFamilyQuery("array"), False),
        (Key("start.num_points") == 5, True),
        (Key("start.num_points") != 5, False),
        (Key("start.num_points") < 6, True),
        (Key("start.num_points") <= 4, False),
        (Key("start.num_points") > 5, False),
        (Key("start.num_points") >= 5, True),
        (And(Eq("start.plan_name", "scan"), Not(Or(Gt("start.num_points", 9)))), True),
        (All("start.detectors", ["det", "img"]), True),
        (All("start.detectors", [ElemMatch("start.detectors", Eq("", "img"), of_values=True)]), True),
        (Everything(), True),
    ],
    ids=repr,
)
def test_a_query_on_the_metadata_of_a_run_is_one_on_the_searched_document(query, expected):
    node = run_query(query)
    assert isinstance(node, Node)
    assert node.matches(RUN) is expected
    assert parse(node.to_mongo()).matches(RUN) is expected


@pytest.mark.parametrize(
    "key", ["plan_name", "start", "started.plan_name", "start.", "start.stop", "start.stop.time", ""]
)
def test_a_key_that_no_run_has_in_its_metadata_is_named(key):
    with pytest.raises(InvalidQuery, match=r"start\.plan_name"):
        run_query(Eq(key, 5))


def test_parse_takes_them_with_their_keys_as_they_are():
    assert parse(Comparison("gt", "num_points", 4)) == Gt("num_points", 4)
    assert parse(Like("plan_name", "s%")).matches(START)


def test_what_cannot_be_meant_is_told():
    with pytest.raises(InvalidQuery, match="'gt'"):
        Comparison("gtt", "a", 1)
    with pytest.raises(InvalidQuery, match="server"):
        parse(AccessTagsFilter(["public"]))
    with pytest.raises(InvalidQuery, match="pattern"):
        parse(Like("a", 5))


def test_case_in_a_regular_expression_is_said_in_either_way():
    assert Regex("a", "x", False) == Regex("a", "x", "i") == Regex("a", "x", case_sensitive=False)
    assert Regex("a", "x", True) == Regex("a", "x") == Regex("a", "x", "i", case_sensitive=True)
    assert {field.name for field in fields(Regex)} == {"key", "pattern", "options"}
