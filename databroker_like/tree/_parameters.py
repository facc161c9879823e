"""The parameters of the routes: what each may be, said once for who reads them and for who is told of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["FARTHEST", "Parameter", "choice", "flag", "text", "whole"]

#: As many positions as a listing can have: beyond it readers of JSON count no more one by one.
FARTHEST = 1 << 53


@dataclass(frozen=True)
class Parameter:
    """A parameter in the URL of a route.

    Parameters
    ----------
    name : str
    says : str
        What it is for.
    schema : mapping
        Of JSON Schema: what one value of it may be.
    required : bool
        False by default.
    many : bool
        Whether it may be given several times with different values; False by default.

    Examples
    --------
    >>> Parameter("partition", "Which part.", {"type": "integer", "minimum": 0}, required=True).described()["schema"]
    {'type': 'integer', 'minimum': 0}
    """

    name: str
    says: str
    schema: Mapping[str, Any]
    required: bool = False
    many: bool = False

    def described(self) -> dict[str, Any]:
        """The parameter as OpenAPI describes it.

        Returns
        -------
        dict
        """
        schema: Mapping[str, Any] = {"type": "array", "items": dict(self.schema)} if self.many else dict(self.schema)
        found = {"name": self.name, "in": "query", "description": self.says, "required": self.required}
        if self.many:
            found |= {"style": "form", "explode": True}
        return {**found, "schema": schema}


def whole(name: str, says: str, least: int, most: int, default: int | None = None, **options: Any) -> Parameter:
    """A parameter that is a whole number.

    Parameters
    ----------
    name, says : str
    least, most : int
        What it may be.
    default : int, optional
    **options
        As `Parameter` takes them.

    Returns
    -------
    Parameter
    """
    schema: dict[str, Any] = {"type": "integer", "minimum": least, "maximum": most}
    if default is not None:
        schema["default"] = default
    return Parameter(name, says, schema, **options)


def flag(name: str, says: str, default: bool = False) -> Parameter:
    """A parameter that is true or false.

    Parameters
    ----------
    name, says : str
    default : bool
        False by default.

    Returns
    -------
    Parameter
    """
    return Parameter(name, says, {"type": "boolean", "default": default})


def text(name: str, says: str, *, pattern: str | None = None, longest: int | None = None, **options: Any) -> Parameter:
    """A parameter that is text.

    Parameters
    ----------
    name, says : str
    pattern : str, optional
        A regular expression that all of it matches.
    longest : int, optional
        How many characters it may have.
    **options
        As `Parameter` takes them.

    Returns
    -------
    Parameter
    """
    schema: dict[str, Any] = {"type": "string"}
    if pattern is not None:
        schema["pattern"] = pattern
    if longest is not None:
        schema["maxLength"] = longest
    return Parameter(name, says, schema, **options)


def choice(name: str, says: str, values: tuple[str, ...], **options: Any) -> Parameter:
    """A parameter that is one of some texts.

    Parameters
    ----------
    name, says : str
    values : tuple of str
    **options
        As `Parameter` takes them.

    Returns
    -------
    Parameter
    """
    return Parameter(name, says, {"type": "string", "enum": list(values)}, **options)
