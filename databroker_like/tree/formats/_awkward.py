"""Awkward arrays as their buffers, as JSON, and as files of Arrow and Parquet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from databroker_like.errors import Invalid
from databroker_like.registry import require
from databroker_like.structures import AwkwardStructure
from databroker_like.tree._media import Format
from databroker_like.tree._words import JSON, to_json
from databroker_like.tree.formats._table import ARROW_TYPE, TABLE_FORMATS
from databroker_like.tree.formats._zip import ZIP_TYPE, zipped

__all__ = ["AWKWARD_FORMATS", "Buffers"]

_ITEMS_AT_ONCE = 1000
_NAMED = {form.media_type: form for form in TABLE_FORMATS}


@dataclass(frozen=True)
class Buffers:
    """An awkward array, taken apart.

    Parameters
    ----------
    structure : AwkwardStructure
    buffers : mapping of str to bytes or memoryview
    """

    structure: AwkwardStructure
    buffers: Mapping[str, bytes | memoryview]

    def array(self) -> Any:
        """The array put together; Invalid when the form does not fit the buffers, MissingExtra without awkward."""
        awkward: Any = require("awkward", "send awkward arrays as anything but their buffers")
        try:
            form = awkward.forms.from_dict(dict(self.structure.form))
            return awkward.from_buffers(form, self.structure.length, dict(self.buffers), allow_noncanonical_form=True)
        except Exception as error:  # awkward raises classes of many kinds for what does not fit together
            said = str(error).strip().partition("\n")[0]
            raise Invalid(f"the form of this awkward array does not fit its buffers: {said:.200}") from error


def _zip(found: Buffers) -> Iterator[bytes | memoryview]:
    return zipped(found.buffers)


def _json(found: Buffers) -> Iterator[bytes]:
    array, between = found.array(), b"["
    for at in range(0, len(array), _ITEMS_AT_ONCE):
        items = _items(array, at)
        yield between + to_json(items)[1:-1]
        between = b","
    yield b"]" if between == b"," else b"[]"


def _items(array: Any, at: int) -> list[Any]:
    try:
        return array[at : at + _ITEMS_AT_ONCE].to_list()
    except Exception as error:
        said = str(error).strip().partition("\n")[0]
        raise Invalid(f"what is in the buffers of this awkward array makes no sense: {said:.200}") from error


def _of_table(media_type: str) -> Any:
    def write(found: Buffers) -> Iterator[bytes]:
        import pyarrow as pa

        awkward: Any = require("awkward", "send awkward arrays as tables")
        array = found.array()
        try:
            table = awkward.to_arrow_table(array)
        except (ValueError, TypeError, NotImplementedError, pa.ArrowException) as error:
            said = str(error).strip().partition("\n")[0]
            raise Invalid(f"this awkward array is no table: {said:.200}") from error
        return _NAMED[media_type].write(table)

    return write


#: The first is what the clients read; the others are exports.
AWKWARD_FORMATS: tuple[Format, ...] = (
    Format(ZIP_TYPE, _zip, ("zip",)),
    Format(JSON, _json, ("json",), needs=("awkward",)),
    Format(ARROW_TYPE, _of_table(ARROW_TYPE), ("arrow", "feather"), needs=("awkward",)),
    Format("application/x-parquet", _of_table("application/x-parquet"), ("parquet",), needs=("awkward",)),
)
