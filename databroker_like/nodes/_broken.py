"""A node that stands for something that cannot be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from databroker_like.errors import DatabrokerError, InvalidFile
from databroker_like.nodes.memory import MapNode
from databroker_like.structures import Spec
from databroker_like.utils._shown_text import without_paths

__all__ = ["BROKEN", "BrokenNode"]

#: What a node that cannot be read promises to be.
BROKEN = Spec("broken")

_MOST_LETTERS = 2000


class BrokenNode(MapNode):
    """Something that cannot be read, shown as a container of nothing whose metadata says why.

    What is beside it is served as if it were whole.

    Parameters
    ----------
    problem : str or DatabrokerError
        What is wrong; of absolute paths in it the folders are left out, and passwords of URLs.
    metadata : mapping, optional
        What else is said of it.
    version : object, optional
        What becomes another when it may have been mended.

    Examples
    --------
    >>> node = BrokenNode("'/data/2026/a.h5' is empty", metadata={"sample": "silver"})
    >>> node.metadata, node.count(), node.specs[0].name
    ({'sample': 'silver', 'error': "'a.h5' is empty"}, 0, 'broken')
    """

    def __init__(
        self, problem: str | DatabrokerError, *, metadata: Mapping[str, Any] | None = None, version: Any = None
    ) -> None:
        self.sentence = without_paths(str(problem))[:_MOST_LETTERS]
        # Who is refused elsewhere is this service: its caller has shown a key that is good here.
        is_told = isinstance(problem, DatabrokerError) and not isinstance(problem, PermissionError)
        self._kind: type[DatabrokerError] = type(problem) if is_told else InvalidFile  # type: ignore[assignment]
        super().__init__({}, metadata={**(metadata or {}), "error": self.sentence}, specs=[BROKEN])
        self._version = version

    @property
    def error(self) -> DatabrokerError:
        """What is raised for who asks for data of it: the same error whether it was met before, or just now."""
        return self._kind(self.sentence)

    @property
    def version(self) -> Any:
        return self._version
