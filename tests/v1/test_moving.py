"""Runs are recorded in another Broker, and their files copied, none in the place of another."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from databroker_like.drivers.in_memory import BlueskyInMemoryCatalog
from databroker_like.errors import Conflict, Invalid, InvalidDocument, MissingFile, NoSuchHandler, WrongType
from databroker_like.testing import _runs as samples
from databroker_like_handlers.npy import NumpySeqHandler

from .conftest import put


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "images"
    made.mkdir()
    return made


@pytest.fixture
def here(folder: Path) -> Any:
    catalog = BlueskyInMemoryCatalog(handler_registry={"NPY_SEQ": NumpySeqHandler})
    put(catalog.v1, samples.external(folder, uid="aaaa", time=1000.0), samples.scalars(uid="bbbb", time=2000.0))
    return catalog.v1


@pytest.fixture
def there() -> Any:
    return BlueskyInMemoryCatalog(handler_registry={"NPY_SEQ": NumpySeqHandler}).v1


def resource_of(db: Any, uid: str) -> dict[str, Any]:
    return next(dict(doc) for name, doc in db[uid].documents() if name == "resource")


@pytest.mark.parametrize("kind", sorted(set(samples.SAMPLES) - {"external", "stream_external"}))
def test_a_run_is_there_as_it_was_here(db: Any, one: Any, kind: str) -> None:
    put(one, samples.SAMPLES[kind](uid="aaaa"))
    assert one.export(one["aaaa"], db) == []
    ours, theirs = list(one["aaaa"].documents()), list(db["aaaa"].documents())
    np.testing.assert_equal([(n, dict(d)) for n, d in theirs], [(n, dict(d)) for n, d in ours])
    # Again it is no other run.
    one.export([one["aaaa"]], db)
    assert len(db.v2) == 1


def test_what_records_nothing_is_no_place_for_runs(one: Any) -> None:
    with pytest.raises(WrongType, match=r"exported into a Broker, or what has insert\(name, doc\); 'x' is none"):
        one.export([], "x")


def test_files_stay_where_they_are_unless_there_is_a_place_for_them(here: Any, there: Any, folder: Path) -> None:
    assert here.export(here(), there) == []
    assert there[-1].uid == "bbbb"
    assert resource_of(there, "aaaa")["root"] == str(folder)


def test_files_are_copied_and_the_documents_say_where_they_are(
    here: Any, there: Any, folder: Path, tmp_path: Path
) -> None:
    new_root = tmp_path / "new" / "place"
    pairs = here.export(here(), there, new_root=new_root, copy_kwargs={"verify": True})
    assert pairs == [(str(folder / f"image_{n}.npy"), str(new_root / f"image_{n}.npy")) for n in range(3)]
    for file in folder.iterdir():
        file.unlink()
    assert resource_of(there, "aaaa")["root"] == str(new_root)
    assert resource_of(here, "aaaa")["root"] == str(folder)
    assert [value.max() for value in there["aaaa"].data("image")] == [0, 1, 2]
    assert sorted(os.listdir(new_root)) == ["image_0.npy", "image_1.npy", "image_2.npy"]


def test_a_moved_root_is_looked_for_where_it_is_now(here: Any, there: Any, folder: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    folder.rename(moved)
    here.reg.root_map[str(folder)] = str(moved)
    pairs = here.export(here["aaaa"], there, new_root=tmp_path / "new")
    assert [old for old, _ in pairs] == [str(moved / f"image_{n}.npy") for n in range(3)]
    assert [value.max() for value in there["aaaa"].data("image")] == [0, 1, 2]


def test_a_copy_that_is_there_is_left_and_another_file_is_not_written_over(
    here: Any, folder: Path, tmp_path: Path
) -> None:
    resource, new_root = resource_of(here, "aaaa"), tmp_path / "new"
    here.reg.copy_files(resource, new_root)
    before = {file.name: file.stat().st_ino for file in new_root.iterdir()}
    here.reg.copy_files(resource, new_root)
    assert {file.name: file.stat().st_ino for file in new_root.iterdir()} == before
    (new_root / "image_1.npy").write_bytes(b"something else")
    with pytest.raises(Conflict, match=r"image_1\.npy"):
        here.reg.copy_files(resource, new_root)
    assert (new_root / "image_1.npy").read_bytes() == b"something else"


class Elsewhere(NumpySeqHandler):
    """A handler whose files lie beside their root."""

    def get_file_list(self, datum_kwargs_gen: Any) -> list[str]:
        return [str(Path(file).parent.parent / "secret") for file in super().get_file_list(datum_kwargs_gen)]


def test_a_file_outside_of_its_root_has_no_place_under_another(here: Any, folder: Path, tmp_path: Path) -> None:
    resource = resource_of(here, "aaaa")
    with pytest.raises(Invalid, match="leads out of its root"):
        here.reg.copy_files({**resource, "resource_path": "../image"}, tmp_path / "new")
    with pytest.raises(Invalid, match="has no root"):
        here.reg.copy_files({**resource, "root": "", "resource_path": str(folder / "image")}, tmp_path / "new")
    here.reg.register_handler("NPY_SEQ", Elsewhere, overwrite=True)
    with pytest.raises(InvalidDocument, match="does not lie under its root"):
        here.reg.copy_files(resource, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_resource_of_old_does_not_name_its_run(here: Any, tmp_path: Path) -> None:
    resource = resource_of(here, "aaaa")
    del resource["run_start"]
    with pytest.raises(InvalidDocument, match="run_start_uid="):
        here.reg.copy_files(resource, tmp_path / "new")
    assert len(here.reg.copy_files(resource, tmp_path / "new", run_start_uid="aaaa")) == 3


def test_a_hook_is_told_of_each_file_and_stops_nothing(here: Any, folder: Path, tmp_path: Path) -> None:
    told: list[Any] = []

    def hook(counter: int, total: int, old: str, new: str) -> None:
        told.append((counter, total, old, new))
        if counter == 1:
            raise RuntimeError("no")

    with pytest.warns(UserWarning, match="RuntimeError: no"):
        here.reg.copy_files(resource_of(here, "aaaa"), tmp_path / "new", file_rename_hook=hook)
    assert told == [(n, 3, str(folder / f"image_{n}.npy"), str(tmp_path / "new" / f"image_{n}.npy")) for n in range(3)]
    assert len(list((tmp_path / "new").iterdir())) == 3


def test_a_missing_file_is_named_and_no_half_of_it_stays(here: Any, folder: Path, tmp_path: Path) -> None:
    (folder / "image_1.npy").unlink()
    with pytest.raises(MissingFile, match=r"image_1\.npy.*root_map"):
        here.reg.copy_files(resource_of(here, "aaaa"), tmp_path / "new")
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["image_0.npy"]
    with pytest.raises(MissingFile, match=r"image_1\.npy"):
        here.export_size(here["aaaa"])


def test_a_copy_that_is_not_what_was_copied_is_no_copy(
    here: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(old: str, new: str) -> None:
        Path(new).write_bytes(Path(old).read_bytes()[:-1])

    monkeypatch.setattr("shutil.copy2", half)
    with pytest.raises(Conflict, match="not what was copied"):
        here.reg.copy_files(resource_of(here, "aaaa"), tmp_path / "new", verify=True)
    assert list((tmp_path / "new").iterdir()) == []


def test_the_times_and_rights_of_a_file_are_kept(here: Any, folder: Path, tmp_path: Path) -> None:
    (folder / "image_0.npy").chmod(0o640)
    os.utime(folder / "image_0.npy", (1000, 1000))
    here.reg.copy_files(resource_of(here, "aaaa"), tmp_path / "new")
    copied = (tmp_path / "new" / "image_0.npy").stat()
    assert (stat.S_IMODE(copied.st_mode), copied.st_mtime) == (0o640, 1000)


def test_the_size_of_the_files_is_in_gigabytes(here: Any, folder: Path) -> None:
    size = sum(file.stat().st_size for file in folder.iterdir())
    assert here.export_size(here["aaaa"]) == size / 1e9
    assert here.export_size([here["aaaa"], here["aaaa"]]) == size / 1e9
    assert here.export_size(here["bbbb"]) == here.export_size([]) == 0.0
    here.reg.deregister_handler("NPY_SEQ")
    with pytest.raises(NoSuchHandler, match="NPY_SEQ"):
        here.export_size(here["aaaa"])


def test_files_of_external_streams_count_and_stay_where_they_are(one: Any, there: Any, tmp_path: Path) -> None:
    put(one, samples.stream_external(str(tmp_path), uid="aaaa"))
    with pytest.raises(MissingFile, match=r"images\.h5.*stream_resource"):
        one.export_size(one["aaaa"])
    (tmp_path / "images.h5").write_bytes(b"x" * 1000)
    assert one.export_size(one["aaaa"]) == 1e-6
    with pytest.warns(UserWarning, match=r"transfer\.copy"):
        assert one.export(one["aaaa"], there, new_root=tmp_path / "new") == []
    assert there["aaaa"].uid == "aaaa"
    assert one.export(one["aaaa"], there) == []
    (tmp_path / "images.h5").unlink()
    (tmp_path / "images.h5").mkdir()
    for name in ("a", "b"):
        (tmp_path / "images.h5" / name).write_bytes(b"x" * 1000)
    assert one.export_size(one["aaaa"]) == 2e-6


def test_documents_are_handed_to_a_function(here: Any) -> None:
    told: list[Any] = []
    here.process(here["bbbb"], lambda name, doc: told.append((name, doc)))
    assert told == list(here["bbbb"].documents())
    told.clear()
    here.process([here["bbbb"], here["aaaa"]], lambda name, doc: told.append(name), fields=["motor"], fill=True)
    assert told.count("start") == told.count("stop") == 2


def test_the_registry_is_that_of_the_catalog(here: Any) -> None:
    assert here.reg is here.fs
    assert here.reg.handler_reg == here.v2.handler_registry == {"NPY_SEQ": NumpySeqHandler}
    assert here.reg.root_map is here.v2.root_map
    here.reg.register_handler("OTHER", NumpySeqHandler)
    assert here.v2.handler_registry["OTHER"] is NumpySeqHandler
    with pytest.raises(Conflict, match="OTHER"):
        here.reg.register_handler("OTHER", dict)
    here.reg.register_handler("OTHER", dict, overwrite=True)
    here.reg.deregister_handler("OTHER")
    assert list(here.reg.handler_reg) == ["NPY_SEQ"]
