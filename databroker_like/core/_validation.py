"""Documents against event-model's JSON schemas, fast, and with numpy's arrays and numbers let in."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping
from typing import Any

from databroker_like.errors import Invalid, InvalidDocument, listed, nearest

__all__ = ["check_columns", "validate"]

_PLAIN = frozenset({str, int, bool, type(None)})


def validate(name: str, doc: Mapping[str, Any]) -> None:
    """Check a document against event-model's schema of its kind.

    A numpy array, or anything else that turns into one, is good where a list is asked for; a numpy number or string
    where a number or string is.

    Parameters
    ----------
    name : str
        The kind of document, such as ``"event_page"``.
    doc : mapping
        The document.

    Raises
    ------
    InvalidDocument
        With the document's kind, its uid, the path to what is wrong, and what is wrong there.
    Invalid
        When there is no such kind.

    Examples
    --------
    >>> validate("start", {"uid": "a", "time": 0.0})
    >>> validate("start", {"uid": "a", "time": "noon"})
    Traceback (most recent call last):
        ...
    databroker_like.errors.InvalidDocument: the start document 'a' is not valid at 'time': "noon" is not of type ...
    """
    # A document of Python's own types, nearly all of them, is done here.
    try:
        _validator(name)(doc)
        return
    except ValueError:
        # jsonschema-rs knows neither numpy nor NaN: what it says of such a document is not the last word.
        plain = _plain(doc) if isinstance(doc, Mapping) else None
    # Raised outside of the handlers: jsonschema-rs' error does not pickle, and as the cause or context of ours it
    # would keep ours from travelling between processes.
    if not isinstance(doc, Mapping):
        raise InvalidDocument(f"the {name} document {doc!r:.100} is not valid: it is no dictionary")
    problem = _problem(name, doc, plain)
    if problem is not None:
        raise problem


def check_columns(name: str, doc: Mapping[str, Any]) -> None:
    """Check what no schema can say: the columns of a page are of one length, and a run begins at some time.

    Parameters
    ----------
    name : str
        The kind of document; those that are no pages are good.
    doc : mapping
        A valid document.

    Raises
    ------
    InvalidDocument

    Examples
    --------
    >>> check_columns("datum_page", {"resource": "r", "datum_id": ["r/0", "r/1"], "datum_kwargs": {"frame": [0]}})
    Traceback (most recent call last):
        ...
    databroker_like.errors.InvalidDocument: the datum_page document 'r/0' to 'r/1' is not valid at ... 1 values ...
    """
    if name not in _COLUMNS:
        if name == "start" and not _is_finite(doc["time"]):  # runs are in the order of their times
            raise _invalid(name, doc, ["time"], f"{doc['time']!r:.40} is no time of a run")
        return
    names, groups = _COLUMNS[name]
    rows = _length(doc[names[0]])
    columns = [([key], doc[key]) for key in names[1:]]
    columns += [([group, key], column) for group in groups for key, column in doc.get(group, {}).items()]
    for path, column in columns:
        if _length(column) != rows:
            raise _invalid(name, doc, path, f"there are {_length(column)} values in a page of {rows}")


_COLUMNS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "event_page": (("uid", "seq_num", "time"), ("data", "timestamps", "filled")),
    "datum_page": (("datum_id",), ("datum_kwargs",)),
}


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _length(column: Any) -> int:
    shape = getattr(column, "shape", None)  # a lazy array may have no len()
    return int(shape[0]) if shape else len(column)


def _problem(name: str, doc: Mapping[str, Any], plain: Any) -> InvalidDocument | None:
    try:
        _validator(name)(plain)
    except ValueError as error:
        path = getattr(error, "instance_path", None)
        if path is None:
            # Not a verdict: there is a type in it that JSON does not have, where the schema looks.
            return _slow_problem(name, doc, plain)
        return _invalid(name, doc, path, str(getattr(error, "message", error)))
    return None


def _invalid(name: str, doc: Mapping[str, Any], path: Iterable[Any], message: str) -> InvalidDocument:
    where = ".".join(map(str, path))
    place = f" at {where!r}" if where else ""
    if len(message) > 300:
        message = f"{message[:150]} ... {message[-150:]}"
    return InvalidDocument(f"the {name} document {_uid(doc)} is not valid{place}: {message}")


def _uid(doc: Mapping[str, Any]) -> str:
    uid = doc.get("uid", doc.get("datum_id"))
    if isinstance(uid, str):
        return repr(uid)
    try:
        if uid is None or not len(uid):
            return "without uid"
        return f"{str(uid[0])!r} to {str(uid[-1])!r}"
    except (TypeError, LookupError):
        return repr(uid)


@functools.cache
def _schema(name: str) -> tuple[Any, Any]:
    """The name and schema of a kind, as event-model has them."""
    from event_model import DocumentNames, schemas

    kinds = {kind.name: kind for kind in schemas}
    if name not in kinds or not isinstance(kinds[name], DocumentNames):
        near = listed(nearest(name, kinds) or kinds)
        raise Invalid(f"there is no kind of document {name!r}; there is {near}")
    return kinds[name], schemas[kinds[name]]


@functools.cache
def _validator(name: str) -> Any:
    import jsonschema_rs

    return jsonschema_rs.validator_for(_schema(name)[1]).validate


def _slow_problem(name: str, doc: Mapping[str, Any], plain: Any) -> InvalidDocument | None:
    """By event-model's own validator, which has a verdict on every Python object."""
    import jsonschema
    from event_model import schema_validators

    try:
        schema_validators[_schema(name)[0]].validate(plain)
    except jsonschema.ValidationError as error:
        return _invalid(name, doc, error.absolute_path, error.message)
    except TypeError as error:
        # A schema with patterns for keys tries them on every key.
        return _invalid(name, doc, (), f"a key in it is not a string ({error})")
    return None


# -- numpy ------------------------------------------------------------------------------------------------------------


def _plain(value: Any) -> Any:
    """The same value in JSON's types, as far as a schema can tell: an array becomes a list of one sample."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is float:
        return value if math.isfinite(value) else 0.5
    if isinstance(value, Mapping):
        return {key: _plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    if hasattr(value, "__array__"):
        return _sample(value)
    return value


def _sample(array: Any) -> Any:
    """A scalar as Python's; an array as a list of one member of the same type, deciding for all of them."""
    dtype, shape = getattr(array, "dtype", None), getattr(array, "shape", None)
    if dtype is None or shape is None:
        return _plain(array.__array__().tolist())
    if not shape:
        item = array.item() if hasattr(array, "item") else array
        # Of a number that Python has no type for, numpy's longdouble, the item is that number again.
        return _typical(dtype.kind) if hasattr(item, "__array__") else _plain(item)
    if dtype.kind == "O" and hasattr(array, "tolist"):
        return _plain(array.tolist())
    if 0 in shape:
        return []
    sample = _typical(dtype.kind)
    # JSON Schema takes 1.0 for an integer, so the values decide; a lazy array is not read for that.
    if dtype.kind == "f" and len(shape) == 1 and hasattr(array, "tolist") and bool((array % 1 == 0).all()):
        sample = 1.0
    for _ in shape:
        sample = [sample]
    return sample


def _typical(kind: str) -> Any:
    """A value of numpy's kind of dtype; for those that JSON does not have, an object of no JSON type."""
    return {"b": True, "i": 1, "u": 1, "f": 0.5, "U": "", "T": ""}.get(kind, NotImplemented)
