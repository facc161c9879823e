"""Configuration files of versions 0 and 1 are in the built-in catalog, beside those of version 2."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import mongomock
import pytest

import databroker_like
from databroker_like import Broker, v2
from databroker_like.core._old_configs import ConfigEntry, config_entries
from databroker_like.core._yaml import BuiltinCatalog
from databroker_like.errors import NotOffered

CONFIG = """
description: heavyweight shared database
metadatastore:
  module: databroker.headersource.mongo
  class: MDS
  config: {host: localhost, port: 27017, database: runs}
assets:
  module: databroker.assets.mongo
  class: Registry
  config: {host: localhost, port: 27017, database: files}
"""


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of the user's configuration files; every server is in memory."""
    monkeypatch.setattr("pymongo.MongoClient", mongomock.MongoClient)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "env"))
    monkeypatch.setenv("HOME", str(tmp_path))
    made = tmp_path / ".config" / "databroker"
    made.mkdir(parents=True)
    return made


def test_a_configuration_is_listed_and_opened_by_its_name(folder: Path) -> None:
    catalog = BuiltinCatalog()
    before = set(catalog)
    (folder / "mine.yml").write_text(CONFIG)
    assert set(catalog) - before == {"mine"}
    assert "mine" in catalog
    assert isinstance(catalog["mine"], v2.Broker)
    assert catalog["mine"] is catalog["mine"] is catalog.mine
    assert (catalog["mine"].name, catalog["mine"].description) == ("mine", "heavyweight shared database")
    catalog["mine"].insert("start", {"uid": "aaaa", "time": 0.0})
    assert catalog["mine"][-1] == Broker.named("mine").v2[-1]
    (folder / "mine.yml").unlink()
    assert "mine" not in catalog


def test_a_configuration_that_changes_is_opened_anew(folder: Path) -> None:
    catalog = BuiltinCatalog()
    (folder / "mine.yml").write_text(CONFIG)
    first = catalog["mine"]
    (folder / "mine.yml").write_text(CONFIG.replace("heavyweight", "lightweight"))
    assert catalog["mine"] is not first
    assert catalog["mine"].description == "lightweight shared database"


def test_listing_opens_nothing_and_a_mistake_is_told_when_it_is_opened(folder: Path) -> None:
    (folder / "lite.yml").write_text("metadatastore: {module: databroker.headersource.sqlite}\nassets: {}")
    (folder / "broken.yml").write_text("a: [")
    catalog = BuiltinCatalog()
    assert {"lite", "broken"} <= set(catalog)
    with pytest.raises(NotOffered, match="suitcase-jsonl"):
        catalog["lite"]
    with pytest.raises(ValueError, match="is no YAML at line"):
        catalog["broken"]
    assert ConfigEntry("broken").description == ""
    assert ConfigEntry("broken").describe()["name"] == "broken"


def test_of_two_of_one_name_the_configuration_counts(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "catalogs").mkdir()
    (tmp_path / "catalogs" / "x.yml").write_text("sources: {mine: {driver: bluesky-jsonl-catalog, args: {paths: []}}}")
    monkeypatch.setenv("INTAKE_CATALOG_PATH", f"['{tmp_path / 'catalogs'}']")
    catalog = BuiltinCatalog()
    assert type(catalog["mine"]).__name__ == "BlueskyJSONLCatalog"
    (folder / "mine.yml").write_text(CONFIG)
    assert type(catalog["mine"]).__name__ == "BlueskyMongoCatalog"


def test_entries_are_kept_while_their_files_are_there(folder: Path) -> None:
    (folder / "mine.yml").write_text(CONFIG)
    first = config_entries({})
    (folder / "other.yml").write_text(CONFIG)
    second = config_entries(first)
    assert second["mine"] is first["mine"]
    assert sorted(second) == ["mine", "other"]
    (folder / "mine.yml").unlink()
    assert list(config_entries(second)) == ["other"]


def test_the_catalog_of_the_package_has_them(folder: Path) -> None:
    (folder / "mine.yml").write_text(CONFIG)
    found: Any = databroker_like.catalog
    assert "mine" in list(found)
    (folder / "mine.yml").unlink()
    assert "mine" not in list(found)
