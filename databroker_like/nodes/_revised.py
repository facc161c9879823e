"""What a node was before it was changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from databroker_like.core._revision import Revision
from databroker_like.structures import Spec

__all__ = ["Revised"]


@dataclass(frozen=True)
class Revised:
    """What was said of a node before it was changed.

    Parameters
    ----------
    number : int
        1 is what was said first.
    metadata : mapping
    specs : tuple of Spec
    time : datetime, optional
        Since when that was said; None where it is not known.
    amendment : Revision, optional
        Which made it another: when, by whom and why; None where that is not known.

    Examples
    --------
    >>> Revised(1, {"sample": "silver"}).metadata
    {'sample': 'silver'}
    """

    number: int
    metadata: Mapping[str, Any]
    specs: tuple[Spec, ...] = ()
    time: datetime | None = None
    amendment: Revision | None = None
