"""HandlerContract: what a handler keeps, as tests that a plugin writer inherits."""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

__all__ = ["HandlerCase", "HandlerContract"]

#: A datum smaller than this could be read without its showing in the memory used.
LEAST_BYTES = 128 * 1024


@dataclass(frozen=True)
class HandlerCase:
    """A handler, files that it reads, and what is in them.

    Parameters
    ----------
    handler_class : callable
        Called as ``handler_class(path, **resource_kwargs)``.
    path : str or path-like
        What the handler is made with: a file, or a folder, or the beginning of a name. Everything it reads is a
        copy that the tests may move away.
    datums : sequence of (mapping, array)
        At least two: the ``datum_kwargs`` of a datum, and the array that the handler gives for them. Each array
        takes 128 KiB or more, so that reading one shows in the memory used.
    resource_kwargs : mapping
        Of the resource document; none by default.
    """

    handler_class: Callable[..., Any]
    path: str | os.PathLike[str]
    datums: Sequence[tuple[Mapping[str, Any], Any]]
    resource_kwargs: Mapping[str, Any] = field(default_factory=dict)

    def make(self) -> Any:
        """A new handler."""
        return self.handler_class(os.fspath(self.path), **self.resource_kwargs)

    def files(self, *datums: Mapping[str, Any]) -> list[str]:
        """The files that hold these datums, all by default."""
        handler = self.make()
        try:
            get_file_list = getattr(handler, "get_file_list", None)
            if get_file_list is None:
                return [os.fspath(self.path)]
            return [os.fspath(name) for name in get_file_list(iter(datums or [kwargs for kwargs, _ in self.datums]))]
        finally:
            _close(handler)


class HandlerContract:
    """The rules that a handler keeps; inherit it, and hand in a case.

    A handler

    - reads lazily: being made and called costs no more than a look at the file, whatever the size of the data;
    - reads only the files of the datum it is asked for;
    - tells ``shape`` and ``dtype`` of what it gives, before reading, and they are true;
    - gives the same each time, from any thread;
    - pickles, and so does what it gives, so that it can be read in another process;
    - releases its files when it is closed and what it gave is let go;
    - says which files it reads, when it has ``get_file_list``;
    - raises an `OSError` when a file is not there.

    Examples
    --------
    In a test module of a plugin::

        class TestMyHandler(HandlerContract):
            @pytest.fixture
            def case(self, tmp_path):
                frames = np.arange(3 * 256 * 256).reshape(3, 256, 256)
                np.save(tmp_path / "frames.npy", frames)
                datums = [({"frame": i}, frames[i]) for i in range(3)]
                return HandlerCase(MyHandler, tmp_path / "frames.npy", datums)
    """

    @pytest.fixture
    def case(self) -> HandlerCase:
        """The handler under test, its files and what is in them; a subclass writes it."""
        raise NotImplementedError("write a fixture 'case' that returns a HandlerCase")

    def test_reads_nothing_before_it_is_asked(self, case: HandlerCase) -> None:
        """Being made and called costs far less memory than the data takes."""
        _checked(case)
        kwargs, expected = case.datums[0]
        # What is imported and set up once does not count.
        with _handler(case) as handler:
            _in_memory(handler(**kwargs))
        handler = result = None
        with _peak() as used:
            handler = case.make()
            result = handler(**kwargs)
            _ = (result.shape, result.dtype) if hasattr(result, "shape") else None
        _close(handler)
        size = _size(expected)
        assert used[0] < size / 2, (
            f"making {_name(case)} and calling it with {dict(kwargs)} took {used[0]} bytes of memory and the data is "
            f"{size} bytes: it is read before it is asked for; give something lazy, such as a LazyArray"
        )

    def test_reads_only_the_files_of_the_datum(self, case: HandlerCase) -> None:
        """A datum is read though the files of all others are gone."""
        _checked(case)
        for kwargs, expected in case.datums:
            keep = set(case.files(kwargs))
            with _away([name for name in case.files() if name not in keep]), _handler(case) as handler:
                _assert_equal(case, kwargs, _in_memory(handler(**kwargs)), expected)

    def test_tells_shape_and_dtype_truly(self, case: HandlerCase) -> None:
        """``shape`` and ``dtype`` are told before reading, and the data has them."""
        _checked(case)
        with _handler(case) as handler:
            for kwargs, expected in case.datums:
                result = handler(**kwargs)
                assert hasattr(result, "shape"), f"{_name(case)}({dict(kwargs)}) gives {type(result)}, without a shape"
                assert hasattr(result, "dtype"), f"{_name(case)}({dict(kwargs)}) gives {type(result)}, without a dtype"
                told = (tuple(result.shape), result.dtype)
                data = _in_memory(result)
                assert told == (data.shape, data.dtype), (
                    f"{_name(case)}({dict(kwargs)}) told shape {told[0]} and dtype {told[1]}, and the data has "
                    f"{data.shape} and {data.dtype}"
                )
                _assert_equal(case, kwargs, data, expected)

    def test_gives_the_same_each_time(self, case: HandlerCase) -> None:
        """Read again, in another order, by the same handler and by a new one."""
        _checked(case)
        with _handler(case) as handler, _handler(case) as other:
            for kwargs, expected in [*case.datums, *reversed(case.datums)]:
                for one in (handler, other):
                    result = one(**kwargs)
                    _assert_equal(case, kwargs, _in_memory(result), expected)
                    _assert_equal(case, kwargs, _in_memory(result), expected)

    def test_reads_from_several_threads(self, case: HandlerCase) -> None:
        """One handler, used from eight threads at once."""
        _checked(case)
        with _handler(case) as handler, ThreadPoolExecutor(8) as pool:

            def read(i: int) -> None:
                kwargs, expected = case.datums[i % len(case.datums)]
                _assert_equal(case, kwargs, _in_memory(handler(**kwargs)), expected)

            for done in [pool.submit(read, i) for i in range(8 * len(case.datums))]:
                done.result()

    def test_pickles(self, case: HandlerCase) -> None:
        """A handler that was used, and what it gave, pickle and read the same."""
        _checked(case)
        with _handler(case) as handler:
            for kwargs, expected in case.datums:
                result = handler(**kwargs)
                _assert_equal(case, kwargs, _in_memory(result), expected)
                for what, thing in (("it", handler), ("what it gives", result)):
                    try:
                        packed = pickle.dumps(thing)
                    except Exception as error:
                        raise AssertionError(
                            f"{what} cannot be pickled, so that {_name(case)} cannot be used in another process: "
                            f"{type(error).__name__}: {error}"
                        ) from error
                    # What has read the data and carries it along is no use in sending elsewhere.
                    assert len(packed) < _size(expected) / 2, f"{_name(case)}: {what} pickles with its data"
                    again = pickle.loads(packed)  # noqa: S301 - made here a line before
                    _assert_equal(case, kwargs, _in_memory(again(**kwargs) if what == "it" else again), expected)
                    if what == "it":
                        _close(again)

    def test_releases_its_files(self, case: HandlerCase) -> None:
        """Closed, and what it gave let go, it holds none of its files open or mapped."""
        _checked(case)
        if not os.path.isdir("/proc/self/fd"):
            pytest.skip("which files are open is seen through /proc, which this system does not have")
        names = case.files()
        for kwargs, _ in case.datums:
            handler = case.make()
            result = handler(**kwargs)
            _in_memory(result)
            del result
            _close(handler)
            # Cycles that only the collector breaks keep a file open for an unforeseeable time; it may not be needed.
            if not hasattr(handler, "close"):
                del handler
            held = _held(names)
            assert not held, (
                f"{_name(case)} still holds {held[0]!r} after close(); close its files there, or open them for each "
                "reading only"
            )

    def test_a_missing_file_is_an_oserror(self, case: HandlerCase) -> None:
        """Making it, calling it or reading says that the file is not there."""
        _checked(case)
        kwargs, _ = case.datums[0]
        with (
            _away(case.files()),
            pytest.raises(OSError) as caught,  # noqa: PT011 - where it is raised, and how, is up to the handler
            _handler(case) as handler,
        ):
            _in_memory(handler(**kwargs))
        assert str(caught.value), f"{_name(case)} raises {caught.type.__name__} without a word when a file is gone"


def _checked(case: HandlerCase) -> None:
    assert len(case.datums) >= 2, "a HandlerCase has two datums at least"
    for kwargs, expected in case.datums:
        assert _size(expected) >= LEAST_BYTES, (
            f"the array of datum {dict(kwargs)} takes {_size(expected)} bytes; make it {LEAST_BYTES} or more, so that "
            "reading it shows in the memory used"
        )
    missing = [name for name in case.files() if not os.path.exists(name)]
    assert not missing, f"get_file_list of {_name(case)} names {missing[0]!r}, which is not there"


def _size(array: Any) -> int:
    import numpy as np

    return int(np.asarray(array).nbytes)


def _in_memory(result: Any) -> Any:
    import numpy as np

    return np.asarray(result)


def _assert_equal(case: HandlerCase, kwargs: Mapping[str, Any], data: Any, expected: Any) -> None:
    import numpy as np

    expected = np.asarray(expected)
    what = f"{_name(case)}({dict(kwargs)})"
    assert (data.shape, data.dtype) == (expected.shape, expected.dtype), (
        f"{what} gives shape {data.shape} and dtype {data.dtype}; its files hold {expected.shape} and {expected.dtype}"
    )
    assert np.array_equal(data, expected, equal_nan=expected.dtype.kind in "fc"), f"{what} does not give what is there"


def _name(case: HandlerCase) -> str:
    return str(getattr(case.handler_class, "__name__", repr(case.handler_class)))


def _close(handler: Any) -> None:
    close = getattr(handler, "close", None)
    if close is not None:
        close()


@contextlib.contextmanager
def _handler(case: HandlerCase) -> Iterator[Any]:
    handler = case.make()
    try:
        yield handler
    finally:
        _close(handler)


@contextlib.contextmanager
def _peak() -> Iterator[list[int]]:
    """The most memory that was in use besides what was before, in bytes; numpy's arrays count."""
    used = [0]
    gc.collect()
    ours = not tracemalloc.is_tracing()
    if ours:
        tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        yield used
        used[0] = tracemalloc.get_traced_memory()[1] - before
    finally:
        if ours:
            tracemalloc.stop()


@contextlib.contextmanager
def _away(names: Sequence[str]) -> Iterator[None]:
    """Move files away, and back."""
    moved = []
    try:
        for name in names:
            os.replace(name, name + ".away")
            moved.append(name)
        yield
    finally:
        for name in moved:
            os.replace(name + ".away", name)


def _held(names: Sequence[str]) -> list[str]:
    """Those of the files that this process has open, or mapped into its memory."""
    wanted = {os.path.realpath(name) for name in names}
    found = set()
    for entry in os.listdir("/proc/self/fd"):
        # The descriptor through which the folder itself was listed is gone by now.
        with contextlib.suppress(FileNotFoundError):
            found.add(os.readlink(f"/proc/self/fd/{entry}"))
    for line in Path("/proc/self/maps").read_text().splitlines():
        parts = line.split(maxsplit=5)
        if len(parts) == 6:
            found.add(parts[5])
    return sorted(wanted & found)
