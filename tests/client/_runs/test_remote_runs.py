"""What runs on a service do that recorded ones do not show: files, growth, failures, requests, other processes."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest

from databroker_like.client import from_uri
from databroker_like.client._runs import _collection, _parts, _server
from databroker_like.client.remote import BlueskyRemoteCatalog
from databroker_like.core import RemoteBlueskyEventStream, RemoteBlueskyRun
from databroker_like.core._columns import page_size, slice_page
from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.drivers.in_memory import BlueskyInMemoryCatalog
from databroker_like.errors import MissingFile, NoSuchRun, NotOffered, OutOfRange
from databroker_like.store._stored_run import StoredRun
from databroker_like.testing import _runs as samples
from tests.client.remote_runs import assert_same, counting, live, read_quietly, served


def _insert(catalog: Any, documents: Any) -> str:
    for name, doc in documents:
        catalog.v1.insert(name, doc)
    return str(documents[0][1].get("uid"))


@pytest.fixture
def here(tmp_path: Path) -> Iterator[BlueskyEmbeddedCatalog]:
    catalog = BlueskyEmbeddedCatalog(str(tmp_path / "store"))
    yield catalog
    catalog.close()


@pytest.mark.parametrize("sample", samples.SAMPLES)
@pytest.mark.parametrize("kind", ["embedded", "in_memory"])
def test_every_sample_is_the_same(kind: str, sample: str, here: Any) -> None:
    catalog = here if kind == "embedded" else BlueskyInMemoryCatalog()
    uid = _insert(catalog, samples.SAMPLES[sample]())
    with served(catalog) as there:
        for name in catalog[uid]:
            expected, left_out = read_quietly(catalog[uid][name].read)
            found, also = read_quietly(there[uid][name].read)
            assert found.identical(expected)
            assert also == left_out
        for strict_order in (True, False):
            expected = [(name, dict(doc)) for name, doc in catalog[uid].documents(fill="no", strict_order=strict_order)]
            found = [(name, dict(doc)) for name, doc in there[uid].documents(fill="no", strict_order=strict_order)]
            assert_same(found, expected)


@pytest.fixture
def long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are told in pages of two events, and are too long to be kept, or to be told in one reply."""
    whole = StoredRun.get_event_pages

    def cut(self: StoredRun, uid: str, skip: int = 0, limit: int | None = None) -> list[Any]:
        pages = whole(self, uid, skip, limit)
        return [slice_page(page, at, at + 2) for page in pages for at in range(0, page_size(page), 2)]

    monkeypatch.setattr(StoredRun, "get_event_pages", cut)
    for limit in ("_KEPT_BYTES", "_MORE_BYTES"):
        monkeypatch.setattr(_parts, limit, 1)


@pytest.mark.usefixtures("long")
@pytest.mark.parametrize("sample", samples.SAMPLES)
def test_a_run_that_is_too_long_for_one_reply_is_the_same(sample: str, here: Any) -> None:
    test_every_sample_is_the_same("embedded", sample, here)


@pytest.mark.usefixtures("long")
@pytest.mark.parametrize("kind", ["images", "frames"])
def test_external_values_of_a_long_run_are_read_by_the_service(
    kind: str, here: Any, request: pytest.FixtureRequest
) -> None:
    test_external_values_are_read_by_the_service(kind, here, request)


@pytest.mark.usefixtures("long")
def test_the_events_of_a_long_run_come_as_they_are_wanted(here: Any) -> None:
    uid = _insert(here, samples.scalars(9, uid="long"))
    with served(here) as there:
        source = there.collection.source(uid, None)
        (descriptor,) = source.get_event_descriptors()
        with counting(there) as asked:
            pages = iter(source.get_event_pages(descriptor["uid"]))
            assert next(pages)["seq_num"].tolist() == [1, 2]
            assert len(asked) == 1
            assert [number for page in pages for number in page["seq_num"].tolist()] == [3, 4, 5, 6, 7, 8, 9]
            assert len(asked) == 5
        # They are not kept, and told again to who asks again.
        with counting(there) as asked:
            for _ in range(2):
                pages = source.get_event_pages(descriptor["uid"])
                assert [number for page in pages for number in page["seq_num"].tolist()] == list(range(1, 10))
            some = source.get_event_pages(descriptor["uid"], skip=3, limit=4)
            assert [number for page in some for number in page["seq_num"].tolist()] == [4, 5, 6, 7]
        assert len(asked) == 5 + 5 + 1


@pytest.mark.usefixtures("long")
def test_events_that_are_gone_end_a_long_run(here: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    uid, there_are, gone = _insert(here, samples.scalars(9, uid="long")), StoredRun.get_event_pages, []
    monkeypatch.setattr(StoredRun, "get_event_pages", lambda *args, **which: [] if gone else there_are(*args, **which))
    with served(here) as there:
        source = there.collection.source(uid, None)
        (descriptor,) = source.get_event_descriptors()
        for _ in range(2):
            pages = iter(source.get_event_pages(descriptor["uid"]))
            assert next(pages)["seq_num"].tolist() == [1, 2]
        gone.append("all")
        assert list(pages) == []
        assert list(source.get_event_pages(descriptor["uid"])) == []


@pytest.mark.usefixtures("long")
def test_a_long_run_that_goes_on_is_told_whole(here: Any) -> None:
    documents = samples.scalars(9, uid="long")[:-1]
    uid = _insert(here, documents)
    with served(here) as there:
        assert there[uid]["primary"].read().identical(here[uid]["primary"].read())


@pytest.fixture
def images(here: Any, tmp_path: Path) -> str:
    """A run with images in files of resources and datums."""
    files = tmp_path / "images"
    files.mkdir()
    return _insert(here, samples.external(files, events=4, uid="images"))


@pytest.fixture
def frames(here: Any, tmp_path: Path) -> str:
    """A run with images in a file of stream resources and stream datums."""
    documents = samples.stream_external(str(tmp_path), events=4, uid="frames")
    resource = next(doc for name, doc in documents if name == "stream_resource")
    key = next(doc for name, doc in documents if name == "descriptor")["data_keys"][resource["data_key"]]
    path = Path(resource["uri"].removeprefix("file://localhost"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        shape = (4, *key["shape"])
        file[resource["parameters"]["dataset"]] = np.arange(np.prod(shape), dtype="uint16").reshape(shape)
    return _insert(here, documents)


@pytest.mark.parametrize("kind", ["images", "frames"])
def test_external_values_are_read_by_the_service(kind: str, here: Any, request: pytest.FixtureRequest) -> None:
    uid = request.getfixturevalue(kind)
    with served(here) as there:
        dataset = here[uid]["primary"].read()
        assert there[uid]["primary"].read().identical(dataset)
        lazy = there[uid]["primary"].to_dask()
        assert all(hasattr(column.data, "dask") for column in lazy.values())
        assert lazy.compute().identical(dataset)
        for fill in ("yes", "delayed"):
            for strict_order in (True, False):
                asked = {"fill": fill, "strict_order": strict_order}
                for (name, one), (other_name, other) in zip(
                    there[uid].documents(**asked), here[uid].documents(**asked), strict=True
                ):
                    assert name == other_name
                    if name == "event_page":
                        assert list(one["data"]) == list(other["data"])
                        for key in one["data"]:
                            assert_same(
                                list(map(np.asarray, one["data"][key])), list(map(np.asarray, other["data"][key]))
                            )


@pytest.mark.parametrize("kind", ["images", "frames"])
def test_n_blocks_cost_n_requests_and_two(kind: str, here: Any, request: pytest.FixtureRequest) -> None:
    uid = request.getfixturevalue(kind)
    with served(here) as there:
        blocks = 1 + sum(len(column.blocks[0]) for column in _columns(there[uid]["primary"]))
        for read in (
            lambda run: run["primary"].read(),
            lambda run: run["primary"].to_dask().compute(),
            lambda run: list(run.documents(fill="yes")),
        ):
            # Not even what kind of server it is, is known.
            _server._in_parts.clear()
            run = RemoteBlueskyRun(source=there.collection.source(uid, here[uid].source.get_filler))
            with counting(there) as asked:
                read(run)
            assert len(asked) <= blocks + 2, asked
        with counting(there) as asked:
            assert list(run["primary"].config) == list(here[uid]["primary"].config)
            run["primary"].timestamps.read()
        assert asked == []  # the run has ended, and its events are here


def _columns(stream: Any) -> list[Any]:
    reading = stream._reading()
    reading.dataset(lazy=True)
    return [column for columns in reading.lazy_columns.values() for column in columns if hasattr(column, "blocks")]


def test_a_file_that_is_gone_is_told_as_here(here: Any, images: str, tmp_path: Path) -> None:
    for file in (tmp_path / "images").iterdir():
        file.unlink()
    with served(here) as there:
        for catalog in (here, there):
            for read in (catalog[images]["primary"].read, catalog[images]["primary"].to_dask):
                found, left_out = read_quietly(read)
                assert "image" not in found
                assert len(left_out) == 1
                assert "'image'" in left_out[0]
            with pytest.raises(MissingFile):
                catalog[images]["primary"].configure_new(include=["image"]).read()
            with pytest.raises(MissingFile):
                list(catalog[images].documents(fill="yes"))


def test_values_of_different_shapes_are_a_column_of_arrays(here: Any, images: str, tmp_path: Path) -> None:
    first = min((tmp_path / "images").iterdir())
    np.save(first, np.load(first)[..., :1])
    with served(here) as there:
        expected, _ = read_quietly(here[images]["primary"].read)
        found, _ = read_quietly(there[images]["primary"].read)
        assert expected["image"].dtype == found["image"].dtype == object
        for one, other in zip(found["image"].values, expected["image"].values, strict=True):
            assert_same(one, other)


def test_reading_again_sees_more(here: Any) -> None:
    documents = samples.scalars(4, uid="growing")
    with served(here) as there:
        _insert(here, documents[:1])
        run = there["growing"]
        assert (list(run), run.metadata["stop"]) == ([], None)
        _insert(here, documents[1:4])
        assert len(run["primary"].read()["time"]) == 2
        _insert(here, documents[4:5])
        assert len(run["primary"].read()["time"]) == 3
        assert [name for name, _ in run.documents(fill="no")][-1] == "event_page"
        _insert(here, documents[5:])
        assert run.metadata["stop"]["exit_status"] == "success"
        assert run["primary"].read().identical(here["growing"]["primary"].read())
        assert there["growing"] is run


@pytest.mark.parametrize("in_parts", [True, False])
def test_a_run_that_goes_on_is_looked_at_once_by_each_reading(here: Any, in_parts: bool) -> None:
    documents = samples.scalars(4, uid="growing")
    with served(here) as there:
        _insert(here, documents[:4])
        for known in (False, True):
            there.collection._server.tells_parts = in_parts
            run = there._opened(there.collection.source("growing", None), name="growing")
            if known:
                assert list(run) == ["primary"]
            for events in (2, 2):
                with counting(there) as asked:
                    assert len(run["primary"].read()["time"]) == events
                assert len(asked) <= 1 + 2, asked
            with counting(there) as asked:
                assert run["primary"].metadata["stop"] is None
            assert len(asked) <= 2, asked
        stream = run["primary"]
        _insert(here, documents[4:5])
        assert len(stream.read()["time"]) == 3
        _insert(here, documents[5:])
        assert stream.read().identical(here["growing"]["primary"].read())
        assert stream.metadata["stop"] is not None


def test_the_events_of_many_descriptors_of_a_run_that_goes_on_come_in_one_request(here: Any) -> None:
    documents = list(samples.scalars(2, uid="changing"))[:-1]
    first = dict(documents[1][1])
    assert documents[1][0] == "descriptor"
    event = dict(documents[-1][1])
    documents.append(("descriptor", {**first, "uid": "second"}))
    documents.append(("event", {**event, "uid": "third", "descriptor": "second", "seq_num": 3}))
    with served(here) as there:
        uid = _insert(here, documents)
        run = there[uid]
        (name, *_) = run
        assert len(run[name].metadata["descriptors"]) > 1
        for _ in range(2):
            with counting(there) as asked:
                assert len(run[name].read()["time"]) == len(here[uid][name].read()["time"])
            assert sum("part=events" in url for url in asked) == 1, asked


def test_files_that_come_while_a_run_goes_on_are_read(here: Any, tmp_path: Path) -> None:
    documents = samples.external(tmp_path, events=4, uid="growing")
    first = next(at for at, (name, _) in enumerate(documents) if name == "event") + 1
    with served(here) as there:
        _insert(here, documents[:first])
        run = there["growing"]
        assert run["primary"].read()["image"].shape == (1, 4, 5)
        assert len([name for name, _ in run.documents(fill="no") if name == "datum_page"]) == 1
        _insert(here, documents[first:])
        expected = here["growing"]
        assert run["primary"].read().identical(expected["primary"].read())
        found = [(name, dict(doc)) for name, doc in run.documents(fill="no")]
        assert_same(found, [(name, dict(doc)) for name, doc in expected.documents(fill="no")])


def test_a_stream_of_many_descriptors_is_read_in_some_requests(here: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    uid = _insert(here, samples.several_streams(3, uid="many"))
    monkeypatch.setattr(_parts, "_AT_ONCE", 1)
    with served(here) as there:
        for name in here[uid]:
            assert there[uid][name].read().identical(here[uid][name].read())


def test_what_is_in_the_catalog_and_what_values_there_are_is_as_here(here: Any) -> None:
    uid = _insert(here, samples.scalars(1, uid="one", hints={"dimensions": [(("motor",), "primary")]}))
    with served(here) as there:
        for key in (uid, (uid,), (uid, "primary"), (uid, "nothing"), ("two",), (), -1, -2, -(10**30), 10**30, "", None):
            assert (key in there) == (key in here), key
        with pytest.raises(OutOfRange, match="1 runs"):
            there[-(10**30)]
        for key in ("hints.dimensions", "hints", "scan_id"):
            assert there.distinct(key) == here.distinct(key)


def test_a_run_that_is_amended_or_deleted_is_not_what_it_was(here: Any) -> None:
    uid = _insert(here, samples.scalars(1, uid="one"))
    with served(here) as there:
        assert "sample" not in there[uid].metadata["start"]
        assert there[uid].at_revision(0).metadata["start"] == here[uid].metadata["start"]
        with pytest.raises(OutOfRange):
            there[uid].at_revision(1)
        here.amend(uid, {"start": {"sample": "gold"}}, reason="it was forgotten")
        assert there[uid].metadata["start"]["sample"] == "gold"
        with pytest.raises(NotOffered, match="catalog"):
            RemoteBlueskyRun(source=there[uid].source).at_revision(0)
        here.delete(uid)
        with pytest.raises(NoSuchRun):
            there[uid]


def test_who_asks_again_and_again_within_a_second_is_told_what_has_changed(
    here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _insert(here, samples.scalars(1, uid="one"))
    now = [100.0]
    monkeypatch.setattr(_collection, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(_collection, "_FRESH", 1.0)
    with served(here) as there:
        assert "one" in there
        here.delete("one")
        for _ in range(3):
            now[0] += 0.6
            there.collection.has("one")
        assert "one" not in there


def test_a_run_of_which_descriptor_and_resource_are_amended_is_read_anew(
    here: Any, images: str, tmp_path: Path
) -> None:
    (descriptor,) = here[images]["primary"].metadata["descriptors"]
    resource = next(dict(doc) for name, doc in here[images].documents(fill="no") if name == "resource")
    (tmp_path / "images").rename(tmp_path / "moved")
    # One after the other, both at once, and what changes how a column is read.
    for changes in (
        {"descriptor": {descriptor["uid"]: {"data_keys": {"motor": {"units": "um"}}}}},
        {"resource": {resource["uid"]: {"root": str(tmp_path)}}},
        {
            "descriptor": {descriptor["uid"]: {"data_keys": {"motor": {"units": "cm"}}}},
            "resource": {resource["uid"]: {"root": str(tmp_path / "moved")}},
        },
        {"descriptor": {descriptor["uid"]: {"data_keys": {"image": {"external": None}}}}},
    ):
        with served(here) as there:

            def look() -> Iterator[Any]:
                yield from (next(there.values()), there.search({})[-1], there[images])

            for run in look():
                list(run.documents(fill="no"))
            here.amend(images, changes, reason="it was wrong")
            expected = [(name, dict(doc)) for name, doc in here[images].documents(fill="no")]
            for run in look():
                assert_same([(name, dict(doc)) for name, doc in run.documents(fill="no")], expected)
                assert run["primary"].metadata["descriptors"] == here[images]["primary"].metadata["descriptors"]
            assert there[images] is there[images]
            data, left_out = read_quietly(here[images]["primary"].read)
            for read in (there[images]["primary"].read, lambda: there[images]["primary"].to_dask().load()):
                assert read_quietly(read)[0].identical(data)
            for fill in ("no",) if left_out else ("no", "yes"):
                expected = [(name, dict(doc)) for name, doc in here[images].documents(fill=fill)]
                assert_same([(name, dict(doc)) for name, doc in there[images].documents(fill=fill)], expected)


def test_a_run_that_was_amended_is_read_anew_where_it_comes_by_pickle(here: Any) -> None:
    uid = _insert(here, samples.scalars(1, uid="one"))
    (descriptor,) = here[uid]["primary"].metadata["descriptors"]
    with live(here) as url:
        there = BlueskyRemoteCatalog(url, api_key="secret")
        for unit in ("um", "cm"):
            here.amend(uid, {"descriptor": {descriptor["uid"]: {"data_keys": {"motor": {"units": unit}}}}}, reason="r")
            found = pickle.loads(pickle.dumps(there[uid]))["primary"].metadata["descriptors"][0]
            assert found["data_keys"]["motor"]["units"] == unit


def test_every_revision_is_what_it_is_here(here: Any, images: str, frames: str, tmp_path: Path) -> None:
    run = here[images]
    (descriptor,) = run["primary"].metadata["descriptors"]
    resource = next(dict(doc) for name, doc in run.documents(fill="no") if name == "resource")
    elsewhere = tmp_path / "moved"
    elsewhere.mkdir()
    for number, frame in enumerate(sorted((tmp_path / "images").glob("*.npy"))):
        np.save(elsewhere / frame.name, np.load(frame) + np.uint16(100 + number))
    here.amend(images, {"start": {"sample": "gold"}, "stop": {"reason": "done"}}, reason="it was forgotten")
    here.amend(images, {"descriptor": {descriptor["uid"]: {"data_keys": {"motor": {"units": "mm"}}}}}, reason="no unit")
    here.amend(images, {"resource": {resource["uid"]: {"root": str(elsewhere)}}}, reason="they were moved")
    here.amend(frames, {"start": {"sample": "lead"}}, reason="it was forgotten")
    seen = set()
    with served(here) as there:
        for name in (images, frames):
            for revision in range(len(here[name].revisions) + 1):
                for fill in ("no", "yes"):
                    expected = [(kind, dict(doc)) for kind, doc in here[name].documents(fill=fill, revision=revision)]
                    found = [(kind, dict(doc)) for kind, doc in there[name].documents(fill=fill, revision=revision)]
                    assert_same(found, expected)
                    seen.add(repr(found))
                then = there[name].at_revision(revision)["primary"]
                assert then.read().identical(here[name].at_revision(revision)["primary"].read())
                assert then.to_dask().compute().identical(then.read())
            with pytest.raises(OutOfRange, match="revisions 0 to"):
                there[name].documents(fill="no", revision=revision + 1)
            assert there[name].revisions == here[name].revisions
    # Each is another, and another again when it is filled; what stream datums announce stands in no event.
    assert len(seen) == 2 * 4 + 2


def test_revisions_are_read_of_a_run_that_is_opened_by_its_address(here: Any, images: str) -> None:
    here.amend(images, {"start": {"sample": "gold"}}, reason="it was forgotten")
    expected = list(here[images].documents(fill="no", revision=0))
    with live(here) as url:
        run = RemoteBlueskyRun(f"{url}/{images}", api_key="secret")
        assert_same(list(run.documents(fill="no", revision=0)), expected)
        then = run.at_revision(0)["primary"]
        assert pickle.loads(pickle.dumps(then)).read().identical(then.read())
        node = from_uri(f"{url}/{images}", api_key="secret")
        with node.context:
            assert_same(list(node.documents("no", revision=0)), expected)
            assert next(node.documents())[1]["sample"] == "gold"


def test_transforms_are_applied_where_they_were_given(here: Any) -> None:
    uid = _insert(here, samples.scalars(1, uid="one"))
    with served(here, transforms={"start": _golden}) as there:
        assert there[uid].metadata["start"]["sample"] == "gold"
        assert next(there[uid].documents(fill="no"))[1]["sample"] == "gold"


def _golden(doc: dict[str, Any]) -> dict[str, Any]:
    return {**doc, "sample": "gold"}


def test_an_address_is_all_that_is_needed(here: Any, images: str) -> None:
    expected = here[images]["primary"].read()
    with live(here) as url:
        catalog = BlueskyRemoteCatalog(url, api_key="secret")
        again = pickle.loads(pickle.dumps(catalog))
        assert again[-1]["primary"].read().identical(expected)
        run = RemoteBlueskyRun(f"{url}/{images}?api_key=secret", {}, "a name", {}, {})
        assert run["primary"].read().identical(expected)
        assert pickle.loads(pickle.dumps(run))["primary"].read().identical(expected)
        stream = RemoteBlueskyEventStream(f"{url}/{images}/primary?api_key=secret", parameters={"include": ["image"]})
        assert list(stream.read()) == ["image"]
        lazy = pickle.loads(pickle.dumps(catalog[-1]["primary"].to_dask()))
        assert lazy.compute().identical(expected)
        assert "secret" not in repr((catalog, run, stream, lazy["image"].data, lazy["image"].data.dask))
        one, other = catalog.collection, BlueskyRemoteCatalog(url, api_key="secret").collection
        assert one._server is other._server  # one session, whoever asks
        with pytest.raises(NoSuchRun):
            list(RemoteBlueskyRun(f"{url}/nothing?api_key=secret"))
