"""What a server tells of a node while it is written: new elements, rows, and nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from databroker_like.client.base import client_of
from databroker_like.errors import Invalid, ServiceFailed
from databroker_like.structures import DataType, Spec, data_type_from_json

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from databroker_like.client.stream import Subscription

__all__ = [
    "LiveArrayData",
    "LiveArrayRef",
    "LiveChildCreated",
    "LiveChildMetadataUpdated",
    "LiveTableData",
    "Update",
    "parsed_update",
]

_ARROW = "application/vnd.apache.arrow.file"
_OCTETS = "application/octet-stream"


@dataclass(frozen=True)
class Update:
    """What all updates have.

    Parameters
    ----------
    subscription : Subscription
        Through which it came.
    sequence : int
        Its number, from 1.
    timestamp : datetime
        When the server had it.
    type : str
        Its kind, as on the wire.
    """

    subscription: Subscription = field(repr=False)
    sequence: int
    timestamp: datetime
    type: str


@dataclass(frozen=True)
class LiveArrayData(Update):
    """Elements of an array.

    Parameters
    ----------
    subscription, sequence, timestamp, type
        As of `Update`.
    shape : tuple of int
    offset : tuple of int, optional
        Where they lie in the array, when they are a part of it.
    block : tuple of int, optional
        The number of the block that they are.
    data_type : BuiltinDtype or StructuredDtype
    mimetype : str
    payload : bytes
    """

    shape: tuple[int, ...]
    offset: tuple[int, ...] | None
    block: tuple[int, ...] | None
    data_type: DataType
    mimetype: str
    payload: bytes = field(repr=False)

    def data(self) -> np.ndarray:
        """The elements.

        Returns
        -------
        numpy.ndarray
            Read-only.
        """
        import numpy as np

        return np.frombuffer(self.payload, self.data_type.to_numpy_dtype()).reshape(self.shape)


@dataclass(frozen=True)
class LiveArrayRef(Update):
    """Elements of an array that lie in files of somebody else, and are read when they are wanted.

    Parameters
    ----------
    subscription, sequence, timestamp, type
        As of `Update`.
    shape : tuple of int
        Of the whole array.
    patch : dict, optional
        ``offset`` and ``shape`` of those that are new; all, by default.
    data_source : dict
        Where they lie.
    uri : str, optional
    data_type : BuiltinDtype or StructuredDtype
    """

    shape: tuple[int, ...]
    patch: Mapping[str, Any] | None
    data_source: Mapping[str, Any]
    uri: str | None
    data_type: DataType

    def data(self) -> np.ndarray:
        """The elements that are new, as the server has them now.

        Returns
        -------
        numpy.ndarray
        """
        context, path = self.subscription.context, self.subscription.segments
        array = client_of(context, context.get_item(path), "numpy")
        if self.patch is None:
            return array.read()
        ends = zip(self.patch["offset"], self.patch["shape"], strict=True)
        return array.read(tuple(slice(offset, offset + length) for offset, length in ends))


@dataclass(frozen=True)
class LiveTableData(Update):
    """Rows of a table.

    Parameters
    ----------
    subscription, sequence, timestamp, type
        As of `Update`.
    partition : int, optional
        Of which they are; of the whole table, by default.
    append : bool
        Whether they come after those that are there, or in place of them.
    arrow_schema : str
        The names and types of the columns, as a data URI.
    mimetype : str
    payload : bytes
    """

    partition: int | None
    append: bool
    arrow_schema: str = field(repr=False)
    mimetype: str
    payload: bytes = field(repr=False)

    def data(self) -> pd.DataFrame:
        """The rows.

        Returns
        -------
        pandas.DataFrame
        """
        import pyarrow as pa

        try:
            return pa.ipc.open_file(self.payload).read_all().to_pandas()
        except (pa.ArrowInvalid, OSError) as error:
            raise ServiceFailed(f"update {self.sequence} holds no table of Arrow: {error}") from error


@dataclass(frozen=True)
class LiveChildCreated(Update):
    """A node that was made in a container.

    Parameters
    ----------
    subscription, sequence, timestamp, type
        As of `Update`.
    key : str
    structure_family : str
    specs : list of Spec
    metadata : dict
    data_sources : list of dict
    access_tags : list of str
    """

    key: str
    structure_family: str
    specs: list[Spec]
    metadata: dict[str, Any]
    data_sources: list[dict[str, Any]] = field(repr=False)
    access_tags: list[str]

    @property
    def uri(self) -> str:
        """The address of the node."""
        return self.subscription.context.node_url([*self.subscription.segments, self.key])

    def child(self) -> Any:
        """The client of the node.

        Returns
        -------
        BaseClient
            Of the class for its specs or its family.

        Raises
        ------
        NotFound
            When it is not there any more.
        """
        context = self.subscription.context
        item = context.get_item([*self.subscription.segments, self.key])
        return client_of(context, item, self.subscription.structure_clients)


@dataclass(frozen=True)
class LiveChildMetadataUpdated(Update):
    """Metadata of a node in a container, as it became.

    Parameters
    ----------
    subscription, sequence, timestamp, type
        As of `Update`.
    key : str
    specs : list of Spec
    metadata : dict
    """

    key: str
    specs: list[Spec]
    metadata: dict[str, Any]


def parsed_update(subscription: Subscription, schema: Mapping[str, Any], message: Mapping[str, Any]) -> Update | None:
    """A message as an update.

    Parameters
    ----------
    subscription : Subscription
    schema : dict
        The first message, which says what the others do not.
    message : dict

    Returns
    -------
    Update
        None when it is of a kind that is not known here.

    Raises
    ------
    ServiceFailed
        When it lacks something.
    """
    made = _KINDS.get(message["type"])
    if made is None:
        return None
    try:
        when = message["timestamp"]
        moment = datetime.fromisoformat(when) if isinstance(when, str) else when
        head = {
            "subscription": subscription,
            "sequence": message["sequence"],
            "timestamp": moment,
            "type": message["type"],
        }
        return made(head, schema, message)
    except (KeyError, TypeError, ValueError) as error:
        said = error if isinstance(error, Invalid) else f"{type(error).__name__} {error}"
        raise ServiceFailed(f"the server sent a message {message['type']!r} that cannot be meant: {said}") from error


def _array_data(head: dict[str, Any], schema: Mapping[str, Any], message: Mapping[str, Any]) -> LiveArrayData:
    if message["mimetype"] != _OCTETS:
        raise Invalid(f"its elements are {message['mimetype']!r}, not {_OCTETS!r}")
    return LiveArrayData(
        **head,
        shape=tuple(message["shape"]),
        offset=_numbers(message.get("offset")),
        block=_numbers(message.get("block")),
        data_type=data_type_from_json(schema["data_type"]),
        mimetype=message["mimetype"],
        payload=message["payload"],
    )


def _array_ref(head: dict[str, Any], schema: Mapping[str, Any], message: Mapping[str, Any]) -> LiveArrayRef:
    return LiveArrayRef(
        **head,
        shape=tuple(message["shape"]),
        patch=message.get("patch"),
        data_source=message["data_source"],
        uri=message.get("uri"),
        data_type=data_type_from_json(message.get("data_type") or schema["data_type"]),
    )


def _table_data(head: dict[str, Any], schema: Mapping[str, Any], message: Mapping[str, Any]) -> LiveTableData:
    if message["mimetype"] != _ARROW:
        raise Invalid(f"its rows are {message['mimetype']!r}, not {_ARROW!r}")
    return LiveTableData(
        **head,
        partition=message.get("partition"),
        append=bool(message.get("append")),
        arrow_schema=schema["arrow_schema"],
        mimetype=message["mimetype"],
        payload=message["payload"],
    )


def _child_created(head: dict[str, Any], schema: Mapping[str, Any], message: Mapping[str, Any]) -> LiveChildCreated:
    return LiveChildCreated(
        **head,
        key=message["key"],
        structure_family=message["structure_family"],
        specs=[Spec.from_json(spec) for spec in message.get("specs") or ()],
        metadata=message.get("metadata") or {},
        data_sources=message.get("data_sources") or [],
        access_tags=message.get("access_tags") or [],
    )


def _child_updated(
    head: dict[str, Any], schema: Mapping[str, Any], message: Mapping[str, Any]
) -> LiveChildMetadataUpdated:
    return LiveChildMetadataUpdated(
        **head,
        key=message["key"],
        specs=[Spec.from_json(spec) for spec in message.get("specs") or ()],
        metadata=message.get("metadata") or {},
    )


def _numbers(value: Any) -> tuple[int, ...] | None:
    return None if value is None else tuple(value)


_KINDS: Mapping[str, Callable[[dict[str, Any], Mapping[str, Any], Mapping[str, Any]], Update]] = {
    "array-data": _array_data,
    "array-ref": _array_ref,
    "table-data": _table_data,
    "container-child-created": _child_created,
    "container-child-metadata-updated": _child_updated,
}
