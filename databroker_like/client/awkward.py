"""Awkward arrays: lists of different lengths, records, and what else is in them; read whole or in part."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterable, Mapping
from typing import IO, TYPE_CHECKING, Any

from databroker_like import registry
from databroker_like.client._writing._others import AwkwardWriting
from databroker_like.client.base import BaseClient
from databroker_like.errors import NoSuchColumn, OutOfRange, ServiceFailed, WrongType
from databroker_like.structures import AwkwardStructure

if TYPE_CHECKING:
    import awkward as ak

__all__ = ["AwkwardClient"]

_ZIP = "application/zip"
#: How the protocol calls the buffers of a form.
_BUFFER_KEY = "{form_key}-{attribute}"


class AwkwardClient(AwkwardWriting, BaseClient):
    """An awkward array on a server, read into memory.

    ``array["x"]``, ``array[:10]`` and ``array["x", :, 0]`` ask for those buffers that hold what is wanted, and for no
    others.

    Examples
    --------
    >>> import awkward
    >>> from databroker_like.client import Context, from_context
    >>> from databroker_like.nodes import AwkwardData, MapNode
    >>> from databroker_like.tree import build_app
    >>> form, length, buffers = awkward.to_buffers(awkward.Array([{"x": [1, 2], "y": 1.5}, {"x": [], "y": 2.5}]))
    >>> node = AwkwardData(form.to_dict(), length, buffers)
    >>> with Context.from_app(build_app(MapNode({"a": node}), public=True)) as context:
    ...     array = from_context(context)["a"]
    ...     array["x"].tolist(), array[1].tolist()
    ([[1, 2], []], {'x': [], 'y': 2.5})
    """

    def structure(self) -> AwkwardStructure:
        """The length, and the form that says what the buffers hold.

        Returns
        -------
        AwkwardStructure
        """
        found = super().structure()
        if not isinstance(found, AwkwardStructure):
            raise ServiceFailed(f"the server does not say what kind of awkward array {self.uri} is")
        return found

    def __len__(self) -> int:
        return self.structure().length

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'/'.join(self.path_parts)!r} length={len(self)}>"

    def read(self, slice: Any = ...) -> ak.Array | ak.Record | Any:
        """All of the array, or a part.

        Parameters
        ----------
        slice : optional
            Whatever stands between the brackets of an `awkward.Array`: a position, a slice, the name of a field, a list
            of such names, an array of booleans or positions, or a tuple of these.

        Returns
        -------
        awkward.Array, awkward.Record, or a number

        Raises
        ------
        MissingExtra
            When the package ``awkward`` is not installed.
        OutOfRange
            When a position lies beyond the array.
        NoSuchColumn
            When there is no such field.
        WrongType
            When it is no such slice.
        """
        ak = registry.require("awkward", "read awkward arrays")
        structure = self.structure()
        form = ak.forms.from_dict(dict(structure.form))
        touched = _touched(ak, form, slice)
        names = set(form.expected_from_buffers(buffer_key=_BUFFER_KEY))
        buffers = self._buffers(names if touched is None else names & touched)
        try:
            # What was not foreseen to be needed is fetched when it is.
            later = {name: self._later(name) for name in names - buffers.keys()}
            return _part_of(ak, form, structure.length, {**buffers, **later}, slice)
        except ak.errors.FieldNotFoundError as error:
            raise NoSuchColumn(f"{self.uri} has no {slice!r:.200}: {_first_line(error)}") from error
        except IndexError as error:
            raise OutOfRange(f"{self.uri} has no {slice!r:.200}: {_first_line(error)}") from error
        except (TypeError, ValueError, KeyError) as error:
            raise WrongType(f"{slice!r:.200} is no part of {self.uri}: {_first_line(error)}") from error

    def __getitem__(self, slice: Any) -> ak.Array | ak.Record | Any:
        return self.read(slice)

    def export(self, filepath: str | os.PathLike[str] | IO[bytes], *, format: str | None = None) -> None:
        """Have the server write the array in some format, and save that.

        Parameters
        ----------
        filepath : path or binary file
            A file is there whole or not at all.
        format : str, optional
            A media type or short name, such as ``"json"`` or ``"parquet"``; by default, that of the file's name.
        """
        self._export(filepath, [], format)

    def _later(self, name: str) -> Any:
        return lambda: _as_buffer(self._buffers([name])[name])

    def _buffers(self, names: Iterable[str]) -> Mapping[str, bytes]:
        """The buffers of some names, in one request."""
        wanted = sorted(names)
        if not wanted:
            return {}
        reply = self.context.session.fetch("POST", self._link("buffers"), accept=_ZIP, json=wanted, repeat=True)
        try:
            with zipfile.ZipFile(io.BytesIO(reply.content)) as packed:
                # What unpacks to more than was sent is not what was asked for.
                if any(info.compress_type != zipfile.ZIP_STORED for info in packed.infolist()):
                    raise ServiceFailed(f"{reply.url} packs its buffers in a way that the protocol does not have")
                return {name: packed.read(name) for name in wanted}
        except (zipfile.BadZipFile, KeyError) as error:
            raise ServiceFailed(f"{reply.url} did not send the buffers asked for: {error}") from error


def _as_buffer(content: bytes) -> Any:
    import numpy as np

    return np.frombuffer(content, np.uint8)


def _part_of(ak: Any, form: Any, length: int, buffers: Mapping[str, Any], slice: Any) -> Any:
    """A part of an array, with nothing left to be fetched."""
    found = ak.from_buffers(form, length, buffers, buffer_key=_BUFFER_KEY)[slice]
    if isinstance(found, ak.Record):
        at = found.layout.at
        return ak.materialize(ak.Array(found.layout.array[at : at + 1]))[0]
    return ak.materialize(found) if isinstance(found, ak.Array) else found


def _touched(ak: Any, form: Any, slice: Any) -> set[str] | None:
    """The names of the buffers that a part of an array is in; None when that cannot be told beforehand."""
    if slice is ...:
        return None
    traced, report = ak.typetracer.typetracer_with_report(form, buffer_key=_BUFFER_KEY)
    try:
        found = ak.Array(traced)[slice]
        if isinstance(found, ak.Array | ak.Record):
            ak.typetracer.touch_data(found)
    except (TypeError, ValueError, IndexError, KeyError, NotImplementedError, AttributeError, AssertionError):
        # Said of the array itself, once it is read, when it cannot be meant.
        return None
    return {*report.data_touched, *report.shape_touched}


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
