"""A run is told in parts to clients that put it together, and only what can be meant is answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from databroker_like.client import Context
from databroker_like.codecs import decode_each
from databroker_like.core._columns import page_size, slice_page
from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.errors import DatabrokerError, NotFound
from databroker_like.nodes import MapNode
from databroker_like.nodes.runs import RunsNode
from databroker_like.store._stored_run import StoredRun
from databroker_like.testing import _runs as samples
from databroker_like.tree import build_app
from databroker_like.tree.routes._run_parts import PART_SEQUENCE
from tests.client.remote_runs import assert_same

Ask = Callable[..., list[Any]]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Asks for a part of the run ``images``, which has two frames that are gone, or of another node."""
    folder = tmp_path_factory.mktemp("runs")
    catalog = BlueskyEmbeddedCatalog(str(folder / "store"))
    for uid in ("images", "gone"):
        files = folder / uid
        files.mkdir()
        for name, doc in samples.external(files, events=3, uid=uid):
            catalog.insert(name, doc)
    for file in (folder / "gone").iterdir():
        file.unlink()
    with asking(catalog) as asked:
        yield asked
    catalog.close()


@contextmanager
def asking(catalog: BlueskyEmbeddedCatalog) -> Iterator[Ask]:
    """Asks for a part of a run of a catalog that is served."""
    with Context.from_app(build_app(MapNode({"raw": RunsNode(catalog)}), public=True)) as context:

        def asked(path: str = "raw/images", **params: Any) -> list[Any]:
            url = f"{context.api_uri}/documents/{path}"
            pairs = [(k, v) for k, vs in params.items() for v in (vs if isinstance(vs, list) else [vs])]
            reply = context.session.fetch("GET", url, params=pairs, accept=PART_SEQUENCE)
            assert reply.content_type == PART_SEQUENCE
            return [tuple(pair) for pair in decode_each([reply.content])]

        yield asked


def _descriptor(ask: Ask, path: str = "raw/images") -> str:
    return next(doc["uid"] for name, doc in ask(path, part="around") if name == "descriptor")


def test_what_is_around_the_events(ask: Ask) -> None:
    pairs = ask(part="around")
    assert [name for name, _ in pairs] == ["start", "descriptor", "resource", "event_counts", "stop"]
    assert dict(pairs)["event_counts"] == {_descriptor(ask): 3}


def test_events_are_told_until_they_are_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = StoredRun.get_event_pages

    def one_by_one(self: StoredRun, uid: str, skip: int = 0, limit: int | None = None) -> list[Any]:
        pages = whole(self, uid, skip, limit)
        return [slice_page(page, at, at + 1) for page in pages for at in range(page_size(page))]

    monkeypatch.setattr(StoredRun, "get_event_pages", one_by_one)
    catalog = BlueskyEmbeddedCatalog(tmp_path / "store")
    for name, doc in samples.external(tmp_path, events=3, uid="images"):
        catalog.insert(name, doc)
    with asking(catalog) as ask:
        asked = {"part": "events", "descriptor": _descriptor(ask)}
        everything = [1, 2, 3]
        for most, skip, rows in [(None, 0, everything), (1, 0, [1]), (1, 1, [2]), (10**6, 0, everything)]:
            for columns in ("true", "false"):
                more = {"skip": skip, "columns": columns, **({} if most is None else {"most": most})}
                pairs = ask(**asked, **more)
                assert [doc["seq_num"][0] for name, doc in pairs if name == "event_page"] == rows
                assert any(name == "column" for name, _ in pairs) == (columns == "true")
        with pytest.raises(DatabrokerError, match="most"):
            ask(**asked, most=0)
    catalog.close()


def test_events_and_how_their_external_columns_lie(ask: Ask) -> None:
    uid = _descriptor(ask)
    pairs = ask(part="events", descriptor=uid, columns="true")
    assert sum(len(doc["time"]) for name, doc in pairs if name == "event_page") == 3
    (column,) = [doc for name, doc in pairs if name == "column"]
    assert (column["stream"], column["key"], column["rows"], column["streamed"]) == (
        "primary",
        "image",
        {uid: 3},
        False,
    )
    assert column["structure"]["shape"] == [3, 4, 5]
    some = ask(part="events", descriptor=uid, skip=1, limit=1)
    assert [list(doc["seq_num"]) for _, doc in some] == [[2]]
    assert ask(part="events", descriptor=uid, limit=0) == []


def test_why_a_column_cannot_be_read_is_told_without_the_place_of_its_files(ask: Ask) -> None:
    pairs = ask("raw/gone", part="events", descriptor=_descriptor(ask, "raw/gone"), columns="true")
    (column,) = [doc for name, doc in pairs if name == "column"]
    assert column["structure"] is None
    kind, sentence = column["error"]
    assert kind == "MissingFile"
    assert "image_0.npy" in sentence
    assert str(Path("/")) + "tmp" not in sentence


def test_datums_of_all_resources_of_one_and_of_that_of_a_datum(ask: Ask) -> None:
    everything = ask(part="datums")
    assert everything[0][0] == "resource"
    uid = everything[0][1]["uid"]
    datum_id = everything[1][1]["datum_id"][0]
    for some in (ask(part="datums", resource=uid), ask(part="datums", datum=datum_id)):
        assert_same(some, everything)
    for nothing in ({"resource": "nothing"}, {"datum": "nothing/0"}):
        with pytest.raises(NotFound):
            ask(part="datums", **nothing)


def test_values_one_by_one(ask: Ask) -> None:
    values = [value for _, value in ask(part="values", descriptor=_descriptor(ask), key="image")]
    assert [value.shape for value in values] == [(4, 5)] * 3
    for nothing in ({"key": "motor", "descriptor": _descriptor(ask)}, {"key": "image", "descriptor": "nothing"}, {}):
        with pytest.raises(NotFound):
            ask(part="values", **nothing)


def test_a_run_is_told_as_it_was(ask: Ask) -> None:
    assert_same(ask(part="around", revision=0), ask(part="around"))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"part": "around", "revision": 1}, "no revision 1"),
        ({"part": "around", "revision": -1}, "revision"),
        ({"part": "around", "revision": "last"}, "revision"),
        ({"part": "around", "path": "raw", "revision": 0}, "'raw' is neither"),
        ({"part": "event"}, "'events'"),
        ({"part": ""}, "no part"),
        ({"part": "events"}, "descriptor"),
        ({"part": "events", "descriptor": ["a"] * 2000}, "1000"),
        ({"part": "events", "descriptor": "nothing"}, "nothing"),
        ({"part": "events", "descriptor": "nothing", "skip": -1}, "skip"),
        ({"part": "events", "descriptor": "nothing", "limit": "many"}, "limit"),
        ({"part": "around", "path": "raw"}, "only a run"),
        ({"part": "around", "path": "raw/images/primary"}, "only a run"),
        ({"part": "around", "path": "raw/nothing"}, "nothing"),
    ],
)
def test_what_cannot_be_meant_is_refused(ask: Ask, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(DatabrokerError, match=said) as told:
        ask(**asked)
    assert told.value.http_status < 500
