"""A table has what the events have, whoever keeps them and however many pages they came in."""

from __future__ import annotations

import math
import time
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from databroker_like import ALL
from databroker_like.drivers.in_memory import BlueskyInMemoryCatalog
from databroker_like.errors import Invalid, NotOffered, WrongType
from databroker_like.testing import _runs as samples
from databroker_like.v1._table import Times, one_after_another
from databroker_like_handlers.npy import NumpySeqHandler

from .conftest import put

DOCUMENTS = samples.SAMPLES


def same(one: Any, other: Any) -> bool:
    """Whether a value of a table is that of an event: NaN is NaN, an array its list."""
    one = one.tolist() if isinstance(one, np.ndarray | np.generic) else one
    other = other.tolist() if isinstance(other, np.ndarray | np.generic) else other
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return bool(one == other)


def assert_is_that_of_the_events(header: Any, stream: str, **kwargs: Any) -> None:
    table = header.table(stream, convert_times=False, localize_times=False, **kwargs)
    events = sorted(header.events(stream, **kwargs), key=lambda event: event["time"])
    assert list(table.index) == [event["seq_num"] for event in events]
    assert list(table["time"]) == [event["time"] for event in events]
    for row, event in enumerate(events):
        for key, value in event["data"].items():
            assert same(table[key].iloc[row], value), (row, key)


@pytest.mark.parametrize("kind", ["scalars", "strings", "arrays", "several_streams", "no_stop", "paged"])
def test_a_table_has_the_values_of_the_events(db: Any, kind: str) -> None:
    put(db, DOCUMENTS[kind]())
    header = db[-1]
    for stream in header.stream_names:
        assert_is_that_of_the_events(header, stream)
        fields = sorted(header.fields(stream))[:1]
        assert_is_that_of_the_events(header, stream, fields=fields)
        assert list(header.table(stream, fields)) == ["time", *fields]


_VALUES = st.one_of(
    st.floats(),
    st.integers(-(2**70), 2**70),
    st.text(max_size=5),
    st.booleans(),
    st.none(),
    st.lists(st.integers(0, 5), max_size=3),
    st.lists(st.lists(st.floats(0, 1), min_size=2, max_size=2), max_size=2),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(st.floats(0, 1e9), st.fixed_dictionaries({"x": st.floats(), "y": _VALUES}, optional={"z": _VALUES})),
        max_size=12,
    ),
    st.data(),
)
def test_a_table_of_anything_has_the_values_of_the_events(events: list[Any], data: Any) -> None:
    keys = {key: {"source": "s", "dtype": "number", "shape": []} for key in "xyz"}
    start = {"uid": "aaaa", "time": 0.0}
    descriptors = [
        {"uid": f"d{n}", "run_start": "aaaa", "time": 0.0, "name": "primary", "data_keys": keys} for n in range(2)
    ]
    docs: list[Any] = [("start", start), *(("descriptor", {**d, "configuration": {}}) for d in descriptors)]
    for number, (when, values) in enumerate(events):
        owner = descriptors[data.draw(st.integers(0, 1))]["uid"]
        page = {
            "descriptor": owner,
            "uid": [f"e{number}"],
            "seq_num": [number + 1],
            "time": [when],
            "data": {key: [value] for key, value in values.items()},
            "timestamps": {key: [when] for key in values},
            "filled": {},
        }
        docs.append(("event_page", page))
    catalog = BlueskyInMemoryCatalog()
    catalog.upsert(start, None, lambda: iter(docs), (), {})
    table = catalog.v1[-1].table(convert_times=False, localize_times=False)
    rows = {number + 1: (when, values) for number, (when, values) in enumerate(events)}
    assert sorted(table.index) == sorted(rows)
    assert list(table["time"]) == sorted(when for when, _ in rows.values())
    for number, row in zip(table.index, table.itertuples(), strict=True):
        when, values = rows[number]
        assert row.time == when
        for key, value in values.items():
            ours = getattr(row, key)
            if value is None:
                assert ours is None or ours != ours
            elif isinstance(value, int) and isinstance(ours, float | np.floating):
                assert float(value) == ours
            else:
                assert same(ours, value)


def test_only_some_fields_are_given_in_the_order_of_the_stream(one: Any) -> None:
    put(one, samples.scalars(uid="aaaa"))
    everything = list(one[-1].table())
    assert everything[0] == "time"
    assert list(one[-1].table(fields=everything[:0:-1])) == everything
    assert list(one[-1].table(fields=everything[-1])) == ["time", everything[-1]]
    assert list(one[-1].table(fields=[])) == everything
    assert list(one[-1].table(fields={"time"})) == ["time"]
    with pytest.warns(UserWarning, match="no data key 'nobody' in the stream 'primary'; it has "):
        assert one[-1].table(fields=["nobody"]).empty
    with pytest.warns(UserWarning, match="no data key 'nobody'"):
        assert one[-1].table(fields=["nobody", everything[1]]).columns.tolist() == ["time", everything[1]]
    with pytest.raises(WrongType, match="fields=5"):
        one[-1].table(fields=5)


def test_a_table_of_nothing_is_empty_and_knows_its_index(one: Any) -> None:
    put(one, samples.zero_events(uid="aaaa"), samples.nothing_but_start(uid="bbbb"))
    for table in (one["bbbb"].table(), one["aaaa"].table("nobody"), one.get_table([])):
        assert (len(table), list(table), table.index.name) == (0, [], "seq_num")
    table = one["aaaa"].table()
    assert (len(table), table.index.name, table["time"].dtype) == (0, "seq_num", "datetime64[ns]")
    assert len(table.columns) > 1


# -- times


def test_times_are_those_of_the_clock_on_the_wall(one: Any, clock: Any) -> None:
    put(one, samples.scalars(uid="aaaa", time=1_600_000_000.0))
    header = one[-1]
    seconds = header.table(convert_times=False, localize_times=False)["time"]
    assert seconds.dtype == "float64"
    utc = header.table(localize_times=False)["time"]
    assert [stamp.timestamp() for stamp in utc.dt.tz_localize("UTC")] == list(seconds)
    for zone in ("America/New_York", "Asia/Kathmandu", "UTC"):
        clock(zone)
        expected = [datetime.fromtimestamp(second) for second in seconds]
        assert list(header.table()["time"]) == expected
        assert list(header.table(convert_times=False)["time"]) == expected
        assert list(header.table(localize_times=False)["time"]) == list(utc)
    named = header.table(timezone="Asia/Kathmandu")["time"]
    assert list(named) == [datetime.fromtimestamp(s, ZoneInfo("Asia/Kathmandu")).replace(tzinfo=None) for s in seconds]
    with pytest.raises(Invalid, match="did you mean"):
        header.table(timezone="Europe/Berln")


def test_an_hour_that_is_there_twice_is_shown_twice(clock: Any) -> None:
    clock("Europe/Berlin")
    twice = np.array([1698539400.0, 1698539400.0 + 3600])  # the end of summer time, 2023
    assert [stamp.hour for stamp in Times().of(twice)] == [2, 2]


@given(st.lists(st.floats(-1e9, 4e9), max_size=5))
def test_times_are_exact_to_the_microsecond(seconds: list[float]) -> None:
    dates = Times(localize=False).of(np.array(seconds, dtype=float))
    assert all(abs(date.value / 1e9 - second) < 1e-6 for date, second in zip(dates, seconds, strict=True))


# -- several runs and streams


def test_tables_of_several_runs_stand_one_after_the_other(db: Any) -> None:
    put(db, samples.scalars(uid="aaaa", time=1000.0), samples.arrays(uid="bbbb", time=2000.0))
    tables = [db[uid].table() for uid in ("aaaa", "bbbb")]
    both = db.get_table(db[["aaaa", "bbbb"]])
    pd.testing.assert_frame_equal(both, pd.concat(tables))
    pd.testing.assert_frame_equal(db.get_table(db["aaaa"]), tables[0])
    pd.testing.assert_frame_equal(db.get_table(db()), pd.concat(tables[::-1]))
    assert both.index.name == "seq_num"


def test_all_streams_make_one_table(one: Any) -> None:
    put(one, samples.several_streams(uid="aaaa"))
    header = one[-1]
    assert len(header.stream_names) > 1
    assert len(header.table(ALL)) == sum(len(header.table(name)) for name in header.stream_names)


def test_an_empty_table_does_not_change_the_kind_of_the_others() -> None:
    empty = pd.DataFrame({"x": np.empty(0, dtype=object)})
    full = pd.DataFrame({"x": [1, 2]})
    assert one_after_another([empty, full])["x"].dtype == "int64"
    assert one_after_another([empty]) is empty


def test_handlers_are_not_given_with_a_call(one: Any) -> None:
    put(one, samples.scalars(uid="aaaa"))
    for call in (one.get_table, one.get_events, one.get_documents):
        with pytest.raises(NotOffered, match="register_handler"):
            list(call(one[-1], handler_registry={"X": int}))
    with pytest.raises(NotOffered, match="register_handler"):
        one.get_images(one[-1], "image", handler_registry={"X": int})


# -- external data


@pytest.fixture
def images(tmp_path: Path) -> Any:
    folder = tmp_path / "images"
    folder.mkdir()
    catalog = BlueskyInMemoryCatalog(handler_registry={"NPY_SEQ": NumpySeqHandler})
    put(catalog.v1, samples.external(folder, uid="aaaa"))
    return catalog.v1


def test_external_data_is_read_when_it_is_asked_for(images: Any) -> None:
    header = images[-1]
    assert all(isinstance(value, str) for value in header.table()["image"])
    assert all(isinstance(value, str) for value in header.table(fill=["motor"])["image"])
    for fill in (True, ["image"], "image", "yes"):
        table = header.table(fill=fill)
        assert list(table) == ["time", "image", "motor"]
        assert [value.shape for value in table["image"]] == [(4, 5)] * 3
        assert [value.max() for value in table["image"]] == [0, 1, 2]
        assert_is_that_of_the_events(header, "primary", fill=fill)
    assert list(header.table(fields=["motor"], fill=True)) == ["time", "motor"]
    with pytest.raises(WrongType, match=r"fill=1\.5"):
        header.table(fill=1.5)


def test_a_field_that_is_not_asked_for_is_not_read(images: Any, tmp_path: Path) -> None:
    (tmp_path / "images" / "image_1.npy").unlink()
    assert list(images[-1].table(fields=["motor"], fill=True)["motor"]) == [0.0, 0.1, 0.2]
    assert list(images[-1].table(fill=["motor"])["motor"]) == [0.0, 0.1, 0.2]
    with pytest.warns(UserWarning, match="'image' is left out"):
        assert list(images[-1].table(fill=True)) == ["time", "motor"]


FRAMES = np.arange(4 * 4 * 5, dtype="uint16").reshape(4, 4, 5)


def streamed(folder: Path, **more: Any) -> list[tuple[str, Any]]:
    """A run whose images lie in one file, announced by no event."""
    with h5py.File(folder / "images.h5", "w") as file:
        file["/entry/data/data"] = FRAMES
    return samples.stream_external(str(folder), uid="aaaa", **more)


def test_a_run_that_goes_on_while_it_is_read_gives_whole_rows(images: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    header = images[-1]
    read = type(images.v2[-1]["primary"]).read

    def later(stream: Any) -> Any:
        found = read(stream)
        return found.isel(time=[0, 1, 2, 2])

    monkeypatch.setattr(type(images.v2[-1]["primary"]), "read", later)
    assert header.table(fill=True).shape == (3, 3)


def test_what_lies_in_external_streams_is_given_when_it_is_filled(one: Any, tmp_path: Path) -> None:
    put(one, streamed(tmp_path))
    header = one[-1]
    assert list(header.table()) == ["time"]
    table = header.table(fill=True)
    assert (list(table), list(table.index), table.index.name) == (["image"], [1, 2, 3, 4], "seq_num")
    np.testing.assert_array_equal(np.stack(table["image"]).reshape(FRAMES.shape), FRAMES)
    assert len(one.get_images(header, "image")) == 4
    assert "stream_datum" in [name for name, _ in header.documents()]


def test_what_lies_in_external_streams_stands_beside_the_events(one: Any, tmp_path: Path) -> None:
    documents = streamed(tmp_path)
    descriptor = next(doc for name, doc in documents if name == "descriptor")
    descriptor["data_keys"]["motor"] = {"source": "s", "dtype": "number", "shape": []}
    events = [
        (
            "event",
            {
                "uid": f"e{n}",
                "descriptor": descriptor["uid"],
                "seq_num": n + 1,
                "time": float(n),
                "data": {"motor": n / 10},
                "timestamps": {"motor": float(n)},
                "filled": {},
            },
        )
        for n in range(4)
    ]
    run = [*documents[:-1], *events, documents[-1]]
    one.v2.upsert(run[0][1], run[-1][1], lambda: iter(run), (), {})
    header = one[-1]
    assert list(header.table()) == ["time", "motor"]
    assert list(header.table(fill=["motor"])) == ["time", "motor"]
    table = header.table(fill=True)
    assert list(table) == ["time", "image", "motor"]
    assert list(table["motor"]) == [0.0, 0.1, 0.2, 0.3]
    np.testing.assert_array_equal(np.stack(table["image"]).reshape(FRAMES.shape), FRAMES)


# -- speed and ownership


def large(rows: int, columns: int) -> list[tuple[str, Any]]:
    keys = [f"c{n}" for n in range(columns)]
    start = {"uid": "aaaa", "time": 0.0}
    descriptor = {
        "uid": "d",
        "run_start": "aaaa",
        "time": 0.0,
        "name": "primary",
        "data_keys": {key: {"source": "s", "dtype": "number", "shape": []} for key in keys},
        "configuration": {},
    }
    times = np.arange(rows) / 10
    page = {
        "descriptor": "d",
        "uid": [str(n) for n in range(rows)],
        "seq_num": list(range(1, rows + 1)),
        "time": times,
        "data": {key: np.random.default_rng(n).random(rows) for n, key in enumerate(keys)},
        "timestamps": dict.fromkeys(keys, times),
        "filled": {},
    }
    return [("start", start), ("descriptor", descriptor), ("event_page", page)]


def test_a_large_table_is_made_of_columns_and_not_of_events() -> None:
    documents = large(100_000, 10)
    catalog = BlueskyInMemoryCatalog()
    catalog.upsert(documents[0][1], None, lambda: iter(documents), (), {})
    header = catalog.v1[-1]
    first = header.table()
    taken = []
    for _ in range(5):
        began = time.process_time()
        header.table()
        taken.append(time.process_time() - began)
    assert first.shape == (100_000, 11)
    # It takes a hundredth of that; a hundred thousand events one by one take longer anywhere.
    assert min(taken) < 1


def test_a_table_is_the_callers_own(one: Any) -> None:
    documents = large(10, 2)
    one.v2.upsert(documents[0][1], None, lambda: iter(documents), (), {})
    before = one[-1].table()
    spoilt = one[-1].table()
    spoilt.loc[:, "c0"] = -1.0
    spoilt["c1"].to_numpy(copy=False)
    spoilt.iloc[0, 0] = pd.Timestamp(0)
    pd.testing.assert_frame_equal(one[-1].table(), before)
    assert list(one[-1].xarray()["c0"].values) == list(before["c0"])
