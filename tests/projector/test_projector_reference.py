"""Projections give what databroker 1.2.5 gave, but for what is meant to be different."""

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import xarray

from databroker_like import projector
from databroker_like.drivers.jsonl import BlueskyJSONLCatalog

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"

#: What is meant to be different: (cases, questions) as patterns, and why. Everything that they name must be different.
INTENDED: dict[tuple[str, str], str] = {
    ("(everything linked|some fields|fields that are not there)", "project_xarray"): (
        "configuration named before the events, as event-model's own examples have it, is in the attributes of every "
        "event field of its stream: databroker drops it"
    ),
    ("(configuration of arrays|reconfigured, (first|second)|two of one device)", "project_xarray"): (
        "the configuration of a stream is on all of its fields, at its index: databroker has it on the first, or raises"
    ),
    ("(configuration without events|negative configuration index)", "project_xarray"): (
        "configuration that has no array to stand on is an issue: databroker drops it"
    ),
    ("no configuration stream", "(project_xarray|Projector)"): (
        "a stream that is not there is an issue: databroker looks in another one"
    ),
    ("two streams, the other way round", "(project_xarray|Projector)"): (
        "the index counts the descriptors of the stream that is named: databroker counts those of all streams"
    ),
    ("no (column|device|configuration field|configuration index)", "(project_xarray|Projector)"): (
        "what the run does not have is an issue, and the rest is projected: databroker raises"
    ),
    ("reconfigured, by event", "(project_xarray|Projector)"): "a descriptor that is not there is an issue",
    ("(event without a field|configuration without an? (device|index))", "(project_xarray|Projector)"): (
        "a field that is not described wholly is an issue, and the rest is projected: databroker raises"
    ),
    ("event without a stream", "(project_xarray|Projector)"): "one issue for one mistake: databroker has two",
    ("static", ".*(xarray|dict|Projector)"): "static fields are projected: databroker knows none",
    ("calculated( with keywords)?", "(project_xarray|Projector)"): (
        "event-model's schema has 'callable' inside 'calculation', where databroker does not look"
    ),
    ("calculated(, a plain value| without args)", "Projector"): (
        "event-model's schema has 'callable' inside 'calculation', where databroker does not look"
    ),
    ("(flatly )?calculated by .*", "(project_xarray|Projector)"): (
        "what is not among the calculations that were handed in is an issue; nothing is imported"
    ),
    ("(flatly )?calculated without a colon", "(project_xarray|Projector)"): "it is not among the calculations",
    ("zero events", "project_xarray"): "a text column without events is a text column",
    ("time itself", "project_xarray"): "the attributes of a coordinate are its own",
    ("no projections, a name", "get_run_projection"): (
        "there is none of this name, as in a run that carries others: databroker raises a bare KeyError"
    ),
}

#: The error that stands where databroker raised what came up from below.
RAISED = {
    "KeyError": ("ProjectionError", "KeyError"),
    "AttributeError": ("ProjectionError",),
    "ZeroDivisionError": ("ProjectionError",),
    "TypeError": ("ProjectionError",),
}


def load(name: str) -> ModuleType:
    """A module of scripts/peers, which is no package of the distribution."""
    spec = importlib.util.spec_from_file_location(f"peers_{name}", ROOT / "scripts" / "peers" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


encoding, projections, calculations = load("encoding"), load("projections"), load("calculations")
CASES = {case["name"]: case for case in projections.cases(DATA)}
REFERENCE = json.loads((DATA / "reference" / "projections" / "answers.json").read_text(encoding="utf-8"))
ALLOWED = {f"calculations:{name}": getattr(calculations, name) for name in ("doubled", "plan_name", "failing")}


def difference(theirs: Any, ours: Any) -> str:
    """What is different between two answers; nothing when they are the same, or the issues differ in words only."""
    if isinstance(theirs, dict) and "__raises__" in theirs:
        raised = ours.get("__raises__", []) if isinstance(ours, dict) else []
        expected = RAISED.get(theirs["__raises__"][0], (theirs["__raises__"][0],))
        return "" if set(expected) <= set(raised) else f"{expected} was raised, now {raised or 'nothing'}"
    if isinstance(ours, dict) and "__raises__" in ours:
        return f"now raises {ours}"
    if isinstance(theirs, list) and len(theirs) == 2 and isinstance(theirs[1], list):
        issues = "" if len(theirs[1]) == len(ours[1]) else f"issues: {theirs[1]}, now {ours[1]}"
        return issues or difference(theirs[0], ours[0])
    if isinstance(theirs, dict) and "__dataset__" in theirs:
        return dataset_difference(encoding.decode(theirs), encoding.decode(ours))
    if isinstance(theirs, dict) and "issues" in theirs:
        if len(theirs["issues"]) != len(ours["issues"]):
            return f"issues: {theirs['issues']}, now {ours['issues']}"
        theirs, ours = {**theirs, "issues": []}, {**ours, "issues": []}
    try:
        np.testing.assert_equal(encoding.decode(ours), encoding.decode(theirs))
    except AssertionError as error:
        return str(error)
    return ""


def dataset_difference(theirs: xarray.Dataset, ours: xarray.Dataset) -> str:
    try:
        xarray.testing.assert_identical(ours, theirs)
    except AssertionError as error:
        return str(error)
    kinds = {name: (theirs[name].dtype, ours[name].dtype) for name in theirs.variables}
    return "".join(f"{name}: {a}, now {b}; " for name, (a, b) in kinds.items() if a != b)


def test_every_case_was_asked() -> None:
    assert list(REFERENCE) == list(CASES)


@pytest.mark.parametrize("name", CASES)
def test_a_projection_gives_what_databroker_gave(name: str, tmp_path: Path) -> None:
    def open_run() -> Any:
        file, uid = projections.with_projections(CASES[name], DATA, tmp_path)
        return BlueskyJSONLCatalog(file)[uid]

    theirs = REFERENCE[name]
    ours = projections.about(CASES[name], projector, open_run, encoding.encode, calculations=ALLOWED)
    differences = {question: difference(theirs[question], ours[question]) for question in theirs}
    differences = {question: what for question, what in differences.items() if what}
    meant = {
        question
        for names, questions in INTENDED
        if re.fullmatch(names, name)
        for question in theirs
        if re.fullmatch(questions, question)
    }
    assert {question: what for question, what in differences.items() if question not in meant} == {}
    assert meant <= set(differences), "these are said to be different and are not any more"
