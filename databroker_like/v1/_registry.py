"""Registry: the handlers, the root map and the external files of a catalog, as ``db.reg``."""

from __future__ import annotations

import contextlib
import filecmp
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from databroker_like.core._filler import opener_of
from databroker_like.errors import Conflict, Invalid, InvalidDocument, MissingFile

__all__ = ["Registry"]


class Registry:
    """The handlers, the root map and the external files of a catalog.

    Parameters
    ----------
    catalog : databroker_like.v2.Broker
    """

    def __init__(self, catalog: Any) -> None:
        self._catalog = catalog

    @property
    def handler_reg(self) -> Mapping[str, Any]:
        """Spec -> handler class."""
        return self._catalog.handler_registry

    @property
    def root_map(self) -> dict[str, str]:
        """Recorded root -> where the files are now; change it in place."""
        return self._catalog.root_map

    def register_handler(self, key: str, handler: Any, overwrite: bool = False) -> None:
        """Use a handler for a spec from now on.

        Parameters
        ----------
        key : str
            The spec.
        handler : type or str
        overwrite : bool
            Put it in the place of another one; False by default.

        Raises
        ------
        DuplicateHandler
            When another handler is registered for it and ``overwrite`` is False.
        """
        self._catalog.register_handler(key, handler, overwrite=overwrite)

    def deregister_handler(self, key: str) -> None:
        """Forget the handler of a spec.

        Parameters
        ----------
        key : str
        """
        self._catalog.deregister_handler(key)

    def copy_files(
        self,
        resource: Mapping[str, Any],
        new_root: str | os.PathLike[str],
        verify: bool = False,
        file_rename_hook: Callable[[int, int, str, str], Any] | None = None,
        run_start_uid: str | None = None,
    ) -> list[tuple[str, str]]:
        """Copy the files of a resource into another folder.

        A file lies under the new root as it lies under the root of the resource. One that is there already and is
        the same is left; nothing is put in the place of one that is not. No document changes.

        Parameters
        ----------
        resource : mapping
            A resource document, whose handler has a method ``get_file_list``.
        new_root : str or path
        verify : bool
            Compare each file with its copy, byte by byte; False by default.
        file_rename_hook : callable, optional
            ``(file_counter, total_number, old_name, new_name)``, called for each file. What it raises becomes a
            warning.
        run_start_uid : str, optional
            The run of a resource that does not name its own.

        Returns
        -------
        list of (old path, new path)

        Raises
        ------
        InvalidDocument
            When a file does not lie under the root of the resource, or the resource names no run.
        Conflict
            When there is another file in the place of one, or a copy is not what was copied.
        MissingFile
            When a file is not there.
        """
        run_uid = run_start_uid or resource.get("run_start")
        if run_uid is None:
            raise InvalidDocument(
                f"the resource {resource.get('uid')!r} does not say whose run it is; name the run with run_start_uid="
            )
        run = self._catalog[run_uid]
        root = self._root(run, resource)
        pairs = []
        for old in run.get_file_list(resource):
            inside = os.path.relpath(os.path.abspath(old), root)
            if inside == os.pardir or inside.startswith(os.pardir + os.sep) or os.path.isabs(inside):
                raise InvalidDocument(
                    f"the file {old!r} of resource {resource.get('uid')!r} does not lie under its root {root!r}, "
                    "and so it has no place under another"
                )
            pairs.append((str(old), os.path.join(os.path.abspath(os.fspath(new_root)), inside)))
        pairs = list(dict.fromkeys(pairs))
        for counter, (old, new) in enumerate(pairs):
            if file_rename_hook is not None:
                _tell(file_rename_hook, counter, len(pairs), old, new)
            _copy(old, new, verify=verify)
        return pairs

    def _root(self, run: Any, resource: Mapping[str, Any]) -> str:
        """The root of a resource as it is now."""
        opener = opener_of(run.source.get_filler)
        root_map = self.root_map if opener is None else opener.root_map
        root = resource.get("root") or ""
        now = root_map.get(root, root)
        if not now:
            raise Invalid(
                f"the resource {resource.get('uid')!r} has no root, and so its files have no place under another one; "
                "a transform of the resource can give it one"
            )
        return os.path.abspath(now)


def _tell(hook: Callable[..., Any], *args: Any) -> None:
    try:
        hook(*args)
    except Exception as error:  # noqa: BLE001  (a hook is somebody's own, and the files are copied whatever it does)
        warnings.warn(f"file_rename_hook raised {type(error).__name__}: {error}", UserWarning, stacklevel=4)


def _copy(old: str, new: str, *, verify: bool) -> None:
    if os.path.exists(new):
        if _same(old, new):
            return
        raise Conflict(f"there is another file in the place of {new!r}, where {old!r} was to be copied; move it away")
    folder = Path(new).parent
    folder.mkdir(parents=True, exist_ok=True)
    # Whoever looks sees the whole file or none.
    handle, half = tempfile.mkstemp(prefix=".", suffix=".part", dir=folder)
    os.close(handle)
    try:
        try:
            shutil.copy2(old, half)
        except FileNotFoundError as error:
            raise MissingFile(f"the file {old!r} is not there; root_map says where files are now") from error
        if verify and not _same(old, half):
            raise Conflict(f"the copy of {old!r} is not what was copied; is the disk full, or being written to?")
        os.replace(half, new)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(half)


def _same(one: str, other: str) -> bool:
    return os.path.exists(one) and filecmp.cmp(one, other, shallow=False)
