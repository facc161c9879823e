"""The root map of a catalog: recorded root -> where the files are now."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from databroker_like.errors import Invalid, WrongType

__all__ = ["absolute_root_map"]


def absolute_root_map(root_map: Mapping[str, Any] | None, catalog_dir: str | None) -> dict[str, str]:
    """A root map whose values are full paths.

    Parameters
    ----------
    root_map : mapping or None
        Recorded root -> where the files are now.
    catalog_dir : str or None
        The folder of the catalog file it stands in, to which its values may be relative.

    Returns
    -------
    dict

    Raises
    ------
    Invalid
        When a value is relative and there is no catalog file.
    WrongType
        When it maps no texts.

    Examples
    --------
    >>> absolute_root_map({"/old": "data"}, "/catalogs")
    {'/old': '/catalogs/data'}
    """
    if root_map is not None and not isinstance(root_map, Mapping):
        raise WrongType(f"root_map maps recorded roots to where they are now; it cannot be {root_map!r}")
    found = {}
    for recorded, now in (root_map or {}).items():
        if not isinstance(now, str | os.PathLike):
            raise WrongType(f"root_map[{recorded!r}] is a folder, as text; it cannot be {now!r}")
        path = Path(now)
        if not path.is_absolute():
            if not catalog_dir:
                raise Invalid(
                    f"root_map[{recorded!r}] is the relative path {str(now)!r}; it may be relative only in a catalog "
                    "that comes from a YAML file, whose folder it is then relative to; write the full path"
                )
            path = Path(os.path.normpath(Path(str(catalog_dir).removeprefix("file://"), now)))
        found[str(recorded)] = str(path)
    return found
