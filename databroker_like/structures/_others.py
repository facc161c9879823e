"""Tables, containers, awkward and ragged arrays."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from databroker_like.errors import Invalid
from databroker_like.structures._arrays import Resizable
from databroker_like.structures._dtypes import DataType, data_type_from_json
from databroker_like.structures._json import Json, as_resizable, count, counts, plain_resizable, taken, texts

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["AwkwardStructure", "ContainerStructure", "RaggedStructure", "TableStructure"]

_SCHEMA_URI = "data:application/vnd.apache.arrow.file;base64,"


@dataclass(frozen=True)
class TableStructure:
    """A table: the names and types of its columns, and of how many parts it is.

    Parameters
    ----------
    arrow_schema : str
        The schema of Arrow, as a data URI.
    npartitions : int
    columns : tuple of str
    resizable : bool or tuple of bool
        Whether it may grow; False by default.

    Examples
    --------
    >>> import pyarrow
    >>> described = TableStructure.from_schema(pyarrow.schema({"x": pyarrow.int64()}))
    >>> described.columns, described.npartitions
    (('x',), 1)
    >>> TableStructure.from_json(described.to_json()).schema
    x: int64
    """

    arrow_schema: str
    npartitions: int
    columns: tuple[str, ...]
    resizable: Resizable = False

    @classmethod
    def from_schema(cls, schema: pa.Schema, npartitions: int = 1) -> TableStructure:
        """Of a table with this schema.

        Parameters
        ----------
        schema : pyarrow.Schema
        npartitions : int
            1 by default.

        Returns
        -------
        TableStructure
        """
        uri = _SCHEMA_URI + base64.b64encode(schema.serialize()).decode()
        return cls(uri, npartitions, tuple(schema.names))

    @cached_property
    def schema(self) -> pa.Schema:
        """The schema of Arrow; Invalid when it cannot be read."""
        import pyarrow as pa

        if not self.arrow_schema.startswith(_SCHEMA_URI):
            raise Invalid(f"the schema of a table begins {_SCHEMA_URI!r}, not {self.arrow_schema!r:.80}")
        try:
            body = base64.b64decode(self.arrow_schema[len(_SCHEMA_URI) :], validate=True)
            return pa.ipc.read_schema(pa.py_buffer(body))
        except (binascii.Error, ValueError, OSError, EOFError, NotImplementedError) as error:
            raise Invalid(f"the schema of a table cannot be read: {error}") from error

    def to_json(self) -> dict[str, Any]:
        """As on the wire."""
        return {
            "arrow_schema": self.arrow_schema,
            "npartitions": self.npartitions,
            "columns": list(self.columns),
            "resizable": plain_resizable(self.resizable),
        }

    @classmethod
    def from_json(cls, obj: Json) -> TableStructure:
        """From the wire; Invalid when it is none. The schema is read when it is asked for."""
        return cls(
            taken(obj, "arrow_schema", "table", str),
            count(obj, "npartitions", "table"),
            texts(taken(obj, "columns", "table", list), "columns") or (),
            as_resizable(obj.get("resizable")),
        )


@dataclass(frozen=True)
class ContainerStructure:
    """A container: how many nodes are in it, and where they are few what they are.

    Parameters
    ----------
    count : int
    contents : mapping, optional
        Key -> the node as JSON, where all of them are sent along; None by default.

    Examples
    --------
    >>> ContainerStructure(3).to_json()
    {'contents': None, 'count': 3}
    """

    count: int
    contents: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """As on the wire."""
        return {"contents": None if self.contents is None else dict(self.contents), "count": self.count}

    @classmethod
    def from_json(cls, obj: Json) -> ContainerStructure:
        """From the wire; Invalid when it is none."""
        return cls(count(obj, "count", "container"), taken(obj, "contents", "container", Mapping, None))


@dataclass(frozen=True)
class AwkwardStructure:
    """An awkward array: its length, and the form that says what its buffers hold.

    Parameters
    ----------
    length : int
    form : mapping
        As the package ``awkward`` writes it.
    """

    length: int
    form: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As on the wire."""
        return {"length": self.length, "form": dict(self.form)}

    @classmethod
    def from_json(cls, obj: Json) -> AwkwardStructure:
        """From the wire; Invalid when it is none."""
        return cls(count(obj, "length", "awkward array"), taken(obj, "form", "awkward array", Mapping))


@dataclass(frozen=True)
class RaggedStructure:
    """An array of which some axes have rows of different lengths.

    Parameters
    ----------
    data_type : BuiltinDtype or StructuredDtype
    shape : tuple of (int or None)
        None where lengths differ.
    size : int
        The number of elements.
    chunks : tuple of (tuple of int or None)
        The lengths of the pieces along each axis; None where lengths differ.
    dims : tuple of str, optional
    resizable : bool or tuple of bool
        Whether it may grow; False by default.

    Examples
    --------
    >>> import numpy
    >>> from databroker_like.structures import data_type_of
    >>> RaggedStructure(data_type_of(numpy.dtype("u1")), (2, None), 3, ((2,), None)).to_json()["chunks"]
    [[2], None]
    """

    data_type: DataType
    shape: tuple[int | None, ...]
    size: int
    chunks: tuple[tuple[int, ...] | None, ...]
    dims: tuple[str, ...] | None = None
    resizable: Resizable = False

    def to_json(self) -> dict[str, Any]:
        """As on the wire."""
        return {
            "data_type": self.data_type.to_json(),
            "shape": list(self.shape),
            "size": self.size,
            "chunks": [None if cuts is None else list(cuts) for cuts in self.chunks],
            "dims": None if self.dims is None else list(self.dims),
            "resizable": plain_resizable(self.resizable),
        }

    @classmethod
    def from_json(cls, obj: Json) -> RaggedStructure:
        """From the wire; Invalid when it is none, or the pieces do not make up the shape."""
        what = "ragged array"
        shape = tuple(None if n is None else counts([n])[0] for n in taken(obj, "shape", what, list))
        chunks = tuple(None if cuts is None else counts(cuts) for cuts in taken(obj, "chunks", what, list))
        if tuple(None if cuts is None else sum(cuts) for cuts in chunks) != shape:
            raise Invalid(f"chunks of lengths {chunks!r:.200} do not make up the shape {shape!r:.200}")
        return cls(
            data_type_from_json(taken(obj, "data_type", what, Mapping)),
            shape,
            count(obj, "size", what),
            chunks,
            texts(taken(obj, "dims", what, list, None), "dims"),
            as_resizable(obj.get("resizable")),
        )
