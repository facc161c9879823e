"""The way to a node as it stands in a URL."""

from urllib.parse import unquote, urljoin

from hypothesis import given
from hypothesis import strategies as st

from databroker_like.utils._node_path import path_of

NAMES = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8), min_size=1, max_size=4)


@given(NAMES)
def test_the_names_come_back_and_no_name_is_a_step(names):
    path = path_of(names)
    assert [unquote(part) for part in path.split("/")] == names
    assert urljoin("http://h/a/", path) == f"http://h/a/{path}"
