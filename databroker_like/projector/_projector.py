"""Projector: goes through a projection and calls back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from databroker_like.errors import NotFound, listed, nearest
from databroker_like.projector._calculations import Allowed, Calculations, calculation_of, call
from databroker_like.projector._choice import fields_of, uid_of

if TYPE_CHECKING:
    from databroker_like.core._run import BlueskyRun

__all__ = ["Projector"]

_LOCATIONS = ("start", "configuration", "event")


class Projector:
    """Goes through a projection and calls back with what it finds in a run.

    Parameters
    ----------
    metadata_cb : callable, optional
        ``(name, value)``, for each field that is linked to the start document, and for each static one.
    event_configuration_cb : callable, optional
        ``(name, stream, config_index, device, field, value)``, for each that is linked to a configuration.
    event_field_cb : callable, optional
        ``(name, stream, field, data_array)``, for each that is linked to a column, or calculated. Without it no
        stream is opened.
    calculations : mapping or iterable, optional
        What calculated fields may call; see `get_calculated_value`.

    Attributes
    ----------
    issues : list of str
        What the last run did not have, each with the name of the field.

    Examples
    --------
    >>> from databroker_like.core import BlueskyRun
    >>> start = {"uid": "a", "time": 0.0, "sample": "Au"}
    >>> run = BlueskyRun(get_run_start=lambda: start, get_run_stop=lambda: None, get_event_descriptors=lambda: [])
    >>> projector = Projector(metadata_cb=print)
    >>> projector.project(run, {"projection": {"material": {"type": "linked", "location": "start", "field": "sample"}}})
    material Au
    >>> projector.issues
    []
    """

    def __init__(
        self,
        metadata_cb: Callable[..., Any] | None = None,
        event_configuration_cb: Callable[..., Any] | None = None,
        event_field_cb: Callable[..., Any] | None = None,
        *,
        calculations: Calculations | None = None,
    ) -> None:
        self.metadata_cb = metadata_cb
        self.event_configuration_cb = event_configuration_cb
        self.event_field_cb = event_field_cb
        self.issues: list[str] = []
        self._calculations = Allowed(calculations)

    def project(
        self, run: BlueskyRun, projection: Mapping[str, Any] | None = None, projection_name: str | None = None
    ) -> None:
        """Project a run.

        Parameters
        ----------
        run : BlueskyRun
        projection : mapping, optional
            In place of one that the run carries.
        projection_name : str, optional
            Which of those that the run carries.

        Raises
        ------
        ProjectionError
            When there is no projection, it cannot be understood, or a calculation of the caller's fails.
        """
        self.issues = []
        _Projecting(self, run).fields(fields_of(run, projection, projection_name))


class _Projecting:
    """One run being projected."""

    def __init__(self, projector: Projector, run: BlueskyRun) -> None:
        self._to = projector
        self._run = run
        self._datasets: dict[str, Any] = {}

    def fields(self, fields: Mapping[str, Any]) -> None:
        for name, mapping in fields.items():
            kind = mapping.get("type")
            if kind == "static":
                self._static(name, mapping)
            elif kind == "calculated":
                self._calculated(name, mapping)
            else:
                self._linked(name, mapping)

    def _issue(self, name: str, said: str) -> None:
        self._to.issues.append(f"run {uid_of(self._run)}, field {name!r}: {said}")

    def _static(self, name: str, mapping: Mapping[str, Any]) -> None:
        if "value" not in mapping:
            self._issue(name, "it is static and has no 'value'")
        elif self._to.metadata_cb is not None:
            self._to.metadata_cb(name, mapping["value"])

    def _linked(self, name: str, mapping: Mapping[str, Any]) -> None:
        location = mapping.get("location")
        if location == "start":
            self._start(name, mapping)
        elif location == "configuration":
            if self._to.event_configuration_cb is not None:
                self._configuration(name, mapping)
        elif location == "event":
            self._event(name, mapping)
        else:
            self._issue(name, f"there is no location {location!r}; it is one of {listed(_LOCATIONS)}")

    def _start(self, name: str, mapping: Mapping[str, Any]) -> None:
        start, field = self._run.metadata["start"], mapping.get("field")
        if field not in start:
            self._issue(name, f"the start document has no {field!r}; nearest: {_near(field, start)}")
        elif self._to.metadata_cb is not None:
            self._to.metadata_cb(name, start[field])

    def _configuration(self, name: str, mapping: Mapping[str, Any]) -> None:
        stream, device, field = mapping.get("stream"), mapping.get("config_device"), mapping.get("field")
        index = mapping.get("config_index")
        if not self._has_stream(name, stream):
            return
        descriptors = self._run[stream].metadata["descriptors"]
        if not isinstance(index, int) or not -len(descriptors) <= index < len(descriptors):
            self._issue(name, f"stream {stream!r} has {len(descriptors)} descriptors, none at 'config_index' {index!r}")
            return
        devices = descriptors[index].get("configuration", {})
        if device not in devices:
            self._issue(
                name, f"stream {stream!r} has no configuration of {device!r}; nearest: {_near(device, devices)}"
            )
            return
        values = devices[device].get("data", {})
        if field not in values:
            self._issue(name, f"the configuration of {device!r} has no {field!r}; nearest: {_near(field, values)}")
            return
        assert self._to.event_configuration_cb is not None
        self._to.event_configuration_cb(name, stream, index, device, field, values[field])

    def _event(self, name: str, mapping: Mapping[str, Any]) -> None:
        stream, field = mapping.get("stream"), mapping.get("field")
        if stream is None:
            self._issue(name, "it is linked to events and has no 'stream'")
        elif self._to.event_field_cb is not None and self._has_stream(name, stream):
            dataset = self._dataset(stream)
            if field in dataset.variables:
                self._to.event_field_cb(name, stream, field, dataset[field])
            else:
                self._issue(name, f"stream {stream!r} has no {field!r}; nearest: {_near(field, dataset.variables)}")

    def _calculated(self, name: str, mapping: Mapping[str, Any]) -> None:
        if self._to.event_field_cb is None:
            return
        calculation = calculation_of(name, mapping)
        try:
            function = self._to._calculations.find(calculation["callable"])
        except NotFound as error:
            self._issue(name, str(error))
            return
        value = call(self._run, name, calculation, function)
        self._to.event_field_cb(name, mapping.get("stream"), mapping.get("field"), value)

    def _has_stream(self, name: str, stream: Any) -> bool:
        if stream in list(self._run):
            return True
        self._issue(name, f"there is no stream {stream!r}; there is {listed(self._run)}")
        return False

    def _dataset(self, stream: str) -> Any:
        if stream not in self._datasets:
            self._datasets[stream] = self._run[stream].to_dask()
        return self._datasets[stream]


def _near(name: Any, known: Iterable[Any]) -> str:
    known = list(known)
    return listed(nearest(name, known) or known)
