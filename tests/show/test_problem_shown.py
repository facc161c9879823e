"""A thing that cannot be read any more shows why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from databroker_like.drivers.jsonl import BlueskyJSONLCatalog
from databroker_like.errors import MissingFile
from databroker_like.show._problem import shown
from databroker_like.testing._runs import scalars


class Printer:
    """As much of IPython's printer as an object needs."""

    def __init__(self) -> None:
        self.written = ""

    def text(self, text: str) -> None:
        self.written += text


def _pretty(thing: Any) -> str:
    printer = Printer()
    thing._repr_pretty_(printer, False)
    return printer.written


def test_a_run_and_a_stream_whose_file_is_gone_show_that(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text("".join(json.dumps(pair) + "\n" for pair in scalars(2)))
    run = BlueskyJSONLCatalog(str(path))[-1]
    stream = run.primary
    path.unlink()
    for thing in (run, stream):
        for text in (repr(thing), _pretty(thing), thing._repr_html_()):
            assert type(thing).__name__ in text
        assert "is not there any more" in _pretty(thing)
        assert "is not there any more" in thing._repr_html_()


def test_what_is_shown_instead_is_safe_in_html() -> None:
    def fail() -> str:
        raise MissingFile("<b>gone</b>")

    assert shown(fail, "run") == "<run: <b>gone</b>>"
    assert shown(fail, "run", as_html=True) == "<pre>&lt;run: &lt;b&gt;gone&lt;/b&gt;&gt;</pre>"


def test_a_mistake_of_our_own_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        shown(lambda: str(1 / 0), "run")
