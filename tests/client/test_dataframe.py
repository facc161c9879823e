from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from databroker_like import errors


def computed(found: Any) -> pd.DataFrame:
    return found.compute() if hasattr(found, "compute") else found


@pytest.mark.parametrize("clients", ["numpy", "dask"])
@pytest.mark.parametrize("npartitions", [1, 2, 3])
def test_tables_are_read_whole_by_columns_and_by_partitions(
    opened: Any, server: Any, clients: str, npartitions: int
) -> None:
    server.npartitions = npartitions
    client = opened("table", clients=clients)
    assert client.columns == list(client) == ["a", "s"]
    assert computed(client.read())["a"].tolist() == [1, 2, 3, 4, 5]
    assert computed(client.read(["s"]))["s"].tolist() == list("vwxyz")
    parts = [computed(client.read_partition(n))["a"].tolist() for n in range(npartitions)]
    assert [value for part in parts for value in part] == [1, 2, 3, 4, 5]
    has = "has 1 partition, and" if npartitions == 1 else f"has {npartitions} partitions, and"
    with pytest.raises(IndexError, match=has):
        client.read_partition(npartitions)


def test_dask_reads_nothing_before_it_computes(opened: Any, server: Any) -> None:
    client = opened("table", clients="dask")
    server.asked.clear()
    lazy = client.read()
    assert server.asked == []
    assert lazy["a"].sum().compute() == 15
    assert all(("column", "a") in query for _, _, query in server.asked)


def test_one_column_is_an_array(opened: Any) -> None:
    assert opened("table")["a"].read().tolist() == [1, 2, 3, 4, 5]


def test_columns_are_offered_to_choose_from(opened: Any) -> None:
    assert "a" in opened("table")._ipython_key_completions_() == list(opened("table"))


@pytest.mark.parametrize("wrong", [["aa"], ["a", "nothing"]])
def test_columns_that_are_not_there_are_told_without_asking(opened: Any, server: Any, wrong: list[str]) -> None:
    client = opened("table")
    server.asked.clear()
    with pytest.raises(errors.NoSuchColumn, match="no column"):
        client.read(wrong)
    with pytest.raises(errors.Invalid, match=r"\['a'\]"):
        client.read("a")
    with pytest.raises(KeyError):
        client["nothing"]
    assert server.asked == []


def test_no_columns_are_as_many_rows(opened: Any) -> None:
    assert opened("table").read([]).shape == (5, 0)


def test_many_columns_are_sent_as_a_body(opened: Any, server: Any) -> None:
    names = [f"a column with a long name {n}" for n in range(100)]
    server.nodes["table"] = pa.table({name: [1.0, 2.0] for name in names})
    found = opened("table").read(names[1:])
    assert list(found.columns) == names[1:]
    assert {method for method, path, _ in server.asked if "partition" in path} == {"POST"}


def test_what_is_no_table_is_told(opened: Any, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client = opened("table")
    monkeypatch.setattr(server, "answer", lambda *_: (200, "application/vnd.apache.arrow.file", b"nonsense"))
    with pytest.raises(errors.ServiceFailed, match="no table"):
        client.read()


def test_tables_are_exported(opened: Any, tmp_path: Path) -> None:
    opened("table").export(tmp_path / "t.csv", ["s"])
    assert "('column', 's')" in (tmp_path / "t.csv").read_text()
