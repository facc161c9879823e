"""A handler that breaks a rule of the contract fails the test of that rule, and one that keeps them passes all."""

from __future__ import annotations

import inspect
import itertools
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from databroker_like.files._lazy import LazyArray
from databroker_like.files.npy import NPYArray
from databroker_like.testing import HandlerCase, HandlerContract

FRAMES = np.arange(3 * 256 * 256, dtype="int32").reshape(3, 256, 256)

CONTRACT = HandlerContract()
RULES = sorted(name for name, _ in inspect.getmembers(HandlerContract) if name.startswith("test_"))


class Good:
    """Keeps every rule: opens the one file of a frame when it is read."""

    def __init__(self, path, suffix=".npy"):
        self.path = path
        self.suffix = suffix

    def name(self, frame):
        return f"{self.path}_{frame}{self.suffix}"

    def __call__(self, frame):
        return NPYArray(self.name(frame))

    def get_file_list(self, datum_kwargs_gen):
        return [self.name(**kwargs) for kwargs in datum_kwargs_gen]


class WithoutFileList:
    """Keeps every rule, with all frames in one file, and neither ``close`` nor ``get_file_list``."""

    def __init__(self, path):
        self.path = path

    def __call__(self, frame):
        from databroker_like.files._lazy import view

        return view(NPYArray(self.path), frame)


class Eager(Good):
    """Reads when it is called."""

    def __call__(self, frame):
        return np.load(self.name(frame))


class EagerInDisguise(Good):
    """Reads when it is called and wraps what it has read."""

    def __call__(self, frame):
        import dask.array

        return dask.array.from_array(np.load(self.name(frame)))


class EagerWhenMade(Good):
    """Reads everything when it is made."""

    def __init__(self, path):
        super().__init__(path)
        self.data = [np.load(self.name(i)) for i in range(3)]


class NeedsItsNeighbours(Good):
    """Looks into every file for the sake of one."""

    def __call__(self, frame):
        for i in range(3):
            os.stat(self.name(i))
        return super().__call__(frame)


class _Told:
    """An array that tells something else than what it holds."""

    def __init__(self, array, shape=None, dtype=None):
        self.array = array
        self.shape = shape or array.shape
        self.dtype = dtype or array.dtype

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.array, dtype)


class WrongShape(Good):
    """Tells (x, y) for what is (y, x, 1)."""

    def __call__(self, frame):
        return _Told(super().__call__(frame), shape=(256, 256, 1))


class WrongType(Good):
    """Guesses the type."""

    def __call__(self, frame):
        return _Told(super().__call__(frame), dtype=np.dtype("float64"))


class WithoutShape(Good):
    """Gives something that only becomes an array."""

    def __call__(self, frame):
        return NPYArray(self.name(frame)).__array__


class Counting(Good):
    """Gives something else the second time."""

    def __init__(self, path):
        super().__init__(path)
        self.count = itertools.count()

    def __call__(self, frame):
        return np.load(self.name(frame)) + next(self.count)

    def __reduce__(self):
        return (type(self), (self.path,))


class SharedState(Good):
    """Keeps what it reads in one place for all threads."""

    def __call__(self, frame):
        self.frame = frame
        time.sleep(0.002)
        return NPYArray(self.name(self.frame))


class Unpicklable(Good):
    """Has a lock."""

    def __init__(self, path):
        super().__init__(path)
        self.lock = threading.Lock()


class UnpicklableResult(Good):
    """Gives something with a function of its own inside."""

    def __call__(self, frame):
        array = super().__call__(frame)

        class Local(_Told):
            pass

        return Local(array)


class PicklesItsData(Good):
    """Drags along what it has read."""

    def __call__(self, frame):
        self.last = np.load(self.name(frame))
        return self.last


class KeepsOpen(Good):
    """Opens a file and forgets it."""

    kept = []

    def __call__(self, frame):
        type(self).kept.append(open(self.name(frame), "rb"))  # noqa: SIM115 - the point of it
        return super().__call__(frame)


class KeepsMapped(Good):
    """Maps a file into memory and forgets it."""

    kept = []

    def __call__(self, frame):
        type(self).kept.append(np.load(self.name(frame), mmap_mode="r"))
        return super().__call__(frame)


class WrongFileList(Good):
    """Names files that are not there."""

    def get_file_list(self, datum_kwargs_gen):
        return [self.path + ".npz"]


class Zeros(Good):
    """Gives zeros for a file that is not there."""

    def __call__(self, frame):
        return super().__call__(frame) if os.path.exists(self.name(frame)) else np.zeros((256, 256), "int32")


class SilentError(Good):
    """Raises without a word."""

    def __call__(self, frame):
        if not os.path.exists(self.name(frame)):
            raise OSError
        return super().__call__(frame)


class AnotherError(Good):
    """Raises what nobody who waits for a file would catch."""

    def __call__(self, frame):
        if not os.path.exists(self.name(frame)):
            raise KeyError(self.name(frame))
        return super().__call__(frame)


BREAKS = [
    (Eager, "test_reads_nothing_before_it_is_asked", "it is read before it is asked for"),
    (EagerInDisguise, "test_reads_nothing_before_it_is_asked", "it is read before it is asked for"),
    (EagerWhenMade, "test_reads_nothing_before_it_is_asked", "it is read before it is asked for"),
    (NeedsItsNeighbours, "test_reads_only_the_files_of_the_datum", "seq_"),
    (EagerWhenMade, "test_reads_only_the_files_of_the_datum", "seq_"),
    (WrongShape, "test_tells_shape_and_dtype_truly", r"told shape \(256, 256, 1\)"),
    (WrongType, "test_tells_shape_and_dtype_truly", "told shape .* and dtype float64"),
    (WithoutShape, "test_tells_shape_and_dtype_truly", "without a shape"),
    (Counting, "test_gives_the_same_each_time", "does not give what is there"),
    (SharedState, "test_reads_from_several_threads", "does not give what is there"),
    (Unpicklable, "test_pickles", "it cannot be pickled"),
    (UnpicklableResult, "test_pickles", "what it gives cannot be pickled"),
    (PicklesItsData, "test_pickles", "pickles with its data"),
    (KeepsOpen, "test_releases_its_files", "still holds"),
    (KeepsMapped, "test_releases_its_files", "still holds"),
    (WrongFileList, "test_releases_its_files", "which is not there"),
    (Zeros, "test_a_missing_file_is_an_oserror", "DID NOT RAISE"),
    (SilentError, "test_a_missing_file_is_an_oserror", "without a word"),
    (AnotherError, "test_a_missing_file_is_an_oserror", "seq_"),
]


@pytest.fixture
def path(tmp_path):
    for i, frame in enumerate(FRAMES):
        np.save(tmp_path / f"seq_{i}.npy", frame)
    return tmp_path / "seq"


@pytest.fixture
def release():
    yield
    for kept in (KeepsOpen.kept, KeepsMapped.kept):
        for file in kept:
            if hasattr(file, "close"):
                file.close()
        kept.clear()


def case_of(handler_class, path):
    return HandlerCase(handler_class, path, [({"frame": i}, frame) for i, frame in enumerate(FRAMES)])


@pytest.mark.parametrize("rule", RULES)
def test_a_good_handler_keeps_every_rule(rule, path):
    getattr(CONTRACT, rule)(case_of(Good, path))


@pytest.mark.parametrize("rule", RULES)
def test_a_handler_of_one_file_keeps_every_rule(rule, tmp_path):
    np.save(tmp_path / "all.npy", FRAMES)
    getattr(CONTRACT, rule)(case_of(WithoutFileList, tmp_path / "all.npy"))


@pytest.mark.usefixtures("release")
@pytest.mark.parametrize(("handler_class", "rule", "words"), BREAKS)
def test_a_handler_that_breaks_a_rule_fails(handler_class, rule, words, path):
    # pytest.fail, which pytest.raises uses for what did not raise, is no Exception.
    with pytest.raises((Exception, pytest.fail.Exception), match=words):
        getattr(CONTRACT, rule)(case_of(handler_class, path))


def test_every_rule_is_broken_by_some_handler():
    assert {rule for _, rule, _ in BREAKS} == set(RULES)


def test_files_are_back_where_they_were(path):
    for rule in RULES:
        getattr(CONTRACT, rule)(case_of(Good, path))
    assert sorted(os.listdir(path.parent)) == ["seq_0.npy", "seq_1.npy", "seq_2.npy"]


def test_data_too_small_to_be_noticed_is_refused(tmp_path):
    for i in range(2):
        np.save(tmp_path / f"seq_{i}.npy", np.zeros(3))
    case = HandlerCase(Good, tmp_path / "seq", [({"frame": i}, np.zeros(3)) for i in range(2)])
    with pytest.raises(AssertionError, match="make it 131072 or more"):
        CONTRACT.test_reads_nothing_before_it_is_asked(case)


def test_a_single_datum_is_refused(path):
    with pytest.raises(AssertionError, match="two datums at least"):
        CONTRACT.test_pickles(HandlerCase(Good, path, [({"frame": 0}, FRAMES[0])]))


def test_importing_it_needs_nothing_but_pytest():
    code = (
        "import sys; from databroker_like.testing import HandlerCase, HandlerContract; "
        "print(sorted({'numpy', 'h5py', 'hypothesis', 'dask', 'xarray', 'intake'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_lazy_arrays_are_what_the_good_handlers_give(path):
    assert isinstance(Good(str(path))(frame=0), LazyArray)
