"""In which formats the data of nodes of each structure family is sent."""

from __future__ import annotations

from collections.abc import Mapping

from databroker_like.tree._media import Format, offered
from databroker_like.tree.formats._array import ARRAY_FORMATS
from databroker_like.tree.formats._awkward import AWKWARD_FORMATS
from databroker_like.tree.formats._container import CONTAINER_FORMATS, RUN_FORMATS
from databroker_like.tree.formats._dataset import DATASET_FORMATS
from databroker_like.tree.formats._ragged import RAGGED_FORMATS
from databroker_like.tree.formats._sparse import SPARSE_FORMATS
from databroker_like.tree.formats._table import TABLE_FORMATS
from databroker_like.tree.formats._xdi import XDI_FORMATS

__all__ = ["formats_offered"]

#: Structure family, or spec -> formats.
_FORMATS: Mapping[str, tuple[Format, ...]] = {
    "array": ARRAY_FORMATS,
    "awkward": AWKWARD_FORMATS,
    "container": CONTAINER_FORMATS,
    "ragged": RAGGED_FORMATS,
    "sparse": SPARSE_FORMATS,
    "table": TABLE_FORMATS,
    "xarray_dataset": DATASET_FORMATS,
    "BlueskyRun": RUN_FORMATS,
    "xdi": XDI_FORMATS,
}


def formats_offered() -> dict[str, tuple[Format, ...]]:
    """The formats that can be written here, by structure family and by what containers promise to be.

    Returns
    -------
    dict of str to tuple of Format

    Examples
    --------
    >>> [form.media_type for form in formats_offered()["ragged"]][:2]
    ['application/json', 'application/zip']
    """
    return {family: offered(formats) for family, formats in _FORMATS.items()}
