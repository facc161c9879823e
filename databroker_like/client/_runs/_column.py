"""A column of external values that a server reads and sends block by block."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from databroker_like.client._runs._server import Server
from databroker_like.client.array import ArrayClient
from databroker_like.core._external import RaggedFrames
from databroker_like.errors import DatabrokerError, Invalid, MissingFile, NotFound
from databroker_like.files._lazy import ArrayInfo, LazyArray, named
from databroker_like.structures import ArrayStructure

if TYPE_CHECKING:
    import numpy as np

__all__ = ["RemoteColumn"]


class RemoteColumn(LazyArray):
    """Some rows of an array on a server: the external values of the events of one descriptor.

    Parameters
    ----------
    server : Server
    path : tuple of str
        Of the array.
    structure : ArrayStructure, or DatabrokerError
        Why there is none is raised when it is first looked at.
    start, rows : int
        Which rows of the array.
    each : callable, optional
        Gives the values one by one, when they turn out to have different shapes.
    revision : int, optional
        Of the run, at which the array is read; as it is now by default.
    """

    def __init__(
        self,
        server: Server,
        path: tuple[str, ...],
        structure: ArrayStructure | DatabrokerError,
        start: int,
        rows: int,
        each: Callable[[], list[np.ndarray]] | None = None,
        revision: int | None = None,
    ) -> None:
        self._server = server
        self._path = path
        self._structure = structure
        self._start = start
        self._length = rows
        self._each = each
        self._revision = revision

    @property
    def identity(self) -> tuple[Any, ...]:
        """The address of the array, what it is like, and which rows of it."""
        said = str(self._structure if isinstance(self._structure, Exception) else self._structure.to_json())
        known = ("remote", self._server.api_uri, self._path, said, self._start, self._length)
        return known if self._revision is None else (*known, self._revision)

    @property
    def token(self) -> str:
        """A name for the data: the same rows of the same array have the same."""
        return named(self.identity)

    @property
    def rows(self) -> int:
        """The number of events; nothing is asked for it."""
        return self._length

    @property
    def blocks(self) -> tuple[tuple[int, ...], ...]:
        """The lengths along each axis of the blocks in which it is sent."""
        told = self._told()
        edges = list(accumulate(told.chunks[0], initial=0))
        stop = self._start + self._length
        inside = [self._start, *(edge for edge in edges if self._start < edge < stop), stop]
        first = tuple(after - before for before, after in pairwise(inside))
        return (first, *told.chunks[1:])

    def _told(self) -> ArrayStructure:
        if isinstance(self._structure, Exception):
            raise self._structure
        return self._structure

    def _open(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def _describe(self, handle: None) -> ArrayInfo:
        told = self._told()
        dtype = told.data_type.to_numpy_dtype()
        longest = tuple(max(lengths, default=1) for lengths in told.chunks)
        return ArrayInfo((self._length, *told.shape[1:]), dtype, longest)

    def _read(self, handle: None, out: np.ndarray, box: tuple[range, ...]) -> None:
        rows = range(box[0].start + self._start, box[0].stop + self._start, box[0].step)
        wanted = tuple(slice(r.start, r[-1] + 1, r.step) for r in (rows, *box[1:]))
        try:
            out[...] = self._client().read(wanted)
        except NotFound as error:
            # There is a node, and nothing that its data is read of.
            raise MissingFile(str(error)) from error
        except Invalid as error:
            if self._each is None:
                raise
            # That values have different shapes, which are no one array, a server says in words.
            raise RaggedFrames(str(error)) from error

    def values(self) -> Sequence[np.ndarray]:
        """Every value as an array of its own, whatever their shapes."""
        return [*self] if self._each is None else self._each()

    def _client(self) -> ArrayClient:
        told, url = self._told(), self._server.url
        at = "" if self._revision is None else f"?revision={self._revision}"
        axes = ",".join(f"{{{axis}}}" for axis in range(len(told.shape)))
        item = {
            "id": self._path[-1],
            "attributes": {
                "ancestors": list(self._path[:-1]),
                "structure_family": "array",
                "specs": [],
                "metadata": {},
                "structure": told.to_json(),
            },
            "links": {
                "self": url("metadata", self._path),
                "full": f"{url('array/full', self._path)}{at}",
                "block": f"{url('array/block', self._path)}?block={axes}",
            },
        }
        return ArrayClient(self._server.context, item=item, structure=told)
