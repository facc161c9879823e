"""HandlerBase, which handler packages written for databroker subclass."""

from __future__ import annotations

from types import TracebackType
from typing import ClassVar, Self

__all__ = ["HandlerBase"]


class HandlerBase:
    """A handler that is used in a ``with`` statement, or closed when done with.

    A subclass is made with the path of a file and the ``resource_kwargs`` of a resource document, and called with
    the ``datum_kwargs`` of a datum document. It overrides `close` when it keeps files open.

    Examples
    --------
    >>> class Constant(HandlerBase):
    ...     specs = {"CONSTANT"}
    ...     def __init__(self, path, value):
    ...         self.value = value
    ...     def __call__(self, index):
    ...         return self.value + index
    >>> with Constant("/no/file", value=1) as handler:
    ...     handler(index=2)
    3
    """

    #: The specs that the handler reads.
    specs: ClassVar[set[str]] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the files that are open; here there are none."""
