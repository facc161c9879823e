"""Which projection is meant: the one handed in, or one that the run carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from databroker_like.errors import ProjectionError, listed

if TYPE_CHECKING:
    from databroker_like.core._run import BlueskyRun

__all__ = ["fields_of", "get_run_projection", "uid_of"]

#: What is a text wherever it stands in a field.
_TEXTS = ("type", "location", "stream", "field", "config_device")


def get_run_projection(run: BlueskyRun, projection_name: str | None = None) -> dict[str, Any] | None:
    """The projection that a run carries in its start document.

    Parameters
    ----------
    run : BlueskyRun
    projection_name : str, optional
        Which one; may be left out where there is only one.

    Returns
    -------
    dict or None
        None when there is none of this name; without a name, when there is none, or more than one.

    Raises
    ------
    ProjectionError
        When several have this name; it is a KeyError too.

    Examples
    --------
    >>> from databroker_like.core import BlueskyRun
    >>> run = BlueskyRun(get_run_start=lambda: {"uid": "a", "time": 0.0}, get_run_stop=lambda: None)
    >>> get_run_projection(run) is None
    True
    """
    projections = _carried(run)
    if projection_name:
        projections = [found for found in projections if found.get("name") == projection_name]
        if len(projections) > 1:
            raise ProjectionError(
                f"run {uid_of(run)} has {len(projections)} projections named {projection_name!r}; hand in the one that "
                "is meant, as projection=..."
            )
    return projections[0] if len(projections) == 1 else None


def fields_of(run: BlueskyRun, projection: Mapping[str, Any] | None, projection_name: str | None) -> Mapping[str, Any]:
    """The fields of a projection, each a mapping with a type."""
    if projection is None:
        projection = get_run_projection(run, projection_name)
    if projection is None:
        raise ProjectionError(_no_projection(run, projection_name))
    fields = projection.get("projection") if isinstance(projection, Mapping) else None
    if not isinstance(fields, Mapping):
        raise ProjectionError("a projection is a mapping with the key 'projection', from each field to where it is")
    for name, mapping in fields.items():
        if not isinstance(mapping, Mapping) or "type" not in mapping:
            raise ProjectionError(
                f"field {name!r} of the projection is a mapping with the key 'type', which is 'linked', 'calculated' "
                f"or 'static'; it cannot be {mapping!r}"
            )
        for key in _TEXTS:
            if not isinstance(mapping.get(key, ""), str):
                raise ProjectionError(f"field {name!r} of the projection: {key!r} is a text, not {mapping[key]!r}")
    return fields


def _carried(run: BlueskyRun) -> list[Any]:
    found = run.metadata["start"].get("projections") or []
    if not isinstance(found, list | tuple) or not all(isinstance(one, Mapping) for one in found):
        raise ProjectionError(f"the 'projections' of run {uid_of(run)} are no list of mappings")
    return list(found)


def _no_projection(run: BlueskyRun, name: str | None) -> str:
    there = [found.get("name", "") for found in _carried(run)]
    if not there:
        return f"run {uid_of(run)} carries no projections; hand one in, as projection=..."
    if name:
        return f"run {uid_of(run)} has no projection {name!r}; it has {listed(there)}"
    return f"run {uid_of(run)} has {len(there)} projections; choose one by projection_name: {listed(there)}"


def uid_of(run: BlueskyRun) -> Any:
    """The uid of a run."""
    return run.metadata["start"]["uid"]
