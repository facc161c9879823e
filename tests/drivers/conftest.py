"""What the tests of the drivers share."""

from __future__ import annotations

import functools
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from databroker_like.drivers._mongo_patience import patiently
from databroker_like.drivers._mongo_server import close_clients
from databroker_like.drivers._parsed import PARSED

Documents = list[tuple[str, dict[str, Any]]]


@pytest.fixture(autouse=True)
def _caches_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Each test begins with nothing decoded and nothing indexed."""
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    PARSED.clear()
    yield cache
    PARSED.clear()


@pytest.fixture
def cache(_caches_of_its_own: Path) -> Path:
    return _caches_of_its_own / "databroker-like"


@pytest.fixture
def write_lines() -> Callable[[Path, Documents], Path]:
    def write(path: Path, documents: Documents) -> Path:
        path.write_text("".join(json.dumps(pair) + "\n" for pair in documents))
        return path

    return write


@pytest.fixture
def settle() -> Callable[[Path], None]:
    """Make files look as if they had been written a while ago."""

    def old(folder: Path) -> None:
        for path in folder.iterdir():
            os.utime(path, ns=(time.time_ns(), time.time_ns() - 10**10))
        time.sleep(0.03)  # the time of the last status change cannot be set

    return old


@pytest.fixture(params=["mongomock", "server"])
def mongo(request: pytest.FixtureRequest) -> Iterator[Callable[[], str]]:
    """Gives the URI of a new MongoDB database each time it is called: of mongomock, and of a real server."""
    yield from _mongo(request.param)


@pytest.fixture
def mongo_server() -> Iterator[Callable[[], str]]:
    """As `mongo`, of a real server alone."""
    yield from _mongo("server")


@pytest.fixture
def mongo_mock() -> Iterator[Callable[[], str]]:
    """As `mongo`, of mongomock alone."""
    yield from _mongo("mongomock")


def _mongo(kind: str) -> Iterator[Callable[[], str]]:
    import mongomock
    import pymongo

    server = os.environ.get("DATABROKER_LIKE_TEST_MONGO") if kind == "server" else "mongodb://mongomock.test/"
    if not server:
        pytest.skip("DATABROKER_LIKE_TEST_MONGO names no MongoDB server; `make mongo` starts one where it can")
    base, _, options = server.partition("?")
    if kind == "server":
        # A machine with much to do may take its time; that no server is there was found out when the tests began.
        options = "&".join(filter(None, [options, "serverSelectionTimeoutMS=60000", "connectTimeoutMS=60000"]))
    made: list[str] = []

    def new() -> str:
        made.append(f"databroker_like_test_{uuid.uuid4().hex}")
        return f"{base.rstrip('/')}/{made[-1]}" + (f"?{options}" if options else "")

    with ExitStack() as stack:
        if kind == "mongomock":
            stack.enter_context(mongomock.patch(servers="mongomock.test"))
            stack.callback(close_clients)
            yield new
            return
        yield new
        client = stack.enter_context(pymongo.MongoClient(f"{base.rstrip('/')}/?{options}"))
        for name in made:
            patiently(functools.partial(client.drop_database, name))
