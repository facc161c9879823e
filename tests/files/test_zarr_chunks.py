"""Chunks of Zarr arrays that are read without zarr: whatever zarr would read, and nothing that it would not."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from databroker_like.errors import DatabrokerError
from databroker_like.files._zarr_chunks import ChunkFiles
from databroker_like.files.zarr import ZarrArray

DATA = np.random.default_rng(7).normal(size=(7, 5, 4))
#: How arrays are compressed that are read without zarr.
READ: dict[str, tuple[int, dict[str, Any]]] = {
    "2-default": (2, {}),
    "2-none": (2, {"compressors": None}),
    "2-zstd": (2, {"compressors": numcodecs.Zstd(level=3, checksum=True)}),
    "2-lz4": (2, {"compressors": numcodecs.LZ4()}),
    "2-blosc": (2, {"compressors": numcodecs.Blosc(cname="lz4", shuffle=numcodecs.Blosc.BITSHUFFLE)}),
    "2-nested": (2, {"chunk_key_encoding": {"name": "v2", "separator": "/"}}),
    "3-default": (3, {}),
    "3-none": (3, {"compressors": None}),
    "3-zstd": (3, {"compressors": zarr.codecs.ZstdCodec(level=1, checksum=True)}),
    "3-blosc": (3, {"compressors": zarr.codecs.BloscCodec(cname="zstd", shuffle="shuffle")}),
    "3-dots": (3, {"chunk_key_encoding": {"name": "default", "separator": "."}}),
    "3-keys-of-2": (3, {"chunk_key_encoding": {"name": "v2", "separator": "."}}),
}
#: Those that zarr reads.
LEFT: dict[str, tuple[int, dict[str, Any]]] = {
    "2-gzip": (2, {"compressors": numcodecs.GZip()}),
    "2-zlib": (2, {"compressors": numcodecs.Zlib()}),
    "2-order": (2, {"order": "F"}),
    "2-filter": (2, {"filters": [numcodecs.Delta(dtype="f8")]}),
    "2-shuffle": (2, {"compressors": numcodecs.Shuffle(8)}),
    "3-gzip": (3, {"compressors": zarr.codecs.GzipCodec()}),
    "3-two": (3, {"compressors": [zarr.codecs.ZstdCodec(), zarr.codecs.Crc32cCodec()]}),
    "3-checksum": (3, {"compressors": zarr.codecs.Crc32cCodec()}),
    "3-big": (3, {"serializer": zarr.codecs.BytesCodec(endian="big")}),
    "3-turned": (3, {"filters": zarr.codecs.TransposeCodec(order=(2, 0, 1))}),
    "3-shards": (3, {"shards": (6, 4, 4)}),
}


def made(path: Path, version: int, how: dict[str, Any], data: np.ndarray = DATA, chunks: Any = (3, 2, 4)) -> Any:
    """An array in a folder."""
    array = zarr.create_array(path, shape=data.shape, dtype=data.dtype, chunks=chunks, zarr_format=version, **how)
    array[...] = data
    return zarr.open_array(path, mode="r")


def files_of(path: Path) -> list[Path]:
    """Those of its chunks."""
    return sorted(found for found in path.rglob("*") if found.is_file() and not found.name.startswith((".z", "zarr.")))


def bytes_of(array: Any) -> bytes:
    """All bits, also of what is no number."""
    return np.ascontiguousarray(array).tobytes()


def only_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on zarr reads no chunk."""

    def refused(*args: Any, **options: Any) -> Any:
        raise AssertionError("zarr was asked for a chunk")

    monkeypatch.setattr(zarr.Array, "get_basic_selection", refused)


@pytest.mark.parametrize("how", READ)
def test_what_is_written_as_most_arrays_are_is_read_without_zarr(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path / "a", *READ[how])
    array = ZarrArray(tmp_path / "a")
    only_here(monkeypatch)
    assert bytes_of(array[...]) == bytes_of(DATA)
    # Whole chunks, parts of some, one element, and turned around.
    for part in np.s_[0:3, 0:2], np.s_[2:5, 1:4, 1:3], np.s_[6, 4, 3], np.s_[::-1, 1:3]:
        np.testing.assert_array_equal(array[part], DATA[part])


@pytest.mark.parametrize("how", LEFT)
def test_what_is_written_in_another_way_is_left_to_zarr(tmp_path: Path, how: str) -> None:
    version, options = LEFT[how]
    opened = made(tmp_path / "a", version, options, chunks=(3, 2, 4))
    assert ChunkFiles.of(opened) is None
    assert bytes_of(ZarrArray(tmp_path / "a")[...]) == bytes_of(opened[...])
    np.testing.assert_allclose(ZarrArray(tmp_path / "a")[2:5, ::2, -1], DATA[2:5, ::2, -1])


def test_steps_are_left_to_zarr(tmp_path: Path) -> None:
    opened = made(tmp_path / "a", 3, {})
    assert not ChunkFiles.of(opened).read(np.empty((4, 5, 4)), (range(0, 7, 2), range(5), range(4)))
    np.testing.assert_array_equal(ZarrArray(tmp_path / "a")[::2], DATA[::2])


NUMBERS = ["?", "i1", "u1", "<i2", "<u4", "<i8", "<f2", "<f4", "<f8", "<c8", "<c16"]
OTHERS = ["<M8[ns]", "<m8[s]", "<U3", "S4"]


@pytest.mark.filterwarnings("ignore:The data type:FutureWarning")
@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("dtype", NUMBERS + OTHERS)
def test_elements_of_any_type_are_those_that_zarr_reads(tmp_path: Path, version: int, dtype: str) -> None:
    values = np.random.default_rng(1).integers(0, 100, (5, 6)).astype(dtype)
    opened = made(tmp_path / "a", version, {}, values, (2, 4))
    read = ZarrArray(tmp_path / "a")[...]
    assert (read.dtype, bytes_of(read)) == (opened.dtype, bytes_of(opened[...]))
    assert (ChunkFiles.of(opened) is not None) == (dtype in NUMBERS)


def test_other_orders_of_bytes_are_read_as_they_are(tmp_path: Path) -> None:
    values = np.arange(20, dtype=">i4").reshape(4, 5)
    opened = made(tmp_path / "a", 2, {}, values, (3, 2))
    assert bytes_of(ZarrArray(tmp_path / "a")[...]) == bytes_of(opened[...])
    assert ZarrArray(tmp_path / "a")[...].tolist() == values.tolist()


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("value", [0.0, -0.0, 7.5, float("nan"), float("-inf"), None])
def test_chunks_that_were_never_written_have_what_zarr_has_for_them(
    tmp_path: Path, version: int, value: float | None
) -> None:
    zarr.create_array(tmp_path / "a", shape=(5, 6), dtype="f8", chunks=(2, 4), zarr_format=version, fill_value=value)
    zarr.open_array(tmp_path / "a", mode="r+")[0:2, 0:4] = 3
    opened = zarr.open_array(tmp_path / "a", mode="r")
    assert bytes_of(ZarrArray(tmp_path / "a")[...]) == bytes_of(opened[...])
    assert bytes_of(ZarrArray(tmp_path / "a")[1:4, 2:6]) == bytes_of(opened[1:4, 2:6])


@pytest.mark.parametrize("dtype", ["?", "u2", "c16"])
def test_nothing_written_at_all_is_the_value_that_is_said(tmp_path: Path, dtype: str) -> None:
    opened = zarr.create_array(tmp_path / "a", shape=(5, 6), dtype=dtype, chunks=(2, 4), fill_value=1)
    assert bytes_of(ZarrArray(tmp_path / "a")[...]) == bytes_of(opened[...])


def test_chunks_that_may_not_be_missing_are_left_to_zarr(tmp_path: Path) -> None:
    opened = made(tmp_path / "a", 3, {})
    files_of(tmp_path / "a")[0].unlink()
    found, out, box = ChunkFiles.of(opened), np.empty(DATA.shape), tuple(map(range, DATA.shape))
    assert found.read(out, box)
    with zarr.config.set({"array.read_missing_chunks": False}):
        assert not found.read(out, box)


def test_arrays_without_axes_or_elements(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "number", data=np.array(4.5))
    zarr.create_array(tmp_path / "nothing", shape=(0, 3), dtype="f8", chunks=(1, 3))
    assert np.asarray(ZarrArray(tmp_path / "number")) == 4.5
    assert ZarrArray(tmp_path / "nothing")[...].shape == (0, 3)


def test_zip_files_and_memory_are_left_to_zarr(tmp_path: Path) -> None:
    made(tmp_path / "a", 3, {})
    shutil.make_archive(str(tmp_path / "a"), "zip", tmp_path / "a")
    store = zarr.storage.ZipStore(tmp_path / "a.zip", read_only=True)
    assert ChunkFiles.of(zarr.open_array(store, mode="r")) is None
    store.close()
    assert ChunkFiles.of(zarr.create_array(zarr.storage.MemoryStore(), data=DATA)) is None
    np.testing.assert_array_equal(ZarrArray(tmp_path / "a.zip")[1:4], DATA[1:4])


def _cut(content: bytes) -> bytes:
    return content[:-3]


def _longer(content: bytes) -> bytes:
    return content + b"more"


def _twice(content: bytes) -> bytes:
    return content * 2


def _empty(content: bytes) -> bytes:
    return b""


def _rubbish(content: bytes) -> bytes:
    return b"no chunk at all, and longer than any head of one"


def _changed_head(content: bytes) -> bytes:
    return bytes([content[0] ^ 0xFF]) + content[1:]


def _changed_middle(content: bytes) -> bytes:
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]


def outcome(read: Any) -> tuple[str, Any]:
    """What was read, or how it failed."""
    try:
        return "read", bytes_of(read())
    except DatabrokerError as error:
        return type(error).__name__, str(error)


@pytest.mark.parametrize("damage", [_cut, _longer, _twice, _empty, _rubbish, _changed_head, _changed_middle])
@pytest.mark.parametrize("how", ["2-none", "2-lz4", "2-zstd", "3-none", "3-default", "3-zstd"])
def test_what_is_damaged_is_told_in_the_words_of_zarr(
    tmp_path: Path, how: str, damage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path / "a", *READ[how])
    chunk = files_of(tmp_path / "a")[1]
    chunk.write_bytes(damage(chunk.read_bytes()))
    own = outcome(lambda: ZarrArray(tmp_path / "a")[...])
    monkeypatch.setattr(ChunkFiles, "of", classmethod(lambda cls, array: None))
    assert own == outcome(lambda: ZarrArray(tmp_path / "a")[...])
    if damage in (_rubbish, _empty):
        assert own[0] == "InvalidFile"
    np.testing.assert_array_equal(ZarrArray(tmp_path / "a")[3:], DATA[3:])


@pytest.mark.parametrize("damage", [_longer, _rubbish, _changed_head])
def test_damaged_blosc_is_told_in_the_words_of_zarr(
    tmp_path: Path, damage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path / "a", *READ["3-blosc"])
    chunk = files_of(tmp_path / "a")[1]
    chunk.write_bytes(damage(chunk.read_bytes()))
    own = outcome(lambda: ZarrArray(tmp_path / "a")[...])
    monkeypatch.setattr(ChunkFiles, "of", classmethod(lambda cls, array: None))
    assert own == outcome(lambda: ZarrArray(tmp_path / "a")[...])


@pytest.mark.parametrize("how", ["2-none", "2-lz4", "2-blosc", "3-default", "3-blosc", "3-none"])
@pytest.mark.parametrize("other", [(1, 2, 4), (4, 2, 4)], ids=["shorter", "longer"])
def test_a_chunk_of_another_length_is_never_taken_for_one(
    tmp_path: Path, how: str, other: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path / "a", *READ[how])
    made(tmp_path / "other", *READ[how], chunks=other)
    shutil.copy(files_of(tmp_path / "other")[0], files_of(tmp_path / "a")[0])
    own = outcome(lambda: ZarrArray(tmp_path / "a")[...])
    assert own[0] == "InvalidFile"
    monkeypatch.setattr(ChunkFiles, "of", classmethod(lambda cls, array: None))
    assert own == outcome(lambda: ZarrArray(tmp_path / "a")[...])


def test_zstandard_that_does_not_say_its_length_and_in_several_frames(tmp_path: Path) -> None:
    made(tmp_path / "a", *READ["3-zstd"])
    zstd, chunk = numcodecs.Zstd(), files_of(tmp_path / "a")[0]
    plain = bytes(zstd.decode(chunk.read_bytes()))
    chunk.write_bytes(bytes(zstd.encode(plain[:64])) + bytes(zstd.encode(plain[64:])))
    np.testing.assert_array_equal(ZarrArray(tmp_path / "a")[...], DATA)
    # A frame that is passed over by whoever decodes, before it.
    chunk.write_bytes(b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd" + bytes(zstd.encode(plain)))
    np.testing.assert_array_equal(ZarrArray(tmp_path / "a")[...], DATA)


def test_a_folder_where_a_chunk_should_be_is_none(tmp_path: Path) -> None:
    opened = made(tmp_path / "a", *READ["3-none"])
    chunk = files_of(tmp_path / "a")[0]
    chunk.unlink()
    chunk.mkdir()
    assert bytes_of(ZarrArray(tmp_path / "a")[...]) == bytes_of(opened[...])
    assert not ZarrArray(tmp_path / "a")[0:3, 0:2].any()


def test_what_may_not_be_read_is_not(tmp_path: Path) -> None:
    opened = made(tmp_path / "a", *READ["3-none"])
    asked: list[str] = []

    def never(path: str) -> bool:
        asked.append(path)
        return False

    out = np.zeros(DATA.shape)
    assert not ChunkFiles.of(opened).read(out, tuple(map(range, DATA.shape)), never)
    assert asked == [os.fspath(files_of(tmp_path / "a")[0])]
    assert not out.any()


def test_an_array_that_became_one_of_another_type_is_not_read_as_that_which_it_was(tmp_path: Path) -> None:
    made(tmp_path / "a", 3, {}, np.arange(6.0), (4,))
    array = ZarrArray(tmp_path / "a")
    assert array.dtype == "f8"
    shutil.rmtree(tmp_path / "a")
    made(tmp_path / "a", 3, {}, np.arange(6), (4,))
    assert array[...].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


@settings(max_examples=40)
@given(data=st.data())
def test_any_part_of_any_array_is_what_zarr_reads(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=7))
    values = data.draw(hnp.arrays(data.draw(st.sampled_from(["<f8", "<i4", "u1", "?", "<c8"])), shape))
    version, how = data.draw(st.sampled_from([*READ.values(), (2, {"compressors": numcodecs.GZip()})]))
    chunks = tuple(data.draw(st.integers(1, side + 2)) for side in shape)
    path = tmp_path_factory.mktemp("zarr") / "a"
    opened = made(path, version, how, values, chunks)
    for chunk in files_of(path):
        if data.draw(st.booleans()) and data.draw(st.booleans()):
            chunk.unlink()
    expected = opened[...]
    array = ZarrArray(path)
    assert bytes_of(array[...]) == bytes_of(expected)
    for _ in range(3):
        index = data.draw(hnp.basic_indices(shape, allow_newaxis=False))
        assert bytes_of(array[index]) == bytes_of(expected[index])
