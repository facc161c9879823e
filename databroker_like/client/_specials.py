"""Which class is for a node that promises to be something special, by the name of its spec."""

from __future__ import annotations

import functools
import warnings
from typing import Any

from databroker_like import registry
from databroker_like.errors import WrongType

__all__ = ["GROUP", "register_special_client", "registered_client", "special_client"]

#: The entry points that bring such classes; each is called like the spec that it is for.
GROUP = "databroker_like.special_client"
#: Our own, above this house of ours, under this prefix in the registry: ``"special_client.BlueskyRun"``.
_OURS = "special_client."

_registered: dict[str, Any] = {}


def register_special_client(spec: str, cls: Any) -> None:
    """From now on, nodes of a spec get a class of their own, in this process.

    Parameters
    ----------
    spec : str
        Its name, as ``"BlueskyRun"``.
    cls : type or None
        A subclass of `databroker_like.client.container.Container`, `databroker_like.client.array.ArrayClient` or
        another client, made as ``cls(context, item=..., structure_clients=..., include_data_sources=...)``. None takes
        back what was registered before.

    Raises
    ------
    WrongType
        When it is nothing that can be called.

    Examples
    --------
    >>> from databroker_like.client.container import Container
    >>> class Holiday(Container):
    ...     "A container of photographs."
    >>> register_special_client("Holiday", Holiday)
    >>> special_client("Holiday")
    <class '...Holiday'>
    >>> register_special_client("Holiday", None)
    """
    if cls is None:
        _registered.pop(spec, None)
    elif callable(cls):
        _registered[spec] = cls
    else:
        raise WrongType(f"the client of the spec {spec!r} is a class, not {cls!r:.100}")


def registered_client(spec: str) -> Any:
    """The class that was registered for a spec in this process, or None."""
    return _registered.get(spec)


def special_client(spec: str) -> Any:
    """The class that nodes of a spec get wherever they are met.

    It is the one that was registered in this process, or one of ours (a name ``special_client.<spec>`` in
    `databroker_like.registry.NAMES`), or one that an installed package brings as an entry point of the group
    ``databroker_like.special_client``. What stands in ``structure_clients`` goes before all of these.

    Parameters
    ----------
    spec : str
        Its name.

    Returns
    -------
    type or None
        None when there is no such class, or its package cannot be imported, which is warned of.

    Examples
    --------
    >>> special_client("a promise that no one keeps") is None
    True
    """
    if spec in _registered:
        return _registered[spec]
    if _OURS + spec in registry.NAMES:
        return registry.load(_OURS + spec)
    return _of_plugins(spec)


@functools.cache
def _points() -> dict[str, Any]:
    return {point.name: point for point in registry.entry_points(GROUP, rescan=False)}


@functools.cache
def _of_plugins(spec: str) -> Any:
    point = _points().get(spec)
    if point is None:
        return None
    try:
        return point.load()
    except Exception as error:  # noqa: BLE001 - a plugin may fail in any way; its nodes are then shown as others are
        warnings.warn(f"the client of the spec {spec!r} cannot be loaded from {point}: {error!r}", stacklevel=2)
        return None
