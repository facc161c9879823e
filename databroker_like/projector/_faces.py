"""A projected run as a Dataset, and as a dictionary of its single values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from databroker_like.errors import ProjectionError
from databroker_like.projector._calculations import Calculations
from databroker_like.projector._choice import uid_of
from databroker_like.projector._projector import Projector

if TYPE_CHECKING:
    import xarray

    from databroker_like.core._run import BlueskyRun

__all__ = ["get_xarray_config_field", "project_summary_dict", "project_xarray"]


def project_xarray(
    run: BlueskyRun,
    *args: Any,
    projection: Mapping[str, Any] | None = None,
    projection_name: str | None = None,
    calculations: Calculations | None = None,
) -> tuple[xarray.Dataset, list[str]]:
    """A run as a Dataset under the names of a projection.

    Parameters
    ----------
    run : BlueskyRun
    *args
        Taken, and not used.
    projection : mapping, optional
        In place of one that the run carries.
    projection_name : str, optional
        Which of those that the run carries.
    calculations : mapping or iterable, optional
        What calculated fields may call; see `get_calculated_value`. None by default: they become issues.

    Returns
    -------
    (xarray.Dataset, list of str)
        Lazy, as ``to_dask()`` is. Fields of events and calculated ones are its variables, joined by time; static ones
        and those of the start document its attributes. Each variable has in ``attrs["configuration"]`` the projected
        configuration of its stream, a list by ``config_index`` of device -> field -> value. Then the issues: what
        the run did not have.

    Raises
    ------
    ProjectionError
        When there is no projection, it cannot be understood, or a calculation fails or gives no DataArray.
    """
    import xarray

    attrs: dict[str, Any] = {}
    arrays: dict[str, tuple[str, Any]] = {}
    settings: dict[str, list[dict[str, dict[str, Any]]]] = {}
    projected: dict[str, str] = {}

    def event_field(name: str, stream: str, field: str, value: Any) -> None:
        if not isinstance(value, xarray.DataArray):
            raise ProjectionError(
                f"run {uid_of(run)}, field {name!r}: the calculation gave a {type(value).__name__}; in a Dataset it "
                "must be an xarray.DataArray"
            )
        arrays[name] = stream, value

    def configuration(name: str, stream: str, index: int, device: str, field: str, value: Any) -> None:
        known = settings.setdefault(stream, [{} for _ in run[stream].metadata["descriptors"]])
        known[index].setdefault(device, {})[field] = value
        projected[name] = stream

    projector = Projector(attrs.__setitem__, configuration, event_field, calculations=calculations)
    projector.project(run, projection=projection, projection_name=projection_name)
    for name, stream in projected.items():
        if stream not in {stream for stream, _ in arrays.values()}:
            projector.issues.append(
                f"run {uid_of(run)}, field {name!r}: no event field of stream {stream!r} is projected, in whose "
                "attributes its configuration would stand"
            )
    variables = {name: _with_settings(value, settings.get(stream, [])) for name, (stream, value) in arrays.items()}
    # Streams differ in their times: the fields of all of them stand on all times.
    aligned = dict(zip(variables, xarray.align(*variables.values(), join="outer"), strict=True))
    return xarray.Dataset(aligned, attrs=attrs), projector.issues


def _with_settings(value: Any, settings: list[dict[str, dict[str, Any]]]) -> Any:
    made = value.copy(deep=False)
    given = list(settings)
    while given and not given[-1]:
        given.pop()
    made.attrs = {**value.attrs, "configuration": given}
    return made


def project_summary_dict(
    run: BlueskyRun,
    *args: Any,
    return_fields: Iterable[str] | None = None,
    projection: Mapping[str, Any] | None = None,
    projection_name: str | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """The single values of a projected run, without opening its streams: for one line of a list of runs.

    Parameters
    ----------
    run : BlueskyRun
    *args
        Taken, and not used.
    return_fields : iterable of str, optional
        Only these fields; all by default.
    projection : mapping, optional
        In place of one that the run carries.
    projection_name : str, optional
        Which of those that the run carries.

    Returns
    -------
    (dict, list of str)
        The fields of the start document and the static ones, by name; and the issues.

    Raises
    ------
    ProjectionError
        When there is no projection, or it cannot be understood.

    Examples
    --------
    >>> from databroker_like.core import BlueskyRun
    >>> run = BlueskyRun(get_run_start=lambda: {"uid": "a", "time": 0.0}, get_run_stop=lambda: None)
    >>> fields = {"began": {"type": "linked", "location": "start", "field": "time"}}
    >>> project_summary_dict(run, projection={"projection": fields})
    ({'began': 0.0}, [])
    """
    wanted = set(return_fields or ())
    found: dict[str, Any] = {}
    projector = Projector(metadata_cb=found.__setitem__)
    projector.project(run, projection=projection, projection_name=projection_name)
    return {name: value for name, value in found.items() if not wanted or name in wanted}, projector.issues


def get_xarray_config_field(
    dataset: xarray.Dataset, projection_field: str, config_index: int, device: str, field: str
) -> Any:
    """A configuration value from a Dataset that `project_xarray` made.

    Parameters
    ----------
    dataset : xarray.Dataset
    projection_field : str
        A variable of the stream whose configuration it is.
    config_index : int
        Which descriptor of the stream.
    device, field : str

    Returns
    -------
    object

    Raises
    ------
    KeyError
        When there is no such variable, device or field.
    IndexError
        When there is no such descriptor.
    """
    return dataset[projection_field].attrs["configuration"][config_index][device][field]
