"""What a client reads of data of every family, whatever the server: tests that a server's own tests inherit."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from databroker_like import errors
from databroker_like import queries as q
from databroker_like.client.container import DESCENDING, Container

RECORDS = [{"x": [1, 2], "y": 1.5}, {"x": [], "y": 2.5}, {"x": [3], "y": 3.5}]
DENSE = np.zeros((6, 4))
PLACES = np.array([[0, 1, 4, 5], [1, 0, 3, 2]])
DENSE[tuple(PLACES)] = [1.5, 2.5, 3.5, 4.5]
ROWS = [[1.0, 2.0], [3.0], [4.0, 5.0, 6.0]]
MOMENTS = np.array(["2026-01-01", "2026-01-02"], "M8[s]")
WORDS = np.array(["red", "green"])
DATASET = xr.Dataset(
    {
        "det": ("time", [1.0, 2.0, 3.0], {"units": "V"}),
        "name": ("time", np.array(["a", "bb", "c"])),
        "on": ("time", [True, False, True]),
        "image": (("time", "y", "x"), np.arange(24.0).reshape(3, 4, 2)),
    },
    coords={"time": np.array(["2026-01-01", "2026-01-02", "2026-01-03"], "M8[ns]"), "scale": ("x", [0.5, 1.5])},
    attrs={"sample": "gold"},
)
TABLE = pd.DataFrame({"a": [1, 2, 3], "s": ["x", "y", "z"]})


class EveryFamily:
    """The tests; ``kinds`` and ``lazy`` are fixtures: the container of everything, for numpy and for dask."""

    @pytest.mark.parametrize("index", [(), 2, (..., 1), (slice(1, 5), 0), (slice(None, None, -2), slice(1, None))])
    def test_sparse_arrays(self, kinds: Any, index: Any) -> None:
        for array in (kinds["sparse"], kinds["cut"]):
            found = array[index]
            np.testing.assert_array_equal(getattr(found, "todense", lambda found=found: found)(), DENSE[index])
        assert kinds["sparse"].dims == ("y", "x")
        np.testing.assert_array_equal(kinds["cut"].read_block((1, 0)).todense(), DENSE[3:])
        np.testing.assert_array_equal(kinds["cut"].read_block((1, 0), (slice(1, None),)).todense(), DENSE[4:])

    def test_awkward_arrays(self, kinds: Any) -> None:
        array = kinds["awkward"]
        assert array.read().tolist() == RECORDS
        assert array["x"].tolist() == [[1, 2], [], [3]]
        assert array["x", :, :1].tolist() == [[1], [], [3]]
        assert (array[0, "y"], array[-1].tolist(), len(array)) == (1.5, RECORDS[-1], 3)

    def test_ragged_arrays(self, kinds: Any) -> None:
        array = kinds["ragged"]
        assert array.read().tolist() == ROWS
        assert array[::-1].tolist() == ROWS[::-1]
        assert array[1:, ::-1].tolist() == [row[::-1] for row in ROWS[1:]]
        assert (array[2, 1], array[0].tolist(), array.shape) == (5.0, ROWS[0], (3, None))

    def test_arrays_of_other_types(self, kinds: Any, lazy: Any) -> None:
        for name, expected in (("moments", MOMENTS), ("words", WORDS), ("empty", np.zeros((0, 3)))):
            for found in (kinds[name].read(), lazy[name].read().compute(), np.asarray(kinds[name])):
                np.testing.assert_array_equal(found, expected)
                assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        assert (kinds["point"].read(), kinds["point"].shape) == (4.5, ())

    def test_datasets(self, kinds: Any, lazy: Any) -> None:
        xr.testing.assert_identical(kinds["dataset"].read(), DATASET)
        xr.testing.assert_identical(kinds["dataset"].read(optimize_wide_table=False), DATASET)
        found = lazy["dataset"].read()
        assert found["image"].chunks
        xr.testing.assert_identical(found.compute(), DATASET)
        assert list(kinds["dataset"].read(["det", "on"])) == ["det", "on"]
        assert kinds["dataset", "det"].metadata["attrs"] == {"units": "V"}

    def test_tables_and_arrays_as_one(self, kinds: Any, lazy: Any) -> None:
        both = kinds["both"]
        assert list(both) == ["time", "det", "image", "number"]
        assert both["det"].read().tolist() == [5, 6, 7]
        found = both.read()
        assert found["det"].dims == found["number"].dims == ("dim0",)
        assert found["image"].dims == ("time", "x")
        xr.testing.assert_identical(lazy["both"].read().compute(), found)
        assert both.read(["det", "number"], dim0="point").sizes == {"point": 3}
        with pytest.raises(KeyError, match="base"):
            both["table"]
        assert list(both.base) == ["table", "image", "number"]

    def test_tables(self, kinds: Any, lazy: Any) -> None:
        pd.testing.assert_frame_equal(kinds["tab"].read(), TABLE, check_dtype=False)
        part = lazy["tab"].read_partition(0, columns=["s"])
        assert part["s"].compute().tolist() == ["x", "y", "z"]
        assert lazy["tab"].compute()["a"].tolist() == [1, 2, 3]
        assert kinds["tab"]["a"].read().tolist() == [1, 2, 3]

    def test_what_is_found_at_any_depth(self, kinds: Any) -> None:
        found = kinds.search_deep(q.KeyPresent("color"))
        paths = [("deep", "one"), ("deep", "one", "inside"), ("deep", "two"), ("deep", "two", "inside")]
        assert (sorted(found), len(found)) == (paths, 4)
        assert found.keys().page_size(1)[:] == list(found)
        assert found.keys()[-2:] == list(found)[-2:]
        assert found["deep", "two"].metadata["color"] == "red"
        assert ("deep",) not in found
        assert list(kinds.search_deep(q.KeyPresent("color"), q.Key("color") == "blue", max_depth=2)) == []

    def test_listings_page_with_their_search(self, kinds: Any) -> None:
        found = kinds.search(q.StructureFamilyQuery("array"))
        assert found.keys().page_size(1)[:] == found.keys()[:]
        assert set(found) == {name for name in kinds if kinds[name].structure_family == "array"}
        assert kinds.keys()[3:-2] == list(kinds)[3:-2]

    def test_searches_and_what_is_different(self, kinds: Any) -> None:
        deep = kinds["deep"]
        assert list(deep.search({"color": "red"}).search(q.Lookup("two"))) == ["two"]
        assert list(deep.search(q.KeyPresent("color") & q.KeysFilter(["two"]))) == ["two"]
        assert "two" in deep.search(q.Key("color") == "red")
        assert "nothing" not in deep.search(q.Key("color") == "red")
        families = kinds.distinct(structure_families=True, counts=True)["structure_families"]
        assert {"value": "sparse", "count": 2} in families
        assert kinds.sort(("", DESCENDING)).keys()[:3] == kinds.keys()[:-4:-1] == list(kinds)[:-4:-1]
        assert (kinds.get("nothing"), kinds.get("nothing", 3)) == (None, 3)
        assert len(kinds.search(q.SpecsQuery(["composite"]))) == 1

    def test_exports(self, kinds: Any, tmp_path: Path) -> None:
        kinds["tab"].export(tmp_path / "t.csv", ["a"])
        assert (tmp_path / "t.csv").read_text().split() == ["a", "1", "2", "3"]
        into = io.BytesIO()
        kinds["both"].base["image"].export(into, format="text/csv", slice=(slice(0, 1), slice(0, 2)))
        assert into.getvalue().split() == [b"0.0,1.0"]
        for name in ("awkward", "ragged"):
            kinds[name].export(tmp_path / f"{name}.json")
            assert (tmp_path / f"{name}.json").read_bytes().startswith(b"[")
        with pytest.raises(errors.Invalid):
            kinds["tab"].export(tmp_path / "t.nonsense")
        assert sorted(p.name for p in tmp_path.iterdir()) == ["awkward.json", "ragged.json", "t.csv"]

    def test_the_rest_of_a_node(self, kinds: Any) -> None:
        node = kinds["dataset", "det"]
        assert node.parent.uri == kinds["dataset"].uri
        assert node.refresh() is node
        assert node.new_variation(structure_clients="dask").uri == node.uri
        assert "application/octet-stream" in node.formats
        assert type(kinds.new_variation()) is Container
        assert kinds._ipython_key_completions_() == list(kinds)
        with pytest.raises(TypeError):
            kinds[0]
