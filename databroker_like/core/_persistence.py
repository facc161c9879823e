"""What runs and streams answer when intake asks whether they were persisted, and what it may write of them."""

from __future__ import annotations

from collections.abc import Mapping
from types import FunctionType
from typing import Any

from databroker_like.errors import NoSuchDocument, NotOffered

__all__ = ["NotPersisted", "run_as_saved"]


class NotPersisted:
    """The answers of an intake source that intake's persistence does not touch."""

    _user_parameters: list[Any] = []
    _catalog: Any = None

    @property
    def is_persisted(self) -> bool:
        """False: this object does not interact with persistence."""
        return False

    @property
    def has_been_persisted(self) -> bool:
        """False: this object does not interact with persistence."""
        return False

    def persist(self, *args: Any, **kwargs: Any) -> Any:
        """Not offered; `documents` gives everything to whatever keeps it."""
        raise NotOffered(
            "runs and streams are not persisted through intake; write what read() gives with xarray, or the documents "
            "with a catalog that records: for name, doc in run.documents(fill='no'): catalog.insert(name, doc)"
        )

    def get_persisted(self) -> Any:
        """A KeyError, always: nothing is persisted."""
        raise NoSuchDocument("runs and streams are not persisted through intake")

    @property
    def pmode(self) -> str:
        """``"never"``."""
        return "never"

    @pmode.setter
    def pmode(self, value: Any) -> None:
        # intake tells what it finds in a catalog the catalog's own mode; ours stays what it is.
        return

    _pmode = pmode

    # What intake would write are the objects that a run is read through, with the passwords in them.
    def _yaml(self) -> Any:
        raise NotOffered(
            f"{type(self).__name__} is not written into a catalog file by itself; the run is, with where its catalog "
            "is: run.yaml()"
        )

    def serialize(self) -> str:
        """The same as ``yaml()``: what a catalog file says of it, which `save` writes.

        Returns
        -------
        str
        """
        return str(self.yaml())  # type: ignore[attr-defined]


def run_as_saved(run: Any) -> Any:
    """What a catalog file says of a run: its catalog, narrowed to it; or the dotted paths of its getters.

    Parameters
    ----------
    run : BlueskyRun

    Returns
    -------
    dict
        Plain values only.

    Raises
    ------
    NotOffered
        When it has neither, or it is seen at a revision.
    """
    corrections = run._header.corrections
    if corrections is not None and corrections.revision is not None:
        raise NotOffered("a run as it was at a revision is not written into a catalog file; the run itself is")
    if hasattr(type(run.cat), "collection"):
        uid = str(run._header.start["uid"])
        (said,) = run.cat.search({"uid": uid})._yaml()["sources"].values()
        said = {**said, "metadata": {}, "args": {**said["args"], "name": uid}}
        said["args"].pop("metadata", None)
        if not _is_plain(said):
            raise NotOffered("the catalog of this run was made of objects, which a catalog file cannot hold")
        return {"sources": {uid: said}}
    given = {name: _dotted(value) for name, value in run._captured_init_kwargs.items() if value is not None}
    given.pop("metadata", None)
    objects = [name for name, value in given.items() if not _is_plain(value)]
    if objects or run._captured_init_args:
        raise NotOffered(
            "a run made of objects cannot be written into a catalog file; give getters and transforms as the dotted "
            "paths of functions, or take the run from a catalog"
        )
    metadata = {name: value for name, value in run._given.items() if name not in ("start", "stop") and _is_plain(value)}
    driver = f"{type(run).__module__}.{type(run).__qualname__}"
    source = {"driver": driver, "description": run.description or "", "metadata": metadata, "args": given}
    return {"sources": {run.name: source}}


def _dotted(value: Any) -> Any:
    if isinstance(value, FunctionType) and "<" not in value.__qualname__:
        return f"{value.__module__}.{value.__qualname__}"
    return {name: _dotted(inner) for name, inner in value.items()} if isinstance(value, Mapping) else value


def _is_plain(value: Any) -> bool:
    if type(value) is dict:
        return all(isinstance(name, str) and _is_plain(inner) for name, inner in value.items())
    if type(value) is list:
        return all(map(_is_plain, value))
    return value is None or type(value) in (str, int, float, bool)
