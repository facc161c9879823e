"""Every error of databroker-like, drawn as a tree.

Each is also the Python standard error that a caller would expect, and knows the HTTP status and the gRPC
code a service answers with, so that an error raised far away arrives here as the same error::

    DatabrokerError                     500 INTERNAL
    ├── NotFound            KeyError    404 NOT_FOUND
    │   ├── NoSuchRun
    │   ├── NoSuchStream
    │   ├── NoSuchColumn
    │   ├── NoSuchDocument
    │   ├── NoSuchConfig    FileNotFoundError
    │   ├── NoSuchProfile
    │   └── NoSuchHandler
    ├── OutOfRange          IndexError  400 OUT_OF_RANGE
    ├── Invalid             ValueError  400 INVALID_ARGUMENT
    │   ├── InvalidDocument
    │   ├── InvalidQuery
    │   ├── InvalidCatalog
    │   ├── InvalidConfig
    │   ├── InvalidFile
    │   ├── InvalidRequest          422 INVALID_ARGUMENT
    │   ├── NoSuchFormat            406 INVALID_ARGUMENT
    │   ├── TooLarge                413 RESOURCE_EXHAUSTED
    │   ├── ProjectionError KeyError
    │   └── AmbiguousKey
    ├── WrongType           TypeError   400 INVALID_ARGUMENT
    │   └── NotMutable
    ├── Conflict            ValueError  409 ALREADY_EXISTS
    ├── NotAuthenticated    PermissionError 401 UNAUTHENTICATED
    ├── NotPermitted        PermissionError 403 PERMISSION_DENIED
    ├── NotWritable         PermissionError 403 PERMISSION_DENIED
    ├── MissingFile         FileNotFoundError 410 NOT_FOUND
    ├── Unreachable         ConnectionError 503 UNAVAILABLE
    ├── ServiceFailed       RuntimeError 502 INTERNAL
    ├── MissingExtra        ImportError 501 UNIMPLEMENTED
    ├── PluginFailed        RuntimeError 500 INTERNAL
    │   ├── TransformFailed
    │   └── HandlerFailed
    └── NotOffered          NotImplementedError 501 UNIMPLEMENTED
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar

__all__ = [
    "AmbiguousKey",
    "Conflict",
    "DatabrokerError",
    "HandlerFailed",
    "Invalid",
    "InvalidCatalog",
    "InvalidConfig",
    "InvalidDocument",
    "InvalidFile",
    "InvalidQuery",
    "InvalidRequest",
    "MissingExtra",
    "MissingFile",
    "NoSuchColumn",
    "NoSuchConfig",
    "NoSuchDocument",
    "NoSuchFormat",
    "NoSuchHandler",
    "NoSuchProfile",
    "NoSuchRun",
    "NoSuchStream",
    "NotAuthenticated",
    "NotFound",
    "NotMutable",
    "NotOffered",
    "NotPermitted",
    "NotWritable",
    "OutOfRange",
    "PluginFailed",
    "ProjectionError",
    "ServiceFailed",
    "TooLarge",
    "TransformFailed",
    "Unreachable",
    "WrongType",
    "listed",
    "nearest",
]


class DatabrokerError(Exception):
    """The root of the tree; catch it to catch everything databroker-like raises on purpose."""

    http_status: ClassVar[int] = 500
    grpc_code: ClassVar[str] = "INTERNAL"

    def __str__(self) -> str:
        # KeyError shows the repr of its message, which puts quotes around a sentence.
        return str(self.args[0]) if self.args else ""


class NotFound(DatabrokerError, KeyError):
    """A name that is not there."""

    http_status = 404
    grpc_code = "NOT_FOUND"


class NoSuchRun(NotFound):
    """No run answers to this key."""


class NoSuchStream(NotFound):
    """The run has no stream of this name."""


class NoSuchColumn(NotFound):
    """The stream has no data key of this name."""


class NoSuchDocument(NotFound):
    """The run has no document (descriptor, resource, datum) of this identity."""


class NoSuchConfig(FileNotFoundError, NotFound):
    """No configuration file, nor a catalog, has this name."""


class NoSuchProfile(NotFound):
    """No profile of a server has this name."""


class NoSuchHandler(NotFound):
    """No handler is registered for the spec, or no reader for the mimetype, of an external file."""


class OutOfRange(DatabrokerError, IndexError):
    """A position beyond the end."""

    http_status = 400
    grpc_code = "OUT_OF_RANGE"


class Invalid(DatabrokerError, ValueError):
    """An input that cannot be meant."""

    http_status = 400
    grpc_code = "INVALID_ARGUMENT"


class InvalidDocument(Invalid):
    """A document that event-model's schema, or the run it belongs to, does not allow."""


class InvalidQuery(Invalid):
    """A query that cannot be understood."""


class InvalidCatalog(Invalid):
    """A catalog YAML file with a mistake in it."""


class InvalidConfig(Invalid):
    """A version 0 or 1 configuration file with a mistake in it."""


class InvalidFile(Invalid):
    """A data file whose content is not what its name or mimetype promises."""


class InvalidRequest(Invalid):
    """A request with a parameter or a body that cannot be understood."""

    http_status = 422


class NoSuchFormat(Invalid):
    """A format in which this cannot be sent."""

    http_status = 406


class TooLarge(Invalid):
    """More than is sent or taken at once; the message says how much is."""

    http_status = 413
    grpc_code = "RESOURCE_EXHAUSTED"


class ProjectionError(Invalid, KeyError):
    """A projection that is not there, cannot be understood, or names a calculation that fails."""


class AmbiguousKey(Invalid):
    """A key that more than one run answers to."""


class WrongType(DatabrokerError, TypeError):
    """An argument of a type that cannot be used here."""

    http_status = 400
    grpc_code = "INVALID_ARGUMENT"


class NotMutable(WrongType):
    """An attempt to change a document."""


class Conflict(DatabrokerError, ValueError):
    """Something different is there already under this name."""

    http_status = 409
    grpc_code = "ALREADY_EXISTS"


class NotAuthenticated(DatabrokerError, PermissionError):
    """A server that does not know who asks: it was given no key, or a wrong one."""

    http_status = 401
    grpc_code = "UNAUTHENTICATED"


class NotPermitted(DatabrokerError, PermissionError):
    """Something that the one who asks may not see or do."""

    http_status = 403
    grpc_code = "PERMISSION_DENIED"


class NotWritable(DatabrokerError, PermissionError):
    """A place that cannot be written to."""

    http_status = 403
    grpc_code = "PERMISSION_DENIED"


class MissingFile(DatabrokerError, FileNotFoundError):
    """An external file that a document refers to and that is not there."""

    http_status = 410
    grpc_code = "NOT_FOUND"


class Unreachable(DatabrokerError, ConnectionError):
    """A server that does not answer; the message names it, without its password."""

    http_status = 503
    grpc_code = "UNAVAILABLE"


class ServiceFailed(DatabrokerError, RuntimeError):
    """A server that failed at a request, or gave a reply that cannot be meant."""

    http_status = 502
    grpc_code = "INTERNAL"


class MissingExtra(DatabrokerError, ImportError):
    """An optional package that is not installed; the message is the command that installs it."""

    http_status = 501
    grpc_code = "UNIMPLEMENTED"


class PluginFailed(DatabrokerError, RuntimeError):
    """Code of somebody else's that raised; the message names it."""


class TransformFailed(PluginFailed):
    """A transform that raised, or returned no document."""


class HandlerFailed(PluginFailed):
    """A handler that raised while it opened or read a file."""


class NotOffered(DatabrokerError, NotImplementedError):
    """Something this object does not do, by design; the message says what to use."""

    http_status = 501
    grpc_code = "UNIMPLEMENTED"


def nearest(name: object, known: Iterable[object], *, most: int = 3) -> list[str]:
    """The known names that look most like a mistaken one.

    Parameters
    ----------
    name : object
        What was asked for.
    known : iterable
        What there is.
    most : int
        How many to return at the most, 3 by default.

    Returns
    -------
    list of str
        Best first; empty when nothing is close.

    Examples
    --------
    >>> nearest("baselin", ["primary", "baseline"])
    ['baseline']
    """
    return difflib.get_close_matches(str(name), [str(k) for k in known], n=most, cutoff=0.6)


def listed(names: Iterable[object], *, most: int = 10) -> str:
    """Names as they stand in an error message: quoted, sorted, and cut when there are many.

    Parameters
    ----------
    names : iterable
        The names.
    most : int
        How many to write out, 10 by default.

    Returns
    -------
    str
        ``"nothing"`` when there are none.

    Examples
    --------
    >>> listed(["primary", "baseline"])
    "'baseline', 'primary'"
    """
    ordered = sorted({str(n) for n in names})
    if not ordered:
        return "nothing"
    text = ", ".join(repr(n) for n in ordered[:most])
    more = len(ordered) - most
    return f"{text} and {more} more" if more > 0 else text
