"""Chunks of Zarr arrays that are files of their own, decoded to where they are wanted.

zarr reads any array through a loop of its own and several copies. What is written as most arrays are is read here
without; of what is written in another way, or cannot be read, nothing is said here: zarr knows better.
"""

from __future__ import annotations

import itertools
import math
import os
import struct
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from databroker_like.files._select import Box
from databroker_like.registry import require

if TYPE_CHECKING:
    import numpy as np

__all__ = ["ChunkFiles"]

#: One part of an array: the number of its chunk, where it lies in that, and where in what is read.
Part = tuple[tuple[int, ...], tuple[slice, ...], tuple[slice, ...]]

#: They decode into memory that is there, faster than any disk gives what they decode, and say before how much it will
#: be. With others zarr is as fast, and has several threads decode.
_CODECS = frozenset({"zstd", "blosc", "lz4"})
#: So many bytes at the beginning say how many there will be.
_HEAD = 18
#: Booleans, integers, floating-point and complex numbers: what lies in memory as it does in a file.
_PLAIN_KINDS = frozenset("biufc")


class ChunkFiles:
    """The chunks of one array, each of which is a file.

    Parameters
    ----------
    array : zarr.Array
        Opened for reading.
    folder : str
        Where its chunks lie.
    codec : numcodecs.abc.Codec or None
        That they are compressed with.

    Examples
    --------
    >>> import numpy, tempfile, zarr
    >>> array = zarr.create_array(tempfile.mkdtemp() + "/a.zarr", data=numpy.arange(6), chunks=(4,))
    >>> found, wanted = ChunkFiles.of(array), numpy.empty(3, array.dtype)
    >>> found.read(wanted, (range(2, 5),)), wanted.tolist()
    (True, [2, 3, 4])
    """

    def __init__(self, array: Any, folder: str, codec: Any) -> None:
        self._array = array
        self._folder = folder
        self.codec = codec
        self.shape: tuple[int, ...] = tuple(array.chunks)
        self.dtype: np.dtype = array.dtype
        self.nbytes = self.dtype.itemsize * math.prod(self.shape)

    @classmethod
    def of(cls, array: Any) -> ChunkFiles | None:
        """The chunks of an array; None when only zarr knows how to read it.

        Parameters
        ----------
        array : zarr.Array

        Returns
        -------
        ChunkFiles or None
        """
        zarr = require("zarr", "read Zarr arrays")
        # What is to be said of an array of other elements is said with a warning.
        is_plain = array.dtype.kind in _PLAIN_KINDS and array.ndim > 0 and min(array.chunks) > 0
        if not is_plain or not isinstance(array.store, zarr.storage.LocalStore):
            return None
        said = array.metadata.to_dict()
        is_known, configuration = (_of_version_2 if said["zarr_format"] == 2 else _of_version_3)(said, array.dtype)
        if not is_known:
            return None
        codec = None
        if configuration is not None:
            codec = require("numcodecs", "read Zarr arrays").get_codec(configuration)
        return cls(array, os.path.join(Path(array.store.root), *filter(None, array.path.split("/"))), codec)

    def read(self, out: np.ndarray, box: Box, may_read: Callable[[str], bool] = lambda path: True) -> bool:
        """Read a box into an array of its lengths.

        Parameters
        ----------
        out : numpy.ndarray
        box : tuple of range
            That lies in the array.
        may_read : callable
            Whether a file may be read, by its path.

        Returns
        -------
        bool
            Whether it was read. If not, ``out`` has anything in it, and zarr is to read it or to say what is wrong.
        """
        if out.dtype != self.dtype or len(box) != len(self.shape) or any(r.step != 1 for r in box):
            return False
        reader = _Reader(self, out, may_read)
        return all(map(reader.read, self._parts(box)))

    def path(self, number: Sequence[int]) -> str:
        """Where the file of a chunk is."""
        return os.path.join(self._folder, *self._array.metadata.encode_chunk_key(tuple(number)).split("/"))

    def fill_missing(self, target: np.ndarray) -> bool:
        """Whether it is known what a chunk has in it that was never written; it stands in the target then."""
        import numpy as np

        value = self._array.metadata.fill_value
        # Who has told zarr that nothing may be missing is told by it what is.
        if not require("zarr", "read Zarr arrays").config.get("array.read_missing_chunks", True):
            return False
        if not isinstance(value, np.generic) or value.dtype != self.dtype:
            return False
        target[...] = value
        return True

    def _parts(self, box: Box) -> Iterator[Part]:
        """What is in the box of each chunk, in their order."""
        axes = [list(_along(r, length)) for r, length in zip(box, self.shape, strict=True)]
        for some in itertools.product(*axes):
            number, within, where = zip(*some, strict=True)
            yield number, within, where


class _Reader:
    """Reads one chunk after another, each into its place in an array.

    Parameters
    ----------
    chunks : ChunkFiles
    out : numpy.ndarray
    may_read : callable
    """

    def __init__(self, chunks: ChunkFiles, out: np.ndarray, may_read: Callable[[str], bool]) -> None:
        self._chunks = chunks
        self._out = out
        self._may_read = may_read
        #: For what is compressed, and for chunks of which a part is wanted: fresh memory is dear.
        self._room: dict[str, np.ndarray] = {}

    def read(self, part: Part) -> bool:
        """Whether the part was read."""
        number, within, where = part
        chunks, target = self._chunks, self._out[where]
        path = chunks.path(number)
        if not self._may_read(path):
            return False
        is_whole = target.shape == chunks.shape and target.flags.c_contiguous
        try:
            with open(path, "rb", buffering=0) as file:
                memory = _bytes_of(target) if is_whole else self._some("chunk", chunks.nbytes)
                if not self._fill(file, memory):
                    return False
        except FileNotFoundError:
            return chunks.fill_missing(target)
        # What is wrong with it is said by zarr, in the words in which it says so of all arrays.
        except Exception:  # noqa: BLE001
            return False
        if not is_whole:
            target[...] = memory.view(chunks.dtype).reshape(chunks.shape)[within]
        return True

    def _fill(self, file: Any, memory: np.ndarray) -> bool:
        """Decode a file into the memory of a chunk; False when it is not as long as that."""
        size, codec = os.fstat(file.fileno()).st_size, self._chunks.codec
        if codec is None:
            return size == memory.nbytes and _is_filled(file, memory)
        data = self._some("compressed", size)
        if not _is_filled(file, data):
            return False
        # Decoded into more memory than it needs, it would leave the rest as it was.
        if _told_bytes(codec.codec_id, data[:_HEAD].tobytes(), size) != memory.nbytes:
            return False
        codec.decode(data, memory)
        return True

    def _some(self, name: str, size: int) -> np.ndarray:
        import numpy as np

        there = self._room.get(name)
        if there is None or there.nbytes < size:
            there = self._room[name] = np.empty(size, np.uint8)
        return there[:size]


def _bytes_of(target: np.ndarray) -> np.ndarray:
    """The memory of an array that lies in the order of C."""
    import numpy as np

    return target.reshape(-1).view(np.uint8)


def _along(wanted: range, length: int) -> Iterator[tuple[int, slice, slice]]:
    """The chunks of a length that a range touches along one axis."""
    for number in range(wanted.start // length, (wanted.stop - 1) // length + 1):
        begin = number * length
        first, last = max(wanted.start, begin), min(wanted.stop, begin + length)
        yield number, slice(first - begin, last - begin), slice(first - wanted.start, last - wanted.start)


def _of_version_2(said: Mapping[str, Any], dtype: np.dtype) -> tuple[bool, dict[str, Any] | None]:
    """Whether chunks are the numbers in the order of C, compressed at the most; and how they are."""
    compressor = said.get("compressor")
    is_known = said["order"] == "C" and not said.get("filters")
    return is_known and (compressor is None or compressor.get("id") in _CODECS), compressor


def _of_version_3(said: Mapping[str, Any], dtype: np.dtype) -> tuple[bool, dict[str, Any] | None]:
    """As of version 2."""
    codecs: Sequence[Mapping[str, Any]] = said["codecs"]
    if said["chunk_grid"]["name"] != "regular" or said.get("storage_transformers") or not 1 <= len(codecs) <= 2:
        return False, None
    first, *rest = codecs
    endian = first.get("configuration", {}).get("endian", sys.byteorder)
    if first["name"] != "bytes" or (dtype.itemsize > 1 and (endian != sys.byteorder or not dtype.isnative)):
        return False, None
    if not rest:
        return True, None
    name = rest[0]["name"]
    # How it was compressed stands in what is compressed.
    return name in {"zstd", "blosc"}, {"id": name}


def _told_bytes(codec: str, head: bytes, size: int) -> int | None:
    """How many bytes compressed data says that it becomes; None when it does not, or is not as it should be.

    Examples
    --------
    >>> import numcodecs
    >>> def told(codec):
    ...     data = bytes(numcodecs.get_codec({"id": codec}).encode(bytes(300)))
    ...     return _told_bytes(codec, data[:_HEAD], len(data))
    >>> {codec: told(codec) for codec in sorted(_CODECS)}
    {'blosc': 300, 'lz4': 300, 'zstd': 300}
    """
    if codec == "lz4" and size > 4:
        return int(struct.unpack_from("<I", head)[0])
    if codec == "blosc" and size >= 16:
        plain, _, compressed = struct.unpack_from("<3I", head, 4)
        return int(plain) if compressed == size else None
    if codec == "zstd" and size > 6 and head.startswith(b"\x28\xb5\x2f\xfd"):
        described = head[4]
        is_single, width, dictionary = described & 0x20, described >> 6, (0, 1, 2, 4)[described & 3]
        at, length = 5 + (not is_single) + dictionary, (1, 2, 4, 8)[width]
        if (is_single or width) and at + length <= size:
            return int.from_bytes(head[at : at + length], "little") + (256 if length == 2 else 0)
    return None


def _is_filled(file: Any, memory: np.ndarray) -> bool:
    """Whether a file has as many bytes as the memory, which has them then."""
    at, size = 0, memory.nbytes
    while at < size:
        count = file.readinto(memory[at:])
        if not count:
            return False
        at += count
    return True
