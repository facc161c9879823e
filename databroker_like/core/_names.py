"""Names for external data, made of everything that decides its values, so that nothing else is taken for it."""

from __future__ import annotations

import functools
import hashlib
import os
import sys
import types
import uuid
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

from databroker_like.core._datums import DatumTable
from databroker_like.core._filler import HandlerOpener
from databroker_like.core._handlers import LazyHandler
from databroker_like.errors import DatabrokerError
from databroker_like.files._lazy import file_stamp

__all__ = ["callable_name", "external_name"]

Doc = Mapping[str, Any]

#: The datums of at most so many resources are looked at for a name; above that their ids, which are unique, stand
#: for them.
RESOURCES_LOOKED_INTO = 100

#: The files of one resource are looked at one by one up to this number; above it a name is given out once only.
FILES_LOOKED_AT = 10_000


def external_name(datum_ids: Sequence[str], table: DatumTable, opener: HandlerOpener) -> str:
    """A name for the values that datums stand for, as they are now.

    Parameters
    ----------
    datum_ids : sequence of str
        One to an event.
    table : DatumTable
    opener : HandlerOpener

    Returns
    -------
    str
        The same in every process for the same datums, resource documents (transformed), root map, handlers and
        files; another when one of them is another. Files are told apart by path, size and time of change. What
        cannot be told apart, such as a handler that does not pickle, is given a name that never comes again.
    """
    from dask.tokenize import tokenize

    folders = _Folders()
    found = table.resources_of(datum_ids)
    parts: list[Any] = []
    for uid, resource in found.items():
        if resource is None:
            parts.append((uid, None))
            continue
        keywords = table.keywords(uid) if len(found) <= RESOURCES_LOOKED_INTO else None
        parts.append((uid, dict(resource), keywords, *_reader(resource, opener, folders)))
    return str(tokenize(_digest(map(str, datum_ids)), parts))


def _reader(resource: Doc, opener: HandlerOpener, folders: _Folders) -> tuple[Any, ...]:
    """The handler, the path and the state of the files of a resource."""
    try:
        handler = callable_name(opener.handler_class(resource))
        path, _ = opener.locate(resource)
    except DatabrokerError as error:
        # Reading says so; here it is one more thing that a name can be made of.
        return (type(error).__name__, str(error))
    return (handler, path, folders.state(path))


def callable_name(value: Any) -> str:
    """A name for a class or a function: its dotted path, where that leads to it; else a digest of its pickle.

    Parameters
    ----------
    value : callable

    Returns
    -------
    str

    Examples
    --------
    >>> from fractions import Fraction
    >>> callable_name(Fraction)
    'fractions.Fraction'
    >>> callable_name(lambda: 1) == callable_name(lambda: 2)
    False
    """
    if isinstance(value, LazyHandler):
        value = value.resolve()
    if isinstance(value, functools.partial):
        from dask.tokenize import tokenize

        return str(tokenize(callable_name(value.func), value.args, value.keywords))
    if isinstance(value, type | types.FunctionType):
        module, name = value.__module__, value.__qualname__
        # What was typed into a session, or made in a function, may be another thing tomorrow under the same name.
        if module != "__main__" and _found(module, name) is value:
            return f"{module}.{name}"
    import cloudpickle

    try:
        return hashlib.sha256(cloudpickle.dumps(value)).hexdigest()
    except Exception:  # noqa: BLE001  whatever somebody's object raises: it cannot be told from another
        return uuid.uuid4().hex


def _found(module: str, name: str) -> Any:
    found = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


class _Folders:
    """The state of files; a folder is listed once for all the resources that lie in it."""

    def __init__(self) -> None:
        self._names: dict[str, list[str]] = {}

    def state(self, path: str) -> Any:
        """Size and time of change of a file, of all files in a folder, or of all whose paths begin like this."""
        if os.path.isfile(path):
            return file_stamp(path)
        if os.path.isdir(path):
            paths = [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names]
        else:
            # A handler of numbered files is handed what their names begin with.
            folder, prefix = os.path.split(path)
            names = self._listed(folder)
            paths = []
            for name in names[bisect_left(names, prefix) :]:
                if not name.startswith(prefix):
                    break
                paths.append(os.path.join(folder, name))
        if len(paths) > FILES_LOOKED_AT:
            return uuid.uuid4().hex
        return sorted((found, *file_stamp(found)) for found in paths)

    def _listed(self, folder: str) -> list[str]:
        if folder not in self._names:
            try:
                self._names[folder] = sorted(os.listdir(folder or os.curdir))
            except OSError:
                self._names[folder] = []
        return self._names[folder]


def _digest(texts: Any) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()
