"""A node that stands for something that cannot be read."""

from __future__ import annotations

import pytest

from databroker_like.errors import InvalidFile, MissingFile, NotAuthenticated
from databroker_like.nodes._broken import BROKEN, BrokenNode


def test_it_says_why_and_holds_nothing() -> None:
    node = BrokenNode("'a.h5' is empty", metadata={"sample": "silver"}, version=3)
    assert node.metadata == {"sample": "silver", "error": "'a.h5' is empty"}
    assert (node.count(), list(node.keys()), node.get("x"), node.specs, node.version) == (0, [], None, (BROKEN,), 3)


def test_it_stands_for_the_error_that_was_met() -> None:
    text = "'/data/a.h5' is gone"
    refused = NotAuthenticated(text)
    for problem, kind in ((MissingFile(text), MissingFile), (text, InvalidFile), (refused, InvalidFile)):
        error = BrokenNode(problem).error
        assert (type(error), str(error)) == (kind, "'a.h5' is gone")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("'/data/2026/a.h5' is empty", "'a.h5' is empty"),
        ("no file file:///data/a.h5 here", "no file a.h5 here"),
        (r"'C:\data\2026\a.h5' is empty", "'a.h5' is empty"),
        ("'entry/data' in 'sub/a.h5' is 1/2 of it", "'entry/data' in 'sub/a.h5' is 1/2 of it"),
        ("see http://localhost:8000/docs/a for more", "see http://localhost:8000/docs/a for more"),
    ],
)
def test_the_folders_of_a_path_of_the_machine_are_left_out(text: str, told: str) -> None:
    assert BrokenNode(text).metadata["error"] == told
