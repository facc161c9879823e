"""A run in parts, for clients that put its documents and datasets together themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from databroker_like import errors
from databroker_like.codecs import encode
from databroker_like.errors import DatabrokerError, InvalidRequest, NoSuchFormat, listed, nearest
from databroker_like.nodes._run_parts import RunParts
from databroker_like.service import problem_of
from databroker_like.tree._asked import Asked, Reply
from databroker_like.tree._parameters import FARTHEST, Parameter, choice, flag, text, whole

__all__ = ["PARTS", "PART_PARAMETERS", "PART_SEQUENCE", "InParts", "run_part"]

#: Pairs of a name and a document, each as `databroker_like.codecs` writes it, one after the other.
PART_SEQUENCE = "application/vnd.databroker-like.documents"
#: What may be asked for.
PARTS = ("around", "events", "datums", "values")
_PIECE = 1 << 16
#: What a part is asked with.
PART_PARAMETERS: tuple[Parameter, ...] = (
    choice("part", "A part of the run, for clients that put its documents together themselves.", PARTS),
    text("descriptor", "Of 'events' and 'values': whose.", many=True),
    whole("skip", "Of 'events': from which row on, of each descriptor.", 0, FARTHEST),
    whole("limit", "Of 'events': how many rows, of each descriptor; all by default.", 0, FARTHEST),
    whole("most", "Of 'events': after so many bytes no further page is begun; all are told by default.", 1, FARTHEST),
    flag("columns", "Of 'events': whether it is told how the external columns of the streams lie."),
    text("resource", "Of 'datums': of this resource alone."),
    text("datum", "Of 'datums': of the resource to which this datum belongs."),
    text("key", "Of 'values': of which data key."),
)
_MOST_DESCRIPTORS = 1000


@runtime_checkable
class InParts(Protocol):
    """A node that is a run, and is told in parts."""

    @property
    def parts(self) -> RunParts:
        """Its parts."""


def run_part(asked: Asked, run: Any) -> Reply:
    """GET /documents/{path}?part=...: one part of a run.

    Parameters
    ----------
    asked : Asked
        ``part`` is ``around``, ``events`` (of each ``descriptor``, from ``skip``, ``limit`` rows, with how the external
        ``columns`` lie; until they are ``most`` bytes), ``datums`` (of a ``resource``, of that to which a ``datum``
        belongs, or all), or ``values`` (the external values of a ``descriptor`` and a ``key``, each by itself).
    run : Node

    Returns
    -------
    Reply

    Raises
    ------
    InvalidRequest
        When there is no such part.
    NoSuchFormat
        When the node is no run, or one of another server that does not tell it so.
    """
    part = asked.params.one("part") or ""
    if part not in PARTS:
        raise InvalidRequest(f"a run has no part {part!r:.60}; it has {listed(nearest(part, PARTS) or PARTS)}")
    if not isinstance(run, InParts):
        raise NoSuchFormat("only a run is told in parts, by the service where it is kept, and this is no such node")
    params, parts = asked.params, run.parts
    told = _Told()
    if part == "around":
        pairs = parts.around()
    elif part == "events":
        uids = params.many("descriptor")
        if not 0 < len(uids) <= _MOST_DESCRIPTORS:
            raise InvalidRequest(f"'descriptor' is given once or more, up to {_MOST_DESCRIPTORS} times")
        skip = params.number("skip", 0, 0, FARTHEST)
        limit = None if params.one("limit") is None else params.number("limit", None, 0, FARTHEST)
        most = None if params.one("most") is None else params.number("most", None, 1, FARTHEST)
        pairs = parts.events(
            uids, skip, limit, columns=params.flag("columns"), enough=lambda: most is not None and told.size >= most
        )
    elif part == "datums":
        pairs = parts.datums(resource_uid=params.one("resource"), datum_id=params.one("datum"))
    else:
        pairs = parts.values(params.one("descriptor") or "", params.one("key") or "")
    return Reply(_encoded(pairs, told), PART_SEQUENCE)


@dataclass
class _Told:
    """How many bytes were told."""

    size: int = 0


def _encoded(pairs: Iterator[tuple[str, Any]], told: _Told) -> Iterator[bytes]:
    waiting: list[bytes] = []
    size = 0
    for name, doc in pairs:
        waiting.append(encode([name, _plain(doc) if name == "column" else doc]))
        size += len(waiting[-1])
        told.size += len(waiting[-1])
        if size > _PIECE:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)


def _plain(column: dict[str, Any]) -> dict[str, Any]:
    """A column whose error is told as that of a request is, with the name of its class among our errors."""
    error = column["error"]
    if isinstance(error, DatabrokerError):
        known = next(cls.__name__ for cls in type(error).__mro__ if cls.__module__ == errors.__name__)
        return {**column, "error": [known, problem_of(error).detail]}
    return column
