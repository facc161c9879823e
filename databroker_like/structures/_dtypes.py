"""The type of the elements of an array, as numpy has it and as it is written on the wire."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from databroker_like.errors import Invalid, listed
from databroker_like.structures._json import Json, count, counts, taken

if TYPE_CHECKING:
    import numpy as np

__all__ = ["BuiltinDtype", "DataType", "Field", "StructuredDtype", "data_type_from_json", "data_type_of"]

#: How deep one structured type stands in another.
_DEEPEST = 16
_ENDIANNESS = {"<": "little", ">": "big", "|": "not_applicable", "=": sys.byteorder}
_BYTE_ORDER = {"little": "<", "big": ">", "not_applicable": "|"}
_KINDS = "biufcmMSUV"


@dataclass(frozen=True, slots=True)
class BuiltinDtype:
    """A type of numpy's own.

    Parameters
    ----------
    endianness : {"little", "big", "not_applicable"}
    kind : str
        The letter that numpy has for it.
    itemsize : int
        In bytes.
    dt_units : str, optional
        Of a time, such as ``"[ns]"``.

    Examples
    --------
    >>> import numpy
    >>> BuiltinDtype.from_numpy_dtype(numpy.dtype("<M8[ns]")).to_json()
    {'endianness': 'little', 'kind': 'M', 'itemsize': 8, 'dt_units': '[ns]'}
    """

    endianness: str
    kind: str
    itemsize: int
    dt_units: str | None = None

    @classmethod
    def from_numpy_dtype(cls, dtype: np.dtype) -> BuiltinDtype:
        """Of a type that is not structured.

        Parameters
        ----------
        dtype : numpy.dtype

        Returns
        -------
        BuiltinDtype

        Raises
        ------
        Invalid
            When its elements are Python objects.
        """
        import numpy as np

        if dtype.kind not in _KINDS:
            raise Invalid(f"elements of type {dtype} cannot be sent: only numbers, times, texts and bytes can")
        units = None
        if dtype.kind in "mM":
            unit, count = np.datetime_data(dtype)
            units = f"[{count if count > 1 else ''}{unit}]"
        return cls(_ENDIANNESS[dtype.byteorder], dtype.kind, dtype.itemsize, units)

    def to_numpy_dtype(self) -> np.dtype:
        """The type that this describes.

        Returns
        -------
        numpy.dtype

        Raises
        ------
        Invalid
            When there is none such, or its elements are Python objects, which are not read.
        """
        import numpy as np

        if self.kind not in _KINDS:
            raise Invalid(f"elements of kind {self.kind!r} are not read: only numbers, times, texts and bytes are")
        size = self.itemsize // 4 if self.kind == "U" else self.itemsize
        text = f"{_BYTE_ORDER[self.endianness]}{self.kind}{size}{self.dt_units or ''}"
        try:
            return np.dtype(text)
        except (TypeError, ValueError) as error:
            raise Invalid(f"there is no type {text!r} of elements") from error

    def to_json(self) -> dict[str, Any]:
        """As on the wire."""
        return {
            "endianness": self.endianness,
            "kind": self.kind,
            "itemsize": self.itemsize,
            "dt_units": self.dt_units,
        }

    @classmethod
    def from_json(cls, obj: Json) -> BuiltinDtype:
        """From the wire.

        Raises
        ------
        Invalid
            When it is no such type.
        """
        endianness = taken(obj, "endianness", "data type", str)
        if endianness not in _BYTE_ORDER:
            raise Invalid(f"the endianness of a data type is {listed(_BYTE_ORDER)}, not {endianness!r}")
        return cls(
            endianness,
            taken(obj, "kind", "data type", str),
            count(obj, "itemsize", "data type"),
            taken(obj, "dt_units", "data type", str, None),
        )


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a structured type.

    Parameters
    ----------
    name : str
    dtype : BuiltinDtype or StructuredDtype
    shape : tuple of int, optional
        Of a field that holds an array.
    """

    name: str
    dtype: DataType
    shape: tuple[int, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """As on the wire."""
        shape = None if self.shape is None else list(self.shape)
        return {"name": self.name, "dtype": self.dtype.to_json(), "shape": shape}


@dataclass(frozen=True, slots=True)
class StructuredDtype:
    """A type with fields, which follow one another without gaps.

    Parameters
    ----------
    itemsize : int
        In bytes.
    fields : tuple of Field

    Examples
    --------
    >>> import numpy
    >>> described = StructuredDtype.from_numpy_dtype(numpy.dtype([("x", "<f8"), ("rgb", "u1", (3,))]))
    >>> described.itemsize, [field.shape for field in described.fields]
    (11, [None, (3,)])
    >>> described.to_numpy_dtype()
    dtype([('x', '<f8'), ('rgb', 'u1', (3,))])
    """

    itemsize: int
    fields: tuple[Field, ...]

    @classmethod
    def from_numpy_dtype(cls, dtype: np.dtype) -> StructuredDtype:
        """Of a structured type; gaps between its fields are left out, as `numpy.lib.recfunctions.repack_fields` does.

        Parameters
        ----------
        dtype : numpy.dtype

        Returns
        -------
        StructuredDtype

        Raises
        ------
        Invalid
            When a field holds Python objects.
        """
        fields = []
        for name in dtype.names or ():
            inner = dtype[name]
            shape = inner.shape or None
            fields.append(Field(name, data_type_of(inner.base), shape))
        return cls(sum(f.dtype.itemsize * math.prod(f.shape or ()) for f in fields), tuple(fields))

    def to_numpy_dtype(self) -> np.dtype:
        """The type that this describes; Invalid when there is none such."""
        import numpy as np

        described: list[Any] = [(f.name, f.dtype.to_numpy_dtype(), f.shape or ()) for f in self.fields]
        try:
            return np.dtype(described)
        except (TypeError, ValueError) as error:
            raise Invalid(
                f"there is no structured type with the fields {listed(f.name for f in self.fields)}"
            ) from error

    def to_json(self) -> dict[str, Any]:
        """As on the wire."""
        return {"itemsize": self.itemsize, "fields": [field.to_json() for field in self.fields]}

    @classmethod
    def from_json(cls, obj: Json) -> StructuredDtype:
        """From the wire; Invalid when it is no such type."""
        found = data_type_from_json(obj)
        if not isinstance(found, cls):
            raise Invalid("a structured data type has 'fields'")
        return found


DataType = BuiltinDtype | StructuredDtype


def data_type_of(dtype: np.dtype) -> DataType:
    """What describes a type of numpy.

    Parameters
    ----------
    dtype : numpy.dtype

    Returns
    -------
    BuiltinDtype or StructuredDtype

    Raises
    ------
    Invalid
        When elements are Python objects.
    """
    return (StructuredDtype if dtype.names else BuiltinDtype).from_numpy_dtype(dtype)


def data_type_from_json(obj: Json, *, _depth: int = 0) -> DataType:
    """The type of elements, from the wire.

    Parameters
    ----------
    obj : mapping

    Returns
    -------
    BuiltinDtype or StructuredDtype

    Raises
    ------
    Invalid
        When it is none.
    """
    if not isinstance(obj, Mapping) or "fields" not in obj:
        return BuiltinDtype.from_json(obj)
    if _depth > _DEEPEST:
        raise Invalid(f"a data type has other types in it, no more than {_DEEPEST} deep")
    fields = []
    for field in taken(obj, "fields", "data type", list):
        shape = taken(field, "shape", "field", list, None)
        inner = data_type_from_json(taken(field, "dtype", "field", Mapping), _depth=_depth + 1)
        fields.append(Field(taken(field, "name", "field", str), inner, None if shape is None else counts(shape)))
    return StructuredDtype(count(obj, "itemsize", "data type"), tuple(fields))
