"""The doors that a server opens: what lies at a path, as a tree, and the application that serves it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.errors import Invalid, MissingFile, listed, nearest
from databroker_like.nodes import ContainerNode
from databroker_like.nodes.catalogs import CatalogNode
from databroker_like.nodes.files import FolderNode
from databroker_like.nodes.runs import RunsNode
from databroker_like.tree import build_app

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from databroker_like.service import Settings

__all__ = ["open_app", "open_root"]

_YAML = (".yml", ".yaml")
#: The file by which a folder is known to be a store.
_DATABASE = "store.db"


@contextmanager
def open_root(path: str | os.PathLike[str]) -> Iterator[ContainerNode]:
    """What lies at a path, as a tree for reading; it is closed at the end.

    Parameters
    ----------
    path : str or path
        The folder of an embedded store, which becomes a catalog of runs; a catalog YAML file, of which each source
        is a node; or a folder of data files, each of which is one. Opening a catalog file runs the code that its author
        names in it.

    Returns
    -------
    context manager of ContainerNode

    Raises
    ------
    MissingFile
        When there is nothing at the path.
    Invalid
        When there is something else.
    InvalidFile, InvalidCatalog
        When the store or the catalog file cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> store = BlueskyEmbeddedCatalog(folder)
    >>> store.insert("start", {"uid": "41fb8ca9", "time": 1700000000.0})
    >>> with open_root(folder) as root:
    ...     list(root.keys())
    ['41fb8ca9']
    >>> store.close()
    """
    place = Path(os.path.abspath(os.path.expanduser(os.fspath(path))))
    if not place.exists():
        raise _missing(place)
    if (place / _DATABASE).is_file():
        with closing(BlueskyEmbeddedCatalog(place, read_only=True)) as catalog:
            # What is wrong with it is told now, and not to whoever asks first.
            catalog.store.check_version()
            yield RunsNode(catalog)
    elif place.is_file() and place.suffix.lower() in _YAML:
        with CatalogNode.of_file(place) as tree:
            yield tree
    elif place.is_dir():
        with closing(FolderNode(place)) as folder:
            yield folder
    else:
        raise Invalid(
            f"{place} is neither the folder of a store or of data files nor a catalog YAML file (.yml, .yaml)"
        )


def open_app(
    root: ContainerNode, *, api_key: str | None = None, public: bool = False, settings: Settings | None = None
) -> Starlette:
    """The application that serves a tree by the Tiled protocol.

    Parameters
    ----------
    root, api_key, public, settings
        As of `databroker_like.tree.build_app`.

    Returns
    -------
    starlette.applications.Starlette
    """
    return build_app(root, api_key=api_key, public=public, settings=settings)


def _missing(place: Path) -> MissingFile:
    folder = place.parent
    if not folder.is_dir():
        return MissingFile(f"there is nothing at {place}: there is no folder {folder}")
    there = os.listdir(folder)
    near = nearest(place.name, there)
    return MissingFile(f"there is nothing at {place}; {folder} has {listed(near or there)}")
