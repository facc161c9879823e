"""Awkward arrays in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from databroker_like.errors import NotFound, listed, nearest
from databroker_like.nodes._arrays import AwkwardNode
from databroker_like.nodes._described import Described, Doc
from databroker_like.structures import AwkwardStructure, Spec

__all__ = ["AwkwardData"]


class AwkwardData(Described, AwkwardNode):
    """An awkward array, as ``awkward.to_buffers`` takes it apart.

    Parameters
    ----------
    form : mapping
        As ``form.to_dict()`` gives it.
    length : int
    buffers : mapping of str to bytes or array
    metadata : mapping, optional
    specs : iterable of Spec
        None by default.
    """

    def __init__(
        self,
        form: Mapping[str, Any],
        length: int,
        buffers: Mapping[str, Any],
        *,
        metadata: Doc | None = None,
        specs: Iterable[Spec] = (),
    ) -> None:
        super().__init__(metadata, specs)
        self._structure = AwkwardStructure(length, form)
        self._buffers = buffers

    def structure(self) -> AwkwardStructure:
        return self._structure

    def read_buffers(self, keys: Iterable[str] | None = None) -> dict[str, bytes | memoryview]:
        names = self._buffers if keys is None else [name for key in keys for name in self._names(key)]
        return {name: _octets(self._buffers[name]) for name in names}

    def count_bytes(self, keys: Iterable[str] | None = None) -> int:
        return sum(map(len, self.read_buffers(keys).values()))

    def _names(self, key: str) -> list[str]:
        """The names of the buffers that a key stands for: one, or those of a part of the form, which may have none."""
        if key in self._buffers:
            return [key]
        names = [name for name in self._buffers if name.rpartition("-")[0] == key]
        if not names and key not in _form_keys(self._structure.form):
            near = listed(nearest(key, self._buffers) or self._buffers)
            raise NotFound(f"the array has no buffer {key!r:.100}; it has {near}")
        return names


def _form_keys(form: Any) -> set[Any]:
    """The keys of a form and of all that it is made of."""
    found, left = set(), [form]
    while left:
        part = left.pop()
        if isinstance(part, Mapping):
            found.add(part.get("form_key"))
            left.append(part.get("content"))
            left.extend(part.get("contents") or ())
    return found


def _octets(buffer: Any) -> bytes | memoryview:
    """The bytes of anything that has some, without a copy where they lie one after the other."""
    import numpy as np

    if isinstance(buffer, bytes):
        return buffer
    array = np.ascontiguousarray(buffer) if hasattr(buffer, "dtype") else np.frombuffer(buffer, np.uint8)
    return memoryview(array.reshape(-1).view(np.uint8)) if array.nbytes else b""  # type: ignore[arg-type]
