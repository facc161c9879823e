"""A small server of the protocol: one container of data of every family, that keeps what it was asked."""

from __future__ import annotations

import io
import zipfile
from typing import Any
from urllib.parse import parse_qsl

import awkward as ak
import msgpack
import numpy as np
import orjson
import pyarrow as pa
import ragged
import sparse

from databroker_like.slices import parse_block, parse_slices
from databroker_like.structures import (
    ArrayStructure,
    AwkwardStructure,
    RaggedStructure,
    SparseStructure,
    TableStructure,
    data_type_of,
)

API = "http://local-app/api/v1"
ARROW = "application/vnd.apache.arrow.file"


def arrow(table: pa.Table) -> bytes:
    """A table as a file of Arrow."""
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def zipped(array: ak.Array, names: list[str]) -> bytes:
    """Some buffers of an awkward array, stored in a zip file."""
    _, _, buffers = ak.to_buffers(array)
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as packed:
        for name in names:
            packed.writestr(name, bytes(buffers[name]))
    return sink.getvalue()


class SmallServer:
    """An ASGI application with the nodes of a mapping: data of every family, or metadata of containers."""

    def __init__(self, nodes: dict[str, Any], *, key: str | None = None, form: str = "msgpack") -> None:
        self.nodes, self.key, self.form = nodes, key, form
        self.npartitions, self.page, self.block = 2, 4, 2
        self.rows_as_arrow, self.most_elements = True, 100
        self.asked: list[tuple[str, str, list[tuple[str, str]]]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        query = parse_qsl(scope["query_string"].decode(), keep_blank_values=True)
        self.asked.append((scope["method"], scope["path"].removeprefix("/api/v1"), query))
        body = (await receive())["body"]
        headers = dict(scope["headers"])
        if self.key is not None and headers.get(b"authorization") != f"Apikey {self.key}".encode():
            status, kind, content = 401, "application/json", b'{"detail":"Invalid API key"}'
        else:
            status, kind, content = self.answer(scope["path"].removeprefix("/api/v1"), query, body)
        head = [(b"content-type", kind.encode())]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": content})

    def answer(self, path: str, query: list[tuple[str, str]], body: bytes) -> tuple[int, str, bytes]:
        route, _, rest = path.strip("/").partition("/")
        given = dict(query)
        if route == "":
            return self.packed({"formats": {"array": ["text/csv", "application/octet-stream"]}})
        if route == "search":
            return self.packed(self.search(query))
        if route == "distinct":
            return self.packed({"metadata": {"asked": query}})
        if route == "metadata":
            item = self.item(rest)
            return (
                (404, "application/json", b'{"detail":"No such entry"}')
                if item is None
                else self.packed({"data": item})
            )
        _, _, name = rest.partition("/")
        name, _, column = name.partition("/")
        data = self.nodes[name]
        if column:
            data = data[column].to_numpy()
        if given.get("format"):
            return 200, "text/csv", b"exported " + repr(query).encode()
        if isinstance(data, pa.Table):
            columns = orjson.loads(body) if body else [value for at, value in query if at == "column"]
            at = int(given["partition"])
            edges = np.linspace(0, len(data), self.npartitions + 1).astype(int)
            part = data[edges[at] : edges[at + 1]]
            return 200, ARROW, arrow(part.select(columns) if columns else part)
        if isinstance(data, ak.Array):
            return 200, "application/zip", zipped(data, orjson.loads(body))
        if isinstance(data, sparse.COO):
            return self.elements(data, given)
        if isinstance(data, ragged.array):
            rows = ak.Array(data._impl)[parse_slices(given.get("slice", ":"))]
            if self.rows_as_arrow:
                return 200, ARROW, arrow(pa.table({"": ak.to_arrow(rows, extensionarray=False)}))
            return 200, "application/json", orjson.dumps(rows.tolist())
        if "block" in given:
            structure = self.structure(data)
            data = data[structure.block_box(parse_block(given["block"]))]
        if "slice" in given:
            data = data[parse_slices(given["slice"])]
        return 200, "application/octet-stream", data.tobytes()

    def elements(self, data: sparse.COO, given: dict[str, str]) -> tuple[int, str, bytes]:
        if "block" not in given and data.nnz > self.most_elements:
            return 413, "application/json", b'{"detail":"too many elements"}'
        # Dense, because the slices of sparse arrays take seconds to be compiled.
        dense = data.todense()
        if "block" in given:
            dense = dense[self.sparse_structure(data).block_box(parse_block(given["block"]))]
        if "slice" in given:
            dense = dense[parse_slices(given["slice"])]
        places = np.nonzero(dense)
        columns = {f"dim{axis}": along for axis, along in enumerate(places)}
        return 200, ARROW, arrow(pa.table({**columns, "data": dense[places]}))

    def packed(self, value: Any) -> tuple[int, str, bytes]:
        if self.form == "msgpack":
            return 200, "application/x-msgpack", msgpack.packb(value)
        return 200, "application/json", orjson.dumps(value)

    def structure(self, array: np.ndarray) -> ArrayStructure:
        chunks = tuple(
            tuple(min(self.block, length - at) for at in range(0, length, self.block)) or (0,) for length in array.shape
        )
        return ArrayStructure.from_array(array, chunks=chunks)

    def sparse_structure(self, array: sparse.COO) -> SparseStructure:
        dense = self.structure(array)
        return SparseStructure(dense.data_type, dense.chunks, dense.shape)

    def search(self, query: list[tuple[str, str]]) -> dict[str, Any]:
        given = dict(query)
        keys = list(self.nodes)
        wanted = [value for name, value in query if name == "filter[lookup][condition][key]"]
        keys = [key for key in keys if all(key == value for value in wanted)]
        if any(name == "sort" and value.startswith("-") for name, value in query):
            keys.reverse()
        start, limit = int(given.get("page[offset]", 0)), int(given.get("page[limit]", self.page))
        shown = [] if given.get("fields") == "count" else keys[start : start + limit]
        following = None
        if shown and start + limit < len(keys):
            rest = [f"{n}={v}" for n, v in query if n not in ("page[offset]", "page[limit]")]
            following = f"{API}/search/?" + "&".join([*rest, f"page[offset]={start + limit}", f"page[limit]={limit}"])
        return {"data": [self.item(key) for key in shown], "links": {"next": following}, "meta": {"count": len(keys)}}

    def item(self, path: str) -> dict[str, Any] | None:
        if path == "":
            return _item("", [], "container", {}, {"contents": None, "count": len(self.nodes)}, "search", "full")
        key, _, column = path.partition("/")
        if key not in self.nodes:
            return None
        data = self.nodes[key]
        if isinstance(data, pa.Table):
            if column:
                array = self.structure(data[column].to_numpy())
                return _item(column, [key], "array", {}, array.to_json(), "full", "block")
            structure = TableStructure.from_schema(data.schema, self.npartitions)
            return _item(key, [], "table", {}, structure.to_json(), "full", "partition")
        if isinstance(data, np.ndarray):
            return _item(key, [], "array", {"of": key}, self.structure(data).to_json(), "full", "block")
        if isinstance(data, ak.Array):
            form, length, _ = ak.to_buffers(data)
            awkward = AwkwardStructure(length, form.to_dict())
            return _item(key, [], "awkward", {}, awkward.to_json(), "full", "buffers")
        if isinstance(data, sparse.COO):
            return _item(key, [], "sparse", {}, self.sparse_structure(data).to_json(), "full", "block")
        if isinstance(data, ragged.array):
            chunks = tuple(None if n is None else (n,) for n in data.shape)
            told = RaggedStructure(data_type_of(data.dtype), data.shape, int(data.size), chunks)
            return _item(key, [], "ragged", {}, told.to_json(), "full")
        return _item(key, [], "container", data, {"contents": None, "count": 0}, "search")


def _item(key: str, above: list[str], family: str, metadata: Any, structure: Any, *links: str) -> dict[str, Any]:
    path = "/".join([*above, key])
    place = "array" if family == "sparse" else family
    table = {"search": "search", "block": f"{place}/block", "full": f"{place}/full", "partition": "table/partition"}
    table["buffers"] = "awkward/buffers"
    ends = {"block": "?block={0}", "partition": "?partition={index}"}
    return {
        "id": key,
        "attributes": {
            "ancestors": above,
            "structure_family": family,
            "specs": [{"name": "demo", "version": "1"}],
            "metadata": metadata,
            "structure": structure,
            "sorting": [{"key": "", "direction": 1}] if family == "container" else None,
        },
        "links": {
            "self": f"{API}/metadata/{path}",
            **{name: f"{API}/{table[name]}/{path}{ends.get(name, '')}" for name in links},
        },
    }
