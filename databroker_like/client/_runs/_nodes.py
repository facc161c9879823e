"""The nodes of a run: which streams it has, and where their tables and arrays are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from databroker_like.client.context import Context
from databroker_like.errors import NotFound, ServiceFailed
from databroker_like.structures import ArrayStructure, Spec, TableStructure

__all__ = ["StreamNodes", "listed_streams"]

Item = dict[str, Any]
Path = tuple[str, ...]

_ASKED: list[tuple[str, str | int]] = [("include_data_sources", "true"), ("page[limit]", 300)]
#: A stream, a container in it, and what is in that; and one more where streams have a container of their own.
_DEEPEST = 4
_SPEC = "BlueskyEventStream"


@dataclass
class StreamNodes:
    """A stream of a run, as the nodes that a server has of it.

    Parameters
    ----------
    name : str
    metadata : mapping
    tables : list of (path, item)
    arrays : dict of str to (path, item)
        By data key.
    """

    name: str
    metadata: Mapping[str, Any]
    tables: list[tuple[Path, Item]] = field(default_factory=list)
    arrays: dict[str, tuple[Path, Item]] = field(default_factory=dict)

    @property
    def columns(self) -> list[str]:
        """The names of the columns of its tables."""
        return [name for _, item in self.tables for name in item["attributes"]["structure"]["columns"]]

    def described(self) -> dict[str, dict[str, Any]]:
        """Data keys made of the columns and arrays, for a stream that does not say what they are."""
        found: dict[str, dict[str, Any]] = {}
        for _, item in self.tables:
            schema = TableStructure.from_json(item["attributes"]["structure"]).schema
            for name in schema.names:
                if name not in ("seq_num", "time") and not name.startswith("ts_"):
                    found[name] = {"dtype": _dtype(str(schema.field(name).type)), "shape": [], "source": ""}
        for name, (_, item) in self.arrays.items():
            shape = ArrayStructure.from_json(item["attributes"]["structure"]).shape
            found[name] = {"dtype": "array", "shape": list(shape[1:]), "source": "", "external": "STREAM:"}
        return found


def _dtype(arrow: str) -> str:
    if arrow.startswith(("list", "large_list", "fixed_size_list")):
        return "array"
    if arrow == "bool":
        return "boolean"
    return "string" if "string" in arrow or "utf8" in arrow else "integer" if "int" in arrow else "number"


def listed_streams(context: Context, run: Item, path: Path) -> dict[str, StreamNodes]:
    """The streams of a run: one request where the server lists what is deep down, else one for each container.

    Parameters
    ----------
    context : Context
    run : dict
        What the server says of the run.
    path : tuple of str
        Where that is.

    Returns
    -------
    dict
        Name -> stream, in the order of the server.
    """
    found = dict(_deep(context, run, path))
    streams: dict[str, StreamNodes] = {}
    for inside, item in found.items():
        if item["attributes"]["structure_family"] != "container":
            continue
        if len(inside) == 1 and not (inside[0] == "streams" and not _promises(item)):
            streams[inside[0]] = _stream(inside, item)
        elif len(inside) == 2 and inside[0] == "streams" and not _promises(found[("streams",)]):
            streams[inside[1]] = _stream(inside, item)
    for inside, item in found.items():
        family = item["attributes"]["structure_family"]
        below = 2 if inside[0] == "streams" and "streams" not in streams else 1
        if len(inside) <= below or inside[below - 1] not in streams or inside[below] == "config":
            continue
        stream = streams[inside[below - 1]]
        if family == "table":
            stream.tables.append(((*path, *inside), item))
        elif family == "array":
            stream.arrays[inside[-1]] = ((*path, *inside), item)
    for stream in streams.values():
        stream.tables.sort(key=lambda at: _number(at[0][-1]))
    return streams


def _number(name: str) -> int:
    """Of ``internal_0``, ``internal_1``, ..."""
    digits = name.rpartition("_")[2]
    return int(digits) if digits.isdigit() else -1


def _stream(inside: Path, item: Item) -> StreamNodes:
    return StreamNodes(inside[-1], item["attributes"].get("metadata") or {})


def _promises(item: Item) -> bool:
    return any(Spec.from_json(spec).name == _SPEC for spec in item["attributes"].get("specs") or ())


def _deep(context: Context, run: Item, path: Path) -> Iterator[tuple[Path, Item]]:
    """Everything below a run, with its path from there."""
    link = (run.get("links") or {}).get("search_deep")
    if link is not None:
        try:
            items = list(_pages(context, link, [("max_depth", _DEEPEST), *_ASKED]))
        except NotFound:
            items = []
        for item in items:
            ancestors = [part for part in item["attributes"].get("ancestors") or () if part]
            yield (*ancestors[len(path) :], item["id"]), item
        if items:
            return
    waiting: list[tuple[Path, Item]] = [((), run)]
    while waiting:
        inside, container = waiting.pop(0)
        for item in _pages(context, container["links"]["search"], _ASKED):
            here = (*inside, item["id"])
            yield here, item
            if item["attributes"]["structure_family"] == "container" and len(here) < _DEEPEST:
                waiting.append((here, item))


def _pages(context: Context, url: str | None, params: list[tuple[str, str | int]]) -> Iterator[Item]:
    while url is not None:
        page = context.get_json(url, params)
        yield from page["data"]
        following = (page.get("links") or {}).get("next")
        if following == url:
            raise ServiceFailed(f"the page after {url} is that page again")
        url, params = following, []
