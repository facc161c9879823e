"""What runs and streams answer when intake asks whether they were persisted."""

from __future__ import annotations

from typing import Any

from databroker_like.errors import NoSuchDocument, NotOffered

__all__ = ["NotPersisted"]


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
