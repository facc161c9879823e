"""What a column of events looks like, as an array: of which type and shape, told without its values where they lie."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from databroker_like.core._rows import as_array

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Look", "common_look", "look_at"]


@dataclass(frozen=True)
class Look:
    """The type and the shape of the values of a column.

    Parameters
    ----------
    dtype : numpy.dtype
        A text of any length is ``<U0``, bytes of any length ``S0``; ``object`` where the values are of no one type or
        shape.
    shape : tuple of int
        Of one value.
    """

    dtype: np.dtype
    shape: tuple[int, ...] = ()

    @classmethod
    def of(cls, dtype: Any, shape: Iterable[int] = ()) -> Look:
        """The look of an array's values; single texts have no length."""
        import numpy as np

        dtype, shape = np.dtype(dtype), tuple(shape)
        return cls(np.dtype(dtype.kind) if dtype.kind in "US" and not shape else dtype, shape)

    @property
    def is_text(self) -> bool:
        """Whether each value is one text."""
        return self.dtype.kind == "U" and not self.shape


def look_at(column: Any) -> Look:
    """What a column looks like that is at hand.

    Parameters
    ----------
    column : list or array of shape (n, ...)

    Returns
    -------
    Look

    Examples
    --------
    >>> look_at([[1, 2.5], [3, 4]])
    Look(dtype=dtype('float64'), shape=(2,))
    """
    dtype = getattr(column, "dtype", None)
    if dtype is not None:
        return Look.of(dtype, column.shape[1:])
    if isinstance(column, list) and len(column):
        for kind, code in ((str, "U"), (bytes, "S")):
            if list(map(type, column)).count(kind) == len(column):
                return Look.of(code)
    try:
        array = as_array(column)
    except (TypeError, ValueError, OverflowError):  # what numpy makes no array of
        return Look.of(object)
    return Look.of(array.dtype, array.shape[1:])


def common_look(looks: Iterable[Look]) -> Look:
    """What columns look like together, one below the other.

    Parameters
    ----------
    looks : iterable of Look
        At least one.

    Returns
    -------
    Look

    Examples
    --------
    >>> common_look([look_at([1]), look_at([0.5]), look_at([True])])
    Look(dtype=dtype('float64'), shape=())
    >>> common_look([look_at([1]), look_at(["a"])])
    Look(dtype=dtype('O'), shape=())
    """
    import numpy as np

    found = list(dict.fromkeys(looks))
    if len(found) == 1:
        return found[0]
    if len({look.shape for look in found}) > 1 or any(look.dtype.hasobject for look in found):
        return Look.of(object)
    kinds = {look.dtype.kind for look in found}
    if kinds <= set("biufc") or len(kinds) == 1:
        return Look.of(np.result_type(*(look.dtype for look in found)), found[0].shape)
    return Look.of(object)
