"""Requests that change something: what is sent, what is repeated, and what a refusal means."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgpack
import orjson

from databroker_like.client.context import Context
from databroker_like.errors import (
    Invalid,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    NotWritable,
    ServiceFailed,
    WrongType,
)
from databroker_like.structures import Spec
from databroker_like.utils._node_path import path_of

__all__ = ["as_json", "as_key", "as_specs", "as_wire", "data_link", "send", "url_of"]

_UNDERSTOOD = "application/x-msgpack, application/json;q=0.9"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def as_wire(value: Any) -> Any:
    """Metadata as it will be read: numpy's numbers and arrays, tuples and times as JSON has them.

    Parameters
    ----------
    value : object

    Returns
    -------
    object

    Raises
    ------
    WrongType
        When JSON has no word for something in it.

    Examples
    --------
    >>> as_wire({"shape": (2, 3), "when": None})
    {'shape': [2, 3], 'when': None}
    """
    return orjson.loads(as_json(value))


def as_json(value: Any) -> bytes:
    """What `as_wire` says, as bytes."""
    try:
        return orjson.dumps(value, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY)
    except (TypeError, ValueError) as error:
        raise WrongType(
            f"this cannot be written as JSON: {error}; metadata is made of text, numbers, lists and dictionaries"
        ) from error


def _plain(value: Any) -> Any:
    """What orjson does not know: views of metadata, and arrays that do not lie in a row."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Spec):
        return value.to_json()
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Sequence | set | frozenset):
        return list(value)
    raise TypeError(f"{type(value).__name__} is no type of JSON")


def as_specs(specs: Iterable[Any] | None) -> list[dict[str, Any]]:
    """Specs as on the wire; a name alone will do.

    Parameters
    ----------
    specs : iterable of Spec, str or dict, or None

    Returns
    -------
    list of dict

    Raises
    ------
    Invalid
        When it is one text in place of a list of them.

    Examples
    --------
    >>> as_specs(["demo"])
    [{'name': 'demo', 'version': None}]
    """
    if isinstance(specs, str):
        raise Invalid(f"specs is a list: [{specs!r}]")
    return [spec.to_json() if isinstance(spec, Spec) else Spec.from_json(spec).to_json() for spec in specs or ()]


def as_key(key: str | None) -> str:
    """The key of a node that is made; a random one, where none is given, so that a repeated request is the same.

    Parameters
    ----------
    key : str, optional

    Returns
    -------
    str

    Raises
    ------
    Invalid
        When it cannot stand in an address.

    Examples
    --------
    >>> as_key("scan 1")
    'scan 1'
    >>> as_key("a/b")
    Traceback (most recent call last):
        ...
    databroker_like.errors.Invalid: a key has no '/': 'a/b'; write into the container 'a', or make it first
    """
    if key is None:
        return str(uuid.uuid4())
    if not isinstance(key, str):
        raise WrongType(f"a key is text, not {key!r}")
    if "/" in key:
        above = key.rpartition("/")[0]
        raise Invalid(f"a key has no '/': {key!r}; write into the container {above!r}, or make it first")
    if key in ("", ".", "..") or _CONTROL.search(key):
        raise Invalid(f"{key!r} is no key: it cannot stand in an address")
    return key


def url_of(context: Context, route: str, path_parts: Sequence[str]) -> str:
    """Where a node is found under a route.

    Parameters
    ----------
    context : Context
    route : str
        As ``"metadata"``.
    path_parts : sequence of str

    Returns
    -------
    str
    """
    return f"{context.api_uri}/{route}/{path_of(path_parts)}"


def data_link(item: Mapping[str, Any], name: str) -> str:
    """The link to the data of a node, without the template that it may end with.

    Parameters
    ----------
    item : dict
        What the server says of the node.
    name : {"full", "block", "partition"}

    Returns
    -------
    str

    Raises
    ------
    NotWritable
        When there is no such link.
    """
    link = item["links"].get(name)
    if link is None:
        raise NotWritable(f"the server takes no data for {item.get('id')!r}: it has no link {name!r} for it")
    return link.partition("?")[0]


def send(
    context: Context,
    method: str,
    url: str,
    *,
    params: Sequence[tuple[str, str | int]] = (),
    json: Any = None,
    content: bytes | memoryview | None = None,
    content_type: str = "application/octet-stream",
    repeat: bool = True,
    doubted: Callable[[], None] | None = None,
) -> Any:
    """A request that changes something, and what the server answers.

    Parameters
    ----------
    context : Context
    method, url : str
    params : sequence of (name, value)
    json : object, optional
        The body; in place of ``content``.
    content : bytes or memoryview, optional
    content_type : str
    repeat : bool
        Whether it may be done twice; True by default.
    doubted : callable, optional
        As of `Session.fetch`.

    Returns
    -------
    object
        None when the answer is empty.

    Raises
    ------
    NotWritable
        When the server, or this part of it, takes nothing.
    NotAuthenticated, NotPermitted
        When it does not take it from the one who asks.
    DatabrokerError
        Of the class that stands for another refusal.
    """
    if json is not None:
        content, content_type = as_json(json), "application/json"
    try:
        reply = context.session.fetch(
            method,
            url,
            params=params,
            accept=_UNDERSTOOD,
            content=content,
            content_type=content_type,
            repeat=repeat,
            doubted=doubted,
        )
    except NotWritable as error:
        raise _takes_nothing(context, error) from error
    except NotFound as error:
        if _no_such_route(error):
            raise _takes_nothing(context, error) from error
        raise
    except NotAuthenticated as error:
        wanted = "refuses this API key" if context.api_key else "takes data only from those it knows"
        raise NotAuthenticated(
            f"the server at {context.api_uri} {wanted}: give from_uri(..., api_key=...), "
            f"set TILED_API_KEY, or log in; {error}"
        ) from error
    except NotPermitted as error:
        raise NotPermitted(f"the server at {context.api_uri} does not let you write here: {error}") from error
    try:
        if reply.content_type == "application/x-msgpack":
            return msgpack.unpackb(reply.content, timestamp=3)
        return orjson.loads(reply.content) if reply.content and reply.content_type == "application/json" else None
    except (ValueError, msgpack.UnpackException) as error:
        raise ServiceFailed(f"the reply of {reply.url} is broken: {error}") from error


def _no_such_route(error: NotFound) -> bool:
    # What is said of a path that a server does not have; of a node that is missing, its name is said.
    return str(error).startswith(("Not Found", "there is nothing at this URL", "the server does not say why"))


def _takes_nothing(context: Context, error: Exception) -> NotWritable:
    return NotWritable(
        f"nothing can be written to this place at {context.api_uri}: it is for reading. Write to a server with a "
        f"writable catalog, such as `tiled serve catalog`, or ask whoever runs this one; it says: {error}"
    )
