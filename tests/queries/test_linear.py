"""Regular expressions that strangers write end soon."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databroker_like.errors import InvalidQuery
from databroker_like.queries import And, Eq, Like, LinearRegex, Regex, run_query


@given(
    text=st.text("abX.é\n", max_size=8) | st.lists(st.text("ab", max_size=3), max_size=3) | st.integers() | st.none(),
    pattern=st.sampled_from(["a", "^a", "b$", "a+b", "(a|x)b*", "A", "é", ".", "[^a]", ""]),
    case=st.booleans(),
)
def test_it_finds_what_an_ordinary_expression_finds(text, pattern, case):
    document = {"k": text}
    if pattern == "b$" and isinstance(text, str) and text.endswith("\n"):
        return  # Python's $ is also before the last line end.
    assert LinearRegex("k", pattern, case).matches(document) == Regex("k", pattern, case).matches(document)


def test_no_expression_takes_long():
    query = And(LinearRegex("k", "^(a+)+$"), LinearRegex("k", "(a|a)*(a|a)*(a|a)*(a|a)*b"))
    began = time.perf_counter()
    assert not query.matches({"k": "a" * 5000 + "c"})
    assert time.perf_counter() - began < 100  # what takes exponential time takes longer


@pytest.mark.parametrize(
    "pattern", ["(", "(?=a)", r"(a)\1", "a{2000}", "((a{1000}){1000}){9}", "x" * 1001, 5, "\ud800"]
)
def test_what_cannot_be_searched_so_is_refused(pattern):
    with pytest.raises(InvalidQuery) as found:
        LinearRegex("k", pattern)
    assert len(str(found.value)) < 600


def test_it_is_asked_of_runs_as_all_queries_are():
    assert run_query(LinearRegex("start.sample", "Si", False)) == LinearRegex("sample", "Si", False)
    assert LinearRegex("k", "a", False).to_mongo() == {"k": {"$regex": "a", "$options": "i"}}
    assert (LinearRegex("k", "a") & Eq("n", 1)).matches({"k": "cab", "n": 1})


def test_half_a_surrogate_pair_harms_nobody():
    assert LinearRegex("k", "a").matches({"k": "\ud800a"})


@given(
    text=st.text("ab%_X\n.é", max_size=10),
    pattern=st.lists(st.sampled_from(["%", "_", "a", "b", "X", ".", "\n", "é", "%%"]), max_size=7).map("".join),
)
def test_a_pattern_of_sql_stands_for_the_whole_text(text, pattern):
    assert Like("k", pattern).node().matches({"k": text}) == is_like(text.lower(), pattern.lower())


def is_like(text, pattern):
    if not pattern:
        return not text
    if pattern[0] == "%":
        return any(is_like(text[at:], pattern[1:]) for at in range(len(text) + 1))
    return bool(text) and pattern[0] in ("_", text[0]) and is_like(text[1:], pattern[1:])


def test_no_pattern_of_sql_takes_long():
    began = time.perf_counter()
    assert not Like("k", "%a%a%a%x").node().matches({"k": "a" * 5000})
    assert time.perf_counter() - began < 100  # what takes exponential time takes longer
