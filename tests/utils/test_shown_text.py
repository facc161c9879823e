"""What strangers see of an error names no place on this machine, and no password."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databroker_like.utils._shown_text import without_paths


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("there is no file '/data/2024/run.h5'", "there is no file 'run.h5'"),
        ("/a/b/c.csv is gone", "c.csv is gone"),
        ("'C:\\Users\\lab\\x.csv' is gone", "'x.csv' is gone"),
        ("see file:///data/x.csv.", "see x.csv."),
        (
            "[Errno 2] No such file or directory: '/tmp/serve_try//*.csv'",
            "[Errno 2] No such file or directory: '*.csv'",
        ),
        ("in ~/data/run.h5", "in run.h5"),
        ("mongodb://lab:secret@host/runs", "mongodb://host/runs"),
        ("ask http://host:8000/api/v1/metadata/", "ask http://host:8000/api/v1/metadata/"),
        ("1/2 of them, and/or more", "1/2 of them, and/or more"),
        ("no run 'abc'; it has 'primary/det'", "no run 'abc'; it has 'primary/det'"),
    ],
)
def test_paths_are_cut_to_their_last_name(text: str, shown: str) -> None:
    assert without_paths(text) == shown


_NAMES = st.text("abcxyz019_-", min_size=1, max_size=8)


@given(st.lists(_NAMES, min_size=2, max_size=6), st.sampled_from(["'{}'", '"{}"', "{}", "({})", "{}, and", "{}:"]))
def test_no_folder_is_seen(parts: list[str], around: str) -> None:
    folder = "/" + "/".join(f"dir{part}" for part in parts[:-1])
    text = without_paths("cannot read " + around.format(f"{folder}/{parts[-1]}"))
    assert "dir" not in text
    assert parts[-1] in text
