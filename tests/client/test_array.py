from __future__ import annotations

import io
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databroker_like import errors
from databroker_like.client import Context, from_context
from databroker_like.client import array as arrays
from databroker_like.client._parts import part_of, pieces, slices_of
from tests.client.small_server import SmallServer

one = st.integers(-5, 4) | st.builds(
    slice,
    st.none() | st.integers(-8, 8),
    st.none() | st.integers(-8, 8),
    st.none() | st.integers(-3, 3).filter(bool),
)


@given(st.lists(one, max_size=2).map(tuple), st.integers(1, 40), st.integers(1, 40))
def test_parts_in_pieces_are_what_numpy_gives(index: tuple[Any, ...], wanted: int, most: int) -> None:
    whole = np.arange(35).reshape(5, 7)
    chunks = ((3, 2), (3, 4))
    blocks = np.add.outer(np.repeat([0, 2], chunks[0]), np.repeat([0, 1], chunks[1]))
    part = part_of(index, whole.shape)
    found = np.full(tuple(map(len, part.box)), -1)
    for piece in pieces(part.box, chunks, 1, wanted, most):
        box = tuple(positions[within] for positions, within in zip(part.box, piece, strict=True))
        got = whole[slices_of(box)]
        assert got.size <= most or got.size == 1
        # No piece is cut where the array is not, unless it is larger than any may be.
        assert got.size <= wanted or len(set(blocks[slices_of(box)].ravel())) == 1
        found[piece] = got
    np.testing.assert_array_equal(part.finished(found), whole[index])


@pytest.mark.parametrize("most", [12, 40])
def test_pieces_lie_in_whole_blocks(most: int) -> None:
    found = list(pieces((range(6), range(4)), ((3, 3), (2, 2)), 1, 6, most))
    assert found == [(slice(r, r + 3), slice(c, c + 2)) for r in (0, 3) for c in (0, 2)]


@pytest.mark.parametrize("name", ["image", "moments", "point", "empty", "rows"])
@pytest.mark.parametrize("clients", ["numpy", "dask"])
def test_arrays_of_every_type_are_read_as_they_are(opened: Any, server: Any, name: str, clients: str) -> None:
    expected = server.nodes[name]
    client = opened(name, clients=clients)
    found = np.asarray(client.read())
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.asarray(client), expected)
    assert (client.ndim, client.size, client.nbytes) == (expected.ndim, expected.size, expected.nbytes)


@pytest.mark.parametrize("index", [0, (slice(None, None, -2), 3), (..., slice(1, 3)), (-1, -1), slice(2, 2)])
def test_parts_are_read_and_nothing_else(opened: Any, server: Any, index: Any) -> None:
    client = opened("image")
    server.asked.clear()
    np.testing.assert_array_equal(client[index], server.nodes["image"][index])
    assert all("slice" in dict(query) for _, _, query in server.asked)


def test_large_arrays_are_read_in_pieces(opened: Any, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "_WHOLE_BYTES", 24)
    monkeypatch.setattr(arrays, "_PIECE_BYTES", 24)
    client = opened("image")
    server.asked.clear()
    np.testing.assert_array_equal(client.read(), server.nodes["image"])
    np.testing.assert_array_equal(client[::-2, 1:6:2], server.nodes["image"][::-2, 1:6:2])
    assert len(server.asked) > 5


def test_blocks_are_read(opened: Any, server: Any) -> None:
    client, whole = opened("image"), server.nodes["image"]
    np.testing.assert_array_equal(client.read_block((1, 3)), whole[2:4, 6:7])
    np.testing.assert_array_equal(client.read_block((0, 0), (0, slice(None, None, -1))), whole[0, 1::-1])
    with pytest.raises(IndexError, match="no block"):
        client.read_block((9, 0))
    for wrong in ("x", 0, (0, "1"), None):
        with pytest.raises(errors.WrongType, match=r"2 axes, as \(0, 0\)"):
            client.read_block(wrong)
    lazy = opened("image", clients="dask")
    server.asked.clear()
    block = lazy.read_block((1, 3))
    assert server.asked == []
    np.testing.assert_array_equal(block.compute(), whole[2:4, 6:7])
    assert len(server.asked) == 1


@pytest.mark.parametrize("index", [None, 1.5, [0, 1]])
def test_what_is_no_index_is_told_without_asking(opened: Any, server: Any, index: Any) -> None:
    client = opened("image")
    server.asked.clear()
    with pytest.raises(errors.Invalid):
        client[index]
    assert server.asked == []


def test_more_indexes_than_axes_are_an_index_error_as_of_numpy(opened: Any, server: Any) -> None:
    client = opened("image")
    server.asked.clear()
    with pytest.raises(IndexError, match="3 indexes for an array of 2 axes"):
        client[0, 0, 0]
    # The array might have become another one meanwhile.
    assert server.asked == [("GET", "/metadata/image", [])]


def test_an_array_that_has_grown_is_read_as_it_is_now(opened: Any, server: Any) -> None:
    client = opened("image")
    server.nodes["image"] = np.arange(42, dtype="<i8").reshape(6, 7)
    np.testing.assert_array_equal(client.read(), server.nodes["image"])
    assert client[5, 6] == 41
    with pytest.raises(IndexError, match="beyond axis 0"):
        client[6]


def _growing(server: Any, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Let the image have two rows more whenever data of it is asked for; what it becomes."""
    real, whole = server.answer, np.arange(700, dtype="<i8").reshape(100, 7)

    def answer(path: str, *rest: Any) -> Any:
        if "array" in path:
            server.nodes["image"] = whole[: len(server.nodes["image"]) + 2]
        return real(path, *rest)

    server.nodes["image"] = whole[:5]
    monkeypatch.setattr(server, "answer", answer)
    return whole


def test_an_array_that_grows_whenever_it_is_asked_for_is_read(
    opened: Any, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _growing(server, monkeypatch)
    client = opened("image")
    for _ in range(2):
        found = client.read()
        assert len(found) > 5
        np.testing.assert_array_equal(found, whole[: len(found)])
    for _ in range(2):
        last = (len(client.chunks[0]) - 1, 0)
        rows = client.structure().block_box(last)[0]
        found = client.read_block(last)
        assert len(found) >= rows.stop - rows.start
        np.testing.assert_array_equal(found, whole[rows.start : rows.start + len(found), : found.shape[1]])


def test_an_array_of_dask_is_as_long_as_it_was_when_the_array_grows(
    opened: Any, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _growing(server, monkeypatch)
    lazy = opened("image", clients="dask").read()
    for _ in range(2):
        np.testing.assert_array_equal(lazy.compute(scheduler="sync"), whole[:5])


def test_a_reply_of_another_length_is_told(opened: Any, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client = opened("image")
    real = server.answer
    for content in (b"", b"x" * 139, b"x" * 141):
        monkeypatch.setattr(
            server, "answer", lambda path, *rest, c=content: (200, "a/b", c) if "array" in path else real(path, *rest)
        )
        with pytest.raises(errors.ServiceFailed, match=r"did not send 140 bytes.*read it again") as told:
            client.read()
        assert told.type is errors.ServiceFailed


def test_exports_are_whole_or_not_there(opened: Any, server: Any, tmp_path: Path) -> None:
    client = opened("image")
    client.export(tmp_path / "a.csv", slice=(0, ...))
    assert (tmp_path / "a.csv").read_text() == "exported [('slice', '0,:'), ('format', 'csv')]"
    into = io.BytesIO(b"kept ")
    into.seek(5)
    client.export(into, format="text/csv")
    assert into.getvalue() == b"kept exported [('format', 'text/csv')]"
    with pytest.raises(errors.Invalid, match="in which format"):
        client.export(into)
    server.key = "another"
    with pytest.raises(PermissionError):
        client.export(tmp_path / "b.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_an_export_into_a_folder_that_is_not_there_names_the_folder(
    opened: Any, server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = opened("image")
    server.asked.clear()
    with pytest.raises(errors.MissingFile, match=r"there is no folder '.*nodir' for 'x.csv'"):
        client.export(tmp_path / "nodir" / "x.csv")
    (tmp_path / "file").touch()
    with pytest.raises(errors.MissingFile, match=r"there is no folder '.*file' for 'x.csv'"):
        client.export(tmp_path / "file" / "x.csv")

    def refused(**_: Any) -> Any:
        raise PermissionError(13, "Permission denied", "a hidden name")

    monkeypatch.setattr("tempfile.mkstemp", refused)
    with pytest.raises(errors.NotWritable, match=r"x.csv' cannot be written: Permission denied$"):
        client.export(tmp_path / "x.csv")
    assert server.asked == []


def test_formats_are_those_that_the_server_says(opened: Any) -> None:
    assert opened("image").formats == ["application/octet-stream", "text/csv"]


def test_long_reads_tell_how_far_they_are(opened: Any, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []

    @contextmanager
    def progress(context: Any, total: int, what: str) -> Any:
        told.append(-total)
        yield told.append

    monkeypatch.setattr(arrays, "progress", progress)
    monkeypatch.setattr(arrays, "_QUIET_BYTES", 139)
    monkeypatch.setattr(arrays, "_WHOLE_BYTES", 30)
    monkeypatch.setattr(arrays, "_PIECE_BYTES", 30)
    opened("image").read()
    assert (told[0], sum(told), len(told) > 3) == (-140, 0, True)
    told.clear()
    opened("image")[0]
    assert (told[0], sum(told)) == (0, 28)


def test_progress_goes_back_when_the_connection_broke() -> None:
    server = SmallServer({"a": np.arange(4)})
    with Context.from_app(server) as context:
        client = from_context(context, node_path_parts=["a"])
        told: list[int] = []
        replies = [httpx.Response(200, content=iter([b"x" * 8])), httpx.Response(200, content=bytes(32))]

        def receive(method: str, url: str, into: Any, **more: Any) -> None:
            for reply in replies:
                with suppress(errors.ServiceFailed):
                    into(reply)

        context.session.receive = receive  # type: ignore[method-assign]
        target = np.empty(4, "<i8")
        client._fetch_into("http://h/", [], target, told.append)
    assert (told, target.tolist()) == ([8, -8, 32], [0, 0, 0, 0])


def test_what_has_no_room_in_memory_is_told(opened: Any, server: Any) -> None:
    client = opened("image")
    client.item["attributes"]["structure"] |= {"shape": [1 << 50, 1 << 12], "chunks": [[1 << 50], [1 << 12]]}
    server.asked.clear()
    with pytest.raises(errors.TooLarge, match="read a part"):
        client.read()
    assert server.asked == []


def test_arrays_are_not_asked_for_in_gzip(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client = opened("image")
    real, sent = client.context.session.receive, []

    def receive(*rest: Any, headers: Any = None, **more: Any) -> Any:
        sent.append(headers)
        return real(*rest, headers=headers, **more)

    monkeypatch.setattr(client.context.session, "receive", receive)
    client.read()
    assert [headers["Accept-Encoding"] for headers in sent] == ["zstd"]
