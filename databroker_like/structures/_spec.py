"""What kind of data a node has, and what it promises to be."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from databroker_like.structures._json import Json, taken

__all__ = ["Spec", "StructureFamily"]


class StructureFamily(StrEnum):
    """What kind of data a node has."""

    array = "array"
    awkward = "awkward"
    container = "container"
    ragged = "ragged"
    sparse = "sparse"
    table = "table"


@dataclass(frozen=True, slots=True)
class Spec:
    """What a node promises to be.

    Parameters
    ----------
    name : str
    version : str, optional

    Examples
    --------
    >>> Spec("BlueskyRun", "3.0").to_json()
    {'name': 'BlueskyRun', 'version': '3.0'}
    """

    name: str
    version: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As on the wire."""
        return {"name": self.name, "version": self.version}

    @classmethod
    def from_json(cls, obj: Json | str) -> Spec:
        """From the wire; a name alone will do.

        Parameters
        ----------
        obj : mapping or str

        Returns
        -------
        Spec

        Raises
        ------
        Invalid
            When it is none.
        """
        if isinstance(obj, str):
            return cls(obj)
        return cls(taken(obj, "name", "spec", str), taken(obj, "version", "spec", str, None))
