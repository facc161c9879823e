"""The questions that are put to version 1 of the Broker API, whoever made it; and the answers, written down.

Only what databroker 1.2.5 and this project share is imported.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["KEYS", "SEARCHES", "about_broker", "about_header"]

#: What is looked up in ``db[...]``.
KEYS: list[Any] = [
    "7a88128d-638e-59ad-b7b9-fd6ae026cad1",
    "7a8",
    "zz",
    "",
    -1,
    -21,
    -22,
    0,
    3,
    999,
    "-1",
    [1, 2, -1],
    [],
    (3, "7a8"),
    [1, [2, 3]],
    slice(-3, None),
    slice(-21, None),
    slice(-22, None),
    slice(-5, -2),
    slice(-5, -1, 2),
    slice(-5, None, 2),
    slice(-3, 0),
    slice(-3, None, -1),
    slice(-2, -3),
    slice(-3, 5),
    slice(None),
    slice(1, None),
    slice(0, 3),
    slice(None, -1),
    slice(None, None, -1),
    None,
]

#: What is searched for: filters, then the search itself.
SEARCHES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({}, {"plan_name": "count"}),
    ({}, {"plan_name": "nobody"}),
    ({}, {"scan_id": {"$gt": 5, "$lte": 8}}),
    ({}, {"sample.name": "Ni"}),
    ({}, {"plan_name": "count", "scan_id": 1}),
    ({}, {"$or": [{"scan_id": 1}, {"plan_name": "scan"}]}),
    ({}, {"since": 1_600_010_800.0}),
    ({}, {"until": 1_600_010_800.0}),
    ({}, {"since": 1_600_010_800.0, "until": 1_600_018_000.0, "plan_name": "count"}),
    ({}, {"since": "2020-09-13 18:00"}),
    ({}, {"since": "2020-09", "until": "2020-09-14"}),
    ({}, {"since": 1_600_018_000.0, "until": 1_600_010_800.0}),
    ({}, {"start_time": 1_600_010_800.0}),
    ({}, {"stop_time": 1_600_010_800.0}),
    ({}, {"data_key": "det"}),
    ({}, {"data_key": "nobody"}),
    ({}, {"data_key": "motor", "plan_name": "scan"}),
    ({"plan_name": "count"}, {}),
    ({"plan_name": "count"}, {"plan_name": "scan"}),
    ({"plan_name": "count"}, {"scan_id": {"$lt": 5}}),
    ({"since": 1_600_010_800.0}, {"plan_name": "count"}),
    ({"since": 1_600_010_800.0}, {"until": 1_600_018_000.0}),
    ({"data_key": "det"}, {}),
]


class Answers:
    """Writes answers down, and errors in their place."""

    def __init__(self, encode: Callable[[Any], Any]) -> None:
        self.encode = encode

    def __call__(self, question: Callable[[], Any]) -> Any:
        try:
            return self.written(question())
        except Exception as error:  # noqa: BLE001  whatever it raises is its answer
            return self.encode(error)

    def written(self, value: Any) -> Any:
        """An answer as JSON has it: tables by column, documents as plain dictionaries."""
        if type(value).__name__ == "DataFrame":
            columns = [[str(name), *_column(value[name])] for name in value.columns]
            columns = [[name, kind, self.encode(values)] for name, kind, values in columns]
            return {"columns": columns, "index": [int(n) for n in value.index], "index name": value.index.name}
        if isinstance(value, set | frozenset):
            return sorted(value)
        if isinstance(value, dict):
            return {key: self.written(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.written(item) for item in value]
        return self.encode(value)


def _column(column: Any) -> tuple[str, list[Any]]:
    kind = getattr(column.dtype, "kind", "O")
    if kind == "M":
        return "dates", [int(n) for n in column.to_numpy().astype("datetime64[ns]").astype("int64")]
    # pandas calls a column of texts by another name with each version.
    kind = {"b": "truth values", "i": "integers", "u": "integers", "f": "floats"}.get(kind, "objects")
    return kind, column.tolist()


def about_header(open_broker: Callable[[], Any], path: Path, encode: Callable[[Any], Any]) -> Iterator[tuple[str, Any]]:
    """Everything that is asked of the header of the run in a file: name of the question, answer."""
    _, start = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
    answer = Answers(encode)

    def header() -> Any:
        return open_broker()[start["uid"]]

    def plain(documents: Any) -> Any:
        return [[name, dict(doc)] for name, doc in documents]

    streams = sorted(header().stream_names)  # databroker gives them in the order of a set
    fields = sorted(header().fields())
    yield "names", list(header().keys())
    yield "uid", header().uid
    yield "start", answer(lambda: dict(header().start))
    yield "stop", answer(lambda: dict(header().stop))
    yield "descriptors", answer(lambda: sorted((dict(d) for d in header().descriptors), key=lambda d: d["uid"]))
    yield "streams", streams
    yield "fields", answer(lambda: header().fields())
    yield "devices", answer(lambda: header().devices())
    for device in sorted(header().devices()):
        yield f"config_data({device!r})", answer(lambda d=device: header().config_data(d))  # type: ignore[misc]
    yield "config_data('nobody')", answer(lambda: header().config_data("nobody"))
    yield "documents", answer(lambda: plain(header().documents()))
    yield "documents(fill=True)", answer(lambda: plain(header().documents(fill=True)))
    yield "documents('nobody')", answer(lambda: plain(header().documents("nobody")))
    yield "documents(fields=['nobody'])", answer(lambda: plain(header().documents(fields=["nobody"])))
    yield "events('nobody')", answer(lambda: list(header().events("nobody")))
    yield "table('nobody')", answer(lambda: header().table("nobody"))
    yield "xarray('nobody')", answer(lambda: header().xarray("nobody"))
    yield "get_fields", answer(lambda: open_broker().get_fields(header()))
    yield "export_size", answer(lambda: open_broker().export_size(header()))
    for field in fields[:1]:
        yield f"documents(fields=[{field!r}])", answer(lambda f=field: plain(header().documents(fields=[f])))  # type: ignore[misc]
    for stream in streams:
        for question, asked in _about_stream(open_broker, header, stream).items():
            yield f"{stream}: {question}", answer(asked)


def _about_stream(
    open_broker: Callable[[], Any], header: Callable[[], Any], stream: str
) -> dict[str, Callable[[], Any]]:
    fields = sorted(header().fields(stream))
    asked: dict[str, Callable[[], Any]] = {
        "fields": lambda: header().fields(stream),
        "devices": lambda: header().devices(stream),
        "get_fields": lambda: open_broker().get_fields(header(), stream),
        "documents": lambda: [name for name, _ in header().documents(stream)],
        "events": lambda: [dict(event) for event in header().events(stream)],
        "events(fill=True)": lambda: [dict(event) for event in header().events(stream, fill=True)],
        "table": lambda: header().table(stream, timezone="UTC"),
        "table(fill=True)": lambda: header().table(stream, fill=True, timezone="UTC"),
        "table of seconds": lambda: header().table(stream, convert_times=False, localize_times=False),
        "table of UTC": lambda: header().table(stream, localize_times=False),
        "table(fields=['nobody'])": lambda: header().table(stream, fields=["nobody"]),
        "xarray": lambda: header().xarray(stream),
        "get_table": lambda: open_broker().get_table([header(), header()], stream, timezone="UTC"),
        "get_events": lambda: [dict(event) for event in open_broker().get_events([header()], stream)],
        "data('nobody')": lambda: list(header().data("nobody", stream)),
    }
    if fields:
        only = fields[:1]
        asked[f"table(fields={only!r})"] = lambda: header().table(stream, fields=only, timezone="UTC")
        asked[f"events(fields={only!r})"] = lambda: [dict(e) for e in header().events(stream, fields=only)]
    for field in fields:
        asked[f"data({field!r})"] = lambda field=field: list(header().data(field, stream))  # type: ignore[misc]
        asked[f"get_images({field!r})"] = lambda field=field: [  # type: ignore[misc]
            np.asarray(frame) for frame in open_broker().get_images(header(), field, stream)
        ]
    return asked


def about_broker(open_broker: Callable[[], Any], encode: Callable[[Any], Any]) -> Iterator[tuple[str, Any]]:
    """Lookups and searches: name of the question, scan_ids."""
    answer = Answers(encode)

    def scan_ids(found: Any) -> Any:
        return [scan_ids(each) for each in found] if isinstance(found, list) else found.start["scan_id"]

    for key in KEYS:
        yield f"db[{key!r}]", answer(lambda key=key: scan_ids(open_broker()[key]))  # type: ignore[misc]

    def searched(filters: dict[str, Any], query: dict[str, Any]) -> list[int]:
        broker = open_broker()
        broker.add_filter(**filters)
        # The files of databroker come in the order of the disk.
        return sorted(header.start["scan_id"] for header in broker(**query))

    for filters, query in SEARCHES:
        yield f"filters {filters!r} db(**{query!r})", answer(lambda f=filters, q=query: searched(f, q))  # type: ignore[misc]

    def aliased() -> list[list[int]]:
        broker = open_broker()
        broker.alias("counts", plan_name="count")
        broker.dynamic_alias("scans", lambda: {"plan_name": "scan"})
        return [sorted(h.start["scan_id"] for h in found) for found in (broker.counts, broker.scans)]

    yield "aliases", answer(aliased)
    yield "alias of a method", answer(lambda: open_broker().alias("get_table", plan_name="count"))
    yield "no such attribute", answer(lambda: open_broker().nobody)
    yield "fill_event", answer(lambda: open_broker().fill_event({}))
    yield "fill_events", answer(lambda: open_broker().fill_events([]))
    yield "get_table of nothing", answer(lambda: open_broker().get_table([]))
    yield "handlers with a call", answer(lambda: open_broker().get_table(open_broker()[2], handler_registry={"X": int}))
    yield "tables of two", answer(lambda: open_broker().get_table(open_broker()[[2, 1]], timezone="UTC"))
    yield "restream of two", answer(lambda: [name for name, _ in open_broker().restream(open_broker()[[2, 1]])])
    yield "stream of one", answer(lambda: [name for name, _ in open_broker().stream(open_broker()[2], ["motor"])])
    yield "export_size of nothing", answer(lambda: open_broker().export_size([]))
