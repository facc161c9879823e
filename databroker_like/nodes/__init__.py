"""Trees of nodes: what a service of the Tiled protocol shows, whatever it is made of."""

from databroker_like.nodes._arrays import ArrayNode, AwkwardNode, RaggedNode, SparseNode
from databroker_like.nodes._broken import BROKEN, BrokenNode
from databroker_like.nodes._node import ContainerNode, Node, Query, Sorting, find
from databroker_like.nodes._revised import Revised
from databroker_like.nodes._sources import Asset, DataSource
from databroker_like.nodes._tables import ColumnNode, TableNode
from databroker_like.nodes.memory import (
    ArrayData,
    AwkwardData,
    MapNode,
    RaggedData,
    SparseData,
    TableData,
    dataset_node,
)

__all__ = [
    "BROKEN",
    "ArrayData",
    "ArrayNode",
    "Asset",
    "AwkwardData",
    "AwkwardNode",
    "BrokenNode",
    "ColumnNode",
    "ContainerNode",
    "DataSource",
    "MapNode",
    "Node",
    "Query",
    "RaggedData",
    "RaggedNode",
    "Revised",
    "Sorting",
    "SparseData",
    "SparseNode",
    "TableData",
    "TableNode",
    "dataset_node",
    "find",
]
