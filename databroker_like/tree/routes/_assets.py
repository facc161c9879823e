"""The routes of the files of which nodes are read: what is in a folder, and the bytes of one file."""

from __future__ import annotations

from collections.abc import Iterator

from databroker_like.errors import InvalidRequest, NotFound
from databroker_like.nodes import Asset
from databroker_like.tree._asked import Asked, Reply
from databroker_like.tree._parameters import text, whole
from databroker_like.tree.routes._folders import OpenFile, files_in, opened
from databroker_like.tree.routes._ranges import Part, part_asked, unsatisfied
from databroker_like.tree.routes._told import told

__all__ = ["ID", "OCTETS", "RELATIVE_PATH", "manifest", "octets"]

OCTETS = "application/octet-stream"
ID = whole("id", "Which file or folder, as the data source of the node numbers them.", 0, 1 << 53, required=True)
RELATIVE_PATH = text("relative_path", "Which file in a folder, as its manifest has it.", longest=4000)

#: How much of a file is in memory at once.
_PIECE = 1 << 18


def manifest(asked: Asked) -> Reply:
    """GET /asset/manifest/{path}: the files in a folder of which a node is read, as paths inside it.

    Parameters
    ----------
    asked : Asked

    Returns
    -------
    Reply
    """
    asset = _asset(asked)
    if not asset.is_directory:
        raise InvalidRequest(f"asset {asset.name!r:.300} is a file and not a folder; ask for its bytes")
    found = files_in(asset, asked.settings.most_files)
    return told(asked, {"manifest": found})


def octets(asked: Asked) -> Reply:
    """GET /asset/bytes/{path}: a file of which a node is read, or some of its bytes.

    Parameters
    ----------
    asked : Asked

    Returns
    -------
    Reply
    """
    asset, relative = _asset(asked), asked.params.one("relative_path")
    file = opened(asset, relative)
    part = part_asked(asked, file.tag, file.size)
    if part is None:
        size = file.size
        file.close()
        return unsatisfied(size)
    headers = {
        "ETag": file.tag,
        "Accept-Ranges": "bytes",
        "Content-Disposition": _disposition((relative or asset.name).rpartition("/")[2]),
        "Content-Length": str(part.length),
    }
    if part.is_some:
        headers["Content-Range"] = part.said(file.size)
    return Reply(_pieces(file, part), OCTETS, headers, 206 if part.is_some else 200)


def _asset(asked: Asked) -> Asset:
    """The file or folder that is asked for."""
    source = asked.node.data_source()
    where = "/".join(asked.segments) or "the root"
    if source is None or not source.assets:
        raise NotFound(f"{where!r:.300} is read of no files that could be sent; ask for its data")
    number = asked.params.whole(ID)
    assert number is not None
    if not 1 <= number <= len(source.assets):
        raise NotFound(f"{where!r:.300} has no asset {number}; they are numbered from 1 to {len(source.assets)}")
    return source.assets[number - 1]


def _pieces(file: OpenFile, part: Part) -> Iterator[bytes]:
    with file:
        yield from file.pieces(part.first, part.length, _PIECE)


def _disposition(name: str) -> str:
    """A name for who saves the file, in the one form that the clients of the protocol read."""
    plain = "".join("_" if c in '"\\' or not c.isprintable() else c for c in name)
    # What is sent are bytes, and these are of UTF-8.
    return f'attachment; filename="{plain.encode(errors="replace").decode("latin-1")}"'
