"""Where external files lie: roots, URIs, and what root_map makes of them."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple
from urllib.parse import unquote

from databroker_like.errors import InvalidFile, MissingFile

__all__ = ["AssetPath", "explaining", "file_uri_to_path", "missing_file", "resolve_path", "resolve_uri"]

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


class AssetPath(NamedTuple):
    """A path and how it was come by.

    Parameters
    ----------
    path : str
        Where the file should be.
    touched : bool
        Whether root_map changed it.
    root : str
        The root as the document has it; for a URI, the part that root_map replaced, or nothing.
    """

    path: str
    touched: bool
    root: str = ""


def resolve_path(root: str, resource_path: str, root_map: Mapping[str, str] | None = None) -> tuple[str, bool]:
    """The path of a resource document's file.

    Parameters
    ----------
    root : str
        As the document has it; may be empty.
    resource_path : str
        Relative to the root, or absolute.
    root_map : mapping, optional
        Replaces a root that is a key of it, letter by letter.

    Returns
    -------
    tuple of (str, bool)
        The path, and whether root_map touched it.

    Raises
    ------
    InvalidFile
        When a document with a root leads out of it, by ``..`` or by another absolute path. ``..`` that stays inside
        is allowed, and so is any path without a root.

    Examples
    --------
    >>> resolve_path("/data", "2020/a.h5", {"/data": "/mnt/archive"})
    ('/mnt/archive/2020/a.h5', True)
    """
    mapped = os.fspath((root_map or {}).get(root, root))
    touched = mapped != root
    if not mapped:
        return os.fspath(resource_path), touched
    base = os.path.expanduser(mapped)
    relative = resource_path
    if touched and os.path.isabs(resource_path) and root and _inside(resource_path, root):
        # An absolute path below the old root moves along with it.
        relative = os.path.relpath(resource_path, root)
    path = os.path.join(base, relative)
    if not _inside(path, base):
        raise InvalidFile(
            f"the resource path {resource_path!r} leads out of its root {root!r}"
            + (f" (mapped to {mapped!r} by root_map)" if touched else "")
            + "; a document may only refer to files below its root: mend its root with a transform"
        )
    return path, touched


def _inside(path: str, folder: str) -> bool:
    path, folder = os.path.normpath(path), os.path.normpath(folder)
    if folder == os.curdir:
        return not os.path.isabs(path) and path.split(os.sep)[0] != os.pardir
    return path == folder or path.startswith(folder if folder.endswith(os.sep) else folder + os.sep)


def file_uri_to_path(uri: str) -> str:
    """The path that a ``file:`` URI stands for.

    Parameters
    ----------
    uri : str
        ``file://localhost/data/a.h5``, ``file:///data/a.h5``, ``file:/data/a.h5``, with percent-encoding; or a plain
        absolute path, which is returned as it is.

    Returns
    -------
    str

    Raises
    ------
    InvalidFile
        For another scheme, or another host than localhost.

    Examples
    --------
    >>> file_uri_to_path("file://localhost/data/my%20scan/a.h5")
    '/data/my scan/a.h5'
    """
    if os.path.isabs(uri):
        return uri
    if not uri.lower().startswith("file:"):
        scheme = _SCHEME.match(uri)
        what = f"has the scheme {scheme.group()[:-1]!r}" if scheme else "is no URI"
        raise InvalidFile(f"{uri!r} {what}; only files can be read: file://localhost/path/to/file")
    rest = uri[len("file:") :]
    if not rest.startswith("//"):
        path = rest
    else:
        host, slash, path = rest[2:].partition("/")
        if host.lower() not in ("", "localhost"):
            raise InvalidFile(
                f"{uri!r} lies on the host {host!r}; mount it here, and give its path with a transform on "
                "stream_resource documents: file://localhost/path/to/file"
            )
        path = slash + path
    # A '?' or '#' is part of a file's name here, whatever it means elsewhere in URIs.
    path = unquote(path)
    if not path.startswith("/") or "\0" in path:
        raise InvalidFile(f"{uri!r} has no absolute path; write it as file://localhost/path/to/file")
    return path


def resolve_uri(uri: str, root_map: Mapping[str, str] | None = None) -> AssetPath:
    """The path of a stream resource's file.

    Parameters
    ----------
    uri : str
        As `file_uri_to_path` takes it.
    root_map : mapping, optional
        Replaces the longest beginning of the path, of whole folder names, that is a key of it.

    Returns
    -------
    AssetPath

    Examples
    --------
    >>> resolve_uri("file://localhost/data/2020/a.h5", {"/data": "/mnt/archive", "/dat": "/nowhere"}).path
    '/mnt/archive/2020/a.h5'
    """
    path = file_uri_to_path(uri)
    best = ""
    for root in root_map or {}:
        trimmed = root.rstrip("/") or "/"
        if root and len(root) > len(best) and _inside(path, trimmed):
            best = root
    if not best:
        return AssetPath(path, False, "")
    assert root_map is not None
    # Only whole names are replaced, and what follows, a last '/' too, stays as it is.
    rest = path[len(best.rstrip("/")) :].lstrip("/")
    new = os.path.join(os.path.expanduser(os.fspath(root_map[best])), rest) if rest else os.fspath(root_map[best])
    return AssetPath(new, new != path, best)


def missing_file(path: str, root: str, touched: bool, *, reason: str = "") -> MissingFile:
    """The error for an external file that is not there.

    Parameters
    ----------
    path : str
        Where it was looked for.
    root : str
        The root of the document; may be empty.
    touched : bool
        Whether root_map changed it.
    reason : str
        What else is known.

    Returns
    -------
    MissingFile
        To be raised.

    Examples
    --------
    >>> print(missing_file("/mnt/a.h5", "/data", True))
    there is no file '/mnt/a.h5'; its root '/data' was changed by root_map
    """
    if touched:
        mapped = f"its root {root!r} was changed by root_map"
    elif root:
        mapped = f"its root {root!r} was not changed by root_map; if the files moved, give root_map={{{root!r}: ...}}"
    else:
        folder = os.path.dirname(path) or path
        mapped = f"it was not changed by root_map; if the files moved, give root_map={{{folder!r}: ...}}"
    error = MissingFile(f"there is no file {path!r}{f' ({reason})' if reason else ''}; {mapped}")
    error.filename = path
    return error


@contextlib.contextmanager
def explaining(root: str, touched: bool) -> Iterator[None]:
    """Say of a file found missing inside this block what root_map did to it.

    Parameters
    ----------
    root : str
    touched : bool

    Raises
    ------
    MissingFile
        With the path as it was looked for, the root, and whether root_map touched it.
    """
    try:
        yield
    except MissingFile as error:
        raise missing_file(error.filename or str(error), root, touched) from error
