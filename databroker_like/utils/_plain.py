"""Helpers that version 1 notebooks import: plain functions of plain data."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

__all__ = ["ALL", "apply_to_dict_recursively", "ensure_path_exists", "get_fields", "sanitize_np", "transpose"]


class ALL:
    """Stands for all streams of a run where the name of one is asked for."""


def get_fields(header: Any, name: str | None = None) -> set[str]:
    """The names of the data keys of a run.

    Parameters
    ----------
    header : Header
        Anything that has ``descriptors``.
    name : str, optional
        Of this stream only; of all by default.

    Returns
    -------
    set of str
    """
    return {
        key
        for descriptor in header.descriptors
        if name is None or name is ALL or descriptor.get("name", "primary") == name
        for key in descriptor.get("data_keys", {})
    }


def transpose(in_data: Iterable[Mapping[str, Any]], keys: Iterable[str], field: str) -> dict[str, list[Any]]:
    """A list of events as lists of their values.

    Parameters
    ----------
    in_data : iterable of mapping
        Each with the keys under ``field``.
    keys : iterable of str
        Which to take.
    field : str
        Such as ``"data"``.

    Returns
    -------
    dict
        Key -> one value for each event.

    Examples
    --------
    >>> transpose([{"data": {"x": 1}}, {"data": {"x": 2}}], ["x"], "data")
    {'x': [1, 2]}
    """
    rows = [event[field] for event in in_data]
    return {key: [row[key] for row in rows] for key in keys}


def sanitize_np(val: Any) -> Any:
    """A numpy value as Python's own; anything else as it is.

    Parameters
    ----------
    val : object

    Returns
    -------
    object

    Examples
    --------
    >>> import numpy
    >>> sanitize_np(numpy.arange(3)), sanitize_np(numpy.float64(0.5)), sanitize_np("text")
    ([0, 1, 2], 0.5, 'text')
    """
    if type(val).__module__ == "numpy" and hasattr(val, "tolist"):
        return val.tolist()
    return val


def apply_to_dict_recursively(d: dict[str, Any], f: Callable[[Any], Any]) -> None:
    """Put ``f(value)`` in the place of every value of a dictionary and of the dictionaries in it.

    Parameters
    ----------
    d : dict
        Changed in place.
    f : callable
        Of one value; it is not called with the dictionaries themselves.

    Examples
    --------
    >>> doc = {"a": 1, "b": {"c": 2}}
    >>> apply_to_dict_recursively(doc, str)
    >>> doc
    {'a': '1', 'b': {'c': '2'}}
    """
    for key, value in d.items():
        if isinstance(value, dict):
            apply_to_dict_recursively(value, f)
        else:
            d[key] = f(value)


def ensure_path_exists(path: str | os.PathLike[str], exist_ok: bool = True) -> None:
    """Make a folder, and those it lies in.

    Parameters
    ----------
    path : str or path
    exist_ok : bool
        False makes it an error that the folder is there already; True by default.
    """
    os.makedirs(path, exist_ok=exist_ok)
