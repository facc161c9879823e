"""Configuration files of versions 0 and 1 are data: what they mean is opened, what they name is not imported."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import mongomock
import pytest

import databroker_like
from databroker_like import Broker, v1
from databroker_like.drivers.mongo_normalized import BlueskyMongoCatalog
from databroker_like.errors import Invalid, InvalidConfig, MissingExtra, NoSuchConfig, NotOffered
from databroker_like.testing import _runs as samples
from databroker_like.utils import Secret
from databroker_like.v1._config import mongo_uri

from .conftest import put

MONGO: dict[str, Any] = {
    "description": "heavyweight shared database",
    "metadatastore": {
        "module": "databroker.headersource.mongo",
        "class": "MDS",
        "config": {
            "host": "localhost",
            "port": 27017,
            "database": "runs",
            "timezone": "US/Eastern",
            "mongo_user": "me",
            "mongo_pwd": "sword:fish",
        },
    },
    "assets": {
        "module": "databroker.assets.mongo",
        "class": "Registry",
        "config": {"host": "localhost", "port": 27017, "database": "files"},
    },
    "root_map": {"/old": "/new"},
    "handlers": {"MINE": {"module": "tests_of_handlers.nobody", "class": "Handler"}},
}


@pytest.fixture(autouse=True)
def _mongo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every server is in memory."""
    monkeypatch.setattr("pymongo.MongoClient", mongomock.MongoClient)


def addresses(db: Any) -> list[str]:
    return [server.captured.uri for server in (db.v2._metadatastore, db.v2._asset_registry)]


@pytest.fixture
def configs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of the user's configuration files."""
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / ".config" / "databroker"
    folder.mkdir(parents=True)
    return folder


def without(*keys: str, **more: Any) -> dict[str, Any]:
    return {**{key: value for key, value in MONGO.items() if key not in keys}, **more}


def section(part: str, **config: Any) -> dict[str, Any]:
    return {**MONGO, part: {**MONGO[part], "config": config}}


def test_a_configuration_is_a_broker_of_its_databases() -> None:
    db = v1.from_config(MONGO, name="mine")
    assert isinstance(db, v1.Broker)
    assert db.name == "mine"
    assert db.get_config() == MONGO
    assert isinstance(db.v2, BlueskyMongoCatalog)
    assert addresses(db) == [
        "mongodb://me:sword%3Afish@localhost:27017/runs",
        "mongodb://localhost:27017/files",
    ]
    assert db.reg.root_map == {"/old": "/new"}
    assert db.v2.description == "heavyweight shared database"
    assert "MINE" in db.reg.handler_reg
    with pytest.raises(MissingExtra, match=r"tests_of_handlers\.nobody"):
        db.reg.handler_reg["MINE"]
    assert db.v2.v1 is db


def test_handlers_are_only_those_named_when_none_are_registered_of_themselves() -> None:
    db = Broker.from_config(MONGO, auto_register=False)
    assert list(db.reg.handler_reg) == ["MINE"]


def test_a_configuration_of_version_2_is_a_catalog() -> None:
    assert isinstance(v1.from_config({**MONGO, "api_version": 2}), BlueskyMongoCatalog)
    assert isinstance(v1.from_config({**MONGO, "api_version": 1}), v1.Broker)


def test_nothing_that_a_configuration_names_is_imported() -> None:
    v1.from_config(MONGO)
    assert not [name for name in sys.modules if name.startswith(("databroker.", "tests_of_handlers"))]


@pytest.mark.parametrize(
    ("connection", "uri"),
    [
        ({"host": "db", "database": "runs"}, "mongodb://db/runs"),
        ({"host": "db", "port": 1, "database": "runs", "authsource": "admin"}, "mongodb://db:1/runs?authSource=admin"),
        ({"host": "db", "database": "a b", "mongo_user": "m@e"}, "mongodb://m%40e@db/a+b"),
        ({"uri": "mongodb://db:1/runs?ssl=true"}, "mongodb://db:1/runs?ssl=true"),
        ({"uri": "mongodb://db:1", "database": "runs"}, "mongodb://db:1/runs"),
        ({"uri": "mongodb://u:p@db/admin", "database": "runs"}, "mongodb://u:p@db/runs?authSource=admin"),
        ({"uri": "mongodb://u:p@db/runs?a=1", "database": "runs"}, "mongodb://u:p@db/runs?a=1"),
        ({"uri": "mongodb+srv://db/x?authSource=y", "database": "runs"}, "mongodb+srv://db/runs?authSource=y"),
    ],
)
def test_a_database_has_an_address(connection: dict[str, Any], uri: str) -> None:
    made = mongo_uri(connection)
    assert str.__str__(made) == uri
    assert isinstance(made, Secret)


@pytest.mark.parametrize(
    ("config", "error", "said"),
    [
        (3, InvalidConfig, "not 3"),
        ({}, InvalidConfig, "no 'metadatastore'"),
        (without("assets"), InvalidConfig, "no 'assets'"),
        (without(handler={}), InvalidConfig, "did you mean 'handlers'"),
        (without(api_version=0), NotOffered, "take 'api_version: 0' out"),
        (without(api_version=3), InvalidConfig, "versions 1 and 2"),
        (without(api_version=True), InvalidConfig, "versions 1 and 2"),
        (without(root_map=[1]), InvalidConfig, "'root_map'"),
        (without(transforms="start"), InvalidConfig, "'transforms'"),
        (without(handlers={"MINE": 5}), InvalidConfig, "'MINE'"),
        (without(event_sources=[]), NotOffered, "event_sources"),
        (without(metadatastore="mongo"), InvalidConfig, "'metadatastore'"),
        (without(metadatastore={"module": "databroker.headersource.mongo"}), InvalidConfig, "'config'"),
        (without(metadatastore={"module": "databroker.headersource.monga"}), NotOffered, "version 0"),
        (without(metadatastore={"module": "databroker.headersource.sqlite"}), NotOffered, "suitcase-jsonl"),
        (without(metadatastore={"module": "databroker.headersource.hdf5"}), NotOffered, "suitcase-jsonl"),
        (without(assets={"module": "databroker.assets.sqlite"}), NotOffered, "suitcase-jsonl"),
        (without(assets={"module": "portable_fs.sqlite.fs"}), NotOffered, "suitcase-jsonl"),
        (without(metadatastore={"module": "os"}), InvalidConfig, "not known"),
        (without(metadatastore={"module": 5}), InvalidConfig, "not known"),
        (section("assets", uri="mongodb://db/x", host="db"), InvalidConfig, "either uri, or host/port, but not both"),
        (section("assets", uri="mongodb://db/x", port=1), InvalidConfig, "either uri, or host/port, but not both"),
        (section("assets", host="db"), InvalidConfig, "either uri, or host and database"),
        (section("assets", uri="mongodb://db"), InvalidConfig, "names no database"),
        (section("assets", uri="http://db/x"), InvalidConfig, "mongodb://"),
        (section("assets", host="db", database="x", pasword="y"), InvalidConfig, "'pasword'"),
    ],
)
def test_a_mistake_is_named_with_what_to_do(config: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        v1.from_config(config, name="mine")


def test_an_error_shows_no_password() -> None:
    for wrong in (
        section("assets", uri="mongodb://me:swordfish@db", host="x"),
        section("assets", uri="mongodb://me:swordfish@db"),
        section("assets", uri="http://me:swordfish@db/x"),
        section("assets", mongo_pwd="swordfish"),
        section("assets", host="db", database="x", mongo_pwd="swordfish", nonsense=1),
    ):
        with pytest.raises(InvalidConfig) as caught:
            v1.from_config(wrong)
        assert "swordfish" not in str(caught.value)


# -- by name


CONFIG = """
description: heavyweight shared database
metadatastore:
  module: databroker.headersource.mongo
  class: MDS
  config: {host: localhost, port: 27017, database: runs, mongo_user: me, mongo_pwd: swordfish}
assets:
  module: databroker.assets.mongo
  class: Registry
  config: {uri: "mongodb://me:swordfish@localhost/files"}
"""


def test_a_broker_has_the_name_of_its_file(configs: Path) -> None:
    (configs / "mine.yml").write_text(CONFIG)
    db = Broker.named("mine")
    assert (db.name, db.v2.description) == ("mine", "heavyweight shared database")
    assert addresses(db) == ["mongodb://me:swordfish@localhost:27017/runs", "mongodb://me:swordfish@localhost/files"]
    for shown in (repr(db), repr(db.get_config()), repr(db.v2), db.v2.serialize(), str(db.get_config())):
        assert "swordfish" not in shown
    assert addresses(Broker.from_config(db.get_config())) == addresses(db)


def test_runs_are_recorded_and_read_through_a_configuration(configs: Path) -> None:
    (configs / "mine.yml").write_text(CONFIG)
    db = Broker.named("mine")
    db.reg.deregister_handler("MINE")
    put(db, samples.scalars(uid="aaaa", plan_name="scan"))
    again = Broker.named("mine", auto_register=False)
    assert [header.uid for header in again(plan_name="scan")] == ["aaaa"]
    assert len(again[-1].table()) == len(list(db[-1].events())) > 0
    assert again.stats()["collections"] > 0


def test_a_catalog_of_version_2_is_found_by_its_name(
    configs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = Path(__file__).parents[1] / "data" / "runs"
    (tmp_path / "catalogs").mkdir()
    (tmp_path / "catalogs" / "mine.yml").write_text(
        f"sources:\n  by_name:\n    driver: bluesky-jsonl-catalog\n    args: {{paths: '{runs}/scalars.jsonl'}}\n"
        f"  a_table:\n    driver: csv\n    args: {{urlpath: '{runs}/*.csv'}}\n"
    )
    monkeypatch.setenv("INTAKE_CATALOG_PATH", f"['{tmp_path / 'catalogs'}']")
    databroker_like.catalog.force_reload()
    try:
        db = Broker.named("by_name")
        assert isinstance(db, v1.Broker)
        assert (db.name, len(db.v2), db[-1].start["purpose"]) == ("by_name", 1, "scalars")
        with pytest.raises(NoSuchConfig, match="'by_name'"):
            Broker.named("by_nam")
        with pytest.raises(Invalid, match="no catalog of runs"):
            Broker.named("a_table")
        # A file of the user's comes before a catalog of the same name.
        (configs / "by_name.yml").write_text(CONFIG)
        assert isinstance(Broker.named("by_name").v2, BlueskyMongoCatalog)
    finally:
        monkeypatch.delenv("INTAKE_CATALOG_PATH")
        databroker_like.catalog.force_reload()


def test_a_name_of_nothing_says_where_it_was_looked_for(configs: Path) -> None:
    (configs / "mine.yml").write_text(CONFIG)
    with pytest.raises(FileNotFoundError, match=r"'mine'.*list_configs"):
        Broker.named("mne")


def test_a_temporary_broker_records_and_goes(configs: Path) -> None:
    for db in (Broker.named("temp"), v1.temp(), databroker_like.temp()):
        assert db.name == "temp"
        db.insert("start", {"uid": "aaaa", "time": 0.0})
        assert db[-1].uid == "aaaa"
    assert len(Broker.named("temp").v2) == 0
