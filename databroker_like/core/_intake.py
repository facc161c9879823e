"""What intake 2's legacy catalog layer needs of the objects we hand it, and nothing else of ours.

Each peculiarity stands beside the reason:

- ``Catalog.__getitem__`` splits keys on "." and hides the KeyError of a container: `CatalogBase` looks up itself.
- intake calls what it finds in a catalog and reads ``_user_parameters``, ``_catalog``, ``_pmode``, ``_container``
  of it: a run or a stream answers to all of them, and calling it gives itself.
- ``Catalog.__init__`` ends in ``force_reload()``: state is set before ``super().__init__``.
- ``auth`` was taken out of intake and stands in YAML written before: it is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from intake.catalog.base import Catalog

__all__ = ["CatalogBase"]


class CatalogBase(Catalog):  # type: ignore[misc]
    """An intake Catalog over a lazy mapping, whose members are the objects themselves."""

    _user_parameters: list[Any] = []
    _pmode = "never"
    _catalog: Any = None

    def __init__(self, **kwargs: Any) -> None:
        kwargs.pop("auth", None)
        kwargs.setdefault("persist_mode", "never")
        super().__init__(**kwargs)

    @property
    def _container(self) -> str:
        return str(self.container)

    def _make_entries_container(self) -> Mapping[str, Any]:
        raise NotImplementedError

    def configure_new(self, **kwargs: Any) -> Any:
        """This object; or, with arguments, a new one of the same type with those changed."""
        if not kwargs:
            return self
        return type(self)(*self._captured_init_args, **{**self._captured_init_kwargs, **kwargs})

    __call__ = get = configure_new

    def __getitem__(self, key: Any) -> Any:
        return self._entries[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries
