"""What a server says of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["About", "Authentication", "Provider"]


@dataclass(frozen=True)
class Provider:
    """A way to log in.

    Parameters
    ----------
    provider : str
        Its name.
    mode : str
        ``"internal"`` (or ``"password"``), where user and password are given to the server, or ``"external"``, where
        the user goes to another site.
    links : mapping
        At least ``auth_endpoint``.
    confirmation_message : str
        What is said when it has succeeded; ``{id}`` stands for the user.
    """

    provider: str
    mode: str
    links: Mapping[str, str] = field(default_factory=dict)
    confirmation_message: str = ""

    @property
    def takes_passwords(self) -> bool:
        """Whether user and password are given to the server itself."""
        return self.mode in ("internal", "password")


@dataclass(frozen=True)
class Authentication:
    """How a server knows its users.

    Parameters
    ----------
    required : bool
        Whether nothing is read without credentials.
    providers : tuple of Provider
        The ways to log in; none when there are only API keys.
    links : mapping
        ``whoami``, ``apikey``, ``refresh_session``, ``revoke_session``, ``logout``.
    """

    required: bool = False
    providers: tuple[Provider, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Authentication:
        """From the wire.

        Parameters
        ----------
        obj : mapping

        Returns
        -------
        Authentication
        """
        providers = tuple(
            Provider(
                str(told.get("provider", "")),
                str(told.get("mode", "")),
                {name: link for name, link in (told.get("links") or {}).items() if isinstance(link, str)},
                told.get("confirmation_message") or "",
            )
            for told in obj.get("providers") or ()
        )
        return cls(bool(obj.get("required")), providers, obj.get("links") or {})


@dataclass(frozen=True)
class About:
    """What a server says of itself.

    Parameters
    ----------
    api_version : int
    library_version : str
    formats : dict
        Structure family or spec -> the media types that it is exported as.
    aliases : dict
        Structure family or spec -> media type -> short names.
    queries : list of str
    authentication : Authentication
        Whether it is ``required``, and the ``providers``.
    links, meta : dict
    """

    api_version: int
    library_version: str
    formats: Mapping[str, Sequence[str]]
    aliases: Mapping[str, Mapping[str, Sequence[str]]]
    queries: Sequence[str]
    authentication: Authentication
    links: Mapping[str, Any]
    meta: Mapping[str, Any]

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> About:
        """From the wire; what else a server says is left out.

        Parameters
        ----------
        obj : mapping

        Returns
        -------
        About
        """
        return cls(
            obj.get("api_version", 0),
            str(obj.get("library_version", "")),
            obj.get("formats") or {},
            obj.get("aliases") or {},
            obj.get("queries") or [],
            Authentication.from_json(obj.get("authentication") or {}),
            obj.get("links") or {},
            obj.get("meta") or {},
        )
