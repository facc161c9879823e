"""External files that move with their runs: checked, under their root, never over another file."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databroker_like.drivers.in_memory import BlueskyInMemoryCatalog
from databroker_like.errors import Conflict, DatabrokerError, InvalidFile, MissingFile, NotWritable
from databroker_like.testing import _runs
from databroker_like.transfer import copy, pack
from databroker_like.transfer._external import assets, folder_of
from databroker_like.transfer._files import Store, exclusive, inside, make_folder, writing
from databroker_like_handlers.npy import NumpySeqHandler

HANDLERS = {"NPY_SEQ": NumpySeqHandler}


@pytest.fixture
def detector(tmp_path: Path) -> Path:
    folder = tmp_path / "detector"
    folder.mkdir()
    return folder


@pytest.fixture
def source(make_catalog: Any, record: Any, detector: Path) -> Any:
    return record(make_catalog(handler_registry=HANDLERS), _runs.external(detector, uid="a"))


def test_files_are_copied_and_read_from_their_new_place(
    source: Any, detector: Path, make_catalog: Any, tmp_path: Path
) -> None:
    dest = make_catalog("jsonl", handler_registry=HANDLERS)
    expected = source["a"].primary.read()
    report = copy(source, dest, external_files=str(tmp_path / "moved"))
    report.raise_if_failed()
    assert (report.files, report.bytes) == (3, sum(file.stat().st_size for file in detector.iterdir()))
    assert report.root_map == dest.root_map == {str(detector): str(tmp_path / "moved" / folder_of(str(detector)))}
    assert dest["a"].source.get_resources() == source["a"].source.get_resources()
    for file in detector.iterdir():
        file.unlink()
    assert dest["a"].primary.read().identical(expected)


def test_each_file_has_its_checksum_beside_it(source: Any, make_catalog: Any, tmp_path: Path) -> None:
    copy(source, make_catalog(), external_files=str(tmp_path / "moved"))
    lines = (tmp_path / "moved" / "checksums.sha256").read_text().splitlines()
    assert len(lines) == 3
    for line in lines:
        checksum, name = line.split("  ")
        assert hashlib.sha256((tmp_path / "moved" / name).read_bytes()).hexdigest() == checksum


def test_files_that_are_there_are_not_copied_again_and_are_made_up_for(
    source: Any, make_catalog: Any, tmp_path: Path
) -> None:
    dest, moved = make_catalog(), tmp_path / "moved"
    copy(source, dest)
    assert copy(source, dest, external_files=str(moved)).files == 3
    report = copy(source, dest, external_files=str(moved))
    assert (report.files, report.skipped, report.ok) == (0, ("a",), True)
    next(moved.rglob("*.npy")).unlink()
    assert copy(source, dest, external_files=str(moved)).files == 1


def test_a_different_file_is_never_written_over(source: Any, make_catalog: Any, tmp_path: Path) -> None:
    dest, moved = make_catalog(), tmp_path / "moved"
    copy(source, dest, external_files=str(moved))
    file = next(moved.rglob("*.npy"))
    changed = bytearray(file.read_bytes())
    changed[-1] ^= 255
    file.write_bytes(changed)  # of the same size
    report = copy(source, dest, external_files=str(moved))
    assert "is not the same" in report.failed["a"]
    assert file.read_bytes() == changed


def test_a_root_that_is_elsewhere_already_is_a_conflict(
    source: Any, detector: Path, make_catalog: Any, tmp_path: Path
) -> None:
    dest = make_catalog(root_map={str(detector): "/elsewhere"})
    report = copy(source, dest, external_files=str(tmp_path / "moved"))
    assert "is mapped to /elsewhere" in report.failed["a"]
    assert dest.root_map == {str(detector): "/elsewhere"}


def test_the_root_map_and_the_transforms_of_the_source_find_the_files(
    make_catalog: Any, record: Any, detector: Path, tmp_path: Path
) -> None:
    documents = _runs.external(detector, uid="a")
    for name, doc in documents:
        if name == "resource":
            doc["root"] = "/old/machine"
    for settings in (
        {"root_map": {"/old/machine": str(detector)}},
        {"transforms": {"resource": lambda doc: {**doc, "root": str(detector)}}},
    ):
        source = record(make_catalog(handler_registry=HANDLERS, **settings), documents)
        dest = make_catalog(handler_registry=HANDLERS)
        report = copy(source, dest, external_files=str(tmp_path / "moved"))
        assert (report.ok, report.issues) == (True, ())
        assert list(dest.root_map) == ["/old/machine"]
        assert dest["a"].primary.read()["image"].shape == (3, 4, 5)


def test_streams_of_external_data_move_as_well(make_catalog: Any, record: Any, detector: Path, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    frames = np.arange(80, dtype="uint16").reshape(4, 4, 5)
    with h5py.File(detector / "images.h5", "w") as file:
        file["/entry/data/data"] = frames
    source = record(make_catalog(), _runs.stream_external(str(detector), uid="a"))
    dest = make_catalog("embedded")
    report = copy(source, dest, external_files=str(tmp_path / "moved"))
    assert (report.ok, report.issues, report.files) == (True, (), 1)
    (detector / "images.h5").unlink()
    np.testing.assert_array_equal(dest["a"].primary.read()["image"].values.reshape(4, 4, 5), frames)


@pytest.mark.parametrize(
    ("mimetype", "names"), [("multipart/related;type=image/tiff", ["a.tif", "b.tif"]), ("application/x-zarr", ["0/1"])]
)
def test_folders_move_when_the_mimetype_says_that_it_is_one(
    mimetype: str, names: list[str], make_catalog: Any, record: Any, detector: Path
) -> None:
    for name in names:
        (detector / "scan" / name).parent.mkdir(exist_ok=True, parents=True)
        (detector / "scan" / name).write_bytes(b"frame")
    run = record(make_catalog(), _runs.scalars())[-1]
    resource = {"uid": "r", "mimetype": mimetype, "uri": f"file://localhost{detector}/scan/"}
    issues: list[str] = []
    found = list(assets(run, [("stream_resource", resource)], issues))
    assert [asset.relative for asset in found] == [f"scan/{name}" for name in names]
    assert {asset.root for asset in found} == {str(detector)}
    assert issues == []


# -- what a document may not lead to


@pytest.mark.parametrize(
    ("root", "path"),
    [("/", ""), ("/", "etc"), ("/etc", "../usr/passwd"), ("", "/etc/passwd"), ("/etc", "absent"), ("/dev", "null")],
)
def test_what_is_no_file_below_its_root_is_an_issue(
    root: str, path: str, make_catalog: Any, record: Any, detector: Path, tmp_path: Path
) -> None:
    documents = _runs.external(detector, uid="a")
    for name, doc in documents:
        if name == "resource":
            doc.update(root=root, resource_path=path, spec="UNKNOWN")
    report = copy(record(make_catalog(), documents), make_catalog(), external_files=str(tmp_path / "moved"))
    assert report.ok
    assert "are not moved" in report.issues[0]
    assert list((tmp_path / "moved").rglob("*")) == []


def test_the_root_of_all_files_is_no_folder_of_a_stream(make_catalog: Any, record: Any) -> None:
    run = record(make_catalog(), _runs.scalars())[-1]
    for uri in ("file:///", "file://localhost/", "https://elsewhere/a.h5", "file:///absent/at/all.h5"):
        issues: list[str] = []
        resource = {"uid": "r", "mimetype": "multipart/related;type=image/tiff", "uri": uri}
        assert list(assets(run, [("stream_resource", resource)], issues)) == []
        assert len(issues) == 1


def test_a_handler_that_names_files_elsewhere_does_not_get_them_copied(
    make_catalog: Any, record: Any, detector: Path, tmp_path: Path
) -> None:
    class Leading(NumpySeqHandler):
        def get_file_list(self, datum_kwarg_gen: Any) -> list[str]:
            return ["/etc/passwd"]

    source = record(make_catalog(handler_registry={"NPY_SEQ": Leading}), _runs.external(detector, uid="a"))
    report = copy(source, make_catalog(), external_files=str(tmp_path / "moved"))
    assert report.files == 0
    assert "outside of its root" in report.issues[0]


def test_a_root_that_is_a_template_is_not_written_into_catalog_files(
    make_catalog: Any, record: Any, detector: Path
) -> None:
    documents = _runs.external(detector, uid="a")
    resource = {**next(doc for name, doc in documents if name == "resource"), "root": "{{ env(HOME) }}"}
    run = record(make_catalog(root_map={"{{ env(HOME) }}": str(detector)}, handler_registry=HANDLERS), documents)["a"]
    issues: list[str] = []
    assert list(assets(run, [("resource", resource)], issues)) == []
    assert "cannot stand in a catalog file" in issues[0]


@given(st.lists(st.sampled_from(["..", ".", "a", "", "b c", "link", "/"]), min_size=1, max_size=6).map("/".join))
def test_a_path_inside_is_inside_or_refused(relative: str) -> None:
    try:
        path = inside("/folder/of/packs", relative)
    except InvalidFile:
        return
    assert path == "/folder/of/packs" or path.startswith("/folder/of/packs/")
    assert ".." not in path.split("/")


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "out")
    with pytest.raises(InvalidFile, match="leads out"):
        inside(str(tmp_path / "in"), "link/file")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidFile):
        Store(str(tmp_path / "in")).put(str(tmp_path / "file"), "link/file")
    assert not list((tmp_path / "out").iterdir())


# -- files in place whole, or not at all


def test_a_file_is_whole_under_its_name_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "file"

    def half() -> None:
        with writing(str(path), replace=True) as file:
            file.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert not list(tmp_path.iterdir())
    with writing(str(path), replace=False) as file:
        file.write(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole"
    with pytest.raises(Conflict), writing(str(path), replace=False) as file:
        file.write(b"other")
    assert path.read_bytes() == b"whole"
    with writing(str(path), replace=True) as file:
        file.write(b"other")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"other"


def test_a_disk_that_is_full_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(NotWritable, match="No space left on device; make room"),
        writing(str(tmp_path / "file"), replace=False),
    ):
        raise OSError(28, os.strerror(28))
    assert not list(tmp_path.iterdir())


def test_a_file_system_without_links_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*args: Any, **kwargs: Any) -> None:
        raise PermissionError(1, "not here")

    monkeypatch.setattr(os, "link", no_links)
    for what in (b"one", b"two"):
        try:
            with writing(str(tmp_path / "file"), replace=False) as file:
                file.write(what)
        except Conflict:
            assert what == b"two"
    assert (tmp_path / "file").read_bytes() == b"one"


def test_what_cannot_be_read_or_written_is_told_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    store = Store(str(tmp_path / "store"))
    with pytest.raises(MissingFile, match="absent cannot be read"):
        store.put(str(tmp_path / "absent"), "a")
    with pytest.raises(InvalidFile, match="no file"):
        store.put(str(tmp_path), "a")
    with pytest.raises(InvalidFile, match="line break"):
        store.put(str(tmp_path / "file"), "a\nb")
    with pytest.raises(NotWritable):
        make_folder(str(tmp_path / "file" / "below"))
    with pytest.raises(NotWritable):
        Store(str(tmp_path / "file")).put(str(tmp_path / "file"), "a")
    assert not (tmp_path / "store" / "a").exists()


def test_one_process_at_a_time(tmp_path: Path) -> None:
    (tmp_path / ".x.part").write_text("of one that died")
    with exclusive(str(tmp_path)):
        assert not list(tmp_path.iterdir())
        with pytest.raises(Conflict, match="another process"), exclusive(str(tmp_path)):
            raise AssertionError("two at once")
    with exclusive(str(tmp_path)):
        (tmp_path / "file").write_text("x")


def test_an_error_of_ours_comes_through_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(DatabrokerError, match="as it is"), writing(str(tmp_path / "file"), replace=True):
        raise MissingFile("as it is")


class OldResources(BlueskyInMemoryCatalog):
    """Lists no resources, as a MongoDB whose resource documents do not name their run."""

    def _make_collection(self) -> Any:
        collection = super()._make_collection()
        source = collection.source

        def unlisted(uid: str, get_filler: Any) -> Any:
            return dataclasses.replace(source(uid, get_filler), get_resources=list)

        collection.source = unlisted  # type: ignore[method-assign]
        return collection


def test_files_of_resources_that_name_no_run_move_too(
    make_catalog: Any, record: Any, detector: Path, tmp_path: Path
) -> None:
    source = record(OldResources(handler_registry=HANDLERS), _runs.external(detector, uid="a"))
    assert source["a"].source.get_resources() == []
    dest = make_catalog(handler_registry=HANDLERS)
    report = copy(source, dest, external_files=str(tmp_path / "moved"), verify="documents")
    assert (report.ok, report.issues, report.files) == (True, (), 3)
    assert copy(source, dest, external_files=str(tmp_path / "moved")).skipped == ("a",)
    assert pack(source, tmp_path / "pack", external="copy").files == 3
    assert pack(source, tmp_path / "pack", external="copy").skipped == ("a",)
