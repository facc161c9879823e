from __future__ import annotations

import httpx
from hypothesis import given
from hypothesis import strategies as st

from databroker_like.client._addresses import node_of, path_of, without_key

NAMES = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=4)
API = "http://h:8000/inner/api/v1"


@given(NAMES)
def test_a_node_of_any_name_is_found_by_its_address(names: list[str]) -> None:
    address = f"{API}/metadata/{path_of(names)}"
    assert node_of(address) == (API, names)
    # As it is sent: nothing on the way takes dots, slashes or marks for something else.
    sent = httpx.URL(address)
    assert node_of(f"http://h:8000{sent.raw_path.decode()}") == (API, names)
    assert httpx.URL(API).join(address) == sent


@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1), NAMES)
def test_a_key_is_taken_out_of_an_address(key: str, names: list[str]) -> None:
    whole = f"http://me:word@h:8000/{path_of(names)}?a=1&api_key={key}&b=%20"
    bare, found = without_key(whole)
    assert found == key
    assert bare == f"http://h:8000/{path_of(names)}?a=1&b=+"
    assert without_key(bare) == (bare, None)
