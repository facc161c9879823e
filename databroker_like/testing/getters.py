"""The getters of one small simulated run, for catalogs and examples that make a run from getters.

``catalogs/getters.yml`` names each by its dotted path. Whoever keeps runs in a way of their own writes functions like
these, and needs no driver.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = [
    "get_datum_pages",
    "get_event_count",
    "get_event_descriptors",
    "get_event_pages",
    "get_filler",
    "get_resource",
    "get_resources",
    "get_run_start",
    "get_run_stop",
    "lookup_resource_for_datum",
]

Doc = dict[str, Any]

_RUN = "7d1c4b2a-0000-4000-8000-000000000001"
_DESCRIPTOR = "7d1c4b2a-0000-4000-8000-000000000002"
_BEGAN = 1_700_000_000.0
_POINTS = 5


def get_run_start() -> Doc:
    """The start document.

    Examples
    --------
    >>> get_run_start()["plan_name"]
    'scan'
    """
    return {"uid": _RUN, "time": _BEGAN, "scan_id": 1, "plan_name": "scan", "motors": ["stage"], "num_points": _POINTS}


def get_run_stop() -> Doc:
    """The stop document."""
    return {
        "uid": "7d1c4b2a-0000-4000-8000-000000000003",
        "run_start": _RUN,
        "time": _BEGAN + _POINTS,
        "exit_status": "success",
        "reason": "",
        "num_events": {"primary": _POINTS},
    }


def get_event_descriptors() -> list[Doc]:
    """The descriptors, in the order they were recorded."""
    number = {"source": "simulated", "dtype": "number", "shape": []}
    return [
        {
            "uid": _DESCRIPTOR,
            "run_start": _RUN,
            "time": _BEGAN,
            "name": "primary",
            "data_keys": {
                "stage": {**number, "object_name": "stage", "units": "mm"},
                "diode": {**number, "object_name": "diode", "units": "A"},
            },
            "configuration": {
                "diode": {
                    "data": {"gain": 10},
                    "timestamps": {"gain": _BEGAN},
                    "data_keys": {"gain": {"source": "simulated", "dtype": "integer", "shape": []}},
                }
            },
            "object_keys": {"stage": ["stage"], "diode": ["diode"]},
            "hints": {"stage": {"fields": ["stage"]}, "diode": {"fields": ["diode"]}},
        }
    ]


def get_event_pages(descriptor_uid: str) -> Iterator[Doc]:
    """The event pages of a descriptor.

    Parameters
    ----------
    descriptor_uid : str

    Returns
    -------
    iterator of event pages
    """
    if descriptor_uid != _DESCRIPTOR:
        return
    times = [_BEGAN + i for i in range(_POINTS)]
    yield {
        "descriptor": _DESCRIPTOR,
        "uid": [f"7d1c4b2a-0000-4000-8000-{i:012d}" for i in range(100, 100 + _POINTS)],
        "seq_num": list(range(1, _POINTS + 1)),
        "time": times,
        "data": {"stage": [0.5 * i for i in range(_POINTS)], "diode": [1.0, 2.0, 4.0, 2.0, 1.0]},
        "timestamps": {"stage": times, "diode": times},
        "filled": {},
    }


def get_event_count(descriptor_uid: str) -> int:
    """How many events a descriptor has.

    Parameters
    ----------
    descriptor_uid : str

    Returns
    -------
    int
    """
    return _POINTS if descriptor_uid == _DESCRIPTOR else 0


def get_resources() -> list[Doc]:
    """The resource documents; this run has no external files."""
    return []


def get_resource(resource_uid: str) -> Doc:
    """The resource document of a uid; this run has none."""
    raise KeyError(resource_uid)


def lookup_resource_for_datum(datum_id: str) -> str:
    """The resource a datum belongs to; this run has none."""
    raise KeyError(datum_id)


def get_datum_pages(resource_uid: str) -> Iterator[Doc]:
    """The datum pages of a resource; this run has none."""
    return iter(())


def get_filler(coerce: str = "as_is", **kwargs: Any) -> Any:
    """What puts external data in its place.

    Parameters
    ----------
    coerce : str
        As ``event_model.Filler`` takes it.

    Returns
    -------
    event_model.Filler
    """
    import event_model

    return event_model.Filler({}, inplace=False, coerce=coerce, **kwargs)
