"""What the clients of sparse, awkward and ragged arrays write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from databroker_like.client._writing._bodies import ARROW, arrow_file
from databroker_like.client._writing._buffers import ZIP, awkward_parts, coordinates_table, ragged_parts, ragged_rows
from databroker_like.client._writing._sending import data_link, send
from databroker_like.client.context import Context
from databroker_like.errors import Invalid, NotOffered
from databroker_like.structures import AwkwardStructure, RaggedStructure, SparseStructure

__all__ = ["AwkwardWriting", "RaggedWriting", "SparseWriting", "put_ragged", "put_sparse", "put_sparse_block"]


def put_sparse(context: Context, item: Mapping[str, Any], coords: Any, data: Any, shape: Sequence[int]) -> None:
    """All elements of a sparse array."""
    table = coordinates_table(coords, data, shape)
    send(context, "PUT", data_link(item, "full"), content=arrow_file(table), content_type=ARROW)


def put_sparse_block(
    context: Context, item: Mapping[str, Any], coords: Any, data: Any, structure: SparseStructure, block: Sequence[int]
) -> None:
    """The elements of one block of a sparse array, with places counted from where it begins."""
    table = coordinates_table(coords, data, [s.stop - s.start for s in structure.block_box(block)])
    params = [("block", ",".join(map(str, block)))]
    send(context, "PUT", data_link(item, "block"), params=params, content=arrow_file(table), content_type=ARROW)


class SparseWriting:
    """The part of the client of sparse arrays that writes."""

    if TYPE_CHECKING:
        context: Context

        @property
        def item(self) -> dict[str, Any]: ...
        def structure(self) -> SparseStructure: ...

    def write(self, coords: Any, data: Any) -> None:
        """Write all elements anew.

        Parameters
        ----------
        coords : array-like
            A row for each axis, a column for each element.
        data : array-like
            The elements.

        Raises
        ------
        Invalid
            When there are not as many places as elements, or some lie outside.
        NotWritable
            When the server takes no data here.
        """
        put_sparse(self.context, self.item, coords, data, self.structure().shape)

    def write_block(self, coords: Any, data: Any, block: Sequence[int]) -> None:
        """Write the elements of one block anew.

        Parameters
        ----------
        coords : array-like
            As of `write`, counted from where the block begins.
        data : array-like
        block : sequence of int
            Its number along each axis.

        Raises
        ------
        OutOfRange
            When there is no such block.
        Invalid
            When there are not as many places as elements, or some lie outside of the block.
        NotWritable
            When the server takes no data here.
        """
        put_sparse_block(self.context, self.item, coords, data, self.structure(), block)


class AwkwardWriting:
    """The part of the client of awkward arrays that writes."""

    if TYPE_CHECKING:
        context: Context

        @property
        def item(self) -> dict[str, Any]: ...
        @property
        def uri(self) -> str: ...
        def structure(self) -> AwkwardStructure: ...

    def write(self, array: Any) -> None:
        """Write all of the array anew.

        Parameters
        ----------
        array : awkward.Array, or what one is made of
            Of the same form and length.

        Raises
        ------
        Invalid
            When it has another form or length.
        NotWritable
            When the server takes no data here.
        """
        structure, body = awkward_parts(array)
        if structure.to_json() != self.structure().to_json():
            raise Invalid(f"this array has another form or length than {self.uri}; write it as another node")
        send(self.context, "PUT", data_link(self.item, "full"), content=body, content_type=ZIP)


def put_ragged(
    context: Context, item: Mapping[str, Any], structure: RaggedStructure, array: Any, body: bytes, persist: bool
) -> None:
    """All rows of a ragged array, block by block where it has several.

    Parameters
    ----------
    context : Context
    item : dict
        What the server says of the node.
    structure : RaggedStructure
    array : ragged.array, awkward.Array, or list of lists
    body : bytes
        All of it, as `ragged_parts` makes it.
    persist : bool
    """
    params: list[tuple[str, str]] = [] if persist else [("persist", "false")]
    cuts = structure.chunks[0] or ()
    if len(cuts) < 2:
        send(context, "PUT", data_link(item, "full"), params=params, content=body, content_type=ZIP)
        return
    start, dtype = 0, structure.data_type.to_numpy_dtype()
    # One after another: servers put rows at the end of those that they have.
    for number, rows in enumerate(cuts):
        _, part = ragged_parts(ragged_rows(array, start, start + rows), dtype=dtype)
        asked = [("block", str(number)), *params]
        send(context, "PUT", data_link(item, "block"), params=asked, content=part, content_type=ZIP)
        start += rows


class RaggedWriting:
    """The part of the client of ragged arrays that writes."""

    if TYPE_CHECKING:
        context: Context
        _item: dict[str, Any]
        _structure: Any

        @property
        def item(self) -> dict[str, Any]: ...
        @property
        def uri(self) -> str: ...
        def structure(self) -> RaggedStructure: ...

    def write(self, array: Any, persist: bool = True) -> None:
        """Write all rows anew.

        Parameters
        ----------
        array : ragged.array, awkward.Array, or list of lists
            With as many rows.
        persist : bool
            Whether they are kept; with False they only go to those who listen. True by default.

        Raises
        ------
        Invalid
            When it has another number of rows or axes.
        NotWritable
            When the server takes no data here.
        """
        structure, body = self._parts(array)
        mine = self.structure()
        if structure.shape[0] != mine.shape[0]:
            raise Invalid(
                f"{structure.shape[0]} rows do not fit {self.uri}, which has {mine.shape[0]}; "
                "patch(..., extend=True) makes it grow"
            )
        put_ragged(self.context, self.item, mine, array, body, persist)

    def write_block(self, array: Any, block: int | Sequence[int], persist: bool = True) -> None:
        """Write one of the blocks in which the array lies on the server.

        Parameters
        ----------
        array : ragged.array, awkward.Array, or list of lists
        block : int or sequence of int
            Its number.
        persist : bool
            As of `write`.

        Raises
        ------
        NotOffered
            When the server does not take blocks.
        NotWritable
            When the server takes no data here.
        """
        if self.item["links"].get("block") is None:
            raise NotOffered(f"the server takes {self.uri} as a whole: use write")
        _, body = self._parts(array)
        number = block if isinstance(block, int) else block[0]
        params = [("block", str(number)), *([] if persist else [("persist", "false")])]
        send(self.context, "PUT", data_link(self.item, "block"), params=params, content=body, content_type=ZIP)

    def patch(self, array: Any, offset: int | Sequence[int], extend: bool = False, persist: bool = True) -> None:
        """Write some of the rows, which may make the array grow.

        Parameters
        ----------
        array : ragged.array, awkward.Array, or list of lists
        offset : int or sequence of int
            The row with which it begins.
        extend : bool
            Whether the array grows when the rows do not lie within it; False by default.
        persist : bool
            As of `write`.

        Raises
        ------
        Conflict
            When the rows do not lie within the array, and it was not said that this grows.
        Invalid
            When it has another number of axes.
        NotWritable
            When the server takes no data here.
        """
        structure, body = self._parts(array)
        first = offset if isinstance(offset, int) else offset[0]
        params = [("shape", str(structure.shape[0])), ("offset", str(first))]
        params += [("extend", "true")] if extend else []
        params += [] if persist else [("persist", "false")]
        # The server may put rows at the end, where they would be twice.
        link = data_link(self.item, "full")
        told = send(self.context, "PATCH", link, params=params, content=body, content_type=ZIP, repeat=False)
        if persist and isinstance(told, Mapping):
            self._item = {**self._item, "attributes": {**self._item["attributes"], "structure": dict(told)}}
            self._structure = None

    def _parts(self, array: Any) -> tuple[RaggedStructure, bytes]:
        mine = self.structure()
        structure, body = ragged_parts(array, dtype=mine.data_type.to_numpy_dtype())
        if len(structure.shape) != len(mine.shape):
            raise Invalid(f"an array of {len(structure.shape)} axes does not fit {self.uri}, which has {mine.shape}")
        return structure, body
