"""Names of lazy columns: the same for the same data, another for any other."""

from __future__ import annotations

import functools
import os
import pickle
from pathlib import Path
from typing import Any

import event_model
import numpy as np
import pytest

from databroker_like.core import _names
from databroker_like.core._names import callable_name
from databroker_like.core._run import BlueskyRun


def name(run: Any, key: str = "img") -> str:
    return str(run.primary.to_dask()[key].data.name)


class OtherFiller(event_model.Filler):
    """A filler of the user's own."""


def to_other_folder(resource: dict[str, Any]) -> dict[str, Any]:
    return {**resource, "root": resource["root"] + "/other"}


@pytest.fixture
def elsewhere(images: Any, tmp_path: Path) -> Path:
    """The same frames, ten more to each pixel, in another folder."""
    other = tmp_path / "other"
    other.mkdir()
    for i in range(4):
        np.save(other / f"frame_{i}.npy", np.full((4, 6), i + 10, dtype="uint16"))
    return other


def test_the_same_data_has_the_same_name(images: Any) -> None:
    again = pickle.loads(pickle.dumps(images.run))
    assert name(images.run) == name(images.run) == name(again)
    assert name(images.run, "det") == name(images.run, "det") == name(again, "det")


def test_another_root_map_makes_another_name(images: Any, elsewhere: Path) -> None:
    here = images.run.primary.to_dask()["img"]
    images.root_map[str(elsewhere.parent)] = str(elsewhere)
    there = images.run.primary.to_dask()["img"]
    assert not set(here.data.dask) & set(there.data.dask)
    assert there[0, 0, 0].values == 10


def test_a_transform_of_the_resource_makes_another_name(images: Any, elsewhere: Path) -> None:
    assert name(images.run) != name(images.open(transforms={"resource": to_other_folder}))


def test_another_handler_makes_another_name(images: Any, npy_handler: Any) -> None:
    class Doubling(npy_handler):  # type: ignore[misc]
        def __call__(self, index: int) -> Any:
            return super().__call__(index) * 2

    before = name(images.run)
    images.handlers["NPY"] = Doubling
    assert name(images.run) != before
    after = name(images.run)
    images.handlers["NPY"] = functools.partial(Doubling)
    assert name(images.run) not in (before, after)


def test_a_changed_file_makes_another_name(images: Any, tmp_path: Path) -> None:
    seen = {name(images.run)}
    path = tmp_path / "frame_3.npy"
    np.save(path, np.full((4, 6), 30, dtype="uint16"))
    os.utime(path, ns=(1, 1))
    seen.add(name(images.run))
    path.unlink()
    seen.add(name(images.run))
    assert len(seen) == 3


def test_a_file_named_by_the_resource_itself_and_a_folder_are_looked_at(
    recording: Any, tmp_path: Path, npy_handler: Any
) -> None:
    class Whole(npy_handler):  # type: ignore[misc]
        def __call__(self, index: int) -> Any:
            return np.zeros(3)

    recording.handlers["NPY"] = Whole
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a").write_text("1")
    (tmp_path / "file").write_text("1")
    for target, changed in (("folder", "folder/a"), ("file", "file")):
        descriptor = recording.descriptor({target: {"dtype": "array", "shape": [3], "external": "FILESTORE:"}}, target)
        recording.event(descriptor, {target: recording.datum(recording.resource(tmp_path, target), 0)})
        before = recording.run[target].to_dask()[target].data.name
        (tmp_path / changed).write_text("two")
        assert recording.run[target].to_dask()[target].data.name != before


def test_more_files_than_are_looked_at_have_a_name_only_once(images: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_names, "FILES_LOOKED_AT", 2)
    assert name(images.run) != name(images.run)


def test_other_keywords_of_a_datum_make_another_name(record: Any, tmp_path: Path, npy_handler: Any) -> None:
    names = set()
    for index in (0, 1):
        np.save(tmp_path / f"frame_{index}.npy", np.full((4, 6), index))
    for index in (0, 1):
        run = record()
        run.handlers["NPY"] = npy_handler
        descriptor = run.descriptor({"img": {"dtype": "array", "shape": [4, 6], "external": "FILESTORE:"}})
        resource = run.resource(tmp_path, "frame")
        run.event(descriptor, {"img": run.datum(resource, 0, index=index)})
        names.add(name(run.run))
    assert len(names) == 2


def test_another_filler_makes_another_name(images: Any) -> None:
    plain, other = name(images.run), name(images.open(filler_class=OtherFiller))
    assert plain != other == name(images.open(filler_class=OtherFiller))
    assert other != name(images.open(filler_class=functools.partial(OtherFiller, retry_intervals=(0.1,))))


def test_a_filler_handed_in_as_a_function_names_what_it_reads(images: Any) -> None:
    def get_filler(coerce: str = "force_numpy") -> OtherFiller:
        return OtherFiller(images.handlers, root_map=images.root_map, inplace=False)

    run = BlueskyRun.from_source(images.cache.source(get_filler))
    before = name(run)
    assert name(run) == before
    assert before.startswith("filledcolumn")
    images.root_map["/nowhere"] = "/elsewhere"
    assert name(run) != before  # what the function closes over is a part of what it is


def test_other_values_in_events_of_the_same_uid_make_another_name(record: Any) -> None:
    names = set()
    for values in ([1.0, 2.0], [1.0, 3.0], [1.0, "x"], [1.0, None]):
        recording = record()
        descriptor = recording.descriptor({"det": {"dtype": "number"}})
        for value in values:
            recording.event(descriptor, {"det": value})
        names.add(name(recording.run, "det"))
    assert len(names) == 4


def test_values_and_their_times_have_names_of_their_own(scalars: Any) -> None:
    stream = scalars.run.primary
    values, times = stream.to_dask(), stream.timestamps.to_dask()
    assert not {c.data.name for c in values.values()} & {c.data.name for c in times.values()}


def test_a_datum_that_is_missing_is_no_error_until_it_is_read(images: Any) -> None:
    descriptor = next(iter(images.cache.descriptors))
    before = name(images.run)
    images.event(descriptor, {"det": 1.0, "img": "no-such/datum"})
    assert name(images.run) != before


def test_resources_that_the_run_does_not_list_are_looked_up_once(images: Any) -> None:
    from dataclasses import replace

    source = images.run.source
    unlisted = BlueskyRun.from_source(replace(source, get_resources=list))
    assert name(unlisted) == name(images.run)


def test_a_class_is_named_by_its_path_and_what_has_none_by_what_it_is() -> None:
    assert callable_name(event_model.Filler) == "event_model.Filler"

    class Local:
        pass

    local = callable_name(Local)
    assert callable_name(Local) == local
    made = [type("Local", (), {"x": x}) for x in (1, 2)]
    assert len({local, *map(callable_name, made)}) == 3
    assert callable_name(functools.partial(int, base=2)) != callable_name(functools.partial(int, base=3))
    assert callable_name(functools.partial(int, base=2)) == callable_name(functools.partial(int, base=2))


def test_what_does_not_pickle_has_a_name_only_once() -> None:
    class Stubborn:
        def __reduce__(self) -> Any:
            raise TypeError("no")

        def __call__(self) -> None:
            return None

    stubborn = Stubborn()
    assert callable_name(stubborn) != callable_name(stubborn)
