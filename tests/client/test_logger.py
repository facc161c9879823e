from __future__ import annotations

import logging
import sys
from io import StringIO

import pytest

from databroker_like.client import Context, from_context, hide_logs, record_history, show_logs
from databroker_like.client.logger import logger
from tests.client.small_server import SmallServer


def test_requests_are_shown_until_they_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    show_logs()
    show_logs()
    try:
        with Context.from_app(SmallServer({"a": {}}, key="hushhush"), api_key="hushhush") as context:
            from_context(context)
            context.get_json(f"{context.api_uri}/metadata/a?api_key=hushhush")
    finally:
        hide_logs()
        hide_logs()
    lines = screen.getvalue().splitlines()
    assert len(lines) == 2
    assert "GET http://local-app/api/v1/metadata/ -> 200 in" in lines[0]
    assert "api_key=... -> 200" in lines[1]
    assert "hushhush" not in screen.getvalue()
    assert logger.level == logging.NOTSET
    assert not logger.handlers
    with Context.from_app(SmallServer({})) as context:
        from_context(context)
    assert screen.getvalue().splitlines() == lines


def test_requests_and_replies_are_kept_for_a_while() -> None:
    with Context.from_app(SmallServer({"a": {}})) as context:
        with record_history() as history:
            root = from_context(context)
            with record_history() as inner:
                assert next(iter(root)) == "a"
        root["a"]
    assert [request.url.path for request in history.requests] == ["/api/v1/metadata/", "/api/v1/search/"]
    assert [response.status_code for response in history.responses] == [200, 200]
    assert len(inner.requests) == 1
