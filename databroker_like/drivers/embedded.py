"""The catalog of runs in an embedded store."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from databroker_like.core._collection import RunCollection
from databroker_like.core._lookup import both
from databroker_like.core._sink import RunSink
from databroker_like.errors import Invalid, NoSuchRun, WrongType, listed
from databroker_like.queries import Everything, Lte
from databroker_like.store._collection import StoreCollection
from databroker_like.store._recording import StoreSink
from databroker_like.store._store import Store
from databroker_like.v2 import Broker

__all__ = ["BlueskyEmbeddedCatalog"]


class BlueskyEmbeddedCatalog(Broker):
    """Runs in a store of their own: a folder with a database and data files, with nothing to install.

    It records, ``RE.subscribe(catalog.insert)``, while any number of processes read; searches are answered from an
    index on every key.

    Parameters
    ----------
    path : str or path
        The folder of the store; it is made when the first run is recorded. With ``database`` and ``data`` both given
        it is not needed.
    database : str, optional
        A PostgreSQL database in the place of the one in the folder, as ``postgresql+psycopg://user@host/name``.
    data : str, optional
        Another place for the data files: a folder, or one in an object store, such as ``s3://bucket/prefix``.
    data_options : dict, optional
        What fsspec needs to reach that place. In the YAML of a catalog, its secrets and the password in ``database``
        are taken from the environment: ``DATA_SECRET``, ``DATABASE_PASSWORD``.
    fsync : {"stop", "event", "never"}
        What is recorded survives the death of the process in any case; whether it is also forced to the disk, against
        a power cut: with each stop document (the default), with each document, or when the system sees fit.
    read_only : bool
        Whether nothing may be written; False by default.
    handler_registry : dict, optional
        Spec -> handler class, or the dotted path of one.
    root_map : dict, optional
        The ``root`` of external files as recorded -> where they are now.
    filler_class : type or str, optional
        ``event_model.Filler`` by default.
    query : dict, optional
        Only the runs whose start document matches; all by default.
    transforms : dict, optional
        ``"start"``, ``"stop"``, ``"resource"``, ``"descriptor"`` -> function that mends such a document.
    **kwargs
        What every intake catalog takes: ``name``, ``description``, ``metadata``, ...

    Examples
    --------
    >>> import tempfile
    >>> catalog = BlueskyEmbeddedCatalog(tempfile.mkdtemp())
    >>> catalog.insert("start", {"uid": "41fb8ca9", "time": 1700000000.0, "scan_id": 1, "sample": "gold"})
    >>> list(catalog.search({"sample": "gold"}))
    ['41fb8ca9']
    >>> catalog.close()
    """

    name = "bluesky-embedded-catalog"

    def __init__(
        self,
        path: str | os.PathLike[str] = "",
        *,
        database: str | None = None,
        data: str | None = None,
        data_options: dict[str, Any] | None = None,
        fsync: str = "stop",
        read_only: bool = False,
        handler_registry: Mapping[str, Any] | None = None,
        root_map: Mapping[str, str] | None = None,
        filler_class: Any = "event_model.Filler",
        query: Any = None,
        transforms: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        folder = _folder(path)
        if not isinstance(read_only, bool):
            raise WrongType(f"read_only is true or false, not {read_only!r}")
        self.store = Store(
            folder, database=database, data=data, data_options=data_options, fsync=fsync, read_only=read_only
        )
        super().__init__(
            handler_registry=handler_registry,
            root_map=root_map,
            filler_class=filler_class,
            query=query,
            transforms=transforms,
            **kwargs,
        )

    def _yaml(self) -> Any:
        data = super()._yaml()
        for source in data["sources"].values():
            args = source["args"]
            if args.get("database"):
                args["database"] = _PASSWORD.sub(r"\1{{ env(DATABASE_PASSWORD) }}", args["database"])
            if args.get("data_options"):
                args["data_options"] = _without_secrets(args["data_options"])
        return data

    def _make_collection(self) -> RunCollection:
        return StoreCollection(self.store)

    def _make_sink(self) -> RunSink:
        return StoreSink(self.store)

    # -- deleting

    def delete(self, *uids: str, unfinished: bool = False) -> None:
        """Delete runs, with all that the store keeps of them; the files of detectors, which it does not keep, stay.

        Parameters
        ----------
        *uids : str
            Full uids: a part of one, or a scan_id, deletes nothing.
        unfinished : bool
            Whether runs without a stop document, which may be going on, are deleted as well; False by default.

        Raises
        ------
        NoSuchRun
            When a uid is of no run of this catalog; none is deleted then.
        Invalid
            When a run has no stop document and ``unfinished`` is False, none being deleted then; or without any uid.
        NotWritable
            When the store cannot be written to.

        Examples
        --------
        >>> import tempfile
        >>> catalog = BlueskyEmbeddedCatalog(tempfile.mkdtemp())
        >>> catalog.insert("start", {"uid": "41fb8ca9", "time": 1700000000.0})
        >>> catalog.delete("41fb8ca9", unfinished=True)
        >>> len(catalog)
        0
        """
        if not uids:
            raise Invalid("no uid is given, and nothing is deleted; catalog.search({...}).delete_all() deletes several")
        outside = [uid for uid in uids if not isinstance(uid, str) or not self.collection.matches(uid, self._query)]
        if outside:
            odd = not all(isinstance(uid, str) for uid in uids)
            hint = "; uids are handed in one by one: catalog.delete(*uids)" if odd else ""
            raise NoSuchRun(f"no run of this catalog has the uid {listed(outside)}, and nothing is deleted{hint}")
        self.store.delete(uids, unfinished=unfinished)

    def delete_all(
        self, *, older_than: timedelta | None = None, unfinished: bool = False, dry_run: bool = True
    ) -> list[str]:
        """Delete all runs that a search found: ``catalog.search(...).delete_all(...)``.

        A run that somebody else deletes meanwhile is as good as deleted.

        Parameters
        ----------
        older_than : datetime.timedelta, optional
            Only those that began so long ago, or longer; all by default.
        unfinished : bool
            Whether runs without a stop document, which may be going on, are deleted as well; False by default.
        dry_run : bool
            True, the default, deletes nothing and says what would be deleted.

        Returns
        -------
        list of str
            The uids of the runs that are deleted, or would be.

        Raises
        ------
        Invalid
            When it is all runs of the catalog, without a search and without ``older_than``; or when ``older_than`` is
            negative or nothing, which all runs are older than.
        WrongType
            When ``older_than`` is no `datetime.timedelta`.
        NotWritable
            When the store cannot be written to; some of the runs may be deleted.

        Examples
        --------
        >>> import tempfile
        >>> catalog = BlueskyEmbeddedCatalog(tempfile.mkdtemp())
        >>> catalog.search({"plan_name": "test"}).delete_all(older_than=timedelta(days=30))
        []
        """
        query = self._query
        if older_than is not None:
            if not isinstance(older_than, timedelta):
                raise WrongType(f"older_than is a span of time, such as timedelta(days=365), not {older_than!r}")
            if older_than <= timedelta(0):
                raise Invalid(
                    f"older_than={older_than!r} is no age, and all runs are older; give one such as "
                    "timedelta(days=365), or leave it out to delete all that a search finds"
                )
            query = both(query, Lte("time", time.time() - older_than.total_seconds()))
        if isinstance(query, Everything):
            raise Invalid(
                "this would delete every run; say which: catalog.search({...}).delete_all(...), or older_than=..."
            )
        uids = [uid for uid, _, stop in self.collection.heads(query) if unfinished or stop is not None]
        if not dry_run:
            self.store.delete(uids, unfinished=unfinished, missing_ok=True)
        return uids

    def close(self) -> None:
        """Release the connections to the database."""
        super().close()
        self.store.close()

    _close = close


def _folder(path: Any) -> str:
    """The folder that a path names; a URL of another place is no folder, though a folder could be made of its name."""
    if not isinstance(path, str | os.PathLike):
        raise WrongType(f"the path of a store is that of a folder, not {path!r}")
    folder = os.fspath(path).removeprefix("file://")
    if "://" in folder:
        raise Invalid(
            f"{folder!r} is no folder on a local disk, which a store is; a database on a server and data files in an "
            "object store are given as database='postgresql+psycopg://...' and data='s3://...'"
        )
    return folder


#: In ``://user:password@`` all but the user.
_PASSWORD = re.compile(r"(?<=://)([^/:@]*:)([^/]*)(?=@)")
_SECRET = re.compile("secret|password|token", re.IGNORECASE)


def _without_secrets(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options for a file that others may read: what is secret is taken from the environment."""
    return {
        key: _without_secrets(value)
        if isinstance(value, Mapping)
        else f"{{{{ env(DATA_{key.upper()}) }}}}"
        if _SECRET.search(key)
        else value
        for key, value in options.items()
    }
