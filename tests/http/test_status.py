from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databroker_like import errors
from databroker_like.http import error_for
from databroker_like.http._status import detail_of, is_passing


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ValueError),
        (401, PermissionError),
        (403, PermissionError),
        (404, KeyError),
        (406, ValueError),
        (409, errors.Conflict),
        (410, FileNotFoundError),
        (418, ValueError),
        (500, errors.ServiceFailed),
        (501, NotImplementedError),
        (503, ConnectionError),
        (599, errors.ServiceFailed),
    ],
)
def test_a_status_is_the_error_that_a_caller_expects(status: int, kind: type[Exception]) -> None:
    error = error_for(status, "why", "http://localhost/a")
    assert isinstance(error, kind)
    assert str(error) == f"why ({status} from http://localhost/a)"


@given(st.sampled_from(sorted(range(400, 600))))
def test_our_own_statuses_come_back_as_what_they_were(status: int) -> None:
    kind = type(error_for(status, "", "u"))
    assert issubclass(kind, errors.DatabrokerError)
    assert is_passing(status) <= (issubclass(kind, errors.Unreachable | errors.Invalid))


@pytest.mark.parametrize(
    ("content", "content_type", "said"),
    [
        (b'{"detail":"No such entry"}', "application/json", "No such entry"),
        (b'{"message":"gone"}', "application/json", "gone"),
        (b'{"detail":[{"loc":["query","slice"],"msg":"bad"},"odd"]}', "application/json", "query slice: bad; odd"),
        (b'{"detail":{"a":1}}', "application/json", '{"a":1}'),
        (b"plain\n  words", "text/plain", "plain words"),
        (b"<html>proxy</html>", "text/html", ""),
        (b"", "", ""),
        (b"\xff\xfe", "application/json", "��"),
    ],
)
def test_what_a_refusal_says_becomes_one_line(content: bytes, content_type: str, said: str) -> None:
    assert detail_of(content, content_type) == said


@given(st.binary(max_size=2000), st.sampled_from(["application/json", "text/plain", "text/html", ""]))
def test_no_refusal_is_too_strange_or_too_long(content: bytes, content_type: str) -> None:
    assert len(detail_of(content, content_type)) <= 603
