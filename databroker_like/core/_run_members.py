"""What a run holds: its streams, as they are now, and its fillers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from databroker_like.core._documents import FILLS, check_fill
from databroker_like.errors import NoSuchStream, listed

__all__ = ["Fillers", "Streams"]


class Streams(Mapping[str, Any]):
    """The streams a run has now; each is made once."""

    def __init__(self, run: Any) -> None:
        self._run = run
        self._made: dict[str, Any] = {}

    def forget(self) -> None:
        """Make them anew: their descriptors became others."""
        self._made.clear()

    def __getitem__(self, name: str) -> Any:
        if name in self._made:
            return self._made[name]
        header = self._run._header
        if not header.has_stream(name):
            names = header.stream_names
            raise NoSuchStream(f"no stream {name!r} in run {header.start['uid'][:8]}; it has {listed(names)}")
        stream = self._made[name] = self._run._make_stream(name)
        stream.cat = self._run
        return stream

    def __contains__(self, name: object) -> bool:
        return name in self._made or (isinstance(name, str) and self._run._header.has_stream(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._run._header.stream_names)

    def __len__(self) -> int:
        return len(self._run._header.stream_names)


class Fillers(Mapping[str, Any]):
    """The fillers of a run, each made when it is first asked for."""

    def __init__(self, get_filler: Callable[..., Any]) -> None:
        self._get_filler = get_filler
        self._made: dict[str, Any] = {}

    def __getitem__(self, fill: str) -> Any:
        check_fill(fill)
        if fill not in self._made:
            self._made[fill] = self._make(fill)
        return self._made[fill]

    def _make(self, fill: str) -> Any:
        if fill == "no":
            import event_model

            return event_model.NoFiller(self._get_filler(coerce="as_is").handler_registry, inplace=True)
        return self._get_filler(coerce="delayed" if fill == "delayed" else "force_numpy")

    def __iter__(self) -> Iterator[str]:
        return iter(FILLS)

    def __len__(self) -> int:
        return len(FILLS)
