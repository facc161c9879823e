"""The names of `databroker_like.core`, each loaded on first use."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import databroker_like.core as core


@pytest.mark.parametrize("name", core.__all__)
def test_every_name_is_there_and_listed(name: str) -> None:
    assert getattr(core, name) is not None
    assert name in dir(core)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'Nothing'"):
        core.Nothing  # noqa: B018


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(core.__file__).read_text())
    seen = {alias.asname for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen - {None} == set(core.__all__)


def imported_by(program: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return set(done.stdout.split())


def test_importing_core_loads_none_of_its_files() -> None:
    modules = imported_by("import databroker_like.core")
    assert not {"numpy", "intake", "event_model", "dask"} & modules
    assert not {name for name in modules if name.startswith("databroker_like.core.")}


def test_runs_are_importable_without_arrays_and_labels() -> None:
    before = imported_by("import intake.catalog, event_model")
    modules = imported_by("from databroker_like.core import BlueskyRun, BlueskyEventStream, RunSource") - before
    assert not {"xarray", "dask.array", "pandas", "h5py"} & modules
