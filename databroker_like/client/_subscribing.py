"""What makes a client of a node listen to it."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import TYPE_CHECKING

from databroker_like.client.base import StructureClients
from databroker_like.client.context import Context
from databroker_like.client.stream import ArraySubscription, ContainerSubscription, TableSubscription

__all__ = ["ArraySubscribing", "ContainerSubscribing", "TableSubscribing"]


class _Node:
    """What is taken from the client."""

    if TYPE_CHECKING:
        context: Context
        structure_clients: StructureClients

        @property
        def path_parts(self) -> list[str]: ...


class ContainerSubscribing(_Node):
    """The part of `Container` that listens."""

    def subscribe(self, executor: Executor | None = None) -> ContainerSubscription:
        """Listen to this container: to the nodes that are made in it, and the metadata that is changed there.

        Parameters
        ----------
        executor : concurrent.futures.Executor, optional
            Where callbacks are called; a thread of its own by default, one after another.

        Returns
        -------
        ContainerSubscription
            Which begins with ``start()`` or ``start_in_thread()``.
        """
        return ContainerSubscription(self.context, self.path_parts, executor, self.structure_clients)


class ArraySubscribing(_Node):
    """The part of the clients of arrays that listens."""

    def subscribe(self, executor: Executor | None = None) -> ArraySubscription:
        """Listen to this array: to what is written to it.

        Parameters
        ----------
        executor : concurrent.futures.Executor, optional
            Where callbacks are called; a thread of its own by default, one after another.

        Returns
        -------
        ArraySubscription
            Which begins with ``start()`` or ``start_in_thread()``.
        """
        return ArraySubscription(self.context, self.path_parts, executor)


class TableSubscribing(_Node):
    """The part of the clients of tables that listens."""

    def subscribe(self, executor: Executor | None = None) -> TableSubscription:
        """Listen to this table: to the rows that are written to it.

        Parameters
        ----------
        executor : concurrent.futures.Executor, optional
            Where callbacks are called; a thread of its own by default, one after another.

        Returns
        -------
        TableSubscription
            Which begins with ``start()`` or ``start_in_thread()``.
        """
        return TableSubscription(self.context, self.path_parts, executor)
