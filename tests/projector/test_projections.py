"""Projections: which one is meant, what it gives, what it may call."""

import math
import sys
import types
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from databroker_like import projector
from databroker_like.drivers.in_memory import BlueskyInMemoryCatalog
from databroker_like.errors import DatabrokerError, ProjectionError, WrongType
from databroker_like.testing import _runs
from databroker_like_handlers.npy import NumpySeqHandler


def linked(field: str, stream: str = "primary") -> dict[str, Any]:
    return {"type": "linked", "location": "event", "stream": stream, "field": field}


def from_start(field: str) -> dict[str, Any]:
    return {"type": "linked", "location": "start", "field": field}


def configured(device: str, field: str, index: int = 0, stream: str = "primary") -> dict[str, Any]:
    return {
        "type": "linked",
        "location": "configuration",
        "stream": stream,
        "config_index": index,
        "config_device": device,
        "field": field,
    }


def calculated(function: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
    calculation = {"callable": function, "args": list(args), "kwargs": kwargs}
    return {"type": "calculated", "location": "event", "stream": "primary", "field": "f", "calculation": calculation}


def projection(name: str | None = None, **fields: Any) -> dict[str, Any]:
    named = {} if name is None else {"name": name}
    return {"version": "1", "configuration": {}, "projection": fields, **named}


def recorded(documents: list[tuple[str, dict[str, Any]]], **kwargs: Any) -> Any:
    catalog = BlueskyInMemoryCatalog(**kwargs)
    for name, doc in documents:
        catalog.insert(name, doc)
    return catalog[-1]


@pytest.fixture
def run() -> Any:
    carried = [projection("one", m=linked("motor")), projection("two", c=linked("count"))]
    return recorded(_runs.scalars(projections=carried))


def total(run: Any, *columns: str, factor: int = 1) -> Any:
    data = run["primary"].read()
    return sum(data[name] for name in columns) * factor


# -- which one


def test_a_name_chooses_among_those_that_the_run_carries(run: Any) -> None:
    assert projector.get_run_projection(run, "two")["projection"] == {"c": linked("count")}
    assert projector.get_run_projection(run) is None
    assert projector.get_run_projection(run, "three") is None


def test_what_is_there_is_said_when_none_is_meant(run: Any) -> None:
    with pytest.raises(ProjectionError, match=r"2 projections; choose one by projection_name: 'one', 'two'"):
        projector.project_xarray(run)
    with pytest.raises(ProjectionError, match=r"no projection 'ome'; it has 'one', 'two'"):
        projector.project_summary_dict(run, projection_name="ome")
    with pytest.raises(ProjectionError, match=r"carries no projections; hand one in"):
        projector.project_summary_dict(recorded(_runs.scalars()))


def test_a_projection_error_is_caught_as_databrokers_errors_were(run: Any) -> None:
    assert issubclass(ProjectionError, KeyError)
    assert issubclass(ProjectionError, DatabrokerError)
    assert projector.ProjectionError is ProjectionError


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"projection": []},
        {"projection": {"a": "plan_name"}},
        {"projection": {"a": {"location": "start"}}},
        {"projection": {"a": {"type": "linked", "location": "start", "field": ["plan_name"]}}},
        {"projection": {"a": {"type": "linked", "location": "event", "stream": {}, "field": "x"}}},
        [],
    ],
)
def test_a_projection_that_cannot_be_understood_is_an_error(run: Any, wrong: Any) -> None:
    with pytest.raises(ProjectionError):
        projector.project_xarray(run, projection=wrong)


@pytest.mark.parametrize("carried", ["one", {"projection": {}}, [1], [["one"]]])
def test_projections_of_a_wrong_type_in_a_document_are_an_error(carried: Any) -> None:
    run = recorded(_runs.scalars())
    run._header._start = {**run.metadata["start"], "projections": carried}
    with pytest.raises(ProjectionError, match="list of mappings"):
        projector.project_xarray(run)


# -- what it gives


def test_event_fields_are_lazy_and_have_the_configuration_of_their_stream(run: Any) -> None:
    wanted = projection(
        g=configured("device", "gain"), m=linked("motor"), c=linked("count"), by=from_start("plan_name")
    )
    dataset, issues = projector.project_xarray(run, projection=wanted)
    assert issues == []
    assert dataset["m"].chunks is not None
    assert dataset.attrs == {"by": "scan"}
    np.testing.assert_array_equal(dataset["c"].values, range(5))
    for field in ("m", "c"):
        assert projector.get_xarray_config_field(dataset, field, 0, "device", "gain") == 2.5
    with pytest.raises(IndexError):
        projector.get_xarray_config_field(dataset, "m", 1, "device", "gain")
    with pytest.raises(KeyError):
        projector.get_xarray_config_field(dataset, "m", 0, "device", "loss")


def test_projecting_changes_nothing_of_the_run(run: Any) -> None:
    before = run["primary"].to_dask()
    projector.project_xarray(run, projection=projection(m=linked("motor"), g=configured("device", "gain")))
    assert "configuration" not in run["primary"].to_dask()["motor"].attrs
    assert before.identical(run["primary"].to_dask())


def test_fields_of_streams_with_other_times_are_joined_by_time() -> None:
    run = recorded(_runs.several_streams())
    wanted = projection(x=linked("x"), i=linked("current", "monitor"), t=linked("temperature", "baseline"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset, issues = projector.project_xarray(run, projection=wanted)
    assert issues == []
    times = [run[stream].read()["time"].values for stream in ("primary", "monitor", "baseline")]
    np.testing.assert_array_equal(dataset["time"].values, np.unique(np.concatenate(times)))
    assert int(dataset["i"].notnull().sum()) == len(times[1])


def test_images_are_projected_without_being_read(tmp_path: Path) -> None:
    run = recorded(_runs.external(tmp_path), handler_registry={"NPY_SEQ": NumpySeqHandler})
    dataset, _ = projector.project_xarray(run, projection=projection(image=linked("image")))
    for file in tmp_path.glob("*.npy"):
        values = np.load(file)
        np.save(file, values + 7)
    assert dataset["image"].shape == (3, 4, 5)
    np.testing.assert_array_equal(dataset["image"].values[:, 0, 0], [7, 8, 9])


def test_what_the_run_does_not_have_is_an_issue_with_the_nearest_name(run: Any) -> None:
    wanted = projection(
        a=linked("moter"),
        b=linked("motor", "primery"),
        c=from_start("plan_nam"),
        d=configured("devise", "gain"),
        e=configured("device", "gian"),
        f=configured("device", "gain", index=3),
        g={"type": "linked", "location": "stop", "field": "exit_status"},
        h={"type": "static"},
        good=linked("motor"),
    )
    dataset, issues = projector.project_xarray(run, projection=wanted)
    assert list(dataset.data_vars) == ["good"]
    assert [issue.split("field '")[1][0] for issue in issues] == list("abcdefgh")
    assert all(run.metadata["start"]["uid"] in issue for issue in issues)
    for issue, near in zip(issues[:5], ("motor", "primary", "plan_name", "device", "gain"), strict=True):
        assert repr(near) in issue


def test_static_values_are_attributes(run: Any) -> None:
    wanted = projection(title={"type": "static", "value": "Scan of gold"})
    assert projector.project_xarray(run, projection=wanted)[0].attrs == {"title": "Scan of gold"}
    assert projector.project_summary_dict(run, projection=wanted) == ({"title": "Scan of gold"}, [])


def test_a_summary_opens_no_stream(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = projection(m=linked("motor"), by=from_start("plan_name"), n=from_start("scan_id"), p=calculated("a:b"))
    monkeypatch.setattr(type(run), "__getitem__", lambda self, key: pytest.fail("a stream was opened"))
    assert projector.project_summary_dict(run, projection=wanted) == ({"by": "scan", "n": 1}, [])
    assert projector.project_summary_dict(run, projection=wanted, return_fields=["n", "x"]) == ({"n": 1}, [])


def test_issues_are_those_of_the_last_run(run: Any) -> None:
    made = projector.Projector()
    made.project(run, projection(a=from_start("absent")))
    assert len(made.issues) == 1
    made.project(run, projection())
    assert made.issues == []


# -- what it calls


def test_a_calculation_that_was_handed_in_is_called_with_the_run(run: Any) -> None:
    wanted = projection(sum=calculated("lab:total", "motor", "count", factor=2))
    dataset, issues = projector.project_xarray(run, projection=wanted, calculations={"lab:total": total})
    assert issues == []
    data = run["primary"].read()
    np.testing.assert_allclose(dataset["sum"].values, 2 * (data["motor"] + data["count"]).values)


def test_functions_and_modules_go_by_their_own_names(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("lab")
    source = {"total": total, "_hidden": lambda run: 1, "sqrt": math.sqrt, "Path": Path, "os": sys.modules["os"]}
    vars(module).update(source)
    monkeypatch.setattr(total, "__module__", "lab")
    for given in ([module], [total]):
        value = projector.get_calculated_value(run, "s", calculated("lab:total", "motor"), given)
        np.testing.assert_array_equal(value.values, run["primary"].read()["motor"].values)
    for name in ("lab:_hidden", "lab:sqrt", "lab:Path", "lab:os.system", "os:system", "lab:absent", "lab.total"):
        with pytest.raises(ProjectionError, match="not among the calculations"):
            projector.get_calculated_value(run, "s", calculated(name), [module])


def test_nothing_is_imported_because_a_document_names_it(run: Any, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "trap_in_a_projection.py").write_text("raise SystemExit('the trap was imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    wanted = projection(trap=calculated("trap_in_a_projection:spring"), m=linked("motor"))
    dataset, issues = projector.project_xarray(run, projection=wanted)
    assert list(dataset.data_vars) == ["m"]
    (issue,) = issues
    assert "calculations={'trap_in_a_projection:spring': the_function}" in issue
    assert "trap_in_a_projection" not in sys.modules


def test_a_calculation_that_fails_says_which_and_why(run: Any) -> None:
    def failing(run: Any) -> None:
        raise ZeroDivisionError("on purpose")

    with pytest.raises(ProjectionError, match=r"'f': the calculation 'lab:f' failed: ZeroDivisionError: on"):
        projector.project_xarray(run, projection=projection(f=calculated("lab:f")), calculations={"lab:f": failing})
    with pytest.raises(ProjectionError, match=r"gave a int; in a Dataset it must be an xarray.DataArray"):
        projector.project_xarray(
            run, projection=projection(f=calculated("lab:f")), calculations={"lab:f": lambda run: 1}
        )
    with pytest.raises(ProjectionError, match="names no 'callable'"):
        projector.get_calculated_value(run, "f", {"type": "calculated"})


@pytest.mark.parametrize("given", [{"lab:f": 3}, ["lab"], [3]])
def test_calculations_are_functions_and_modules(given: Any) -> None:
    with pytest.raises(WrongType):
        projector.Projector(calculations=given)
