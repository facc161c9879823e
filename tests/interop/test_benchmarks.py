"""The benchmarks measure what they say on data that means what it should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from databroker_like.drivers.jsonl import BlueskyJSONLCatalog

ROOT = Path(__file__).parents[2]


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The package beside tests/, which is no part of the distribution."""
    monkeypatch.syspath_prepend(str(ROOT))
    import benchmarks.data
    import benchmarks.measure
    import benchmarks.report

    return benchmarks


def test_the_best_of_several_leaves_out_what_was_done_before(benchmarks: Any) -> None:
    calls: list[str] = []
    cost = benchmarks.measure.best_of(3, lambda _: calls.append("work"), before=lambda: calls.append("before"))
    assert calls == ["before", "work"] * 3
    assert 0 <= cost < 10


def test_a_fresh_process_that_fails_is_no_measurement(benchmarks: Any) -> None:
    assert benchmarks.measure.fresh("import sys; print(sys.argv[1])", "word", times=1).printed == "word\n"
    with pytest.raises(RuntimeError, match="ended with 3"):
        benchmarks.measure.fresh("raise SystemExit(3)", times=1)


def test_a_row_says_whether_it_is_met(benchmarks: Any, tmp_path: Path) -> None:
    met = benchmarks.measure.Row("reading", 1.5, 2, "times", "beside it")
    missed = benchmarks.measure.Row("writing", 0.2, 0.1)
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- table -->\nold\n<!-- end of table -->\nafter\n")
    benchmarks.report.write(readme, [met, missed], "table")
    text = readme.read_text()
    assert "| reading | 1.50 times | 2.00 times | met | beside it |" in text
    assert "| writing | 0.200 CPU-s | 0.100 CPU-s | **not met** |" in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert benchmarks.report.line(missed).startswith("NOT met")


def test_the_run_of_scalars_holds_the_table_it_is_made_of(benchmarks: Any, tmp_path: Path) -> None:
    path = benchmarks.data.scalar_run(tmp_path / "run.jsonl", 50)
    data = BlueskyJSONLCatalog(str(path))[-1].primary.read()
    for name, column in benchmarks.data.scalar_table(50).items():
        np.testing.assert_array_equal(data[name].values, column)
        assert data[name].dtype == column.dtype


def test_small_runs_are_as_many_runs(benchmarks: Any, tmp_path: Path) -> None:
    catalog = BlueskyJSONLCatalog(str(benchmarks.data.small_runs(tmp_path / "small", 30) / "*.jsonl"))
    assert len(catalog) == 30
    assert len(catalog.search({"plan_name": "scan"})) == 30 // 7


@pytest.mark.slow
@pytest.mark.parametrize("maker", ["camera_run", "streamed_run"])
def test_image_runs_hold_the_frames(
    benchmarks: Any, tmp_path: Path, maker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmarks.data, "FRAMES", (5, 8, 9))
    path = getattr(benchmarks.data, maker)(tmp_path / maker)
    frames = BlueskyJSONLCatalog(str(path))[-1].primary.read()["img"]
    assert frames.dtype == np.uint16
    expected = np.arange(72, dtype="uint16").reshape(8, 9) + np.arange(5, dtype="uint16")[:, None, None]
    np.testing.assert_array_equal(frames.values.reshape(5, 8, 9), expected)
