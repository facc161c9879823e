"""The routes that send data: arrays, tables, containers, the documents of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from databroker_like.errors import Invalid, InvalidRequest, OutOfRange, TooLarge
from databroker_like.nodes import ArrayNode, ContainerNode, TableNode
from databroker_like.nodes._arrays import inside_of
from databroker_like.slices import Slices, parse_block, parse_shape, parse_slices, sliced_shape
from databroker_like.structures import ArrayStructure
from databroker_like.tree._array_formats import ARRAY_FORMATS, as_described
from databroker_like.tree._asked import Asked, Reply
from databroker_like.tree._container_formats import JSON_SEQ, Export, formats_of, written_documents
from databroker_like.tree._media import Format, chosen
from databroker_like.tree._table_formats import TABLE_FORMATS

__all__ = ["array_block", "array_full", "container_full", "documents", "node_full", "table_full", "table_partition"]

_MOST_COLUMNS = 10_000
#: In a header between quotes.
_FILENAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+ ")


def _sent(asked: Asked, form: Format, data: Any) -> Reply:
    """Data in a format, with the name of the file that it becomes when the caller says one."""
    headers: dict[str, str] = {"Vary": "Accept"}
    filename = asked.params.one("filename")
    if filename is not None:
        if not filename or len(filename) > 200 or not _FILENAME.issuperset(filename):
            raise InvalidRequest("'filename' has letters of ASCII, digits, spaces and any of '._-+'")
        headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    return Reply(form.write(data), form.sent_as, headers)


# -- arrays -----------------------------------------------------------------------------------------------------------


def array_full(asked: Asked) -> Reply:
    """GET /array/full/{path}: an array, or the part that ``slice`` names.

    Parameters
    ----------
    asked : Asked

    Returns
    -------
    Reply
    """
    node: ArrayNode = asked.node_of(ArrayNode)
    form = chosen(asked, ARRAY_FORMATS)
    structure, slices = node.structure(), _slices(asked)
    _check_shape(asked, structure, sliced_shape(slices, structure.shape), "; ask for blocks, or for slices")
    return _sent(asked, form, as_described(node.read(slices), structure))


def array_block(asked: Asked) -> Reply:
    """GET /array/block/{path}: one block of an array, or a part of it.

    Parameters
    ----------
    asked : Asked

    Returns
    -------
    Reply
    """
    node: ArrayNode = asked.node_of(ArrayNode)
    form = chosen(asked, ARRAY_FORMATS)
    structure, slices = node.structure(), _slices(asked)
    text = asked.params.one("block")
    if text is None:
        raise InvalidRequest("the parameter 'block' is needed: a number for each axis, such as 'block=0,1'")
    try:
        block = parse_block(text)
        box = structure.block_box(block)
    except (Invalid, OutOfRange) as error:
        raise InvalidRequest(str(error)) from error
    shape = sliced_shape(inside_of(box, slices), structure.shape)
    _check_shape(asked, structure, shape, "; ask for a slice of the block")
    return _sent(asked, form, as_described(node.read_block(block, slices), structure))


def _slices(asked: Asked) -> Slices:
    try:
        return parse_slices(asked.params.one("slice") or "")
    except InvalidRequest:
        raise
    except Invalid as error:
        raise InvalidRequest(str(error)) from error


def _check_shape(asked: Asked, structure: ArrayStructure, shape: Sequence[int], cure: str) -> None:
    """Refuse what is too large before it is read, and what is not as the caller thinks it is."""
    expected = asked.params.one("expected_shape")
    if expected is not None:
        try:
            wanted = parse_shape(expected)
        except Invalid as error:
            raise InvalidRequest(str(error)) from error
        if wanted != tuple(shape):
            raise Invalid(
                f"what is asked for has the shape {tuple(shape)}, and not {wanted}: the array may have changed; ask "
                "for its metadata again"
            )
    nbytes = structure.data_type.itemsize
    for length in shape:
        nbytes *= length
    if nbytes > asked.settings.most_reply_bytes:
        raise TooLarge(f"this would be {nbytes} bytes, and {asked.settings.most_reply_bytes} are sent at once{cure}")


# -- tables -----------------------------------------------------------------------------------------------------------


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
    form, columns = chosen(asked, TABLE_FORMATS), _columns(asked)
    if columns is not None:
        node.check_columns(columns)
    return _sent(asked, form, _small(asked, node.read(columns), "ask for its partitions, or for some columns"))


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
    form, columns = chosen(asked, TABLE_FORMATS), _columns(asked)
    number = asked.params.number("partition", None, 0, 1 << 53)
    node.check_partition(number)
    if columns is not None:
        node.check_columns(columns)
    return _sent(asked, form, _small(asked, node.read_partition(number, columns), "ask for some columns"))


def _columns(asked: Asked) -> list[str] | None:
    """The columns that are wanted: of the URL, or of the list that was sent; ``field`` is what it was called before."""
    wanted = [*asked.params.many("column"), *asked.params.many("field")] or None
    if asked.body is not None:
        if not isinstance(asked.body, list) or not all(isinstance(one, str) for one in asked.body):
            raise InvalidRequest('columns are sent as a list of texts in JSON, such as ["time"]')
        wanted = [*(wanted or ()), *asked.body]
    if wanted is not None and len(wanted) > _MOST_COLUMNS:
        raise InvalidRequest(f"{len(wanted)} columns; {_MOST_COLUMNS} can be asked for at once")
    return None if wanted is None else list(dict.fromkeys(wanted))


def _small(asked: Asked, table: Any, cure: str) -> Any:
    if table.nbytes > asked.settings.most_reply_bytes:
        raise TooLarge(
            f"the table is {table.nbytes} bytes, and {asked.settings.most_reply_bytes} are sent at once; {cure}"
        )
    return table


# -- containers -------------------------------------------------------------------------------------------------------


def container_full(asked: Asked) -> Reply:
    """GET or POST /container/full/{path}: a container with all that is in it, or the documents of a run.

    Parameters
    ----------
    asked : Asked

    Returns
    -------
    Reply
    """
    container: ContainerNode = asked.node_of(ContainerNode)
    form = chosen(asked, formats_of(container))
    return _sent(
        asked, form, Export(container, _columns(asked) or (), asked.settings, asked.params.one("fill") or "no")
    )


def documents(asked: Asked) -> Reply:
    """GET /documents/{path}: the documents of a run, one a line.

    Parameters
    ----------
    asked : Asked

    Returns
    -------
    Reply
    """
    export = Export(asked.node_of(ContainerNode), (), asked.settings, asked.params.one("fill") or "no")
    return _sent(asked, Format(JSON_SEQ, written_documents), export)


def node_full(asked: Asked) -> Reply:
    """GET /node/full/{path}: a table or a container, as older clients ask for it.

    Parameters
    ----------
    asked : Asked

    Returns
    -------
    Reply
    """
    return (
        table_full(asked) if isinstance(asked.node_of(TableNode, ContainerNode), TableNode) else container_full(asked)
    )
