"""Projections: the fields of a run under the names that somebody else's format gives them."""

from databroker_like.errors import ProjectionError
from databroker_like.projector._calculations import get_calculated_value
from databroker_like.projector._choice import get_run_projection
from databroker_like.projector._faces import get_xarray_config_field, project_summary_dict, project_xarray
from databroker_like.projector._projector import Projector

__all__ = [
    "ProjectionError",
    "Projector",
    "get_calculated_value",
    "get_run_projection",
    "get_xarray_config_field",
    "project_summary_dict",
    "project_xarray",
]
