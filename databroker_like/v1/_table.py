"""A stream as a pandas.DataFrame, straight from its columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from databroker_like.core._dataset import empty_column
from databroker_like.core._pages import page_size, scalars
from databroker_like.core._rows import gapped_column, join_column
from databroker_like.queries._human_time import local_timezone, timezone_named
from databroker_like.v1._documents import as_fields, as_fill

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

__all__ = ["Times", "one_after_another", "table"]

Doc = Mapping[str, Any]


@dataclass(frozen=True)
class Times:
    """What becomes of the times of the events.

    Parameters
    ----------
    convert : bool
        Make dates of them; True by default. False leaves seconds since the epoch.
    timezone : str, optional
        The zone of those dates; that of this computer by default.
    localize : bool
        Give the dates as the clocks of the zone showed them, which implies that they are converted; True by default.
        False gives UTC.
    """

    convert: bool = True
    timezone: str | None = None
    localize: bool = True

    def of(self, seconds: np.ndarray) -> Any:
        """The column ``time``.

        Parameters
        ----------
        seconds : ndarray
            Since the epoch.

        Returns
        -------
        ndarray or DatetimeIndex
            Dates do not say their zone.
        """
        import pandas as pd

        if not (self.convert or self.localize):
            return seconds
        dates = pd.to_datetime(seconds, unit="s").as_unit("ns")
        if not self.localize:
            return dates
        zone = timezone_named(self.timezone or local_timezone())
        return dates.tz_localize("UTC").tz_convert(zone).tz_localize(None)


def table(run: Any, stream_name: str, fields: Any, fill: Any, times: Times) -> pd.DataFrame:
    """One stream of one run.

    Parameters
    ----------
    run : BlueskyRun
    stream_name : str
    fields : iterable of str, optional
    fill : bool or iterable of str
    times : Times

    Returns
    -------
    pandas.DataFrame
        A row for each event in the order of their times, with ``seq_num`` as the index; ``time``, then a column for
        each field. Without rows and columns where there is no such stream, or it has none of the fields.
    """
    import numpy as np
    import pandas as pd

    header = run._header
    descriptors = header.of_stream(stream_name)
    keys = _columns_wanted(descriptors, as_fields(fields))
    if not keys and "time" not in (as_fields(fields) or ()):
        return one_after_another([])
    pages = [
        page
        for descriptor in descriptors
        for page in header.source.get_event_pages(descriptor["uid"])
        if page_size(page)
    ]
    lengths = [page_size(page) for page in pages]
    seconds = join_column([page["time"] for page in pages]) if pages else np.empty(0)
    numbers = join_column([page["seq_num"] for page in pages]) if pages else np.empty(0, dtype=np.int64)
    order = _order(seconds, len(descriptors))
    filled = _filled(run, stream_name, keys, fill)
    if not pages and any(column is not None and len(column) for column in filled.values()):
        return _without_events(filled)
    # A run that goes on may have got more events since its pages were asked for.
    rows = min([len(seconds), *(len(column) for column in filled.values() if column is not None)])
    columns: dict[str, Any] = {"time": seconds if order is None else seconds[order]}
    for key in keys:
        if key in filled:
            if filled[key] is not None:
                columns[key] = filled[key]
            continue
        column = _column([page["data"].get(key) for page in pages], lengths) if pages else _empty(descriptors, key)
        if column is not None:
            columns[key] = column if order is None else column[order]
    numbers = numbers if order is None else numbers[order]
    columns = {key: column[:rows] for key, column in columns.items()}
    columns["time"] = times.of(columns["time"])
    # The columns are nobody else's, so that they need not be copied again.
    return pd.DataFrame(columns, index=pd.Index(numbers[:rows], name="seq_num"), copy=False)


def _without_events(filled: Mapping[str, Any]) -> pd.DataFrame:
    """The table of streams of external data alone: nothing recorded when they were taken."""
    import pandas as pd

    columns = {key: column for key, column in filled.items() if column is not None}
    rows = min(map(len, columns.values()))
    return pd.DataFrame(
        {key: column[:rows] for key, column in columns.items()},
        index=pd.RangeIndex(1, rows + 1, name="seq_num"),
    )


def _columns_wanted(descriptors: Sequence[Doc], wanted: frozenset[str] | None) -> list[str]:
    keys = dict.fromkeys(key for descriptor in descriptors for key in descriptor.get("data_keys", {}))
    return [key for key in keys if wanted is None or key in wanted]


def _order(seconds: np.ndarray, descriptors: int) -> np.ndarray | None:
    """The order to bring the events of several descriptors into, when it is not the one they have."""
    import numpy as np

    if descriptors < 2 or bool(np.all(seconds[1:] >= seconds[:-1])):
        return None
    return np.argsort(seconds, kind="stable")


def _column(parts: Sequence[Any], lengths: Sequence[int]) -> Any:
    """A column of numbers, texts or truth values as one array; of anything else, as the values that were recorded."""
    import numpy as np

    if all(part is None for part in parts):
        return None
    array: np.ndarray | None = None
    if not any(_holds_arrays(part) for part in parts):
        array = gapped_column(parts, lengths)
        if array.ndim == 1 and array.dtype.kind in "biuf":
            return array
    values: list[Any] = []
    for part, length in zip(parts, lengths, strict=True):
        values += [np.nan] * length if part is None else scalars(part)
    if array is not None and set(map(type, values)) == {str}:
        return array
    # Arrays, and values of which numpy would make texts because one of them is one.
    return _objects(values)


def _holds_arrays(part: Any) -> bool:
    """Whether the first value of a column is no single one, and so, most likely, none of them is."""
    if part is None:
        return False
    if hasattr(part, "ndim"):
        return part.ndim > 1
    return len(part) > 0 and (hasattr(part[0], "__len__") and not isinstance(part[0], str))


def _objects(values: Iterable[Any]) -> np.ndarray:
    import numpy as np

    values = list(values)
    out = np.empty(len(values), dtype=object)
    for row, value in enumerate(values):
        out[row] = value
    return out


def _empty(descriptors: Sequence[Doc], key: str) -> np.ndarray:
    import numpy as np

    descriptor = next(doc for doc in descriptors if key in doc.get("data_keys", {}))
    column = empty_column(descriptor, key, "data")
    return column if column.ndim == 1 else np.empty(0, dtype=object)


def _filled(run: Any, stream_name: str, keys: Sequence[str], fill: Any) -> dict[str, Any]:
    """The columns whose values lie outside: filled, or None where they cannot be given.

    Those of ``stream_resource`` documents are in no event, and so there is nothing to show when they are not filled.
    """
    any_filled, only = as_fill(fill)
    stream = run[stream_name]
    outside = {
        key: data_key.get("external") for doc in stream._descriptors for key, data_key in doc["data_keys"].items()
    }
    found: dict[str, Any] = {
        key: None for key in keys if outside[key] and (any_filled or str(outside[key]).startswith("STREAM:"))
    }
    if only is not None:
        found = {key: None for key in found if key in only or str(outside[key]).startswith("STREAM:")}
    asked = [key for key in found if any_filled and (only is None or key in only)]
    if asked:
        dataset = stream.configure_new(exclude=[key for key in outside if key not in asked]).read()
        for key in dataset.data_vars:
            values = dataset[key].values
            found[key] = values if values.ndim == 1 else _objects(values)
    return found


def one_after_another(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Tables of several runs as one, in which a column is empty for those that lack it.

    Parameters
    ----------
    tables : iterable of pandas.DataFrame

    Returns
    -------
    pandas.DataFrame
    """
    import pandas as pd

    found = list(tables)
    if len(found) == 1:
        return found[0]
    # Such as are empty have no part in what the columns are made of.
    full = [frame for frame in found if len(frame)] or found[:1]
    return pd.concat(full) if full else pd.DataFrame(index=pd.Index([], dtype="int64", name="seq_num"))
