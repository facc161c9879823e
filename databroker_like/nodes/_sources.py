"""Where the data of a node lies: files, and what they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Asset", "DataSource"]


@dataclass(frozen=True)
class Asset:
    """A file or a folder in which data of a node lies.

    Parameters
    ----------
    path : Path
        Where it is on this machine; callers over a wire are never told.
    name : str
        What callers are told: the path inside what is served, with ``/`` between its parts.
    is_directory : bool
        False by default.
    parameter : str, optional
        For what the reader of the format takes it; ``"data_uris"`` by default.
    num : int, optional
        Its position, where there are several for the same.

    Examples
    --------
    >>> Asset(Path("images/a.tif"), "images/a.tif").name
    'images/a.tif'
    """

    path: Path
    name: str
    is_directory: bool = False
    parameter: str | None = "data_uris"
    num: int | None = None


@dataclass(frozen=True)
class DataSource:
    """What the data of a node was read from.

    Parameters
    ----------
    media_type : str
        Of the files.
    assets : tuple of Asset
        Those files; the position of each, from 1 on, is the number by which callers ask for it.
    parameters : mapping
        What else the reader of the format is told, such as the dataset in a file.
    """

    media_type: str
    assets: tuple[Asset, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
