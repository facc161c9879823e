"""CSV, Parquet, Arrow and Excel files as nodes."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import openpyxl.chart
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databroker_like.errors import NoSuchColumn, OutOfRange
from databroker_like.nodes import ContainerNode, TableNode
from databroker_like.nodes._broken import BrokenNode
from databroker_like.nodes.files import FolderNode
from tests.support.settling import settle

TABLE = pa.table({"x": list(range(1000)), "name": [f"n{i}" for i in range(1000)], "y": [i / 4 for i in range(1000)]})


def write(path: Path, table: pa.Table) -> Path:
    """A file of the format that its name says."""
    if path.suffix == ".csv":
        table.to_pandas().to_csv(path, index=False)
    elif path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=100)
    elif path.suffix == ".feather":
        pa.feather.write_feather(table, path)
    elif path.suffix == ".arrows":
        with pa.ipc.new_stream(path, table.schema) as stream:
            stream.write_table(table, max_chunksize=100)
    else:
        with pa.ipc.new_file(path, table.schema) as file:
            file.write_table(table, max_chunksize=100)
    return path


def table_in(folder: Path, key: str) -> TableNode:
    """The table under a key."""
    node = FolderNode(folder).get(key)
    assert isinstance(node, TableNode), node and node.metadata
    return node


FORMATS = [".csv", ".parquet", ".feather", ".arrow", ".arrows"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_table_is_read_whole_by_columns_by_rows_and_as_arrays(tmp_path: Path, suffix: str) -> None:
    write(tmp_path / f"t{suffix}", TABLE)
    node = table_in(tmp_path, "t")
    assert node.structure().columns == ("x", "name", "y")
    assert node.read().equals(TABLE)
    assert node.read(["y", "x"]).column_names == ["y", "x"]
    assert node.read([]).num_columns == 0
    assert node.read_rows(["x"], 250, 253)["x"].to_pylist() == [250, 251, 252]
    assert node.read_rows(["x"], 2000, 2001).num_rows == 0
    assert node.get("y").read((slice(None, None, 500),)).tolist() == [0, 125]
    assert node.get("nothing") is None
    with pytest.raises(NoSuchColumn, match="'x'"):
        node.read(["xx"])
    with pytest.raises(NoSuchColumn):
        node.read_partition(0, ["xx"])
    with pytest.raises(OutOfRange):
        node.read_partition(node.structure().npartitions)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_large_table_has_partitions_which_together_are_the_table(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / f"t{suffix}", TABLE)
    monkeypatch.setattr("databroker_like.files.parquet.grouped", few)
    monkeypatch.setattr("databroker_like.files.arrow.grouped", few)
    monkeypatch.setattr("databroker_like.files.csv_table.PART_BYTES", 2000)
    node = table_in(tmp_path, "t")
    count = node.structure().npartitions
    assert count > 3 or suffix == ".feather"
    parts = [node.read_partition(number) for number in range(count)]
    assert pa.concat_tables(parts).equals(TABLE)
    assert node.read_partition(count - 1, ["name"])["name"].to_pylist()[-1] == "n999"
    assert node.read().equals(TABLE)
    for start, stop in ((0, 5), (95, 305), (999, None), (100, 100), (5000, 6000)):
        assert node.read_rows(["x", "y"], start, stop).to_pydict() == {
            name: TABLE[name].to_pylist()[start:stop] for name in ("x", "y")
        }


def few(sizes: Any) -> list[range]:
    """Two at a time."""
    return [range(at, min(at + 2, len(sizes))) for at in range(0, len(sizes), 2)] or [range(0)]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_table_without_rows_is_a_table(tmp_path: Path, suffix: str) -> None:
    write(tmp_path / f"t{suffix}", TABLE.slice(0, 0))
    node = table_in(tmp_path, "t")
    assert node.structure().columns == ("x", "name", "y")
    assert (node.structure().npartitions, node.read().num_rows, node.read(["y"]).num_rows) == (1, 0, 0)


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".arrows"])
def test_columns_of_every_type_are_read(tmp_path: Path, suffix: str) -> None:
    table = pa.table(
        {
            "time": pa.array([dt.datetime(2026, 1, 1), None], pa.timestamp("ns", "UTC")),
            "word": pa.array(["a", "b"]).dictionary_encode(),
            "list": [[1, 2], [3]],
            "record": [{"a": 1}, {"a": 2}],
            "bytes": [b"1", b"2"],
            "a.b": [1, 2],
            "a": [3, 4],
        }
    )
    write(tmp_path / f"t{suffix}", table)
    node = table_in(tmp_path, "t")
    assert node.read().to_pydict() == table.to_pydict()
    assert node.read(["a"]).to_pydict() == {"a": [3, 4]}
    assert node.read(["a.b", "word"]).to_pydict() == {"a.b": [1, 2], "word": ["a", "b"]}
    assert node.structure().schema.equals(node.read().schema)


def test_a_stream_with_dictionaries_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.table({"word": pa.array(["a", "b", "a", "c"] * 100).dictionary_encode()})
    write(tmp_path / "t.arrows", table)
    monkeypatch.setattr("databroker_like.files.arrow.grouped", few)
    node = table_in(tmp_path, "t")
    assert node.structure().npartitions == 2
    assert node.read_partition(1)["word"].to_pylist() == ["a", "b", "a", "c"] * 50


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    table = pa.table([pa.array([1]), pa.array([2])], names=["x", "x"])
    with pa.ipc.new_file(tmp_path / "t.arrow", table.schema) as file:
        file.write_table(table)
    node = FolderNode(tmp_path).get("t")
    assert isinstance(node, BrokenNode)
    assert "two columns" in node.metadata["error"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".arrow", ".arrows"])
def test_a_table_cut_short_while_it_is_served_shows_as_broken_or_shorter(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"t{suffix}", TABLE)
    tree = FolderNode(tmp_path)
    before = tree.get("t")
    assert isinstance(before, TableNode)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    after = tree.get("t")
    if isinstance(after, TableNode):
        assert after.read().num_rows < 1000
    else:
        assert "t" in after.metadata["error"]
    path.unlink()
    with pytest.raises(FileNotFoundError, match="any more") as caught:
        before.read()
    assert str(tmp_path) not in str(caught.value)


def test_a_table_is_read_by_many_threads(tmp_path: Path) -> None:
    for suffix in FORMATS:
        write(tmp_path / f"t{suffix}", TABLE)
    tree = FolderNode(tmp_path)
    keys = list(tree.keys())

    def read(number: int) -> None:
        node = tree.get(keys[number % len(keys)])
        assert node.read(["x"])["x"].to_pylist() == list(range(1000))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(read, range(100)))


def test_the_source_of_a_table_is_named_without_the_folder(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub" / "t.parquet", TABLE)
    node = FolderNode(tmp_path).get("sub").get("t")
    source = node.data_source()
    assert (source.media_type, source.assets[0].name, source.assets[0].is_directory) == (
        "application/x-parquet",
        "sub/t.parquet",
        False,
    )
    assert source.assets[0].path.read_bytes()[:4] == b"PAR1"


# -- CSV --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("x,y\n1,2.5\n3,4\n", {"x": [1, 3], "y": [2.5, 4.0]}),
        ("x,y\r\n1,a\r\n2,b\r\n", {"x": [1, 2], "y": ["a", "b"]}),
        ("x\n1\n\n2", {"x": [1, 2]}),
        ("\ufeffx,y\n1,2\n", {"x": [1], "y": [2]}),
        ("x,x,x\n1,2,3\n", {"x": [1], "x.1": [2], "x.2": [3]}),
        ('"a, b","c ""d"""\n1,2\n', {"a, b": [1], 'c "d"': [2]}),
        ('"two\nlines",y\n"and\nhere",2\n', {"two\nlines": ["and\nhere"], "y": [2]}),
        ("x,y\n,a\n1,\n", {"x": [None, 1], "y": ["a", ""]}),
        ("x,y\n,1\n,2\n", {"x": [None, None], "y": [1, 2]}),
        ("day,time\n2026-01-01,10:00\n", {"day": ["2026-01-01"], "time": ["10:00"]}),
        ("x\ntrue\nfalse\n", {"x": [True, False]}),
        ("x\n1\nb\n", {"x": ["1", "b"]}),
        ("x,y\n", {"x": [], "y": []}),
        ("x,y", {"x": [], "y": []}),
        ("x\n12345678901234567890123\n", {"x": [1.2345678901234568e22]}),
        ("x,y\r1,a\r\r2,b\r", {"x": [1, 2], "y": ["a", "b"]}),
        ("x,y\r1,a", {"x": [1], "y": ["a"]}),
        ("\r\rx,y\r1,a\n2,b\r\n", {"x": [1, 2], "y": ["a", "b"]}),
        ('"two\rlines",y\r"and\rhere",2\r', {"two\rlines": ["and\rhere"], "y": [2]}),
        ("x,y\r", {"x": [], "y": []}),
        ("x\n18446744073709551615\n9223372036854775809\n0\n", {"x": [2**64 - 1, 2**63 + 1, 0]}),
        ("x,y\n,1\n9223372036854775808,2\n", {"x": [None, 2**63], "y": [1, 2]}),
        ("x\n18446744073709551616\n1\n", {"x": [2.0**64, 1.0]}),
        ("x\n9223372036854775808\n-1\n", {"x": [2.0**63, -1.0]}),
        ("x\n9223372036854775808\n0.5\n", {"x": [2.0**63, 0.5]}),
        ("x\n1e19\n1\n", {"x": [1e19, 1.0]}),
        ("x\n9223372036854775808\nnan\n", {"x": [2.0**63, None]}),
    ],
)
def test_csv_is_numbers_truth_values_and_texts(tmp_path: Path, text: str, columns: dict[str, list[Any]]) -> None:
    (tmp_path / "t.csv").write_bytes(text.encode())
    assert table_in(tmp_path, "t").read().to_pydict() == columns


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"\n\n", "no header"),
        (b"x,y\n1\n", "Expected 2 columns"),
        ("x\n1\n".encode("utf-16"), "UTF-16"),
        (b'"' + b"x" * 3_000_000, "no header"),
    ],
)
def test_csv_that_makes_no_sense_is_broken(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    node = FolderNode(tmp_path).get("t")
    assert isinstance(node, BrokenNode)
    assert said in node.metadata["error"]


def test_csv_of_which_to_read_all_would_take_minutes_is_refused(tmp_path: Path) -> None:
    with open(tmp_path / "t.csv", "wb") as file:
        file.write(b"x\n1\n")
        file.truncate(5 << 30)
    node = FolderNode(tmp_path).get("t")
    assert isinstance(node, BrokenNode)
    assert "save it as Parquet" in node.metadata["error"]


def test_csv_that_is_not_utf_8_is_latin_1(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("n,angle in \u00b0,unit\n1,2,\u00b5m\n".encode("latin-1"))
    assert table_in(tmp_path, "t").read().to_pydict() == {"n": [1], "angle in \u00b0": [2], "unit": ["\u00b5m"]}
    assert table_in(tmp_path, "t").read(["unit"]).to_pydict() == {"unit": ["\u00b5m"]}


@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.integers(-(10**6), 10**6)),
            st.text(st.characters(codec="utf-8", exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=9),
        ),
        max_size=40,
    ),
    st.integers(1, 200),
)
def test_csv_in_parts_is_the_table_that_was_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int | None, str]], part: int
) -> None:
    folder = tmp_path_factory.mktemp("csv")
    frame = pd.DataFrame({"x": pd.array([x for x, _ in rows], "Int64"), "text": ["t" + text for _, text in rows]})
    frame.to_csv(folder / "t.csv", index=False, quoting=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("databroker_like.files.csv_table.PART_BYTES", part)
        node = table_in(folder, "t")
        parts = [node.read_partition(number) for number in range(node.structure().npartitions)]
        whole = node.read()
    assert whole["x"].to_pylist() == [x for x, _ in rows]
    assert whole["text"].to_pylist() == ["t" + text for _, text in rows]
    assert pa.concat_tables(parts).equals(whole)


def test_the_type_of_a_column_of_csv_is_that_of_all_its_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["x,y,z"] + ["1,,5"] * 100 + ["2.5,7,day"] * 100
    (tmp_path / "t.csv").write_text("\n".join(lines))
    monkeypatch.setattr("databroker_like.files.csv_table.PART_BYTES", 100)
    node = table_in(tmp_path, "t")
    assert node.structure().npartitions > 4
    assert [str(kind) for kind in node.structure().schema.types] == ["double", "int64", "string"]
    first = node.read_partition(0)
    assert first.schema.equals(node.structure().schema)
    assert first["z"][0].as_py() == "5"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_csv_is_cut_into_parts_at_line_ends_of_any_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    lines = ["x,y", *(f'{n},"{n}{end}, {n}"' for n in range(100))]
    (tmp_path / "t.csv").write_bytes(end.join(lines).encode())
    monkeypatch.setattr("databroker_like.files.csv_table.PART_BYTES", 100)
    node = table_in(tmp_path, "t")
    parts = [node.read_partition(number) for number in range(node.structure().npartitions)]
    assert len(parts) > 4
    assert max(part.num_rows for part in parts) < 20
    assert pa.concat_tables(parts).to_pydict() == {
        "x": list(range(100)),
        "y": [f"{n}{end}, {n}" for n in range(100)],
    }


def test_large_whole_numbers_of_csv_keep_their_digits_in_all_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"small first": [*range(50), 2**64 - 1], "all": [2**63 + 1] * 51, "one broken": [2**63] * 50 + [0.5]}
    pd.DataFrame({name: pd.Series(some, dtype=object) for name, some in values.items()}).to_csv(
        tmp_path / "t.csv", index=False
    )
    monkeypatch.setattr("databroker_like.files.csv_table.PART_BYTES", 200)
    node = table_in(tmp_path, "t")
    assert node.structure().npartitions > 4
    assert [str(kind) for kind in node.structure().schema.types] == ["uint64", "uint64", "double"]
    assert node.read().to_pydict() == values
    assert node.read_partition(0, ["small first"]).schema.types == [pa.uint64()]


# -- Excel ------------------------------------------------------------------------------------------------------------


def test_a_workbook_is_a_container_of_sheets_which_are_tables(tmp_path: Path) -> None:
    frames = {
        "Motors": pd.DataFrame({"name": ["a", "b"], "position": [1.5, 2.0], "on": [True, False]}),
        "Dates": pd.DataFrame({"when": [dt.datetime(2026, 1, 2, 3), dt.datetime(2026, 1, 3)], "n": [1, 2]}),
    }
    with pd.ExcelWriter(tmp_path / "book.xlsx") as writer:
        for name, frame in frames.items():
            frame.to_excel(writer, sheet_name=name, index=False)
    book = FolderNode(tmp_path).get("book")
    assert isinstance(book, ContainerNode)
    assert list(book.keys()) == ["Motors", "Dates"]
    assert book.get("Nothing") is None
    for name, frame in frames.items():
        node = book.get(name)
        assert node.read().to_pydict() == {column: frame[column].tolist() for column in frame}
        assert node.data_source().parameters == {"sheet": name}
    assert book.get("Dates").get("n").read().tolist() == [1, 2]
    assert book.get("Motors").read(["on"]).to_pydict() == {"on": [True, False]}


def test_sheets_of_all_kinds_are_tables(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.title = "empty"
    sheets: dict[str, list[list[Any]]] = {
        "mixed": [["x", None, "x"], [1, "a", None], ["b", None, 2.5], [None, None, None]],
        "large": [["n"], [2**70], [1]],
        "times": [["t"], [dt.time(1, 2)], [dt.date(2026, 1, 1)]],
        "header": [["only", "names"]],
    }
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.create_chartsheet("chart").add_chart(openpyxl.chart.BarChart())
    book.save(tmp_path / "book.xlsx")
    node = FolderNode(tmp_path).get("book")
    assert list(node.keys()) == ["empty", *sheets]
    read = {key: sheet.read().to_pydict() for key, sheet in node.items()}
    assert read["empty"] == {}
    assert read["mixed"] == {"x": ["1", "b"], "column 2": ["a", None], "x.1": [None, 2.5]}
    assert read["large"] == {"n": [pytest.approx(2.0**70), 1.0]}
    assert read["header"] == {"only": [], "names": []}
    assert read["times"]["t"][0] == "01:02:00"


def test_a_workbook_that_would_be_huge_when_unpacked_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pd.DataFrame({"x": [1]}).to_excel(tmp_path / "book.xlsx")
    monkeypatch.setattr("databroker_like.files.excel._MOST_BYTES", 1000)
    node = FolderNode(tmp_path).get("book")
    assert isinstance(node, BrokenNode)
    assert "unpacked" in node.metadata["error"]


def test_a_sheet_is_parsed_once_for_many_readings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pd.DataFrame({"x": np.arange(20)}).to_excel(tmp_path / "book.xlsx", sheet_name="s", index=False)
    parsed: list[str] = []
    load = openpyxl.load_workbook
    monkeypatch.setattr(
        openpyxl, "load_workbook", lambda *args, **kwargs: parsed.append("book") or load(*args, **kwargs)
    )
    settle(tmp_path)
    tree = FolderNode(tmp_path)
    for _ in range(5):
        assert tree.get("book").get("s").read()["x"].to_pylist() == list(range(20))
    assert len(parsed) == 2
