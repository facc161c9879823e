"""One request with no web framework in it, and what it is answered with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote_to_bytes

from databroker_like.errors import InvalidRequest, NotFound, listed
from databroker_like.nodes import BrokenNode, ContainerNode, Node, find
from databroker_like.service import Hold, Settings
from databroker_like.tree._parameters import Parameter
from databroker_like.utils._once import once

__all__ = ["Asked", "Params", "Reply", "segments_of"]

_TRUE, _FALSE = frozenset({"true", "1", "yes", "on"}), frozenset({"false", "0", "no", "off"})
#: Keys in one another; a path with more leads nowhere.
_DEEPEST_PATH = 256


def segments_of(raw_path: bytes) -> tuple[str, ...]:
    """The keys in a path as it stands in a URL: decoded one by one, so that ``%2F`` may stand in a key.

    Parameters
    ----------
    raw_path : bytes

    Returns
    -------
    tuple of str
        Empty ones are left out: ``a//b`` is ``a/b``.

    Raises
    ------
    InvalidRequest
        When it is no UTF-8, or very deep.

    Examples
    --------
    >>> segments_of(b"a//b%2Fc/")
    ('a', 'b/c')
    """
    parts = [part for part in raw_path.split(b"/") if part]
    if len(parts) > _DEEPEST_PATH:
        raise InvalidRequest(f"a path has no more than {_DEEPEST_PATH} keys, and this one has {len(parts)}")
    try:
        return tuple(unquote_to_bytes(part).decode() for part in parts)
    except UnicodeDecodeError:
        raise InvalidRequest("the path in the URL is not UTF-8") from None


class Params:
    """The parameters of a URL, of which any may be given several times.

    Parameters
    ----------
    pairs : iterable of (str, str)

    Examples
    --------
    >>> params = Params([("fields", "metadata"), ("fields", "specs"), ("page[limit]", "5")])
    >>> params.many("fields"), params.number("page[limit]", 100, 1, 300)
    (['metadata', 'specs'], 5)
    """

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for key, value in pairs:
            self._values.setdefault(key, []).append(value)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def many(self, name: str) -> list[str]:
        """All values of a parameter; none when it is not given."""
        return self._values.get(name, [])

    def one(self, name: str) -> str | None:
        """The value of a parameter that has one at the most.

        Raises
        ------
        InvalidRequest
            When it is given several times with different values.
        """
        values = self.many(name)
        if len(set(values)) > 1:
            raise InvalidRequest(f"{name!r} is given {len(values)} times; it has one value")
        return values[0] if values else None

    def number(self, name: str, default: int | None, least: int, most: int) -> int:
        """A whole number.

        Parameters
        ----------
        name : str
        default : int or None
            None makes it an error that it is not given.
        least, most : int
            What it may be.

        Returns
        -------
        int

        Raises
        ------
        InvalidRequest
            When it is none such.
        """
        text = self.one(name)
        if text is None:
            if default is None:
                raise InvalidRequest(f"the parameter {name!r} is needed: a number from {least}")
            return default
        if not (text.isascii() and text.removeprefix("-").isdigit()) or len(text) > 20:
            raise InvalidRequest(f"{name!r} is a whole number, not {text!r:.60}")
        found = int(text)
        if not least <= found <= most:
            raise InvalidRequest(f"{name!r} is a number from {least} to {most}, not {found}")
        return found

    def whole(self, parameter: Parameter) -> int | None:
        """A whole number, as a parameter says what it may be; its default when it is not given.

        Raises
        ------
        InvalidRequest
            When it is none such.
        """
        if parameter.name not in self._values and not parameter.required:
            return parameter.schema.get("default")
        return self.number(parameter.name, None, parameter.schema["minimum"], parameter.schema["maximum"])

    def flag(self, name: str, default: bool = False) -> bool:
        """True or false.

        Raises
        ------
        InvalidRequest
            When it is neither.
        """
        text = self.one(name)
        if text is None:
            return default
        if text.lower() in _TRUE:
            return True
        if text.lower() in _FALSE:
            return False
        raise InvalidRequest(f"{name!r} is true or false, not {text!r:.60}")


@dataclass(frozen=True)
class Asked:
    """One request for reading.

    Parameters
    ----------
    root : ContainerNode
        The tree that is served.
    settings : Settings
    segments : tuple of str
        The path in the tree.
    params : Params
    accept : str
        The media types that the caller takes, as in the header of HTTP.
    base : str
        The URL under which the routes are, without a slash at its end.
    body : object, optional
        What the caller sent as JSON; None when nothing was sent.
    root_path : str
        The path under which the service was reached; ``"/"`` by default.
    part : str, optional
        The bytes of a file that are wanted, as the header ``Range`` has it.
    part_if : str, optional
        The tag of the file of which a part is wanted, as the header ``If-Range`` has it.
    has : str, optional
        The tags of what the caller has already, as the header ``If-None-Match`` has them.
    hold : Hold, optional
        What the answer holds until it is sent.
    revision : int, optional
        At which the run is looked into on the way to the node; as it is now by default.
    """

    root: ContainerNode
    settings: Settings
    segments: tuple[str, ...]
    params: Params
    accept: str
    base: str
    body: Any = None
    root_path: str = "/"
    part: str | None = None
    part_if: str | None = None
    has: str | None = None
    hold: Hold | None = None
    revision: int | None = None

    def reserve(self, nbytes: int) -> None:
        """See that there is room for the data of the answer before it is read.

        Parameters
        ----------
        nbytes : int

        Raises
        ------
        Unreachable
            When answers to others take all there is.
        """
        if self.hold is not None:
            self.hold.reserve(nbytes)

    @once
    def node(self) -> Node:
        """The node that the path leads to; NotFound when there is none."""
        return find(self.root, self.segments, self.revision)

    def node_of(self, *kinds: Any) -> Any:
        """The node that the path leads to, if it is of one of these kinds.

        Raises
        ------
        NotFound
            When there is none, or it is of another kind.
        DatabrokerError
            When nobody can tell of which kind it is, for it cannot be read: what kept it from being read.
        """
        if isinstance(self.node, BrokenNode) and not isinstance(self.node, kinds):
            raise self.node.error
        if not isinstance(self.node, kinds):
            wanted = listed(kind.structure_family.value for kind in kinds)
            where = "/".join(self.segments) or "the root"
            raise NotFound(
                f"{where!r:.300} is of the structure family {self.node.structure_family.value!r}; this is for {wanted}"
            )
        return self.node


@dataclass(frozen=True)
class Reply:
    """What a request is answered with.

    Parameters
    ----------
    content : bytes, or iterator of bytes
        An iterator is sent piece by piece.
    media_type : str
        Exactly as it is sent.
    headers : mapping, optional
    status : int
        200 by default.
    """

    content: bytes | memoryview | Iterator[bytes | memoryview]
    media_type: str
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200

    def with_headers(self, more: Mapping[str, str]) -> Reply:
        """The same with more headers.

        Parameters
        ----------
        more : mapping

        Returns
        -------
        Reply
        """
        return replace(self, headers={**self.headers, **more})
