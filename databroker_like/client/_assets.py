"""The files in which data lies on a server, as they are there."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson

from databroker_like.client._saving import Into, to_file
from databroker_like.client._side_by_side import side_by_side
from databroker_like.client.context import Context
from databroker_like.errors import NotOffered, ServiceFailed

__all__ = ["fetch_assets", "manifest_of"]

_Sources = Iterable[Mapping[str, Any]]
#: What a name of a file cannot have in it, on any system.
_FORBIDDEN = frozenset('<>:"|?*\\\0')


@dataclass(frozen=True)
class _Wanted:
    """One file: what the server knows it by, and where it goes."""

    asset: int
    relative: str | None
    key: str


def manifest_of(context: Context, path_parts: Sequence[str], data_sources: _Sources) -> dict[int, list[str] | None]:
    """What is in those folders in which data lies.

    Parameters
    ----------
    context : Context
    path_parts : sequence of str
        The names on the way to the node.
    data_sources : iterable of dict
        As the server says them.

    Returns
    -------
    dict
        The number of each asset, with the paths in it; None for one that is a single file.

    Raises
    ------
    ServiceFailed
        When a path leads out of its folder.
    """
    found: dict[int, list[str] | None] = {}
    for asset in _assets(data_sources):
        found[asset["id"]] = None
        if asset.get("is_directory"):
            found[asset["id"]] = [_inside(path, asset) for path in _told(context, path_parts, asset["id"])]
    return found


def fetch_assets(
    context: Context,
    path_parts: Sequence[str],
    data_sources: Sequence[Mapping[str, Any]],
    destination: str | os.PathLike[str] | MutableMapping[str, Any] | None,
    max_workers: int,
    compression: bool,
) -> list[Any]:
    """Fetch the files in which data lies.

    Parameters
    ----------
    context : Context
    path_parts : sequence of str
        The names on the way to the node.
    data_sources : sequence of dict
        As the server says them.
    destination : path, dict or None
        The folder for them, the current one by default; or where each is put as an ``io.BytesIO``.
    max_workers : int
    compression : bool
        Whether the server may compress them on the way.

    Returns
    -------
    list of pathlib.Path, or of str

    Raises
    ------
    NotOffered
        When there are none.
    """
    wanted = _wanted(_assets(data_sources), manifest_of(context, path_parts, data_sources))
    if not wanted:
        raise NotOffered(f"the data of {'/'.join(path_parts)!r} lies in no files that the server gives away")
    link = _link(context, path_parts, "bytes")
    headers = None if compression else {"Accept-Encoding": "identity"}

    def fetch(one: _Wanted) -> Any:
        params: list[tuple[str, str | int]] = [("id", one.asset)]
        if one.relative is not None:
            params.append(("relative_path", one.relative))

        def write(file: Any) -> None:
            context.session.receive("GET", link, Into(file), params=params, headers=headers)

        if isinstance(destination, MutableMapping):
            held = io.BytesIO()
            write(held)
            held.seek(0)
            destination[one.key] = held
            return one.key
        path = Path("." if destination is None else destination, *PurePosixPath(one.key).parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        to_file(path, write)
        return path

    return side_by_side(context, fetch, wanted, "fetching files", at_once=max_workers)


def _assets(data_sources: _Sources) -> list[Mapping[str, Any]]:
    return [asset for source in data_sources for asset in source.get("assets") or ()]


def _told(context: Context, path_parts: Sequence[str], number: int) -> list[str]:
    # In JSON alone: tiled 0.2.20 fails to write this in msgpack.
    link, asked = _link(context, path_parts, "manifest"), [("id", number)]
    reply = context.session.fetch("GET", link, params=asked, accept="application/json")
    try:
        told = orjson.loads(reply.content)["manifest"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise ServiceFailed(f"{reply.url} sent no list of files: {error!r}") from error
    if not isinstance(told, list) or not all(isinstance(path, str) for path in told):
        raise ServiceFailed(f"{reply.url} sent no list of files, but {told!r:.200}")
    return told


def _wanted(assets: Sequence[Mapping[str, Any]], manifest: Mapping[int, list[str] | None]) -> list[_Wanted]:
    found: dict[str, _Wanted] = {}
    for asset in assets:
        number, inside = asset["id"], manifest[asset["id"]]
        below = f"{number}/" if len(assets) > 1 else ""
        for relative in [None] if inside is None else inside:
            name = _file_name(asset) if relative is None else relative
            found[below + name] = _Wanted(number, relative, below + name)
    return list(found.values())


def _file_name(asset: Mapping[str, Any]) -> str:
    name = _path_of(asset).rpartition("/")[2]
    clean = "".join("_" if c in _FORBIDDEN else c for c in name)
    return f"asset-{asset['id']}" if clean in ("", ".", "..") else clean


def _path_of(asset: Mapping[str, Any]) -> str:
    return unquote(urlsplit(str(asset.get("data_uri") or "")).path).rstrip("/")


def _inside(path: str, asset: Mapping[str, Any]) -> str:
    """A path in a folder, relative to it; a server may say the whole of it."""
    folder = _path_of(asset)
    found = path.removeprefix(f"{folder}/") if folder else path
    parts = found.split("/")
    if found.startswith("/") or any(part in ("", ".", "..") for part in parts) or _FORBIDDEN.intersection(found):
        raise ServiceFailed(f"the server names {path!r:.200} as a file in a folder, which leads out of it")
    return found


def _link(context: Context, path_parts: Sequence[str], what: str) -> str:
    return context.node_url(path_parts).replace("/metadata/", f"/asset/{what}/", 1)
