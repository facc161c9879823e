"""Handlers whose results are dask arrays: event-model's coercion ``"delayed"``."""

from __future__ import annotations

import functools
from typing import Any

from databroker_like.core._declared import extract_dtype, extract_shape
from databroker_like.files._lazy import LazyArray, to_dask

__all__ = ["coerce_dask", "register_delayed"]


def register_delayed() -> None:
    """Teach event-model the coercion ``"delayed"``, unless somebody else has."""
    import event_model

    try:
        event_model.register_coercion("delayed", coerce_dask)
    except event_model.EventModelValueError:
        # databroker, side by side with us in one process, has taught it; its meaning is the same.
        return


def coerce_dask(handler_class: Any, filler_state: Any) -> Any:
    """A handler class whose results are dask arrays; event-model's coercion ``"delayed"``.

    Parameters
    ----------
    handler_class : callable
    filler_state : object
        Where the Filler says which ``descriptor``, ``key`` and ``resource`` it is at.

    Returns
    -------
    callable
        Used as ``handler_class`` is.
    """
    if getattr(handler_class, "return_type", {}).get("delayed"):
        return handler_class
    return functools.partial(_DelayedHandler, handler_class, filler_state)


class _DelayedHandler:
    """A handler whose results are read when dask asks for them."""

    def __init__(self, handler_class: Any, filler_state: Any, /, *args: Any, **kwargs: Any) -> None:
        self._handler = handler_class(*args, **kwargs)
        self._state = filler_state

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_handler"], name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        import dask
        import dask.array as da

        descriptor, key = self._state.descriptor, self._state.key
        shape = extract_shape(descriptor, key, self._state.resource)
        if any(s <= 0 for s in shape):
            found = self._handler(*args, **kwargs)
            if isinstance(found, da.Array):
                return found
            return to_dask(found) if isinstance(found, LazyArray) else da.from_array(found)
        chunk = dask.delayed(self._handler)(*args, **kwargs)
        return da.from_delayed(chunk, shape=tuple(shape), dtype=extract_dtype(descriptor, key))
