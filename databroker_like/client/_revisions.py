"""What the metadata of a node was before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from databroker_like.client._finding._paging import LARGEST_PAGE, pages
from databroker_like.client._writing._sending import send
from databroker_like.client.context import Context
from databroker_like.errors import NotFound, OutOfRange, WrongType

__all__ = ["MetadataRevisions"]


class MetadataRevisions:
    """What the metadata of a node was before, the oldest first.

    ``revisions[0]`` is one, ``revisions[-1]`` the latest, ``revisions[2:5]`` and ``list(revisions)`` are several. Each
    is a dict with ``revision_number``, and ``metadata``, ``specs`` and ``time_updated`` among its ``attributes``.

    Parameters
    ----------
    context : Context
    path_parts : sequence of str
        The names on the way to the node.
    """

    def __init__(self, context: Context, path_parts: Sequence[str]) -> None:
        self._context = context
        self._path_parts = list(path_parts)

    @property
    def _link(self) -> str:
        return self._context.node_url(self._path_parts).replace("/metadata/", "/revisions/", 1)

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            ends = [bound for bound in (index.start, index.stop, index.step) if bound is not None]
            if all(bound >= 0 for bound in ends):
                return list(islice(self._from(index.start or 0, index.stop), 0, None, index.step))
            return list(self)[index]
        if not isinstance(index, int):
            raise WrongType(f"a position or a slice is meant here, not {index!r:.100}")
        # From the end on they have to be counted.
        found = list(reversed(list(self)))[-1 - index :][:1] if index < 0 else list(self._from(index, index + 1))
        if not found:
            raise OutOfRange(f"the metadata of {'/'.join(self._path_parts)!r} has no revision at position {index}")
        return found[0]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self._from(0, None)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def delete_revision(self, n: int) -> None:
        """Have the server forget what the metadata was.

        Parameters
        ----------
        n : int
            The ``revision_number`` of one.

        Raises
        ------
        NotFound
            When there is none of this number.
        NotWritable
            When the server takes no changes.
        """
        doubts: list[bool] = []
        try:
            send(self._context, "DELETE", self._link, params=[("number", n)], doubted=lambda: doubts.append(True))
        except NotFound:
            # It is gone: by the attempt of which nobody knew.
            if not doubts:
                raise

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {'/'.join(self._path_parts)!r}>"

    def _from(self, start: int, stop: int | None) -> Iterator[dict[str, Any]]:
        """Those from one position to another, page by page."""
        wanted = None if stop is None else max(stop - start, 0)
        limit = LARGEST_PAGE if wanted is None else min(wanted, LARGEST_PAGE)
        if not limit:
            return iter(())
        return islice(self._pages(start, limit), wanted)

    def _pages(self, start: int, limit: int) -> Iterator[dict[str, Any]]:
        asked: list[tuple[str, str | int]] = [("page[offset]", start), ("page[limit]", limit)]
        for page in pages(self._context, self._link, asked):
            yield from page["data"]
