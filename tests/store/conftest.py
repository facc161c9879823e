"""What the tests of the store share: runs to record, small segments, and servers."""

from __future__ import annotations

import contextlib
import itertools
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from databroker_like.store import _growth
from databroker_like.store._recording import StoreSink
from databroker_like.store._store import Store
from databroker_like.store._stored_run import StoredRun
from tests.store import servers

Documents = list[tuple[str, dict[str, Any]]]


def make_run(uid: str, events: int = 20, *, time: float = 1_700_000_000.0, pages: int = 0, stop: bool = True, **start):
    """The documents of a run with one stream, its events one by one, or in pages of so many."""
    docs: Documents = [("start", {"uid": uid, "time": time, "plan_name": "scan", **start})]
    keys = {"x": {"dtype": "number", "shape": [], "source": "s"}, "n": {"dtype": "integer", "shape": [], "source": "s"}}
    descriptor = {"uid": f"{uid}-d", "run_start": uid, "time": time, "name": "primary", "data_keys": keys}
    docs.append(("descriptor", descriptor))
    found = [make_event(uid, number, time) for number in range(1, events + 1)]
    if pages:
        for begin in range(0, events, pages):
            docs.append(("event_page", as_page(found[begin : begin + pages])))
    else:
        docs += [("event", event) for event in found]
    if stop:
        docs.append(("stop", {"uid": f"{uid}-s", "run_start": uid, "time": time + events, "exit_status": "success"}))
    return docs


def make_event(uid: str, number: int, time: float = 1_700_000_000.0) -> dict[str, Any]:
    return {
        "descriptor": f"{uid}-d",
        "uid": f"{uid}-{number}",
        "time": time + number,
        "seq_num": number,
        "data": {"x": number / 7, "n": number},
        "timestamps": {"x": time + number, "n": time + number},
        "filled": {},
    }


def as_page(events: list[dict[str, Any]]) -> dict[str, Any]:
    page: dict[str, Any] = {"descriptor": events[0]["descriptor"], "filled": {}}
    for key in ("uid", "time", "seq_num"):
        page[key] = [event[key] for event in events]
    for key in ("data", "timestamps"):
        page[key] = {column: [event[key][column] for event in events] for column in events[0][key]}
    return page


def record(store: Store, *runs: Documents) -> None:
    with contextlib.closing(StoreSink(store)) as sink:
        for name, doc in itertools.chain.from_iterable(runs):
            sink.insert(name, doc)


def recorded(store: Store, uid: str) -> Documents:
    return [(name, dict(doc)) for name, doc in StoredRun(store, uid).recorded()]


def harmful(store: Store, **options: Any) -> list[str]:
    return [str(problem) for problem in store.check(**options) if not problem.harmless]


def files(store: Store) -> list[str]:
    return sorted(name for name, _ in store.files.names(store.file_prefix))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few events are enough for a segment, and a few segments for a data file."""
    for name, value in (("EVENTS_AT_MOST", 5), ("ROWS_TO_A_FILE", 15), ("SMALLEST_FILE", 1000)):
        monkeypatch.setattr(_growth, name, value)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "store", timeout=60)
    yield made
    made.close()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    with contextlib.ExitStack() as stack:
        try:
            url = stack.enter_context(servers.postgresql())
        except RuntimeError as error:
            pytest.skip(f"PostgreSQL cannot be started: {error}")
        yield url


@pytest.fixture
def postgresql(postgresql_server: str) -> Iterator[Callable[[], str]]:
    """Gives the URL of an empty schema each time it is called."""
    from sqlalchemy import create_engine

    engine = create_engine(postgresql_server, isolation_level="AUTOCOMMIT")
    made: list[str] = []

    def new() -> str:
        made.append(f"store_{uuid.uuid4().hex}")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE SCHEMA {made[-1]}")
        sign = "&" if "?" in postgresql_server else "?"
        return f"{postgresql_server}{sign}application_name={made[-1]}&options=-csearch_path%3D{made[-1]}"

    yield new
    with engine.connect() as connection:
        for name in made:
            # Catalogs may not have been closed, and iterators not come to their end.
            connection.exec_driver_sql(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{name}'"
            )
            connection.exec_driver_sql(f"DROP SCHEMA {name} CASCADE")
    engine.dispose()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    with servers.s3() as endpoint:
        yield endpoint
