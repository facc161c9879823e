"""Handlers and dotted paths written for databroker find what they know."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from databroker_like.assets import handlers
from databroker_like.assets.handlers_base import HandlerBase
from databroker_like.core import parse_handler_registry
from databroker_like.registry import import_path

ROOT = Path(__file__).parents[2]


class Old(HandlerBase):
    """As handler packages write it."""

    specs = {"OLD"} | HandlerBase.specs

    def __init__(self, path):
        self.path = path
        self.closed = False

    def __call__(self):
        return self.path

    def close(self):
        super().close()
        self.closed = True


def test_a_handler_is_closed_at_the_end_of_a_with_statement():
    with Old("a") as handler:
        assert handler() == "a"
        assert not handler.closed
    assert handler.closed


def test_it_is_closed_when_something_is_raised_and_the_error_goes_on():
    handler = Old("a")
    with pytest.raises(ZeroDivisionError), handler:
        _ = 1 / 0
    assert handler.closed


def test_the_base_has_no_specs_and_close_does_nothing():
    assert HandlerBase.specs == set()
    assert Old.specs == {"OLD"}
    assert HandlerBase().close() is None


@pytest.mark.parametrize("name", sorted(set(dir(handlers)) & set(handlers._HOMES)))
def test_the_dotted_paths_of_databroker_lead_to_the_handlers(name, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "handlers")
    with pytest.warns(UserWarning, match=f"databroker_like.assets.handlers.{name}"):
        found = parse_handler_registry({"SPEC": f"databroker.assets.handlers.{name}"})
    assert (found["SPEC"].__name__, found["SPEC"].__module__.partition(".")[0]) == (name, "databroker_like_handlers")
    assert issubclass(found["SPEC"], handlers.HandlerBase)


def test_a_handler_that_is_not_here_says_where_it_may_be():
    with pytest.raises(AttributeError, match="pip install area-detector-handlers"):
        _ = handlers.Xspress3HDF5Handler
    with pytest.raises(ValueError, match="AreaDetectorTiffHandler"):
        import_path("databroker_like.assets.handlers.AreaDetectorTifHandler")


def test_without_the_package_the_error_is_the_command_that_installs_it():
    code = (
        "import sys; sys.modules['databroker_like_handlers'] = None\n"
        "from databroker_like.errors import MissingExtra\n"
        "from databroker_like.core import parse_handler_registry\n"
        "try: parse_handler_registry({'AD_TIFF': 'databroker_like.assets.handlers.AreaDetectorTiffHandler'})\n"
        "except MissingExtra as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "'AD_TIFF'" in done.stdout
    assert "pip install databroker-like-handlers" in done.stdout
