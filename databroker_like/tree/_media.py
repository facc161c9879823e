"""Which format an answer has: what the caller asks for by name or by media type, out of what there is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from typing import Any

from databroker_like.errors import NoSuchFormat, listed, nearest
from databroker_like.tree._asked import Asked

__all__ = ["UTF8", "Format", "chosen", "offered"]

#: What is sent after the media type of a text.
UTF8 = "; charset=utf-8"


@dataclass(frozen=True)
class Format:
    """One way to send data.

    Parameters
    ----------
    media_type : str
        Without parameters.
    write : callable
        Of what is sent; it gives bytes, or an iterator of bytes.
    aliases : tuple of str, optional
        Short names.
    parameters : str
        That are sent after the media type, such as ``"; charset=utf-8"``.
    needs : tuple of str, optional
        Packages that write it, which may not be installed.
    """

    media_type: str
    write: Callable[[Any], Any]
    aliases: tuple[str, ...] = field(default=())
    parameters: str = ""
    needs: tuple[str, ...] = ()

    @property
    def sent_as(self) -> str:
        """The media type, with its parameters."""
        return self.media_type + self.parameters


def offered(formats: Iterable[Format]) -> tuple[Format, ...]:
    """The formats that can be written here: those whose packages are installed.

    Parameters
    ----------
    formats : iterable of Format

    Returns
    -------
    tuple of Format

    Examples
    --------
    >>> offered([Format("text/x", bytes), Format("text/y", bytes, needs=("no_such_package",))])[0].media_type
    'text/x'
    """
    return tuple(one for one in formats if all(map(_is_installed, one.needs)))


@cache
def _is_installed(package: str) -> bool:
    return find_spec(package) is not None


def chosen(asked: Asked, formats: Iterable[Format]) -> Format:
    """The format of an answer.

    Parameters
    ----------
    asked : Asked
        Its parameter ``format`` is a name or a media type; the header ``Accept`` says several.
    formats : iterable of Format
        The first is given to who takes anything.

    Returns
    -------
    Format

    Raises
    ------
    NoSuchFormat
        When there is none that the caller takes.
    """
    there = tuple(formats)
    named = _by_name(there)
    asked_for = asked.params.one("format")
    wanted = [asked_for.strip()] if asked_for else _accepted(asked.accept)
    for one in wanted:
        if one in named:
            return named[one]
        if one in ("*/*", ""):
            return there[0]
        if one.endswith("/*"):
            for found in there:
                if found.media_type.startswith(one[:-1]):
                    return found
    near = nearest(wanted[0], named) if wanted else []
    hint = f"; did you mean {listed(near)}?" if near else ""
    raise NoSuchFormat(
        f"this cannot be sent as {', '.join(wanted)!r:.200}, but as {listed(f.media_type for f in there)}{hint}"
    )


def _by_name(formats: Iterable[Format]) -> Mapping[str, Format]:
    found: dict[str, Format] = {}
    for one in formats:
        for name in (one.media_type, *one.aliases):
            found.setdefault(name, one)
    return found


def _accepted(accept: str) -> list[str]:
    """The media types in a header, the most wanted first."""
    weights = weighed(accept or "*/*")
    return sorted((one for one, weight in weights.items() if weight > 0), key=lambda one: -weights[one])


def weighed(header: str) -> dict[str, float]:
    """What a header says that the caller takes, in its order, each with how much it is wanted.

    Parameters
    ----------
    header : str
        ``Accept`` and the like.

    Returns
    -------
    dict
        A weight from 0, which is not at all, to 1.

    Examples
    --------
    >>> weighed("text/csv;q=0.5, */*;q=0.1, application/json")
    {'text/csv': 0.5, '*/*': 0.1, 'application/json': 1.0}
    """
    found: dict[str, float] = {}
    for part in header.split(",", 100)[:100]:
        name, *parameters = (piece.strip() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                try:
                    weight = min(max(float(value), 0.0), 1.0)
                except ValueError:
                    weight = 0.0
        found.setdefault(name, weight if weight == weight else 0.0)
    return found
