"""What intake 2's legacy catalog layer needs of the objects we hand it, and nothing else of ours.

Each peculiarity stands beside the reason:

- ``Catalog.__getitem__`` splits keys on "." and hides the KeyError of a container: `CatalogBase` looks up itself.
- intake calls what it finds in a catalog and reads ``_user_parameters``, ``_catalog``, ``_pmode``, ``_container``
  of it: a run or a stream answers to all of them, and calling it gives itself.
- ``Catalog.__init__`` ends in ``force_reload()``: state is set before ``super().__init__``.
- ``auth`` was taken out of intake and stands in YAML written before: it is dropped.
- intake makes a source from its arguments and tells it its name afterwards, so an error in the arguments would not
  say which source it was: `_Checked` looks who is calling.
- ``_ipython_display_`` of every intake object prints its YAML; a notebook shows ``_repr_html_`` only without it.
- ``Catalog.configure_new`` keeps the parameters of a whole file for the members of the catalog; ours have none, and the
  parameters are for the catalog itself.
- unpickled intake objects have their arguments in a list, and are unequal to those they were made from.
- intake hands a template that would run a shell on as text, ``{{shell(...)}}``: `refuse_shell` says so.
- the token of an intake object is the digest of its repr; ours may show what is being recorded, so tokens and hashes
  come from what the object was made of.
- ``Catalog.__dir__`` leaves out the methods and lists every entry.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

from intake.catalog.base import Catalog
from intake.catalog.entry import CatalogEntry

from databroker_like.errors import DatabrokerError, Invalid, WrongType, listed, nearest

__all__ = ["CatalogBase", "accepted_arguments", "calling_source", "refuse_shell", "required_arguments"]

#: Arguments of intake's Catalog that make no sense for an object that knows its members itself.
_NOT_OURS = frozenset({"entries", "args", "kwargs", "self"})


@functools.cache
def accepted_arguments(cls: type) -> frozenset[str]:
    """The keyword arguments a catalog class and, where it passes them on, its bases take.

    Parameters
    ----------
    cls : type
        A subclass of intake's ``Catalog``.

    Returns
    -------
    frozenset of str
    """
    names: set[str] = set()
    for base in cls.__mro__:
        if "__init__" not in base.__dict__:
            continue
        parameters = inspect.signature(base.__dict__["__init__"]).parameters.values()
        names.update(p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))
        if base is Catalog or not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return frozenset(names - _NOT_OURS)


@functools.cache
def required_arguments(cls: type) -> tuple[str, ...]:
    """The arguments a catalog class cannot be made without, in order."""
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]  # type: ignore[misc]
    return tuple(
        p.name
        for p in parameters
        if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY, p.POSITIONAL_ONLY)
    )


def calling_source() -> str | None:
    """Which source of which file intake is making just now, as it begins an error message; None when none is."""
    frame: FrameType | None = sys._getframe(1)
    for _ in range(12):
        if frame is None:
            return None
        caller = frame.f_locals.get("self")
        if isinstance(caller, CatalogEntry) and frame.f_code.co_name == "get":
            path = getattr(getattr(caller, "_catalog", None), "path", None)
            folder = getattr(caller, "_catalog_dir", None)
            where = (
                f" of {path}"
                if isinstance(path, str) and "*" not in path
                else f" of a catalog file in {folder}"
                if folder
                else ""
            )
            return f"source {caller.name!r}{where}"
        frame = frame.f_back
    return None


def refuse_shell(what: str, value: Any) -> None:
    """Raise when a value is a template that intake left as it was because it may not run a shell.

    Parameters
    ----------
    what : str
        The argument it is, or is a part of.
    value : object

    Raises
    ------
    Invalid
    """
    if isinstance(value, str):
        if "{{shell(" in value or "{{client_shell(" in value:
            raise Invalid(f"{what!r} is {value!r}; nothing in a catalog runs a shell, write the value itself")
    elif isinstance(value, Mapping):
        for part in value.values():
            refuse_shell(what, part)
    elif isinstance(value, list | tuple):
        for part in value:
            refuse_shell(what, part)


class _Checked(type):
    """Makes an object only from arguments it takes, and says whose they are when they are wrong."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        accepted = accepted_arguments(cls)
        unknown = kwargs.keys() - accepted
        if unknown and unknown != {"auth"}:
            raise WrongType(_told(_unknown(cls, unknown - {"auth"})))
        missing = [name for name in required_arguments(cls)[len(args) :] if name not in kwargs]
        if missing:
            raise WrongType(_told(f"{_kind(cls)} needs {listed(missing)}; it was given {listed(kwargs)}"))
        try:
            return super().__call__(*args, **kwargs)
        except DatabrokerError as error:
            error.args = (_told(str(error)), *error.args[1:])
            raise


def _told(message: str) -> str:
    source = calling_source()
    return f"{source}: {message}" if source and not message.startswith(source) else message


def _kind(cls: type) -> str:
    name = cls.__dict__.get("name")
    return f"{cls.__name__} ({name})" if isinstance(name, str) and name else cls.__name__


def _unknown(cls: type, unknown: set[str]) -> str:
    accepted = accepted_arguments(cls)
    said = []
    for name in sorted(unknown):
        near = nearest(name, accepted)
        said.append(f"no argument {name!r}" + (f" (nearest: {listed(near)})" if near else ""))
    return f"{_kind(cls)} takes {', '.join(said)}; it takes {listed(accepted, most=30)}"


class CatalogBase(Catalog, metaclass=_Checked):
    """An intake Catalog over a lazy mapping, whose members are the objects themselves."""

    _user_parameters: list[Any] = []
    _pmode = "never"
    _catalog: Any = None
    _ipython_display_ = None

    def __init__(self, **kwargs: Any) -> None:
        kwargs.pop("auth", None)
        kwargs.setdefault("persist_mode", "never")
        super().__init__(**kwargs)

    @property
    def _container(self) -> str:
        return str(self.container)

    def _make_entries_container(self) -> Mapping[str, Any]:
        raise NotImplementedError

    def configure_new(self, **kwargs: Any) -> Any:
        """This object; or, with arguments, a new one of the same type with those changed.

        Parameters
        ----------
        **kwargs
            Arguments, or user parameters of the catalog file it comes from, to change.

        Returns
        -------
        object of the same type
        """
        return super(Catalog, self).configure_new(**kwargs) if kwargs else self

    __call__ = get = configure_new

    def walk(
        self, sofar: dict[str, Any] | None = None, prefix: list[str] | None = None, depth: int = 2
    ) -> dict[str, Any]:
        """Every member, by its dotted name.

        Parameters
        ----------
        sofar, prefix
            What an outer catalog found before, and the names that lead here.
        depth : int
            Taken because every intake catalog takes it; members are not walked into.

        Returns
        -------
        dict
        """
        out = {} if sofar is None else sofar
        for name, member in self.items():
            out[".".join([*(prefix or []), name])] = member
        return out

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, tuple):
            found: Any = self
            for part in key:
                found = found[part]
            return found
        return self._entries[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def _identity(self) -> tuple[Any, ...]:
        """What this object was made of; two of the same type and identity are equal."""
        return (tuple(self._captured_init_args), dict(self._captured_init_kwargs))

    def __eq__(self, other: object) -> bool:
        return self is other or (type(self) is type(other) and self._identity() == other._identity())

    def __hash__(self) -> int:
        texts = tuple(a for a in self._captured_init_args if isinstance(a, str))
        return hash((type(self), texts, frozenset(self._captured_init_kwargs)))

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        super().__setstate__({**state, "args": tuple(state["args"]), "kwargs": dict(state["kwargs"])})

    def __dask_tokenize__(self) -> Any:
        return (type(self).__module__, type(self).__qualname__, self._identity())

    def __dir__(self) -> list[str]:
        return list(object.__dir__(self))
