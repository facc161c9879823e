"""Listening to a node while it is written: callables are called with what is new."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from databroker_like.client._live import (
    LiveArrayData,
    LiveArrayRef,
    LiveChildCreated,
    LiveChildMetadataUpdated,
    LiveTableData,
    Update,
    parsed_update,
)
from databroker_like.client._socket import Socket
from databroker_like.client.base import StructureClients
from databroker_like.client.context import Context
from databroker_like.errors import DatabrokerError, Invalid, Unreachable

__all__ = [
    "ArraySubscription",
    "CallbackRegistry",
    "ContainerSubscription",
    "LiveArrayData",
    "LiveArrayRef",
    "LiveChildCreated",
    "LiveChildMetadataUpdated",
    "LiveTableData",
    "Subscription",
    "TableSubscription",
    "Update",
]

_MOST_BYTES = 1_000_000
#: A server says at once what it will send.
_LONGEST_SILENCE = 10.0
_log = logging.getLogger(__name__)
T = TypeVar("T")


class CallbackRegistry(Generic[T]):
    """Callables that are called with each update of one kind.

    They are kept until they are removed, and called one after another in the thread of the executor. One that raises
    is written to the log and hinders no other.

    Parameters
    ----------
    executor : concurrent.futures.Executor

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> seen = []
    >>> with ThreadPoolExecutor(1) as executor:
    ...     CallbackRegistry(executor).add_callback(seen.append).process("new")
    >>> seen
    ['new']
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._callbacks: list[Callable[[T], Any]] = []
        self._lock = threading.Lock()

    @property
    def executor(self) -> Executor:
        """Where they are called."""
        return self._executor

    def add_callback(self, callback: Callable[[T], Any]) -> CallbackRegistry[T]:
        """Have a callable called with each update from now on.

        Parameters
        ----------
        callback : callable
            Of one argument.

        Returns
        -------
        CallbackRegistry
            This one.
        """
        if not callable(callback):
            raise Invalid(f"a callback is a callable of one argument, not {callback!r:.100}")
        with self._lock:
            self._callbacks.append(callback)
        return self

    def remove_callback(self, callback: Callable[[T], Any]) -> CallbackRegistry[T]:
        """Have it called no more.

        Parameters
        ----------
        callback : callable
            One that was added.

        Returns
        -------
        CallbackRegistry
            This one.

        Raises
        ------
        Invalid
            When it was not.
        """
        with self._lock:
            if callback not in self._callbacks:
                raise Invalid(f"{callback!r:.100} is none of the callbacks")
            self._callbacks.remove(callback)
        return self

    def process(self, update: T) -> None:
        """Call them all, one after another, in the executor.

        Parameters
        ----------
        update : object
        """
        with self._lock:
            callbacks = list(self._callbacks)
        for callback in callbacks:
            self._executor.submit(_call, callback, update)


def _call(callback: Callable[[Any], Any], update: Any) -> None:
    try:
        callback(update)
    except Exception:  # noqa: BLE001
        # Somebody else's code; the updates go on.
        _log.exception("the callback %r failed at %r", callback, update)


class Subscription:
    """What is new in one node, from when `start` or `start_in_thread` is called until `disconnect`.

    ``with node.subscribe() as subscription`` disconnects at the end.

    Parameters
    ----------
    context : Context
    segments : sequence of str
        The names on the way to the node; the root by default.
    executor : concurrent.futures.Executor, optional
        Where callbacks are called; a thread of its own by default, so that they are called in the order of the updates.

    Attributes
    ----------
    stream_closed : CallbackRegistry
        Called with the subscription when the server says that nothing more comes.
    disconnected : CallbackRegistry
        Called with the subscription when it ends, for whatever reason.
    error : DatabrokerError or None
        Why it ended, when it should not have.
    """

    def __init__(
        self, context: Context, segments: Sequence[str] | None = None, executor: Executor | None = None
    ) -> None:
        self._context = context
        self._segments = [part for part in segments or () if part]
        self._owns = executor is None
        self._callers = f"callbacks of {id(self)}"
        self._executor = executor or ThreadPoolExecutor(1, thread_name_prefix=self._callers)
        self._schema: dict[str, Any] | None = None
        self._socket: Socket | None = None
        self._thread: threading.Thread | None = None
        self._listener: threading.Thread | None = None
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self.error: DatabrokerError | None = None
        self.stream_closed: CallbackRegistry[Any] = CallbackRegistry(self._executor)
        self.disconnected: CallbackRegistry[Any] = CallbackRegistry(self._executor)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'/'.join(self._segments)!r}>"

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.disconnect()

    @property
    def context(self) -> Context:
        """The server."""
        return self._context

    @property
    def segments(self) -> list[str]:
        """The names on the way to the node."""
        return list(self._segments)

    @property
    def executor(self) -> Executor:
        """Where callbacks are called."""
        return self._executor

    #: Which classes nodes get that are made in a container.
    structure_clients: StructureClients = "numpy"

    def start(self, start: int | None = None, max_size: int = _MOST_BYTES) -> None:
        """Listen, until the server says that nothing more comes or another thread calls `disconnect`.

        Parameters
        ----------
        start : int, optional
            The number of the first update that is wanted: 1 is the first of all, 0 the first that the server still
            has. Only what comes from now on, by default.
        max_size : int
            How many bytes an update may have; a million by default.

        Raises
        ------
        NotFound, NotAuthenticated, NotPermitted, Unreachable
            When the server refuses, or is not there.
        TooLarge
            When an update is larger than allowed.
        Invalid
            When it was started before.
        """
        self._listen(self._prepared(start, max_size))
        if self.error is not None:
            raise self.error

    def start_in_thread(self, start: int | None = None, max_size: int = _MOST_BYTES) -> Any:
        """Listen in a thread, as `start` does; returns once the server has said yes.

        Parameters
        ----------
        start, max_size
            As of `start`.

        Returns
        -------
        Subscription
            This one.

        Raises
        ------
        NotFound, NotAuthenticated, NotPermitted, Unreachable
            When the server refuses, or is not there. What goes wrong later is in ``error``.
        """
        socket = self._prepared(start, max_size)
        name = f"listening to {'/'.join(self._segments)}"
        self._thread = threading.Thread(target=self._listen, args=(socket,), name=name, daemon=True)
        self._thread.start()
        end = time.monotonic() + _LONGEST_SILENCE
        while self._thread.is_alive() and not socket.connected.wait(0.05):
            if time.monotonic() > end:
                self.disconnect()
                unknown = "" if self._context.session.authorization else "; does it want an API key?"
                raise Unreachable(f"{self._context.api_uri} takes the connection and says nothing{unknown}")
        if self.error is not None:
            raise self.error
        return self

    def disconnect(self, wait: bool = True) -> None:
        """Listen no more.

        Parameters
        ----------
        wait : bool
            Whether until the callbacks have been called with all that came; True by default.
        """
        with self._lock:
            socket = self._socket
        here = threading.current_thread()
        # Whoever is called by it does not wait for itself.
        wait = wait and here is not self._listener and not here.name.startswith(self._callers)
        if socket is None:
            self._release(wait=wait)
            return
        socket.close()
        if wait:
            self._ended.wait()
            self._release(wait=True)

    def _release(self, *, wait: bool) -> None:
        if self._owns:
            self._executor.shutdown(wait=wait)

    def process(self, update: Update) -> None:
        """Hand an update to those who are called with its kind.

        Parameters
        ----------
        update : Update
        """
        raise NotImplementedError

    def _prepared(self, start: int | None, max_size: int) -> Socket:
        if start is not None and (not isinstance(start, int) or start < 0):
            raise Invalid(f"updates are numbered from 1, and 0 is the first that there is; start={start!r} is none")
        with self._lock:
            if self._socket is not None:
                raise Invalid("a subscription is started once; make another with subscribe()")
            self._socket = Socket(self._context, self._segments, start, max_size)
            return self._socket

    def _listen(self, socket: Socket) -> None:
        ended = False
        self._listener = threading.current_thread()
        try:
            for message in socket.messages():
                self._take(message)
            ended = not socket.closed
        except DatabrokerError as error:
            self.error = error
            if self._thread is not None and socket.connected.is_set():
                _log.error("%r ended: %s", self, error)
        finally:
            if ended:
                self.stream_closed.process(self)
            self.disconnected.process(self)
            self._release(wait=False)
            self._listener = None
            self._ended.set()

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"].endswith("-schema"):
            self._schema = message
            return
        update = parsed_update(self, self._schema or {}, message)
        if update is None:
            # A newer server may tell of more than is known here.
            _log.info("%r leaves out a message of type %r", self, message["type"])
        else:
            self.process(update)


class ArraySubscription(Subscription):
    """What is written to an array.

    Parameters
    ----------
    context, segments, executor
        As of `Subscription`.

    Attributes
    ----------
    new_data : CallbackRegistry
        Called with a `LiveArrayData` or `LiveArrayRef`, whose ``data()`` has the elements.
    """

    def __init__(
        self, context: Context, segments: Sequence[str] | None = None, executor: Executor | None = None
    ) -> None:
        super().__init__(context, segments, executor)
        self.new_data: CallbackRegistry[Any] = CallbackRegistry(self.executor)

    def process(self, update: Update) -> None:
        """As of `Subscription`."""
        if isinstance(update, LiveArrayData | LiveArrayRef):
            self.new_data.process(update)


class TableSubscription(Subscription):
    """What is written to a table.

    Parameters
    ----------
    context, segments, executor
        As of `Subscription`.

    Attributes
    ----------
    new_data : CallbackRegistry
        Called with a `LiveTableData`, whose ``data()`` has the rows.
    """

    def __init__(
        self, context: Context, segments: Sequence[str] | None = None, executor: Executor | None = None
    ) -> None:
        super().__init__(context, segments, executor)
        self.new_data: CallbackRegistry[LiveTableData] = CallbackRegistry(self.executor)

    def process(self, update: Update) -> None:
        """As of `Subscription`."""
        if isinstance(update, LiveTableData):
            self.new_data.process(update)


class ContainerSubscription(Subscription):
    """What is made in a container, and what metadata is changed there.

    Parameters
    ----------
    context, segments, executor
        As of `Subscription`.
    structure_clients : {"numpy", "dask"} or mapping
        Which classes the clients of new nodes get.

    Attributes
    ----------
    child_created : CallbackRegistry
        Called with a `LiveChildCreated`, whose ``child()`` is the client of the node.
    child_metadata_updated : CallbackRegistry
        Called with a `LiveChildMetadataUpdated`.
    """

    def __init__(
        self,
        context: Context,
        segments: Sequence[str] | None = None,
        executor: Executor | None = None,
        structure_clients: StructureClients = "numpy",
    ) -> None:
        super().__init__(context, segments, executor)
        self.structure_clients = structure_clients
        self.child_created: CallbackRegistry[LiveChildCreated] = CallbackRegistry(self.executor)
        self.child_metadata_updated: CallbackRegistry[LiveChildMetadataUpdated] = CallbackRegistry(self.executor)

    def process(self, update: Update) -> None:
        """As of `Subscription`."""
        if isinstance(update, LiveChildCreated):
            self.child_created.process(update)
        elif isinstance(update, LiveChildMetadataUpdated):
            self.child_metadata_updated.process(update)
