"""once: a property that an object works out the first time that it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

__all__ = ["once"]

T = TypeVar("T")


class once(Generic[T]):
    """A property that is worked out when it is first asked for, and is what it is from then on.

    It is `functools.cached_property` as it is from Python 3.12 on: before, an object that works one out keeps all
    others of its class waiting. Threads that ask for the first time together each work it out, and all of them get the
    one of the values that stays.

    Parameters
    ----------
    work_out : callable
        Of the object.

    Examples
    --------
    >>> class Circle:
    ...     @once
    ...     def area(self):
    ...         print("worked out")
    ...         return 3.1
    >>> circle = Circle()
    >>> circle.area, circle.area
    worked out
    (3.1, 3.1)
    """

    def __init__(self, work_out: Callable[[Any], T]) -> None:
        self._work_out = work_out
        self.__doc__ = work_out.__doc__
        self.__module__ = work_out.__module__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> once[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> once[T] | T:
        if instance is None:
            return self
        # What is in the dictionary of the object is found there from then on, and this is not asked any more.
        found: T = instance.__dict__.setdefault(self._name, self._work_out(instance))
        return found
