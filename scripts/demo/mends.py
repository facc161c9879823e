"""The transform of the demonstration: what `catalogs/demo.yml` names by its dotted path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["sample_x_in_millimetres"]


def sample_x_in_millimetres(descriptor: Mapping[str, Any]) -> dict[str, Any]:
    """A descriptor whose ``sample_x`` says ``mm``: the axis was set up with the unit ``m``, by mistake."""
    data_keys = {
        key: {**data_key, "units": "mm"} if key.startswith("sample_x") and data_key.get("units") == "m" else data_key
        for key, data_key in descriptor["data_keys"].items()
    }
    return {**descriptor, "data_keys": data_keys}
