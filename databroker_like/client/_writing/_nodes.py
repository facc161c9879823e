"""What a client of a container writes into it: arrays, tables, and what is neither."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from databroker_like.client._writing import _bodies as bodies
from databroker_like.client._writing import _buffers as buffers
from databroker_like.client._writing._arrays import put_array
from databroker_like.client._writing._making_nodes import said_if_unfinished
from databroker_like.client._writing._others import put_ragged
from databroker_like.client._writing._registering import Registering
from databroker_like.client._writing._sending import data_link, send
from databroker_like.client._writing._tables import put_partitions, put_table
from databroker_like.errors import Invalid, NotOffered
from databroker_like.structures import TableStructure

__all__ = ["ContainerWriting"]

_APPENDABLE = "application/x-tiled-sql-table"
_RAGGED = "application/x-ragged+sql"


class ContainerWriting(Registering):
    """The part of `Container` that writes data."""

    def write_array(
        self,
        array: Any,
        *,
        key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        dims: Sequence[str] | None = None,
        specs: Sequence[Any] | None = None,
        access_tags: Sequence[str] | None = None,
    ) -> Any:
        """Write an array into this container.

        Parameters
        ----------
        array : array-like
            Of numpy, or anything that `numpy.asarray` takes. One of dask is computed and written block by block, and no
            more of it is held in memory.
        key, metadata, specs, access_tags
            As of `create_container`.
        dims : list of str, optional
            The names of the axes; those of an ``xarray.DataArray`` by default.

        Returns
        -------
        ArrayClient

        Raises
        ------
        WrongType
            When its elements are Python objects.
        Conflict
            When there is a node of this key.
        NotWritable
            When the server takes nothing here.
        """
        if dims is None and type(array).__module__.split(".")[0] == "xarray":
            dims = [str(dim) for dim in array.dims]
        found = bodies.array_of(array)
        structure = bodies.array_structure(found, dims)
        made = self._new_of("array", structure, None, key, metadata, specs, access_tags)
        with said_if_unfinished(made):
            put_array(self.context, made.item, structure, found, True)
        return made

    def write_table(
        self,
        data: Any,
        *,
        key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        specs: Sequence[Any] | None = None,
        access_tags: Sequence[str] | None = None,
    ) -> Any:
        """Write a table into this container.

        Parameters
        ----------
        data : pandas.DataFrame, pyarrow.Table, mapping of columns, or dataframe of dask
            One of dask is computed and written partition by partition.
        key, metadata, specs, access_tags
            As of `create_container`.

        Returns
        -------
        DataFrameClient

        Raises
        ------
        Invalid
            When the name of a column begins with an underscore, or Arrow cannot hold a column.
        Conflict
            When there is a node of this key.
        NotWritable
            When the server takes nothing here.
        """
        if bodies.is_dask_table(data):
            example = data.partitions[0].compute() if data.npartitions else data.compute()
            schema = bodies.schema_of(example)
            structure = TableStructure.from_schema(schema, max(1, data.npartitions))
            made = self._new_of("table", structure, None, key, metadata, specs, access_tags)
            with said_if_unfinished(made):
                put_partitions(self.context, made.item, data, structure, made.uri)
            return made
        table = bodies.table_of(data)
        structure = bodies.table_structure(table)
        made = self._new_of("table", structure, None, key, metadata, specs, access_tags)
        with said_if_unfinished(made):
            put_table(self.context, made.item, table)
        return made

    def write_dataframe(
        self,
        data: Any,
        *,
        key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        specs: Sequence[Any] | None = None,
        access_tags: Sequence[str] | None = None,
    ) -> Any:
        """Write a table into this container; `write_table` under the name that it had before.

        Parameters
        ----------
        data, key, metadata, specs, access_tags
            As of `write_table`.

        Returns
        -------
        DataFrameClient
        """
        return self.write_table(data, key=key, metadata=metadata, specs=specs, access_tags=access_tags)

    def create_appendable_table(
        self,
        schema: Any,
        npartitions: int = 1,
        *,
        key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        specs: Sequence[Any] | None = None,
        access_tags: Sequence[str] | None = None,
        table_name: str | None = None,
    ) -> Any:
        """Make a table without rows, to which rows are added with ``append_partition``.

        Parameters
        ----------
        schema : pyarrow.Schema
            The names and types of the columns; or a table, of which they are taken.
        npartitions : int
            1 by default.
        key, metadata, specs, access_tags
            As of `create_container`.
        table_name : str, optional
            In the database of the server; its own choice by default.

        Returns
        -------
        DataFrameClient

        Raises
        ------
        Invalid
            When the name of a column begins with an underscore.
        Conflict
            When there is a node of this key.
        NotWritable
            When the server takes nothing here.
        """
        structure = TableStructure.from_schema(bodies.schema_of(schema), npartitions)
        parameters = {} if table_name is None else {"table_name": table_name}
        return self._new_of("table", structure, _APPENDABLE, key, metadata, specs, access_tags, parameters)

    def write_awkward(
        self,
        array: Any,
        *,
        key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        dims: Sequence[str] | None = None,
        specs: Sequence[Any] | None = None,
        access_tags: Sequence[str] | None = None,
    ) -> Any:
        """Write an awkward array into this container: lists of different lengths, records, and so on.

        Parameters
        ----------
        array : awkward.Array, or what one is made of
        key, metadata, specs, access_tags
            As of `create_container`.
        dims : None
            Awkward arrays have no names of axes; here for the sake of the others.

        Returns
        -------
        AwkwardClient

        Raises
        ------
        MissingExtra
            When the package ``awkward`` is not installed.
        Conflict
            When there is a node of this key.
        NotWritable
            When the server takes nothing here.
        """
        if dims is not None:
            raise Invalid("the axes of an awkward array have no names; put them into its metadata")
        structure, body = buffers.awkward_parts(array)
        made = self._new_of("awkward", structure, None, key, metadata, specs, access_tags)
        with said_if_unfinished(made):
            send(self.context, "PUT", data_link(made.item, "full"), content=body, content_type=buffers.ZIP)
        return made

    def write_sparse(
        self,
        coords: Any,
        data: Any,
        shape: Sequence[int],
        *,
        key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        dims: Sequence[str] | None = None,
        specs: Sequence[Any] | None = None,
        access_tags: Sequence[str] | None = None,
    ) -> Any:
        """Write a sparse array into this container: elements, and where they are.

        Parameters
        ----------
        coords : array-like
            A row for each axis, a column for each element: what ``sparse.COO`` calls so.
        data : array-like
            The elements.
        shape : sequence of int
            Of the whole array.
        key, metadata, specs, access_tags
            As of `create_container`.
        dims : list of str, optional
            The names of the axes.

        Returns
        -------
        SparseClient

        Raises
        ------
        Invalid
            When there are not as many places as elements, or some lie outside.
        Conflict
            When there is a node of this key.
        NotWritable
            When the server takes nothing here.
        """
        table = buffers.coordinates_table(coords, data, shape)
        structure = buffers.sparse_structure(coords, data, shape, dims)
        made = self._new_of("sparse", structure, None, key, metadata, specs, access_tags)
        with said_if_unfinished(made):
            content = bodies.arrow_file(table)
            send(self.context, "PUT", data_link(made.item, "full"), content=content, content_type=bodies.ARROW)
        return made

    def write_ragged(
        self,
        array: Any,
        *,
        key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        dims: Sequence[str] | None = None,
        specs: Sequence[Any] | None = None,
        access_tags: Sequence[str] | None = None,
        max_partition_bytes: int | None = None,
        appendable: bool = True,
    ) -> Any:
        """Write a ragged array into this container: rows of different lengths.

        Parameters
        ----------
        array : ragged.array, awkward.Array, or list of lists
        key, metadata, specs, access_tags
            As of `create_container`.
        dims : list of str, optional
            The names of the axes.
        max_partition_bytes : int, optional
            How large a block may be; all rows are one by default.
        appendable : bool
            Whether rows can be added; there are no others.

        Returns
        -------
        RaggedClient

        Raises
        ------
        MissingExtra
            When the package ``awkward`` is not installed.
        Invalid
            When it has fields, text or missing elements.
        NotOffered
            With ``appendable=False``, which servers do not have.
        Conflict
            When there is a node of this key.
        NotWritable
            When the server takes nothing here.
        """
        if not appendable:
            raise NotOffered("every ragged array can grow: leave appendable as it is")
        structure, body = buffers.ragged_parts(array, dims, most_bytes=max_partition_bytes)
        made = self._new_of("ragged", structure, _RAGGED, key, metadata, specs, access_tags)
        with said_if_unfinished(made):
            put_ragged(self.context, made.item, structure, array, body, True)
        return made
