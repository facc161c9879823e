"""Where a MongoDB is: an address that never shows its password."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from databroker_like.errors import Invalid

__all__ = ["MongoAddress"]

_URI = re.compile(
    r"(?P<scheme>mongodb(?:\+srv)?)://"
    r"(?:(?P<user>[^:@/?#\s]*)(?::(?P<password>[^@/?#\s]*))?@)?"
    r"(?P<hosts>[^@/?#\s]+)"
    r"(?:/(?P<database>[^@/?#\s]*))?"
    r"(?:\?(?P<options>[^\s]*))?"
)
_SECRET = re.compile(r"(?i)^[^=]*(password|passwd|token|secret|authmechanismproperties)[^=]*=")

#: What stands for the password in a catalog file: whoever opens the file has it in this environment variable.
PASSWORD_VARIABLE = "MONGO_PASSWORD"  # noqa: S105  a name, not a password


@dataclass(frozen=True)
class MongoAddress:
    """The URI of one database; its text and repr leave the password out, its pickle does not.

    Parameters
    ----------
    uri : str
        ``mongodb://[user:password@]host[:port][,host...]/database[?options]``, or ``mongodb+srv://``.
    argument : str
        What the URI was given as, for errors.

    Raises
    ------
    Invalid
        When it is no such URI, or names no database.

    Examples
    --------
    >>> address = MongoAddress("mongodb://ann:secret@db.example.org/runs")
    >>> address
    MongoAddress('mongodb://ann:***@db.example.org/runs')
    >>> address.database
    'runs'
    """

    uri: str = field(repr=False)
    argument: str = field(default="uri", repr=False, compare=False)

    def __post_init__(self) -> None:
        match = _URI.fullmatch(self.uri)
        # Nothing of a URI that cannot be taken apart is shown: any part of it may be the password.
        if match is None:
            raise Invalid(
                f"{self.argument} is no URI of a MongoDB; write mongodb://host:port/database or "
                "mongodb://user:password@host:port/database, and of ':', '/', '?', '#', '[', ']', '@' and '%' in "
                "a user name or password what urllib.parse.quote_plus makes of them"
            )
        if not match["database"]:
            raise Invalid(
                f"{self.argument}={_shown(match)!r} names no database; write it after the host, "
                f"as in {match['scheme']}://{match['hosts']}/database"
            )

    def _parts(self) -> re.Match[str]:
        match = _URI.fullmatch(self.uri)
        assert match is not None
        return match

    @property
    def database(self) -> str:
        """The name of the database."""
        return unquote(self._parts()["database"])

    @property
    def hosts(self) -> str:
        """The host or hosts, with their ports."""
        return self._parts()["hosts"]

    @property
    def user(self) -> str | None:
        """The user, if the URI names one."""
        user = self._parts()["user"]
        return None if user is None else unquote(user)

    @property
    def options(self) -> frozenset[str]:
        """The names of the options, in lower case."""
        options = self._parts()["options"] or ""
        return frozenset(option.partition("=")[0].lower() for option in re.split("[&;]", options) if option)

    @property
    def for_yaml(self) -> str:
        """The URI as it stands in a catalog file: the password is taken from the environment."""
        return _shown(self._parts(), "{{ env(" + PASSWORD_VARIABLE + ") }}")

    def __str__(self) -> str:
        return _shown(self._parts())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


def _shown(match: re.Match[str], password: str = "***") -> str:  # noqa: S107  what stands in its place
    parts: dict[str, Any] = match.groupdict()
    who = "" if parts["user"] is None else parts["user"] + ("" if parts["password"] is None else f":{password}") + "@"
    options = parts["options"] or ""
    shown = "&".join(
        option.partition("=")[0] + "=***" if _SECRET.match(option) else option
        for option in re.split("[&;]", options)
        if option
    )
    return f"{parts['scheme']}://{who}{parts['hosts']}/{parts['database'] or ''}" + (f"?{shown}" if shown else "")
