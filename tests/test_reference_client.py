"""Every name of the reference of Tiled's Python client is here, with its parameters.

The tables hold the parameters as tiled 0.2.20 has them. Where more is offered (a default, a further keyword), the call
that was written for tiled still means the same, which is what is checked.
"""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest

from databroker_like import queries

_REQUIRED = "required"

#: What the reference documents: module of tiled -> names, with those of their members that it lists.
REFERENCE: dict[str, dict[str, list[str]]] = {
    "client": {"from_uri": [], "from_profile": []},
    "client.container": {
        "Container": [
            *("__getitem__", "__iter__", "__len__", "get", "keys", "items", "values", "metadata", "sorting", "uri"),
            *("specs", "search", "sort", "distinct", "create_container", "write_array", "write_awkward"),
            *("write_dataframe", "write_sparse", "new"),
        ]
    },
    "client.iterviews": {
        "KeysView": ["first", "last", "head", "tail"],
        "ValuesView": ["first", "last", "head", "tail"],
        "ItemsView": ["first", "last", "head", "tail"],
    },
    "client.base": {
        "BaseClient": [
            *("formats", "metadata", "uri", "structure_family", "item", "login", "logout", "new_variation", "specs"),
            "structure",
        ]
    },
    "client.array": {
        "DaskArrayClient": ["read_block", "read", "export", "write", "write_block"],
        "ArrayClient": ["read_block", "read", "export", "write", "write_block"],
    },
    "client.awkward": {"AwkwardClient": ["read", "write", "export"]},
    "client.sparse": {"SparseClient": ["read", "export", "write", "write_block"]},
    "client.dataframe": {
        "DaskDataFrameClient": ["read_partition", "read", "export", "write", "write_partition"],
        "DataFrameClient": ["read_partition", "read", "export", "write", "write_partition"],
    },
    "client.xarray": {"DaskDatasetClient": ["read"], "DatasetClient": ["read"]},
    "client.context": {
        "Context": [
            *("from_any_uri", "from_app", "authenticate", "cache", "force_auth_refresh", "login", "logout", "tokens")
        ]
    },
    "client.cache": {
        "Cache": [
            *("capacity", "clear", "close", "count", "delete", "filepath", "get", "max_item_size", "readonly", "set"),
            *("size", "write_safe"),
        ]
    },
    "client.sync": {"copy": []},
}

#: What today's client has beside it.
TODAY: dict[str, dict[str, list[str]]] = {
    "client.container": {
        "Container": [
            *("search_deep", "export", "new_variation", "items", "parent", "refresh", "write_table", "write_ragged"),
            *("create_appendable_table", "register", "delete_contents", "subscribe"),
        ]
    },
    "client.base": {
        "BaseClient": [
            *("access_tags", "asset_manifest", "data_sources", "include_data_sources", "metadata_copy"),
            *("metadata_revisions", "parent", "path_parts", "raw_export", "refresh", "update_metadata"),
            *("patch_metadata", "replace_metadata", "build_metadata_patches", "delete", "close_stream"),
        ]
    },
    "client.array": {
        "ArrayClient": ["chunks", "dims", "dtype", "nbytes", "ndim", "shape", "size", "__array__", "__getitem__"],
        "DaskArrayClient": ["chunks", "compute", "dims", "dtype", "nbytes", "ndim", "shape", "size", "__getitem__"],
    },
    "client.awkward": {"AwkwardClient": ["__getitem__"]},
    "client.sparse": {"SparseClient": ["__getitem__", "chunks", "dims", "ndim", "read_block", "shape", "todense"]},
    "client.ragged": {
        "RaggedClient": ["__getitem__", "chunks", "dims", "dtype", "export", "ndim", "read", "shape", "size"]
    },
    "client.dataframe": {
        "DataFrameClient": ["columns", "__getitem__", "__iter__"],
        "DaskDataFrameClient": ["columns", "compute", "__getitem__", "__iter__"],
    },
    "client.composite": {"CompositeClient": ["base", "read", "__getitem__"]},
    "client.iterviews": {"KeysView": ["page_size"], "ValuesView": ["page_size"], "ItemsView": ["page_size"]},
}

QUERIES = [
    *("AccessTagsFilter", "Comparison", "Contains", "Eq", "FullText", "In", "Key", "KeyLookup", "KeyPresent"),
    *("KeysFilter", "Like", "NotEq", "NotIn", "Operator", "Regex", "SpecQuery", "SpecsQuery", "StructureFamilyQuery"),
]


def positional(*names: str, **defaults: Any) -> dict[str, tuple[str, Any]]:
    found = dict.fromkeys(names, ("positional", _REQUIRED))
    return {**found, **{name: ("positional", default) for name, default in defaults.items()}}


def keyword(*names: str, **defaults: Any) -> dict[str, tuple[str, Any]]:
    found = dict.fromkeys(names, ("keyword", _REQUIRED))
    return {**found, **{name: ("keyword", default) for name, default in defaults.items()}}


_NEW = keyword(metadata=None, specs=None, access_tags=None)
_KEYED = keyword(key=None, metadata=None, specs=None, access_tags=None)
_EXPORT = {**positional("filepath"), **keyword(format=None)}

#: (where, its parameters in tiled 0.2.20; a default of ... is not compared)
SIGNATURES: dict[str, dict[str, tuple[str, Any]]] = {
    "client.from_uri": {
        **positional("uri", structure_clients="numpy"),
        **keyword(cache=None, remember_me=..., api_key=None, verify=..., headers=None, timeout=None),
        **keyword(include_data_sources=False, auth=None, max_connections=..., show_progress=..., trust_env=...),
    },
    "client.from_profile": positional("name", structure_clients=None),
    "client.array.ArrayClient.read": positional(slice=None),
    "client.array.ArrayClient.read_block": positional("block", slice=None),
    "client.array.ArrayClient.export": {**_EXPORT, **keyword(slice=None)},
    "client.array.DaskArrayClient.read": positional(slice=None),
    "client.array.DaskArrayClient.read_block": positional("block", slice=None),
    "client.array.DaskArrayClient.export": {**_EXPORT, **keyword(slice=None)},
    "client.awkward.AwkwardClient.read": positional(slice=Ellipsis),
    "client.awkward.AwkwardClient.export": _EXPORT,
    "client.sparse.SparseClient.read": positional(slice=None),
    "client.sparse.SparseClient.read_block": positional("block", slice=None),
    "client.sparse.SparseClient.export": {**_EXPORT, **keyword(slice=None)},
    "client.ragged.RaggedClient.read": positional(slice=None),
    "client.ragged.RaggedClient.export": {**_EXPORT, **keyword(slice=None)},
    "client.dataframe.DataFrameClient.read": positional(columns=None),
    "client.dataframe.DataFrameClient.read_partition": positional("partition", columns=None),
    "client.dataframe.DataFrameClient.export": {**positional("filepath", columns=None), **keyword(format=None)},
    "client.dataframe.DaskDataFrameClient.read": positional(columns=None),
    "client.dataframe.DaskDataFrameClient.read_partition": positional("partition", columns=None),
    "client.dataframe.DaskDataFrameClient.export": {**positional("filepath", columns=None), **keyword(format=None)},
    "client.xarray.DatasetClient.read": {**positional(variables=None), **keyword(optimize_wide_table=True)},
    "client.xarray.DaskDatasetClient.read": {**positional(variables=None), **keyword(optimize_wide_table=True)},
    "client.composite.CompositeClient.read": positional(variables=None, dim0=None),
    "client.container.Container.search": positional("query"),
    "client.container.Container.search_deep": keyword(max_depth=None),
    "client.container.Container.sort": {},
    "client.container.Container.distinct": keyword(structure_families=False, specs=False, counts=False),
    "client.container.Container.export": {**positional("filepath", fields=None), **keyword(format=None)},
    "client.container.Container.__init__": {
        **positional("context"),
        **keyword("item", structure_clients=..., queries=..., sorting=..., structure=..., include_data_sources=...),
    },
    "client.base.BaseClient.__init__": {
        **positional("context"),
        **keyword("item", structure_clients=..., structure=..., include_data_sources=...),
    },
    "client.base.BaseClient.new_variation": positional(
        structure_clients=..., include_data_sources=..., structure=...
    ),
    "client.base.BaseClient.asset_manifest": positional("data_sources"),
    "client.base.BaseClient.raw_export": positional(destination=None, max_workers=4, compression=True),
    "client.iterviews.KeysView.head": positional(n=5),
    "client.iterviews.ValuesView.tail": positional(n=5),
    "client.container.Container.create_container": {**positional(key=None), **_NEW},
    "client.container.Container.new": {**positional("structure_family", "data_sources"), **_KEYED},
    "client.container.Container.write_array": {**positional("array"), **_KEYED, **keyword(dims=None)},
    "client.container.Container.write_awkward": {**positional("array"), **_KEYED, **keyword(dims=None)},
    "client.container.Container.write_ragged": {**positional("array"), **_KEYED, **keyword(dims=None)},
    "client.container.Container.write_sparse": {
        **positional("coords", "data", "shape"), **_KEYED, **keyword(dims=None)
    },
    "client.container.Container.write_table": {**positional("data"), **_KEYED},
    "client.container.Container.write_dataframe": {**positional("data"), **_KEYED},
    "client.container.Container.create_appendable_table": {**positional("schema", npartitions=1), **_KEYED},
    "client.container.Container.delete_contents": positional(keys=None, recursive=False, external_only=True),
    "client.array.ArrayClient.write": positional("array", persist=True),
    "client.array.ArrayClient.write_block": positional("array", "block", slice=..., persist=True),
    "client.array.ArrayClient.patch": positional("array", "offset", extend=False, persist=True),
    "client.sparse.SparseClient.write": positional("coords", "data"),
    "client.sparse.SparseClient.write_block": positional("coords", "data", "block"),
    "client.ragged.RaggedClient.write": positional("array", persist=True),
    "client.ragged.RaggedClient.write_block": positional("array", "block", persist=True),
    "client.dataframe.DataFrameClient.write": positional("dataframe"),
    "client.dataframe.DataFrameClient.write_partition": positional("partition", "dataframe"),
    "client.dataframe.DataFrameClient.append_partition": positional("partition", "dataframe"),
    "client.base.BaseClient.delete": positional(recursive=False, external_only=True),
    "client.base.BaseClient.update_metadata": {
        **positional(metadata=None, specs=None, access_tags=None), **keyword(drop_revision=False)
    },
    "client.base.BaseClient.replace_metadata": positional(
        metadata=None, specs=None, access_tags=None, drop_revision=False
    ),
    "client.base.BaseClient.patch_metadata": positional(
        metadata_patch=None, specs_patch=None, access_tags_patch=None, content_type=..., drop_revision=False
    ),
    "client.sync.copy": positional("source", "dest", on_conflict="error"),
    "client.context.Context.from_any_uri": positional("uri"),
    "client.context.Context.from_app": positional("app"),
}  # fmt: skip


def resolved(path: str) -> Any:
    """What is at a dotted path in this package: a module as far as there is one, and attributes from there."""
    parts = ["databroker_like", *path.split(".")]
    for end in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError as error:
            if not ".".join(parts).startswith(str(error.name)):
                raise
            continue
        for name in parts[end:]:
            found = getattr(found, name)
        return found
    raise AssertionError(f"nothing is at {path}")


NAMES = [
    f"{module}.{name}{member and '.'}{member}"
    for table in (REFERENCE, TODAY)
    for module, names in table.items()
    for name, members in names.items()
    for member in ("", *members)
]


@pytest.mark.parametrize("path", NAMES)
def test_every_name_of_the_reference_is_here(path: str) -> None:
    found = resolved(path)
    assert found is not None or path.endswith("cache")


@pytest.mark.parametrize("path", [path for path in NAMES if path.count(".") < 4])
def test_every_name_for_users_is_documented(path: str) -> None:
    found = resolved(path)
    assert path.rpartition(".")[2].startswith("__") or isinstance(found, property) or inspect.getdoc(found)


@pytest.mark.parametrize("name", QUERIES)
def test_every_query_has_its_name(name: str) -> None:
    assert name in queries.__all__
    assert getattr(queries, name) is not None


@pytest.mark.parametrize("path", SIGNATURES)
def test_parameters_are_those_of_the_reference(path: str) -> None:
    found = resolved(path)
    ours = {name: p for name, p in inspect.signature(found).parameters.items() if name not in ("self", "cls")}
    expected = SIGNATURES[path]
    order = [name for name, p in ours.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    wanted = [name for name, (kind, _) in expected.items() if kind == "positional"]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in ours.values())
    assert order[: len(wanted)] == wanted
    for name, (kind, default) in expected.items():
        if name not in ours:
            assert takes_any, name
            continue
        parameter = ours[name]
        if kind == "keyword":
            assert parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        if default is not _REQUIRED and (default is not ... or path.endswith("AwkwardClient.read")):
            assert parameter.default == default
    for name in ours.keys() - expected.keys():
        more = ours[name]
        assert more.default is not more.empty or more.kind in (more.VAR_KEYWORD, more.VAR_POSITIONAL), name
