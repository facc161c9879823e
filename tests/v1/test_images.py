"""Frames are read when they are looked at, one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databroker_like.drivers.in_memory import BlueskyInMemoryCatalog
from databroker_like.errors import Invalid, MissingFile, NoSuchColumn, NoSuchStream, OutOfRange, WrongType
from databroker_like.testing import _runs as samples
from databroker_like.v1 import Images
from databroker_like_handlers.npy import NumpySeqHandler

from .conftest import put


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "images"
    made.mkdir()
    return made


@pytest.fixture
def db(folder: Path) -> Any:
    catalog = BlueskyInMemoryCatalog(handler_registry={"NPY_SEQ": NumpySeqHandler})
    put(catalog.v1, samples.external(folder, uid="aaaa", time=1000.0))
    return catalog.v1


def test_the_frames_of_a_camera(db: Any) -> None:
    images = db.get_images(db[-1], "image")
    assert isinstance(images, Images)
    assert (len(images), images.frame_shape, images.shape) == (3, (4, 5), (3, 4, 5))
    assert images.dtype == images.pixel_type == np.dtype("uint16")
    assert type(images[0]) is np.ndarray
    assert [frame.max() for frame in images] == [0, 1, 2]
    assert images[-1].max() == images.get_frame(2).max() == 2
    assert np.asarray(images).shape == (3, 4, 5)
    assert np.asarray(images, dtype="float32").dtype == "float32"
    assert repr(images) == "<Images of 'image': 3 frames of shape (4, 5), uint16>"


def test_a_part_of_the_frames_is_frames_too(db: Any) -> None:
    images = db.get_images(db[-1], "image")
    assert [frame.max() for frame in images[1:]] == [1, 2]
    assert [frame.max() for frame in images[::-1]] == [2, 1, 0]
    assert [frame.max() for frame in images[[2, 0]]] == [2, 0]
    assert [frame.max() for frame in images[[True, False, True]]] == [0, 2]
    assert [frame.max() for frame in images[np.array([False, True, True])]] == [1, 2]
    assert images[1:][0].max() == 1
    assert len(images[3:]) == 0
    assert np.asarray(images[3:]).shape == (0, 4, 5)


def test_only_what_is_looked_at_is_read(db: Any, folder: Path) -> None:
    images = db.get_images(db[-1], "image")
    (folder / "image_1.npy").unlink()
    assert images[2].max() == 2
    assert [frame.max() for frame in images[::2]] == [0, 2]
    with pytest.raises(MissingFile, match="image_1"):
        images[1]


def test_the_frames_of_several_runs_follow_one_another(db: Any, folder: Path) -> None:
    more = folder / "more"
    more.mkdir()
    put(db, samples.external(more, uid="bbbb", events=2, time=2000.0))
    images = db.get_images(db[["aaaa", "bbbb"]], "image")
    assert [frame.max() for frame in images] == [0, 1, 2, 0, 1]
    assert [images[n].max() for n in range(-5, 5)] == [0, 1, 2, 0, 1] * 2
    assert len(db.get_images(db(), "image")) == 5
    assert len(db.get_images([], "image")) == 0


@given(st.lists(st.integers(0, 4), max_size=4), st.integers(-25, 25), st.slices(12))
def test_frames_are_counted_through_all_columns(lengths: list[int], number: int, part: slice) -> None:
    columns = [np.arange(n) + 10 * i for i, n in enumerate(lengths)]
    frames = [int(value) for column in columns for value in column]
    images = Images(columns, "x")
    assert [int(frame) for frame in images] == frames
    assert [int(frame) for frame in images[part]] == frames[part]
    if -len(frames) <= number < len(frames):
        assert images[number] == frames[number]
    else:
        with pytest.raises(OutOfRange, match=f"there are {len(frames)}"):
            images[number]


def test_what_are_no_frames_says_so(db: Any) -> None:
    with pytest.raises(NoSuchColumn, match="'image'"):
        db.get_images(db[-1], "imag")
    with pytest.raises(NoSuchStream, match="'primary'"):
        db.get_images(db[-1], "image", "primry")
    images = db.get_images(db[-1], "image")
    with pytest.raises(WrongType, match=r"float 1\.5"):
        images[1.5]
    with pytest.raises(Invalid, match="2 truth values"):
        images[[True, False]]
    with pytest.raises(Invalid, match="no runs"):
        _ = db.get_images([], "image").dtype


def test_images_whose_handler_is_missing_name_it(db: Any) -> None:
    db.reg.deregister_handler("NPY_SEQ")
    with pytest.raises(KeyError, match="NPY_SEQ"):
        db.get_images(db[-1], "image")
