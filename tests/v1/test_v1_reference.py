"""Version 1 gives what databroker 1.2.5 gave for the recorded runs, but for what is meant to be different."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from databroker_like.drivers.jsonl import BlueskyJSONLCatalog

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
RUNS = sorted(path.stem for path in (DATA / "runs").glob("*.jsonl"))
REFERENCE = DATA / "reference" / "v1"

#: What is meant to be different: (runs, questions) as patterns, and why. Everything that they name must be different.
INTENDED: dict[tuple[str, str], str] = {
    ("monitored|scalars|two_camera_streams", r"documents(\(f.*)?|dark: documents"): (
        "descriptors come in the order in which they were recorded, and first: databroker's is the order of a set"
    ),
    ("reconfigured", r"primary: (get_)?table(| of .*|\(fi.*camera.*|\(fill.*)"): (
        "events of several descriptors stand in the order of their times: databroker's is the order of a set"
    ),
    ("zero_events", r"primary: (get_)?table(| of .*|\(fi.*string.*|\(fill.*)"): (
        "a column without events is of the kind that was declared: databroker says float64 of all"
    ),
    ("missing_handler", r"primary: (table\(fill=True\)|xarray|data\('(nobody|known)'\)|get_images\('known'\))"): (
        "one missing handler costs the columns that need it: databroker gives none"
    ),
    ("missing_handler", r"(documents|primary: events)\(fields=\['known'\]\)"): (
        "an event says what is filled of the fields that it has: databroker names others, too"
    ),
    ("hdf5_several_frames|numpy_images", "export_size"): "bytes are added before they are divided",
    ("_broker", "filters {'data_key'.*"): "a filter may be a data_key: databroker looks for it in the start document",
}


def load(name: str) -> ModuleType:
    """A module of scripts/peers, which is no package of the distribution."""
    spec = importlib.util.spec_from_file_location(f"peers_{name}", ROOT / "scripts" / "peers" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


encoding, headers = load("encoding"), load("headers")


@pytest.fixture(autouse=True)
def _clock_of_greenwich(clock: Any) -> None:
    """The time zone in which databroker was asked."""
    clock("UTC")


def open_broker(pattern: str = "*") -> Any:
    catalog = BlueskyJSONLCatalog(
        str(DATA / "runs" / f"{pattern}.jsonl"), root_map={"/recorded/external": str(DATA / "external")}
    )
    return catalog.v1


def reference(name: str) -> dict[str, Any]:
    return json.loads((REFERENCE / f"{name}.json").read_text(encoding="utf-8"))


def difference(theirs: Any, ours: Any) -> str:
    """What is different between two answers; nothing when they are the same."""
    if isinstance(theirs, dict) and "__raises__" in theirs:
        raised = ours.get("__raises__", []) if isinstance(ours, dict) else []
        return (
            "" if theirs["__raises__"][0] in raised else f"{theirs['__raises__'][0]} was raised, now {raised}: {ours}"
        )
    if isinstance(theirs, dict) and "columns" in theirs and "columns" in ours:
        shapes = [[column[:2] for column in table["columns"]] for table in (theirs, ours)]
        if shapes[0] != shapes[1]:
            return f"the columns {shapes[0]}, now {shapes[1]}"
    try:
        np.testing.assert_equal(encoding.decode(ours), encoding.decode(theirs))
    except (AssertionError, TypeError, ValueError) as error:
        return str(error)
    return ""


def compared(theirs: dict[str, Any], ours: dict[str, Any], run: str) -> None:
    assert list(ours) == list(theirs)
    found = {question: difference(theirs[question], ours[question]) for question in theirs}
    found = {question: what for question, what in found.items() if what}
    meant = {
        question
        for runs, pattern in INTENDED
        if re.fullmatch(runs, run)
        for question in theirs
        if re.fullmatch(pattern, question)
    }
    assert {question: what for question, what in found.items() if question not in meant} == {}
    assert meant <= set(found), "these are said to be different and are not any more"


@pytest.mark.parametrize("run", RUNS)
def test_a_header_answers_as_databroker_did(run: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a wrong shape, a missing handler: their own tests look at them
        answers = headers.about_header(lambda: open_broker(run), DATA / "runs" / f"{run}.jsonl", encoding.encode)
        ours = json.loads(json.dumps(dict(answers)).replace(str(DATA), "DATA").replace(sys.prefix, "ENV"))
    compared(reference(run), ours, run)


def test_a_broker_answers_as_databroker_did() -> None:
    ours = json.loads(json.dumps(dict(headers.about_broker(open_broker, encoding.encode))))
    compared(reference("_broker"), ours, "_broker")


def test_every_recorded_run_has_its_answers() -> None:
    assert sorted(path.stem for path in REFERENCE.glob("[!_]*.json")) == RUNS
