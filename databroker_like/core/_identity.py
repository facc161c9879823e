"""Whether a document is the same one again, another one under the same identity, or an event taken again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from databroker_like.errors import Conflict

__all__ = ["judge_event", "regular", "same"]

Doc = Mapping[str, Any]


def same(known: Doc, other: Doc) -> bool:
    """Whether two documents say the same; NaN is equal to NaN, and an array to an equal array of its dtype.

    Parameters
    ----------
    known, other : mapping

    Returns
    -------
    bool

    Examples
    --------
    >>> same({"uid": "a", "x": float("nan")}, {"x": float("nan"), "uid": "a"})
    True
    """
    return known is other or _canonical(known) == _canonical(other)


def judge_event(known: Doc, new: Doc) -> str:
    """What an event is, whose descriptor and seq_num, or whose uid, another one has already.

    Parameters
    ----------
    known, new : mapping
        The event that is recorded, and the one that comes.

    Returns
    -------
    {"same", "retake"}
        ``"retake"``: another uid and a later time, under the same descriptor and seq_num. The RunEngine emits these
        when it goes back to a checkpoint, after a pause.

    Raises
    ------
    Conflict
        When it is neither.

    Examples
    --------
    >>> judge_event({"uid": "a", "time": 1.0, "seq_num": 1}, {"uid": "b", "time": 2.0, "seq_num": 1})
    'retake'
    """
    if same(known, new):
        return "same"
    if new["uid"] != known["uid"] and new["time"] > known["time"]:
        return "retake"
    raise Conflict(
        f"another event of seq_num {new.get('seq_num')} of descriptor {new.get('descriptor')!r} is recorded already, "
        f"with the uid {known['uid']!r}; event {new['uid']!r} is not recorded"
    )


def regular(row: Doc) -> Doc:
    """A row as an event and a page have it alike: where nothing is external, ``filled`` may be left out.

    Parameters
    ----------
    row : mapping
        An event, or a datum.

    Returns
    -------
    mapping

    Examples
    --------
    >>> regular({"uid": "a", "filled": {}})
    {'uid': 'a'}
    """
    if row.get("filled") == {}:
        return {key: value for key, value in row.items() if key != "filled"}
    return row


def _canonical(doc: Any) -> str:
    return json.dumps(doc, sort_keys=True, default=_tagged)


def _tagged(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "tolist"):
        if not value.shape:  # a number of numpy's is the number, but for a longdouble
            item = value.tolist()
            return repr(item) if hasattr(item, "tolist") else item
        return [str(getattr(value, "dtype", "")), value.tolist()]
    return repr(value)
