"""The recorded runs give what databroker 1.2.5 gave for them, but for what is meant to be different."""

import importlib.util
import json
import re
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import xarray

from databroker_like.drivers.jsonl import BlueskyJSONLCatalog
from databroker_like.queries import TimeRange

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
RUNS = sorted(path.stem for path in (DATA / "runs").glob("*.jsonl"))

#: What is meant to be different: (runs, questions) as patterns, and why. Everything that they name must be different.
INTENDED: dict[tuple[str, str], str] = {
    (".*", ".*: include unknown"): (
        "when no column is left the times of the events still are: databroker's Dataset has nothing at all"
    ),
    (
        "arrays|hdf5_.*|named_dims|numpy_images|reconfigured|strings_in_arrays|two_camera_streams|wrong_shape|zero_events",
        ".*: timestamps",
    ): "each reading of an array has one timestamp: databroker gives it the array's dims, and raises",
    ("numpy_images|reconfigured", "primary: to_dask"): (
        "to_dask() says what its chunks are made of: databroker says float64 of integers"
    ),
    ("configuration", "primary: config_timestamps rich"): (
        "a configured array has one timestamp: databroker gives it the array's dims, each of length one"
    ),
    ("numpy_images|missing_handler", "primary: config(_timestamps)? (img|strange)"): (
        "a datum_id in the configuration is one string: databroker gives it the dims of the image"
    ),
    ("reconfigured", "primary: (read|exclude first)"): (
        "integers stay integers when the events of two descriptors are joined: databroker's outer join makes floats"
    ),
    ("zero_events", "primary: (read|to_dask|exclude first)"): (
        "a string column without events is a string column: databroker says float64"
    ),
    ("missing_handler", "primary: (read|to_dask|timestamps)"): (
        "one missing handler costs the columns that need it, with a warning: databroker gives none"
    ),
    ("monitored|scalars|two_camera_streams", "documents .*"): (
        "descriptors come in the order in which they were recorded: databroker's is the order of a set"
    ),
}


def load(name: str) -> ModuleType:
    """A module of scripts/peers, which is no package of the distribution."""
    spec = importlib.util.spec_from_file_location(f"peers_{name}", ROOT / "scripts" / "peers" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


encoding = load("encoding")
questions = load("questions")


@pytest.fixture(scope="module")
def interview() -> Any:
    def open_catalog() -> BlueskyJSONLCatalog:
        return BlueskyJSONLCatalog(
            str(DATA / "runs" / "*.jsonl"), root_map={"/recorded/external": str(DATA / "external")}
        )

    return load("interview").Interview(open_catalog, DATA / "external", encoding.encode, TimeRange)


def reference(name: str) -> dict[str, Any]:
    return json.loads((DATA / "reference" / f"{name}.json").read_text(encoding="utf-8"))


def difference(theirs: Any, ours: Any) -> str:
    """What is different between two answers; nothing when they are the same."""
    if isinstance(theirs, dict) and "__raises__" in theirs:
        raised = ours.get("__raises__", []) if isinstance(ours, dict) else []
        expected = {"QueryError": "InvalidQuery"}.get(theirs["__raises__"][0], theirs["__raises__"][0])
        return "" if expected in raised else f"{expected} was raised, now {raised or 'nothing'}"
    if isinstance(theirs, dict) and "__dataset__" in theirs:
        if "__dataset__" not in ours:
            return f"a Dataset, now {ours}"
        return dataset_difference(encoding.decode(theirs), encoding.decode(ours))
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
    # What assert_identical lets pass.
    if list(ours.data_vars) != list(theirs.data_vars):
        return f"order of columns: {list(theirs.data_vars)}, now {list(ours.data_vars)}"
    kinds = {name: (theirs[name].dtype, ours[name].dtype) for name in theirs.variables}
    return "".join(f"{name}: {a}, now {b}; " for name, (a, b) in kinds.items() if a != b)


def intended(run: str, asked: list[str]) -> set[str]:
    return {
        question
        for runs, pattern in INTENDED
        if re.fullmatch(runs, run)
        for question in asked
        if re.fullmatch(pattern, question)
    }


@pytest.mark.parametrize("run", RUNS)
def test_a_run_answers_as_databroker_did(run: str, interview: Any) -> None:
    theirs = reference(run)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a wrong shape, a missing handler: their own tests look at them
        ours = dict(interview.about_run(DATA / "runs" / f"{run}.jsonl"))
    assert list(ours) == list(theirs)
    differences = {question: difference(theirs[question], ours[question]) for question in theirs}
    differences = {question: what for question, what in differences.items() if what}
    meant = intended(run, list(theirs))
    assert {q: what for q, what in differences.items() if q not in meant} == {}
    assert meant <= set(differences), "these are said to be different and are not any more"


def test_the_catalog_answers_as_databroker_did(interview: Any) -> None:
    theirs = reference("_catalog")
    ours = dict(interview.about_catalog(questions.LOOKUPS, questions.SEARCHES, questions.TIME_RANGES))
    assert list(ours) == list(theirs)
    differences = {question: difference(theirs[question], ours[question]) for question in theirs}
    assert {question: what for question, what in differences.items() if what} == {}


def test_every_recorded_run_has_its_answers() -> None:
    assert sorted(path.stem for path in (DATA / "reference").glob("[!_]*.json")) == RUNS
    assert len(RUNS) > 15


@pytest.mark.parametrize(
    "value",
    [
        np.array([1.5, float("nan"), float("-inf"), 1e-320]),
        np.arange(100, dtype="uint16").reshape(10, 10),
        np.array(["a", "länger"]),
        np.array([[1, 2], ["a", None]], dtype=object),
        np.float32(0.1),
        xarray.Dataset(
            {"x": (("time", "dim_0"), np.ones((2, 3), dtype="int8"), {"object": "x"})}, coords={"time": [0.1, 0.2]}
        ),
    ],
)
def test_an_answer_that_was_written_down_is_the_very_same_again(value: Any) -> None:
    again = encoding.decode(json.loads(json.dumps(encoding.encode(value))))
    if isinstance(value, xarray.Dataset):
        assert dataset_difference(value, again) == ""
    else:
        assert again.dtype == value.dtype
        np.testing.assert_array_equal(again, value)


def test_a_value_that_could_not_be_made_again_is_refused() -> None:
    with pytest.raises(TypeError, match="object cannot be written down"):
        encoding.encode(object())


def test_a_difference_in_dtype_or_order_alone_is_seen() -> None:
    one = xarray.Dataset({"a": ("time", [1, 2]), "b": ("time", [1.0, 2.0])})
    assert dataset_difference(one, one.assign(a=one["a"].astype("float64")))
    assert dataset_difference(one, one[["b", "a"]])
