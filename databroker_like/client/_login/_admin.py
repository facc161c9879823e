"""What administrators ask a server about its users."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from databroker_like.errors import Invalid
from databroker_like.http import Params

__all__ = ["Admin", "bare", "key_wanted"]

Ask = Callable[[str, str, Any, Params], Any]

_SPAN = re.compile(r"(\d+)\s*([smhdy])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "y": 365 * 86400}


class Admin:
    """What administrators ask a server of the Tiled protocol about its users, who are principals to it.

    Who is no administrator there gets `NotPermitted`; where there are no users, it is `NotOffered`.

    Parameters
    ----------
    ask : callable
        ``(method, path below /auth, JSON to be sent or None, parameters) -> content of the reply``
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def list_principals(self, offset: int = 0, limit: int = 100) -> list[dict[str, Any]]:
        """The users and services, some at a time.

        Parameters
        ----------
        offset : int
            How many to pass over; none by default.
        limit : int
            How many at the most; 100 by default.

        Returns
        -------
        list of dict
        """
        found: list[dict[str, Any]] = bare(
            self._ask("GET", "principal", None, [("page[offset]", offset), ("page[limit]", limit)])
        )
        return found

    def show_principal(self, uuid: str) -> dict[str, Any]:
        """One user or service, with identities, roles, sessions and API keys.

        Parameters
        ----------
        uuid : str

        Returns
        -------
        dict

        Raises
        ------
        NotFound
            When there is none.
        """
        found: dict[str, Any] = bare(self._ask("GET", f"principal/{_uuid(uuid)}", None, []))
        return found

    def create_api_key(
        self,
        uuid: str,
        scopes: Iterable[str] | None = None,
        expires_in: int | str | None = None,
        note: str | None = None,
        access_tags: Iterable[str] | None = None,
    ) -> dict[str, Any]:
        """Make an API key for a user or a service.

        Parameters
        ----------
        uuid : str
            Of the principal.
        scopes, expires_in, note, access_tags : optional
            As of `Context.create_api_key`.

        Returns
        -------
        dict
            With the key itself as ``secret``, which is told this once.

        Raises
        ------
        Invalid
            When the time or a scope cannot be meant.
        """
        wanted = key_wanted(scopes, expires_in, note, access_tags)
        found: dict[str, Any] = bare(self._ask("POST", f"principal/{_uuid(uuid)}/apikey", wanted, []))
        return found

    def revoke_api_key(self, uuid: str, first_eight: str) -> None:
        """Have an API key of a user or a service be worth nothing.

        Parameters
        ----------
        uuid : str
            Of the principal.
        first_eight : str
            Its first eight letters; what follows is not sent.
        """
        self._ask("DELETE", f"principal/{_uuid(uuid)}/apikey", None, [("first_eight", first_eight[:8])])

    def create_service_principal(self, role: str) -> dict[str, Any]:
        """Make a principal that is a program, and no person.

        Parameters
        ----------
        role : str
            What it may do, as ``"user"`` or ``"admin"``.

        Returns
        -------
        dict
        """
        found: dict[str, Any] = bare(self._ask("POST", "principal", None, [("role", role)]))
        return found


def bare(found: Any) -> Any:
    """What is told, in an envelope or without.

    Parameters
    ----------
    found : object

    Returns
    -------
    object
    """
    if isinstance(found, dict) and isinstance(found.get("data"), dict | list):
        return found["data"]
    return found


def key_wanted(
    scopes: Iterable[str] | None, expires_in: int | str | None, note: str | None, access_tags: Iterable[str] | None
) -> dict[str, Any]:
    """What is said of an API key that is to be made.

    Parameters
    ----------
    scopes, expires_in, note, access_tags : optional
        As of `Context.create_api_key`.

    Returns
    -------
    dict

    Raises
    ------
    Invalid
        When the time cannot be meant.
    """
    return {
        "scopes": None if scopes is None else list(scopes),
        "expires_in": _seconds(expires_in),
        "note": note,
        "access_tags": None if access_tags is None else list(access_tags),
    }


def _uuid(text: str) -> str:
    if not isinstance(text, str) or not re.fullmatch(r"[\w-]+", text):
        raise Invalid(f"{text!r:.100} is no uuid of a principal; .list_principals() tells them")
    return text


def _seconds(span: int | str | None) -> int | None:
    if span is None or (isinstance(span, int) and not isinstance(span, bool) and span > 0):
        return span
    found = _SPAN.fullmatch(span.strip()) if isinstance(span, str) else None
    if found is None:
        raise Invalid(f"a time is written as seconds, or as '30s', '5m', '1h', '3d' or '1y', not {span!r}")
    return int(found[1]) * _SECONDS[found[2]]
