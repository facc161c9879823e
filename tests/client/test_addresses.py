from __future__ import annotations

from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databroker_like.client import from_uri
from databroker_like.client._addresses import node_of, without_key
from databroker_like.errors import Invalid
from databroker_like.utils._node_path import path_of

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


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("localhost:8000", "'localhost:8000' is no address of a server: write http"),
        ("me:word@data.example?api_key=secret", "'data.example' is no address of a server"),
        ("", "'' is no address of a server"),
        ("ftp://data.example", "'ftp://data.example' is no address"),
        ("http://", "'http://' is no address"),
        ("http://data.example:99999", "Port out of range"),
        ("http://[::1", "Invalid IPv6"),
        (None, "an address is text, .* not NoneType"),
    ],
)
def test_what_is_no_address_is_told_as_it_was_written_without_secrets(written: Any, told: str) -> None:
    with pytest.raises(Invalid, match=told) as raised:
        from_uri(written)
    assert "word" not in str(raised.value)
    assert "secret" not in str(raised.value)
