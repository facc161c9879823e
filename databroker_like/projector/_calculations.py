"""What a calculated field may call: never what a document names, only what the caller allowed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

from databroker_like.errors import NotFound, ProjectionError, WrongType, listed

__all__ = ["Allowed", "Calculations", "calculation_of", "call", "get_calculated_value"]

Calculations = Mapping[str, Callable[..., Any]] | Iterable[Callable[..., Any] | ModuleType]


def get_calculated_value(
    run: Any, key: str, mapping: Mapping[str, Any], calculations: Calculations | None = None
) -> Any:
    """Call what a calculated field names, and return what it gives.

    A projection stands in a document, and a document may come from anybody: what it names is called only when it is
    among the ``calculations`` handed in. Nothing is imported because a document names it.

    Parameters
    ----------
    run : BlueskyRun
        The first argument of the call.
    key : str
        The name of the field.
    mapping : mapping
        Its description, with ``callable``, ``args`` and ``kwargs`` inside ``calculation``, as event-model's schema
        has them, or beside the others.
    calculations : mapping or iterable
        ``"module:function"`` -> function; or a list of functions, and of modules, the public functions of which may
        be called.

    Returns
    -------
    object

    Raises
    ------
    ProjectionError
        When it is not among the calculations, or fails.

    Examples
    --------
    >>> mapping = {"type": "calculated", "calculation": {"callable": "lab:total", "args": [1, 2], "kwargs": {}}}
    >>> get_calculated_value(None, "total", mapping, {"lab:total": lambda run, *parts: sum(parts)})
    3
    """
    calculation = calculation_of(key, mapping)
    try:
        function = Allowed(calculations).find(calculation["callable"])
    except NotFound as error:
        raise ProjectionError(f"field {key!r}: {error}") from error
    return call(run, key, calculation, function)


class Allowed:
    """What may be called, by ``"module:function"``."""

    def __init__(self, given: Calculations | None) -> None:
        self._functions: dict[str, Callable[..., Any]] = {}
        if isinstance(given, Mapping):
            self._functions.update(given)
        else:
            for one in given or ():
                self._add(one)
        for name, function in self._functions.items():
            if not callable(function):
                raise WrongType(f"calculations[{name!r}] is a function; it cannot be {function!r}")

    def _add(self, one: Any) -> None:
        if isinstance(one, ModuleType):
            for name, member in vars(one).items():
                # Not what the module imported for its own use.
                if inspect.isfunction(member) and member.__module__ == one.__name__ and not name.startswith("_"):
                    self._functions[f"{one.__name__}:{name}"] = member
        elif callable(one) and hasattr(one, "__qualname__"):
            self._functions[f"{one.__module__}:{one.__qualname__}"] = one
        else:
            raise WrongType(f"calculations are functions and modules; one of them cannot be {one!r}")

    def find(self, name: str) -> Callable[..., Any]:
        """The function of a name; NotFound when it may not be called."""
        try:
            return self._functions[name]
        except KeyError:
            raise NotFound(
                f"it is calculated by {name!r}, which is not among the calculations that may be called "
                f"({listed(self._functions)}); to allow it, hand in calculations={{{name!r}: the_function}}"
            ) from None


def calculation_of(key: str, mapping: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a calculated field that says what is called."""
    found = mapping.get("calculation", mapping)
    if not isinstance(found, Mapping) or not isinstance(found.get("callable"), str):
        raise ProjectionError(f"field {key!r} is calculated and names no 'callable', such as 'package.module:function'")
    return found


def call(run: Any, key: str, calculation: Mapping[str, Any], function: Callable[..., Any]) -> Any:
    """Call a calculation."""
    args, kwargs = calculation.get("args", []), calculation.get("kwargs", {})
    try:
        return function(run, *args, **kwargs)
    except Exception as error:
        raise ProjectionError(
            f"field {key!r}: the calculation {calculation['callable']!r} failed: {type(error).__name__}: {error}"
        ) from error
