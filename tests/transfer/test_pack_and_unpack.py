"""Packing runs, and unpacking packs of our own and of strangers."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import intake
import numpy as np
import pytest
import yaml

from databroker_like import open_catalog
from databroker_like.drivers.in_memory import BlueskyInMemoryCatalog
from databroker_like.errors import Conflict, Invalid, InvalidCatalog, InvalidFile, MissingFile, NotWritable
from databroker_like.testing import _runs
from databroker_like.transfer import pack, unpack
from databroker_like.transfer._layout import read_pack
from databroker_like_handlers.npy import NumpySeqHandler

HANDLERS = {"NPY_SEQ": NumpySeqHandler}
FORMATS = ("msgpack", "jsonl")


@pytest.fixture
def source(make_catalog: Any, record: Any, samples: Any) -> Any:
    return record(make_catalog(), *samples[:-1])


@pytest.fixture
def with_images(make_catalog: Any, record: Any, tmp_path: Path) -> Any:
    folder = tmp_path / "detector"
    folder.mkdir()
    return record(make_catalog(handler_registry=HANDLERS), _runs.external(folder, uid="a"))


def opened(folder: Path) -> Any:
    """A pack as its own catalog file opens it."""
    catalog = intake.open_catalog(str(folder / "catalog.yml"))["packed_catalog"]
    catalog.register_handler("NPY_SEQ", NumpySeqHandler, overwrite=True)
    return catalog


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# -- packing


@pytest.mark.parametrize("kind", FORMATS)
def test_a_pack_holds_what_was_recorded_and_opens_by_its_own_file(
    kind: str, source: Any, said: Any, tmp_path: Path
) -> None:
    report = pack(source, tmp_path / "pack", format=kind)
    report.raise_if_failed()
    files = [f"documents/{uid}.{kind}" for uid in source]
    assert listing(tmp_path / "pack") == sorted([*files, "catalog.yml", "documents_manifest.txt"])
    assert (tmp_path / "pack" / "documents_manifest.txt").read_text().split() == sorted(files)
    assert said(opened(tmp_path / "pack")) == said(source)
    (tmp_path / "pack").rename(tmp_path / "moved [1]")
    assert said(opened(tmp_path / "moved [1]")) == said(source)


def test_the_catalog_file_is_that_of_databroker_pack(with_images: Any, tmp_path: Path) -> None:
    pack(with_images, tmp_path / "pack", external="copy")
    (source,) = yaml.safe_load((tmp_path / "pack" / "catalog.yml").read_text())["sources"].items()
    name, entry = source
    assert name == "packed_catalog"
    assert entry["driver"] == "bluesky-msgpack-catalog"
    assert entry["args"]["paths"] == [str(tmp_path / "pack" / "documents" / "*.msgpack")]
    ((root, place),) = entry["args"]["root_map"].items()
    assert root == str(tmp_path / "detector")
    assert place.startswith("external_files/")
    assert entry["metadata"]["relative_paths"] == ["./documents/*.msgpack"]
    assert entry["metadata"]["generated_by"]["library"] == "databroker_like"


def test_files_travel_in_the_pack(with_images: Any, tmp_path: Path) -> None:
    expected = with_images["a"].primary.read()
    report = pack(with_images, tmp_path / "pack", external="copy")
    assert (report.files, report.ok, report.issues) == (3, True, ())
    for file in (tmp_path / "detector").iterdir():
        file.unlink()
    (tmp_path / "pack").rename(tmp_path / "moved")
    assert opened(tmp_path / "moved")["a"].primary.read().identical(expected)
    (manifest,) = (tmp_path / "moved").glob("external_files_manifest_*.txt")
    names = manifest.read_text().splitlines()
    assert len(names) == 3
    assert all((tmp_path / "moved" / name).is_file() for name in names)


def test_files_left_behind_are_listed(with_images: Any, tmp_path: Path) -> None:
    pack(with_images, tmp_path / "pack")
    (manifest,) = (tmp_path / "pack").glob("external_files_manifest_*.txt")
    assert manifest.read_text().splitlines() == [str(tmp_path / "detector" / f"image_{n}.npy") for n in range(3)]
    assert not (tmp_path / "pack" / "external_files").exists()
    assert opened(tmp_path / "pack")["a"].primary.read()["image"].shape == (3, 4, 5)
    pack(with_images, tmp_path / "other", external="ignore")
    assert listing(tmp_path / "other") == ["catalog.yml", "documents/a.msgpack", "documents_manifest.txt"]


def test_a_root_map_of_the_catalog_travels_with_a_pack_that_leaves_files_behind(
    make_catalog: Any, record: Any, tmp_path: Path
) -> None:
    (tmp_path / "detector").mkdir()
    documents = _runs.external(tmp_path / "detector", uid="a")
    for name, doc in documents:
        if name == "resource":
            doc["root"] = "/old/machine"
    root_map = {"/old/machine": str(tmp_path / "detector")}
    pack(record(make_catalog(handler_registry=HANDLERS, root_map=root_map), documents), tmp_path / "pack")
    assert opened(tmp_path / "pack")["a"].primary.read()["image"].shape == (3, 4, 5)


@pytest.mark.parametrize("kind", FORMATS)
def test_external_data_can_stand_in_the_documents(kind: str, with_images: Any, tmp_path: Path) -> None:
    expected = with_images["a"].primary.read()
    pack(with_images, tmp_path / "pack", external="fill", format=kind).raise_if_failed()
    for file in (tmp_path / "detector").iterdir():
        file.unlink()
    np.testing.assert_array_equal(opened(tmp_path / "pack")["a"].primary.read()["image"], expected["image"])
    with pytest.raises(Invalid, match="with external data"):
        pack(with_images, tmp_path / "pack", format=kind)


def test_data_that_cannot_be_filled_in_costs_its_run_and_no_other(
    with_images: Any, record: Any, tmp_path: Path
) -> None:
    record(with_images, _runs.scalars(uid="b"))
    (tmp_path / "detector" / "image_1.npy").unlink()
    report = pack(with_images, tmp_path / "pack", external="fill")
    assert "image_1.npy" in report.failed["a"]
    assert report.copied == ("b",)
    assert listing(tmp_path / "pack") == ["catalog.yml", "documents/b.msgpack", "documents_manifest.txt"]


def test_files_that_are_gone_are_issues(with_images: Any, tmp_path: Path) -> None:
    (tmp_path / "detector" / "image_1.npy").unlink()
    report = pack(with_images, tmp_path / "pack", external="copy")
    assert "image_1.npy" in str([*report.failed.values(), *report.issues])
    assert (tmp_path / "pack" / "documents" / "a.msgpack").exists()


def test_an_amended_run_is_packed_as_it_was_recorded(make_catalog: Any, record: Any, tmp_path: Path) -> None:
    source = record(make_catalog("embedded"), _runs.scalars(uid="a", sample="lead"))
    source["a"].amend({"start": {"sample": "gold"}}, author="somebody", reason="a mix-up")
    report = pack(source, tmp_path / "pack")
    assert opened(tmp_path / "pack")["a"].metadata["start"]["sample"] == "lead"
    assert "amended" in report.issues[0]
    pack(source, tmp_path / "now", revision=None)
    assert opened(tmp_path / "now")["a"].metadata["start"]["sample"] == "gold"


# -- packing again


@pytest.mark.parametrize("kind", FORMATS)
def test_runs_are_added_to_a_pack_and_not_packed_twice(
    kind: str, source: Any, with_images: Any, said: Any, tmp_path: Path
) -> None:
    pack(source, tmp_path / "pack", format=kind)
    before = {name: (tmp_path / "pack" / name).stat().st_mtime_ns for name in listing(tmp_path / "pack")}
    report = pack(source, tmp_path / "pack", format=kind)
    assert (report.copied, len(report.skipped)) == ((), len(source))
    after = {name: (tmp_path / "pack" / name).stat().st_mtime_ns for name in listing(tmp_path / "pack")}
    assert {name for name in before if before[name] != after[name]} <= {"catalog.yml", "documents_manifest.txt"}
    pack(with_images, tmp_path / "pack", format=kind, external="copy")
    assert set(opened(tmp_path / "pack")) == {*source, "a"}
    assert len((tmp_path / "pack" / "documents_manifest.txt").read_text().split()) == len(source) + 1
    assert said(opened(tmp_path / "pack")) == {**said(source), **said(with_images)}


def test_a_run_that_went_on_is_packed_anew(tmp_path: Path, said: Any) -> None:
    catalog = BlueskyInMemoryCatalog()
    documents = _runs.scalars(uid="a", events=4)
    for number, (name, doc) in enumerate(documents):
        catalog.insert(name, doc)
        report = pack(catalog, tmp_path / "pack")
        assert report.continued == (("a",) if number else ())
        assert said(opened(tmp_path / "pack")) == said(catalog)
    assert pack(catalog, tmp_path / "pack").skipped == ("a",)


def test_another_version_of_a_run_is_not_written_over(record: Any, tmp_path: Path) -> None:
    documents = _runs.scalars(uid="a")
    other = [(name, {**doc, "sample": "lead"} if name == "start" else doc) for name, doc in documents]
    pack(record(BlueskyInMemoryCatalog(), documents), tmp_path / "pack")
    before = (tmp_path / "pack" / "documents" / "a.msgpack").read_bytes()
    for version in (other, documents[:3] + documents[-1:]):
        report = pack(record(BlueskyInMemoryCatalog(), version), tmp_path / "pack")
        assert list(report.failed) == ["a"]
        assert (tmp_path / "pack" / "documents" / "a.msgpack").read_bytes() == before


def test_what_cannot_be_meant_is_refused_before_anything_is_written(source: Any, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="format"):
        pack(source, tmp_path / "pack", format="hdf5")
    with pytest.raises(Invalid, match="external"):
        pack(source, tmp_path / "pack", external="move")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("x")
    with pytest.raises(Invalid, match=r"holds 'thesis.tex' and is no pack"):
        pack(source, tmp_path / "full")
    with pytest.raises(NotWritable):
        pack(source, tmp_path / "full" / "thesis.tex" / "below")
    with pytest.raises(Invalid, match="template"):
        pack(source, tmp_path / "{{ env(HOME) }}")
    pack(source, tmp_path / "pack")
    with pytest.raises(Invalid, match="format 'msgpack'"):
        pack(source, tmp_path / "pack", format="jsonl")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("uid", ["../a", "a/b", ".hidden", "", "x" * 300, "a\0b"])
def test_a_uid_that_is_no_file_name_leads_nowhere(uid: str, tmp_path: Path) -> None:
    catalog = BlueskyInMemoryCatalog()
    start = {"uid": uid, "time": 0.0}
    catalog.upsert(start, None, lambda: [("start", start)], (), {})
    report = pack(catalog, tmp_path / "pack")
    assert "becomes the name of a file" in report.failed[uid]
    assert listing(tmp_path / "pack") == ["catalog.yml", "documents_manifest.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["pack"]


def test_a_full_disk_is_told_and_leaves_whole_files(
    source: Any, said: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync, calls = os.fsync, iter(range(1000))

    def full(descriptor: int) -> None:
        if next(calls) >= 6:
            raise OSError(28, os.strerror(28))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NotWritable, match=r"No space left on device; make room.*runs? packed"):
        pack(source, tmp_path / "pack")
    monkeypatch.undo()
    assert 0 < len(opened(tmp_path / "pack")) < len(source)
    assert not list((tmp_path / "pack").rglob("*.part"))
    pack(source, tmp_path / "pack").raise_if_failed()
    assert said(opened(tmp_path / "pack")) == said(source)


# -- unpacking


def test_a_pack_becomes_a_catalog_of_a_name(with_images: Any, tmp_path: Path) -> None:
    pack(with_images, tmp_path / "pack", external="copy")
    report = unpack(tmp_path / "pack", "mine", catalog_dir=tmp_path / "catalogs")
    assert report.to == str(tmp_path / "catalogs" / "databroker_unpack_mine.yml")
    assert (report.copied, report.issues) == (("a",), ())
    catalog = open_catalog(report.to)["mine"]
    catalog.register_handler("NPY_SEQ", NumpySeqHandler, overwrite=True)
    assert catalog["a"].primary.read().identical(with_images["a"].primary.read())


def test_a_name_is_found_among_the_catalogs_of_the_user(source: Any, tmp_path: Path) -> None:
    pack(source, tmp_path / "pack")
    report = unpack(tmp_path / "pack", "from_a_friend")
    try:
        assert Path(report.to).is_relative_to(os.environ["XDG_DATA_HOME"])
        assert len(open_catalog(report.to)["from_a_friend"]) == len(source)
    finally:
        Path(report.to).unlink()


def test_packs_join_under_one_name(source: Any, with_images: Any, tmp_path: Path) -> None:
    pack(source, tmp_path / "one")
    pack(with_images, tmp_path / "two", external="copy")
    pack(source, tmp_path / "lines", format="jsonl")
    for folder in ("one", "two", "one"):
        report = unpack(tmp_path / folder, "mine", catalog_dir=tmp_path)
    assert set(open_catalog(report.to)["mine"]) == {*source, "a"}
    with pytest.raises(Conflict, match="merge=True"):
        unpack(tmp_path / "one", "mine", catalog_dir=tmp_path, merge=False)
    with pytest.raises(Conflict, match="bluesky-msgpack-catalog"):
        unpack(tmp_path / "lines", "mine", catalog_dir=tmp_path)
    pack(with_images, tmp_path / "three", external="copy")
    with pytest.raises(Conflict, match="in one place for 'mine'"):
        unpack(tmp_path / "three", "mine", catalog_dir=tmp_path)
    Path(report.to).write_text("sources: {other: {}}")
    with pytest.raises(InvalidCatalog, match="not what unpacking writes"):
        unpack(tmp_path / "one", "mine", catalog_dir=tmp_path)


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a\n", "{{x}}"])
def test_a_name_that_is_no_name_is_refused(name: str, source: Any, tmp_path: Path) -> None:
    pack(source, tmp_path / "pack")
    with pytest.raises(Invalid, match="cannot be the name"):
        unpack(tmp_path / "pack", name, catalog_dir=tmp_path)


@pytest.mark.parametrize("kind", ["in_memory", "jsonl", "embedded"])
def test_a_pack_goes_into_a_catalog(kind: str, with_images: Any, make_catalog: Any, said: Any, tmp_path: Path) -> None:
    pack(with_images, tmp_path / "pack", external="copy")
    dest = make_catalog(kind, handler_registry=HANDLERS)
    report = unpack(tmp_path / "pack", into=dest, verify="documents")
    report.raise_if_failed()
    assert said(dest) == said(with_images)
    assert dest["a"].primary.read().identical(with_images["a"].primary.read())
    assert all(place.startswith(str(tmp_path / "pack")) for place in dest.root_map.values())
    other = make_catalog(kind, handler_registry=HANDLERS)
    report = unpack(tmp_path / "pack", into=other, external_files=str(tmp_path / "files"))
    assert report.files == 3
    assert all(place.startswith(str(tmp_path / "files")) for place in other.root_map.values())


def test_where_it_goes_is_said_once(source: Any, tmp_path: Path) -> None:
    pack(source, tmp_path / "pack")
    for wrong in ({}, {"name": "a", "into": BlueskyInMemoryCatalog()}, {"name": "a", "external_files": "x"}):
        with pytest.raises(Invalid):
            unpack(tmp_path / "pack", catalog_dir=tmp_path, **wrong)


# -- packs of others


def test_packs_of_databroker_pack_open(shared_data: Path, make_catalog: Any) -> None:
    report = unpack(shared_data / "absorption-pack", into=(dest := make_catalog()), verify="documents")
    report.raise_if_failed()
    assert dest[-1].metadata["start"]["uid"] == "befa48fc-3976-4812-8eee-688223770b46"
    report = unpack(shared_data / "images-pack", into=(dest := make_catalog()), verify="documents")
    assert (len(report.copied), report.issues) == (3, ())
    images = [
        dest[uid][stream].read()
        for uid in dest
        for stream in dest[uid]
        if "external" in str(dest[uid][stream].metadata["descriptors"][0]["data_keys"])
    ]
    assert [value.ndim for data in images for value in data.data_vars.values() if value.ndim == 3] == [3]


@pytest.fixture
def changed(source: Any, tmp_path: Path) -> Callable[..., Path]:
    """A pack whose catalog file somebody changed."""
    pack(source, tmp_path / "pack")

    def changed(**args: Any) -> Path:
        path = tmp_path / "pack" / "catalog.yml"
        found = yaml.safe_load(path.read_text())
        entry = found["sources"]["packed_catalog"]
        entry["metadata"].update(args.pop("metadata", {}))
        entry["args"].update(args.pop("args", {}))
        entry.update(args)
        path.write_text(yaml.safe_dump(found))
        return tmp_path / "pack"

    return changed


@pytest.mark.parametrize(
    "wrong",
    [
        {"driver": "os.system"},
        {"driver": "trap_in_a_pack.Driver"},
        {"driver": ["bluesky-msgpack-catalog"]},
        {"args": {"root_map": {"/x": "../../secrets"}}},
        {"args": {"root_map": {"/x": "external_files/{{ env(HOME) }}"}}},
        {"args": {"root_map": {"/x": "/{{ shell(ls) }}"}}},
        {"args": {"root_map": {"{{ x }}": "external_files"}}},
        {"args": {"root_map": ["/x"]}},
        {"args": {"root_map": {"/x": 3}}},
        {"metadata": {"relative_paths": ["/etc/*.msgpack"]}},
        {"metadata": {"relative_paths": ["../*.msgpack"]}},
        {"metadata": {"relative_paths": "documents"}},
        {"metadata": {"relative_paths": [3]}},
        {"args": []},
    ],
)
def test_a_catalog_file_that_leads_astray_is_refused(
    wrong: dict[str, Any], changed: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "trap_in_a_pack.py").write_text("raise SystemExit('the trap was imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    if wrong == {"args": []}:
        folder = changed()
        text = yaml.safe_load((folder / "catalog.yml").read_text())
        text["sources"]["packed_catalog"]["args"] = []
        (folder / "catalog.yml").write_text(yaml.safe_dump(text))
    else:
        folder = changed(**wrong)
    with pytest.raises(InvalidCatalog):
        unpack(folder, into=BlueskyInMemoryCatalog())
    assert "trap_in_a_pack" not in sys.modules


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sources: []",
        "sources: {a: {}, b: {}}",
        "sources: {a: 3}",
        "x: !!python/object/apply:os.system ['echo x']",
        "a: [",
        "a: &a [*a]",
        "\0",
        "a: " + "[" * 3000,
    ],
)
def test_a_file_that_is_no_catalog_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "catalog.yml").write_text(text)
    with pytest.raises(InvalidCatalog):
        read_pack(str(tmp_path))


def test_a_catalog_file_or_manifest_without_end_is_not_read(
    changed: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = changed()
    monkeypatch.setattr("databroker_like.transfer._layout.MOST_MANIFEST", 100)
    with pytest.raises(InvalidFile, match="larger than 100 bytes"):
        unpack(folder, into=BlueskyInMemoryCatalog())
    (folder / "catalog.yml").write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(InvalidFile, match="larger than"):
        read_pack(str(folder))


def test_manifests_and_links_do_not_lead_out(changed: Callable[..., Path], tmp_path: Path) -> None:
    folder = changed()
    manifest = folder / "documents_manifest.txt"
    text = manifest.read_text()
    for line in ("../../etc/passwd", "/etc/passwd"):
        manifest.write_text(f"{line}\n")
        with pytest.raises(InvalidFile, match="leads out"):
            unpack(folder, into=BlueskyInMemoryCatalog())
    manifest.write_text(text)
    (tmp_path / "secret.msgpack").write_bytes(b"x")
    (folder / "documents" / "link.msgpack").symlink_to(tmp_path / "secret.msgpack")
    with pytest.raises(InvalidFile, match="leads out"):
        unpack(folder, into=BlueskyInMemoryCatalog())


def test_a_pack_that_misses_runs_is_not_taken_for_whole(changed: Callable[..., Path]) -> None:
    folder = changed()
    lost = next((folder / "documents").iterdir())
    lost.unlink()
    with pytest.raises(InvalidFile, match=f"misses 'documents/{lost.name}'"):
        unpack(folder, into=BlueskyInMemoryCatalog())


def test_what_is_no_pack_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match="there is no folder"):
        unpack(tmp_path / "absent", "x")
    with pytest.raises(MissingFile, match="is no pack"):
        unpack(tmp_path, "x")


def test_external_files_that_a_pack_lacks_are_issues(with_images: Any, tmp_path: Path) -> None:
    pack(with_images, tmp_path / "pack", external="copy")
    next((tmp_path / "pack" / "external_files").rglob("*.npy")).unlink()
    report = unpack(tmp_path / "pack", "x", catalog_dir=tmp_path)
    assert "image_" in report.issues[0]
    pack(with_images, tmp_path / "other")
    report = unpack(tmp_path / "other", "y", catalog_dir=tmp_path)
    assert "3 external files are not in the pack" in report.issues[0]
