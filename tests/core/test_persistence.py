"""What is written of a run into a catalog file is plain, opens again, and has no secret in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import intake
import pytest
import yaml

from databroker_like.core import BlueskyRun
from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.drivers.jsonl import BlueskyJSONLCatalog
from databroker_like.drivers.mongo_normalized import BlueskyMongoCatalog
from databroker_like.drivers.msgpack import BlueskyMsgpackCatalog
from databroker_like.errors import NotOffered
from databroker_like.testing import _runs as samples


def _embedded(folder: Path) -> Any:
    return BlueskyEmbeddedCatalog(str(folder / "store"), name="lab", metadata={"where": "hall 3"})


def _jsonl(folder: Path) -> Any:
    return BlueskyJSONLCatalog(str(folder / "*.jsonl"), name="lab", root_map={"/data": "/mnt"})


def _msgpack(folder: Path) -> Any:
    return BlueskyMsgpackCatalog(str(folder / "*.msgpack"))


@pytest.mark.parametrize("make", [_embedded, _jsonl, _msgpack])
def test_a_run_is_saved_as_its_catalog_with_no_other_run(make: Callable[[Path], Any], tmp_path: Path) -> None:
    catalog = make(tmp_path)
    for uid in ("one", "two"):
        for name, doc in samples.scalars(2, uid=uid):
            catalog.insert(name, doc)
    run = catalog["one"]
    written = run.yaml()
    assert list(yaml.safe_load(written)["sources"]) == ["one"]
    run.save(str(tmp_path / "run.yml"))
    assert (tmp_path / "run.yml").read_text() == written
    again = intake.open_catalog(str(tmp_path / "run.yml"))["one"]
    assert list(again) == ["one"]
    assert again["one"].primary.read().identical(run.primary.read())
    for part in (run.primary, run.primary.config):
        for write in (part.yaml, part.serialize):
            with pytest.raises(NotOffered, match=r"run\.yaml"):
                write()
    with pytest.raises(NotOffered, match="revision"):
        run.at_revision(0).yaml()


@pytest.mark.parametrize(
    "catalog",
    [
        lambda folder: BlueskyEmbeddedCatalog(
            str(folder),
            database="postgresql+psycopg://lab:hush-1@127.0.0.1:9/lab",
            data="s3://there/runs",
            data_options={"key": "me", "secret": "hush-2"},
        ),
        lambda folder: BlueskyMongoCatalog("mongodb://me:hush-1@127.0.0.1:9/a", "mongodb://me:hush-2@127.0.0.1:9/b"),
    ],
)
def test_no_password_of_the_catalog_is_saved_with_a_run(catalog: Any, tmp_path: Path) -> None:
    made = catalog(tmp_path / "store")
    run = made._opened(_some_run(tmp_path).source, name="one")
    run.cat = made
    written = run.yaml()
    assert "hush" not in written
    assert "env(" in written
    assert list(yaml.safe_load(written)["sources"]) == ["one"]


def _some_run(folder: Path) -> Any:
    catalog = _embedded(folder)
    for name, doc in samples.scalars(1, uid="one"):
        catalog.insert(name, doc)
    return catalog["one"]


def start() -> dict[str, Any]:
    """A getter with a dotted path."""
    return {"uid": "one", "time": 0.0}


def test_a_run_of_getters_is_saved_with_their_dotted_paths(tmp_path: Path) -> None:
    run = BlueskyRun(get_run_start=start, get_run_stop="builtins.dict", name="mine", metadata={"a": 1})
    (source,) = yaml.safe_load(run.yaml())["sources"].values()
    assert source["args"]["get_run_start"] == f"{__name__}.start"
    assert source["metadata"]["a"] == 1
    for given in ({"get_run_start": lambda: start()}, {"source": run.source}):
        with pytest.raises(NotOffered, match="dotted"):
            BlueskyRun(**given).yaml()
