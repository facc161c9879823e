import pickle

import pytest

from databroker_like.errors import Invalid, NotAuthenticated
from databroker_like.service import Access


def test_who_shows_the_key_is_the_user_in_the_header_or_in_the_url():
    access = Access("secret")
    assert access.caller("Apikey secret").name == "single user"
    assert access.caller("apikey  secret").name == "single user"
    assert access.caller(None, "secret").name == "single user"


@pytest.mark.parametrize(
    ("authorization", "key"),
    [
        (None, None),
        (None, ""),
        ("Apikey", None),
        ("Apikey wrong", None),
        ("Apikey secre", None),
        ("Apikey sécret", None),
        ("Bearer secret", None),
        ("secret", None),
        (None, "wrong"),
        ("Apikey wrong", "secret"),
    ],
)
def test_who_shows_another_key_or_none_is_not_let_in(authorization, key):
    with pytest.raises(NotAuthenticated) as raised:
        Access("secret").caller(authorization, key)
    assert "secret" not in str(raised.value)


def test_anybody_reads_what_is_public_and_a_wrong_key_is_wrong_there_too():
    assert Access(public=True).caller().name == "anonymous"
    assert Access("secret", public=True).caller().name == "anonymous"
    assert Access("secret", public=True).caller("Apikey secret").name == "single user"
    for access in (Access(public=True), Access("secret", public=True)):
        with pytest.raises(NotAuthenticated):
            access.caller("Apikey wrong")


@pytest.mark.parametrize("key", ["", "two words", "a-b", "é", "a" * 513, "a\n", 5])
def test_a_key_that_no_client_could_send_is_refused(key):
    with pytest.raises(Invalid, match=r"letters of ASCII, digits and underscores"):
        Access(key)


def test_a_service_that_nobody_could_read_is_refused():
    with pytest.raises(Invalid, match=r"api_key.*public=True"):
        Access()


def test_the_key_is_not_shown():
    access = Access("secret", public=True)
    assert "secret" not in repr(access)
    assert pickle.loads(pickle.dumps(access)) == access
