"""The node that a source of a catalog becomes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from databroker_like.core import BlueskyEventStream, BlueskyRun
from databroker_like.errors import Invalid
from databroker_like.nodes._node import Node
from databroker_like.nodes._read_sources import read_source
from databroker_like.nodes.memory import ArrayData, MapNode, TableData, dataset_node
from databroker_like.nodes.runs import RunNode, RunsNode
from databroker_like.v2 import Broker

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["node_of_source", "node_of_value"]

Doc = Mapping[str, Any]


def node_of_source(source: Any, metadata: Doc) -> Node:
    """A source that is no catalog of sources, as a node.

    Parameters
    ----------
    source : intake.source.base.DataSource
    metadata : mapping
        What is said of it; a run has its own.

    Returns
    -------
    Node
        Runs, a run, the streams of one; or what its data is.

    Raises
    ------
    Invalid
        When its data is nothing that a tree has.
    """
    if isinstance(source, Broker):
        return RunsNode(source, metadata=metadata)
    if isinstance(source, BlueskyRun):
        return RunNode(source._header)
    if isinstance(source, BlueskyEventStream):
        return dataset_node(source.to_dask(), metadata=metadata)
    return node_of_value(read_source(source), metadata)


def node_of_value(value: Any, metadata: Doc) -> Node:
    """Some data, as a node.

    Parameters
    ----------
    value : object
        A DataFrame of pandas or dask, or a table of Arrow; an array; a Dataset or a DataArray; a document, or a list of
        documents, numbers or texts.
    metadata : mapping
        What is said of it.

    Returns
    -------
    Node
        A list of documents is a table; so is a list of texts, with the column ``text``. A document is a container
        of nothing whose metadata it is.

    Raises
    ------
    Invalid
        When it is something else.

    Examples
    --------
    >>> node_of_value(["a", "b"], {}).read().to_pydict(), node_of_value({"a": 1}, {}).metadata
    ({'text': ['a', 'b']}, {'a': 1})
    """
    import numpy as np
    import pyarrow as pa

    package = type(value).__module__.partition(".")[0]
    if package == "xarray" and hasattr(value, "data_vars"):
        return dataset_node(value, metadata=metadata)
    if package == "xarray":
        said = {**metadata, "attrs": dict(value.attrs)}
        return ArrayData(value.data, metadata=said, dims=list(map(str, value.dims)))
    if package == "dask" and hasattr(value, "columns"):
        value = value.compute()
    if isinstance(value, pa.Table) or hasattr(value, "to_parquet"):
        return TableData(value, metadata=metadata)
    if isinstance(value, str):
        value = value.splitlines()
    if isinstance(value, Mapping):
        return MapNode({}, metadata={**metadata, **value})
    if isinstance(value, list | tuple):
        if value and all(isinstance(one, Mapping) for one in value):
            # Not every document need have every key; Arrow by itself takes those of the first.
            names = dict.fromkeys(str(name) for one in value for name in one)
            rows = [{str(name): held for name, held in one.items()} for one in value]
            columns = {name: _column(name, [row.get(name) for row in rows]) for name in names}
            return TableData(pa.table(columns), metadata=metadata)
        if all(isinstance(one, str) for one in value):
            return TableData(pa.table({"text": pa.array(value, pa.string())}), metadata=metadata)
        try:
            value = np.asarray(value)
        except ValueError as error:
            raise Invalid(
                "a list of lists of different lengths, or of lists and other values, is no array; make them of one "
                "length, or write documents instead"
            ) from error
    if hasattr(value, "shape") and hasattr(value, "dtype") and value.dtype != object:
        return ArrayData(value, metadata=metadata)
    raise Invalid(f"{type(value).__name__} is neither a table, an array, a document nor a list of documents or texts")


def _column(name: str, values: list[Any]) -> pa.Array:
    """What documents have under one name, as a column of a table."""
    import pyarrow as pa

    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as error:
        raise Invalid(
            f"what the documents have under {name!r} is of no one type, and makes no column: {error}"
        ) from error
