"""LazyArrayContract: what every lazy array keeps, ours and a stranger's."""

from __future__ import annotations

import atexit
import functools
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from databroker_like.errors import DatabrokerError, Invalid, OutOfRange, WrongType
from databroker_like.files._lazy import LazyArray, to_dask

__all__ = ["LazyArrayContract", "basic_keys", "open_files"]

_SETTINGS = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.differing_executors, HealthCheck.function_scoped_fixture],
)

_OTHER_PROCESS = """
import pickle, sys
while True:
    array = pickle.load(sys.stdin.buffer)
    if array is None:
        break
    pickle.dump((array.shape, array.dtype, array[()]), sys.stdout.buffer, protocol=5)
    sys.stdout.buffer.flush()
"""


@functools.cache
def _other_process() -> subprocess.Popen[bytes]:
    """A Python process, one for all tests, that reads what it is handed and hands back what it read."""
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own program
        [sys.executable, "-c", _OTHER_PROCESS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    atexit.register(_end, process)
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    with process:
        if process.poll() is None and process.stdin is not None:
            process.stdin.write(pickle.dumps(None))


def open_files(folder: str | os.PathLike[str]) -> list[str]:
    """The files below a folder that this process holds open or mapped.

    Parameters
    ----------
    folder : str or path-like

    Returns
    -------
    list of str
        Empty where the system does not tell (it has no ``/proc``).
    """
    inside = os.path.realpath(folder) + os.sep
    found = []
    descriptors = Path("/proc/self/fd")
    if descriptors.is_dir():
        for link in descriptors.iterdir():
            try:
                found.append(os.readlink(link))
            except FileNotFoundError:
                # The descriptor that listed the folder is gone by now.
                continue
        found += [line.split(maxsplit=5)[-1] for line in Path("/proc/self/maps").read_text().splitlines()]
    return [path for path in found if path.startswith(inside)]


def basic_keys(shape: tuple[int, ...]) -> st.SearchStrategy[Any]:
    """Numpy basic-indexing keys for a shape: integers, slices of any step, ``...`` and ``None``.

    Parameters
    ----------
    shape : tuple of int

    Returns
    -------
    hypothesis strategy
    """

    def one(size: int) -> st.SearchStrategy[Any]:
        steps = st.one_of(st.none(), st.integers(-3, 3).filter(bool))
        ends = st.one_of(st.none(), st.integers(-size - 2, size + 2))
        cut = st.builds(slice, ends, ends, steps)
        return st.one_of(cut, st.integers(-size, size - 1), st.integers(-size, size - 1).map(np.int64)) if size else cut

    @st.composite
    def keys(draw: Any) -> Any:
        taken = draw(st.integers(0, len(shape)))
        ahead = draw(st.integers(0, taken))
        items = [draw(one(n)) for n in shape[:ahead]]
        behind = taken - ahead
        if behind or draw(st.booleans()):
            items.append(...)
            items += [draw(one(n)) for n in shape[len(shape) - behind :]] if behind else []
        for _ in range(draw(st.integers(0, 1))):
            items.insert(draw(st.integers(0, len(items))), None)
        return items[0] if len(items) == 1 and draw(st.booleans()) else tuple(items)

    return keys()


class LazyArrayContract:
    """What every lazy array keeps; a subclass says how to make one and what it must read as.

    Examples
    --------
    ::

        class TestMyFormat(LazyArrayContract):
            def make(self, folder):
                expected = numpy.arange(24).reshape(2, 3, 4)
                write_my_format(folder / "a.mine", expected)
                return MyArray(folder / "a.mine"), expected
    """

    #: Whether what it reads equals what was written to the bit; not so for lossy formats.
    exact = True

    def make(self, folder: Path) -> tuple[LazyArray, np.ndarray]:
        """A lazy array whose files lie in ``folder``, and what it must read as."""
        raise NotImplementedError("a subclass makes the array")

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Where the files lie."""
        return tmp_path

    @pytest.fixture
    def pair(self, folder: Path) -> tuple[LazyArray, np.ndarray]:
        """The array and what it must read as."""
        array, expected = self.make(folder)
        assert array._known is None, "constructing a lazy array must open nothing"
        return array, np.asarray(expected)

    def same(self, found: Any, expected: Any) -> None:
        """Assert that both have one shape, one type and the same values."""
        found, expected = np.asarray(found), np.asarray(expected)
        assert found.shape == expected.shape
        if found.ndim:
            assert found.dtype == expected.dtype
        elif expected.dtype.kind not in "OU":
            # A numpy scalar has the machine's byte order, and one text is no array at all.
            assert found.dtype.kind == expected.dtype.kind
        if self.exact:
            np.testing.assert_array_equal(found, expected)

    def test_tells_shape_type_and_chunks(self, pair: Any) -> None:
        array, expected = pair
        assert array.shape == expected.shape
        assert array.dtype == expected.dtype
        assert (array.ndim, array.size, array.nbytes) == (expected.ndim, expected.size, expected.nbytes)
        assert len(array.chunks) == array.ndim
        assert all(isinstance(n, int) and n > 0 for n in array.chunks)
        assert len(array) == len(expected)
        assert repr(array)

    def test_reads_everything(self, pair: Any) -> None:
        array, expected = pair
        self.same(array[()], expected)
        self.same(array[...], expected)
        self.same(np.asarray(array), expected)

    @_SETTINGS
    @given(data=st.data())
    def test_an_index_reads_what_numpy_reads_also_into_an_array_that_is_there(self, pair: Any, data: Any) -> None:
        array, expected = pair
        key = data.draw(basic_keys(expected.shape))
        wanted = expected[key]
        self.same(array[key], wanted)
        out = np.empty(np.shape(wanted), expected.dtype)
        assert array.read_into(out, key) is out
        self.same(out, wanted)

    def test_refuses_to_read_into_another_shape(self, pair: Any) -> None:
        array, expected = pair
        with pytest.raises(Invalid, match="cannot read shape"):
            array.read_into(np.empty((*expected.shape, 2), expected.dtype))

    def test_a_position_beyond_the_end_is_an_index_error(self, pair: Any) -> None:
        array, expected = pair
        for key in (len(expected), -len(expected) - 1, (0,) * (expected.ndim + 1)):
            with pytest.raises(OutOfRange):
                array[key]

    def test_other_kinds_of_index_are_refused_with_the_way_out(self, pair: Any) -> None:
        array, _ = pair
        for key in ([0], np.array([0]), True, 1.5, "a"):
            with pytest.raises(WrongType, match=r"numpy\.asarray"):
                array[key]

    def test_converts_and_copies_as_numpy_asks(self, pair: Any) -> None:
        array, expected = pair
        assert np.asarray(array, dtype=object).dtype == object
        assert np.array(array, copy=True).shape == expected.shape
        with pytest.raises(ValueError, match="copy=False"):
            np.array(array, copy=False)

    def test_iterates_over_the_first_axis(self, pair: Any) -> None:
        array, expected = pair
        assert sum(1 for _ in array) == len(expected)

    def test_releases_its_files(self, pair: Any, folder: Path) -> None:
        array, expected = pair
        array[()]
        array[tuple(0 for _ in expected.shape)]
        assert open_files(folder) == []
        with pytest.raises(DatabrokerError):
            array[len(expected)]
        assert open_files(folder) == []

    def test_survives_pickling_into_another_process(self, pair: Any) -> None:
        array, expected = pair
        if _other_process().poll() is not None:
            # An array that could not be read there ended it; the next test deserves another.
            _other_process.cache_clear()
        process = _other_process()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(pickle.dumps(array))
        process.stdin.flush()
        shape, dtype, values = pickle.load(process.stdout)  # noqa: S301 - written by the process made above
        assert (shape, dtype) == (expected.shape, expected.dtype)
        self.same(values, expected)

    def test_a_pickle_holds_no_data(self, pair: Any) -> None:
        array, _ = pair
        array[()]
        assert len(pickle.dumps(array)) < 5000 + 200 * len(array.paths)

    def test_becomes_a_dask_array(self, pair: Any) -> None:
        array, expected = pair
        lazy = to_dask(array)
        assert (lazy.shape, lazy.dtype) == (expected.shape, expected.dtype)
        assert lazy._meta.dtype == expected.dtype
        with dask.config.set(scheduler="synchronous"):
            self.same(lazy.compute(), expected)
            self.same(lazy[-1].compute(), expected[-1])

    def test_the_same_files_have_the_same_name_and_changed_files_another(self, pair: Any) -> None:
        array, _ = pair
        again = pickle.loads(pickle.dumps(array))  # noqa: S301 - written in the same line
        before = array.token
        assert again.token == before
        assert to_dask(array).name == to_dask(again).name
        if not array.paths:
            return
        stat = os.stat(array.paths[0])
        os.utime(array.paths[0], ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000_000))
        assert array.token != before
        assert to_dask(array).name == to_dask(again).name
