"""Runs as hypothesis makes them: any keys, any values a document may hold, any number of events."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import strategies as st

__all__ = ["documents", "keys", "values"]

Documents = list[tuple[str, dict[str, Any]]]

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_SCALARS = st.one_of(
    st.floats(allow_nan=False),
    st.integers(-(2**62), 2**62),
    st.booleans(),
    _TEXT,
)

#: One value of a column.
values = st.one_of(
    _SCALARS,
    st.none(),
    st.lists(_SCALARS, max_size=3),
    st.lists(st.lists(st.integers(-(2**62), 2**62), max_size=2), max_size=3),
)

#: Names of data keys: no dots, slashes or dollars, which documents do not allow there.
keys = st.text(st.sampled_from("abcdefgh_ 0123é"), min_size=1, max_size=6)


@st.composite
def _column(draw: st.DrawFn) -> st.SearchStrategy[Any]:
    """A kind of column: of one type, as most are, or of anything."""
    return draw(
        st.sampled_from([st.floats(allow_nan=False), st.integers(-(2**62), 2**62), st.booleans(), _TEXT, values])
    )


@st.composite
def documents(draw: st.DrawFn, max_events: int = 8, is_finished: bool | None = None) -> Documents:
    """The documents of one run, in order.

    Parameters
    ----------
    max_events : int
        In each stream; 8 by default.
    is_finished : bool, optional
        Whether there is a stop document; either by default.

    Returns
    -------
    strategy of list of (name, document)
    """
    uid = str(draw(st.uuids()))
    tick = itertools.count()
    begin = draw(st.floats(0, 2e9))
    start = {
        "uid": uid,
        "time": begin,
        **draw(st.dictionaries(st.sampled_from(["sample", "operator", "num_points", "purpose"]), values, max_size=3)),
    }
    found: Documents = [("start", start)]
    bodies: list[list[tuple[str, dict[str, Any]]]] = []
    for number in range(draw(st.integers(0, 3))):
        descriptor = f"{uid}-d{number}"
        columns = {key: draw(_column()) for key in draw(st.lists(keys, max_size=4, unique=True))}
        data_keys = {key: {"source": "any", "dtype": "number", "shape": []} for key in columns}
        found.append(
            (
                "descriptor",
                {
                    "uid": descriptor,
                    "run_start": uid,
                    "time": begin,
                    "name": draw(st.sampled_from(["primary", "baseline"])),
                    "data_keys": data_keys,
                },
            )
        )
        bodies.append(
            [
                (
                    "event",
                    {
                        "uid": f"{descriptor}-e{row}",
                        "descriptor": descriptor,
                        "time": begin + next(tick),
                        "seq_num": row + 1,
                        "data": {key: draw(column) for key, column in columns.items()},
                        "timestamps": {key: draw(st.floats(0, 2e9)) for key in columns},
                        "filled": {},
                    },
                )
                for row in range(draw(st.integers(0, max_events)))
            ]
        )
    # The events of the streams take turns.
    for turn in itertools.zip_longest(*bodies):
        found += [event for event in turn if event is not None]
    if draw(st.booleans()) if is_finished is None else is_finished:
        stop = {"uid": f"{uid}-s", "run_start": uid, "time": begin + next(tick), "exit_status": "success"}
        found.append(("stop", stop))
    return found
