"""The routes of tables: all of one, or a part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from databroker_like.nodes import TableNode
from databroker_like.tree._asked import Asked, Reply
from databroker_like.tree._media import chosen
from databroker_like.tree.formats._xdi import table_formats
from databroker_like.tree.routes._portions import check_bytes, columns_of, sent

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["read_whole", "table_full", "table_partition"]


def table_full(asked: Asked) -> Reply:
    """GET or POST /table/full/{path}: a table, or some columns of it.

    Parameters
    ----------
    asked : Asked

    Returns
    -------
    Reply
    """
    node: TableNode = asked.node_of(TableNode)
    form, columns = chosen(asked, table_formats(node)), columns_of(asked)
    return sent(asked, form, read_whole(asked, node, columns, "ask for its partitions, or for some columns"))


def read_whole(asked: Asked, node: TableNode, columns: Sequence[str] | None, cure: str) -> pa.Table:
    """A table, if it is small enough: what says nothing of its size is read part by part until it is too large.

    Parameters
    ----------
    asked : Asked
    node : TableNode
    columns : sequence of str or None
    cure : str
        What to ask for when it is too large.

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    TooLarge
    NoSuchColumn
    """
    import pyarrow as pa

    if columns is not None:
        node.check_columns(columns)
    known, count = node.count_bytes(columns), node.structure().npartitions
    if known is not None:
        check_bytes(asked, known, cure)
    if known is not None or count <= 1:
        table = node.read(columns)
        check_bytes(asked, table.nbytes, cure)
        return table
    parts, nbytes = [], 0
    for number in range(count):
        parts.append(node.read_partition(number, columns))
        nbytes += parts[-1].nbytes
        check_bytes(asked, nbytes, cure)
    return pa.concat_tables(parts, promote_options="permissive")


def table_partition(asked: Asked) -> Reply:
    """GET or POST /table/partition/{path}: one part of a table, or some columns of it.

    Parameters
    ----------
    asked : Asked

    Returns
    -------
    Reply
    """
    node: TableNode = asked.node_of(TableNode)
    form, columns = chosen(asked, table_formats(node)), columns_of(asked)
    number = asked.params.number("partition", None, 0, 1 << 53)
    node.check_partition(number)
    if columns is not None:
        node.check_columns(columns)
    cure = "ask for some columns"
    known = node.count_bytes(columns, number)
    if known is not None:
        check_bytes(asked, known, cure)
    table = node.read_partition(number, columns)
    check_bytes(asked, table.nbytes, cure)
    return sent(asked, form, table)
