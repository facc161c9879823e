"""Numbered files that are no array together: a container of them, each a node by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any

from databroker_like.errors import DatabrokerError
from databroker_like.nodes._broken import BrokenNode
from databroker_like.nodes._node import Node
from databroker_like.nodes.files._formats import keys_of
from databroker_like.nodes.files._listed import ListedNode
from databroker_like.nodes.files._pictures import PICTURES, picture_node
from databroker_like.nodes.files._place import Place, Stamp, lasting

__all__ = ["NumberedNode", "fit_together", "some_of"]

#: The headers of so many files are looked at; of more files, of some between the first and the last.
_MOST_LOOKED_AT = 100


def some_of(places: Sequence[Place]) -> list[Place]:
    """Those of numbered files that are looked at to tell whether they are an array together.

    Parameters
    ----------
    places : sequence of Place

    Returns
    -------
    list of Place
        All when they are few; always the first and the last.
    """
    last = len(places) - 1
    if last < _MOST_LOOKED_AT:
        return list(places)
    return [places[at * last // (_MOST_LOOKED_AT - 1)] for at in range(_MOST_LOOKED_AT)]


def fit_together(places: Sequence[Place], form: str) -> bool:
    """Whether files are an array together: one after the other has the shape of the first, and a type like it.

    One that cannot be read says nothing of the others: it may still be being written.

    Parameters
    ----------
    places : sequence of Place
        As `some_of` gives them.
    form : str
        A key of `PICTURES`.

    Returns
    -------
    bool
    """
    import numpy as np

    if len(places) == 1:
        return True
    first = _looks_of(places[0], form)
    if first is None:
        return False
    shape, dtype = first
    others = (_looks_of(place, form) for place in places[1:])
    return all(one is None or (one[0] == shape and np.can_cast(one[1], dtype, "safe")) for one in others)


def _looks_of(place: Place, form: str) -> tuple[tuple[int, ...], Any] | None:
    """The shape and the type of what is in a file, as its header says; None when it cannot be read."""
    reader, _, what = PICTURES[form]

    def looked() -> tuple[tuple[int, ...], Any] | None:
        try:
            with place.border(what):
                info = reader(place.path).info
        except DatabrokerError:
            return None
        return info.shape, info.dtype

    return place.served.headers.remembered(place.name, place.quick_stamp(), looked)


class NumberedNode(ListedNode):
    """Numbered files of several shapes, each a node by itself.

    Parameters
    ----------
    folder : Place
    names : tuple of str
        By their numbers.
    form : str
        A key of `PICTURES`.
    """

    def __init__(self, folder: Place, names: tuple[str, ...], form: str) -> None:
        self._folder = folder
        self._names = names
        self._form = form

    @property
    def metadata(self) -> Mapping[str, Any]:
        return MappingProxyType({})

    @cached_property
    def _by_key(self) -> Mapping[str, str]:
        """Key -> name."""
        return dict(zip(keys_of([(name.rpartition(".")[0], name) for name in self._names]), self._names, strict=True))

    def _all_keys(self) -> Sequence[str]:
        return list(self._by_key)

    def _node(self, key: str) -> Node | None:
        name = self._by_key.get(key)
        place = None if name is None else self._folder.inside(name)
        stamp = None if place is None else place.stamp()
        if place is None or stamp is None:
            return None
        return place.served.remembered((place.name, self._form), stamp, lambda: _one(place, self._form, stamp))


def _one(place: Place, form: str, stamp: Stamp) -> Node:
    try:
        return picture_node(place, form)
    except DatabrokerError as error:
        return BrokenNode(error, version=lasting(stamp))
