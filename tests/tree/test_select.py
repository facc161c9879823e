import pytest

from databroker_like.errors import InvalidRequest
from databroker_like.tree._select import selected

METADATA = {"start": {"uid": "a", "detectors": ["x", "y"], "shape": [[1, 2], [3]]}, "stop": None}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("start.uid", "a"),
        ("missing.key", None),
        ("[start.uid, stop]", ["a", None]),
        ("{id: start.uid, first: start.detectors[0]}", {"id": "a", "first": "x"}),
        ("start.shape[]", [1, 2, 3]),
        ("start.detectors[?@ == 'x']", ["x"]),
        ("@", METADATA),
    ],
)
def test_a_part_of_the_metadata_is_chosen(expression, expected):
    assert selected(METADATA, expression) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "[",
        "start.",
        "a" * 501,
        "(" * 200,
        "to_string(@)",
        "length(start)",
        "start.detectors[?contains(@, 'x')]",
        "[[:],[:]][].[[:],[:]][].[[:],[:]][].[[:],[:]][]",
        "|".join(["[@,@]"] * 50),
        "[" + ",".join(["@"] * 40) + "]",
        "[start]" * 10,
    ],
)
def test_what_is_none_or_makes_much_out_of_little_is_refused(expression):
    with pytest.raises(InvalidRequest, match="'select_metadata'"):
        selected(METADATA, expression)


def test_more_than_a_reply_can_have_is_refused():
    with pytest.raises(InvalidRequest, match="values"):
        selected({"a": list(range(1000))}, "[" + ",".join(["a"] * 30) + "] | [" + ",".join(["@"] * 30) + "]")
