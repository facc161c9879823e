"""Ways to log in: user and password, or a code that is entered at another site."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import orjson

from databroker_like.client._about import Provider
from databroker_like.errors import (
    Invalid,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    ServiceFailed,
    Unreachable,
    listed,
    nearest,
)
from databroker_like.http import Session

__all__ = ["can_prompt", "choose", "device_code_grant", "password_grant", "posted"]

_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_FORM = "application/x-www-form-urlencoded"
#: So often a password is asked for.
_MOST_TRIES = 3


def can_prompt() -> bool:
    """Whether there is somebody who can be asked: a terminal, a notebook, or ``TILED_FORCE_PROMPT`` says so.

    Returns
    -------
    bool
    """
    if os.environ.get("TILED_FORCE_PROMPT", "") not in ("", "0"):
        return True
    if sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty():
        return True
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(getattr(shell, "kernel", None), "_allow_stdin", False) is True


def choose(providers: Sequence[Provider], name: str | None = None) -> Provider:
    """The way to log in, which is asked for when there are several.

    Parameters
    ----------
    providers : sequence of Provider
        One or more.
    name : str, optional
        That of one of them.

    Returns
    -------
    Provider

    Raises
    ------
    Invalid
        When there is none of that name.
    """
    if name is not None:
        for provider in providers:
            if provider.provider == name:
                return provider
        names = [provider.provider for provider in providers]
        raise Invalid(
            f"the server has no way to log in called {name!r}; it has {listed(nearest(name, names) or names)}"
        )
    if len(providers) == 1:
        return providers[0]
    print("There are several ways to log in:")
    for number, provider in enumerate(providers, 1):
        print(f"{number}. {provider.provider}")
    while True:
        answer = input(f"Which one? [1-{len(providers)}] ").strip()
        if answer.isdecimal() and 1 <= int(answer) <= len(providers):
            return providers[int(answer) - 1]
        print(f"A number between 1 and {len(providers)}, please.")


def password_grant(
    session: Session, provider: Provider, username: str | None = None, password: str | None = None
) -> dict[str, Any]:
    """The tokens that a user and a password are worth; what is missing is asked for.

    Parameters
    ----------
    session : Session
    provider : Provider
    username, password : str, optional

    Returns
    -------
    dict

    Raises
    ------
    NotAuthenticated
        When the server does not know them; when they were asked for, three times.
    """
    asked_for = password is None
    for tries in range(_MOST_TRIES):
        user = username if username is not None else input("Username: ").strip()
        secret = password
        if secret is None:
            import getpass

            secret = getpass.getpass("Password: ")
        try:
            fields = {"grant_type": "password", "username": user, "password": secret}
            return posted(session, _endpoint(provider), fields)
        except NotAuthenticated as error:
            if not asked_for or tries == _MOST_TRIES - 1:
                raise NotAuthenticated(f"the server does not let {user!r} in: {error}") from error
            print("That is not the right username or password.")
    raise AssertionError("the last try returns or raises")  # pragma: no cover


def device_code_grant(session: Session, provider: Provider) -> dict[str, Any]:
    """The tokens that the server has when its user has entered a code at another site.

    Parameters
    ----------
    session : Session
    provider : Provider
        Either one whose server looks after the other site itself, or one that names the site's own addresses and the
        ``client_id`` that the site knows it by.

    Returns
    -------
    dict

    Raises
    ------
    NotAuthenticated
        When the code was refused, or not entered in time.
    """
    links = provider.links
    client_id = links.get("client_id")
    if client_id is not None:
        fields = {"client_id": client_id, "scope": "openid offline_access"}
        told = posted(session, _endpoint(provider), fields)
        visit = told.get("verification_uri_complete") or told.get("verification_uri")
        poll, is_form = links.get("token_endpoint"), True
        more = {"client_id": client_id}
    else:
        told = posted(session, _endpoint(provider), {})
        # Where the user goes is called authorization_uri by Tiled, and where one waits verification_uri.
        visit, poll, is_form, more = told.get("authorization_uri"), told.get("verification_uri"), False, {}
    if not visit or not poll or not told.get("device_code"):
        raise ServiceFailed(f"the way to log in called {provider.provider!r} gives no code, or nowhere to enter it")
    seconds, pause = float(told.get("expires_in") or 900), float(told.get("interval") or 5)
    print(f"\nYou have {max(round(seconds / 60), 1)} minutes to visit this address\n\n{visit}\n")
    print(f"and enter the code:\n\n{told.get('user_code', '')}\n\nWaiting...")
    end = time.monotonic() + seconds
    fields = {"device_code": told["device_code"], "grant_type": _DEVICE_GRANT, **more}
    while time.monotonic() < end:
        time.sleep(pause)
        try:
            return posted(session, poll, fields, is_form=is_form)
        except NotFound as error:
            raise NotAuthenticated(f"the code was not entered in time: {error}") from error
        except Unreachable:
            # The code is as good a little later.
            continue
        except (Invalid, NotAuthenticated, NotPermitted) as error:
            said = str(error)
            if "slow_down" in said:
                pause += 5
            elif "authorization_pending" not in said:
                raise NotAuthenticated(f"the code was refused: {error}") from error
    raise NotAuthenticated("the code was not entered in time; log in again for another one")


def _endpoint(provider: Provider) -> str:
    if "auth_endpoint" not in provider.links:
        raise ServiceFailed(f"the server does not say where one logs in by {provider.provider!r}")
    return provider.links["auth_endpoint"]


def posted(session: Session, url: str, fields: Mapping[str, str], *, is_form: bool = True) -> dict[str, Any]:
    """The JSON that is answered to something secret.

    Parameters
    ----------
    session : Session
    url : str
    fields : mapping
    is_form : bool
        Whether they are sent as a form, or as JSON.

    Returns
    -------
    dict

    Raises
    ------
    DatabrokerError
        Of the class that stands for the refusal.
    """
    content = urlencode(fields).encode() if is_form else orjson.dumps(dict(fields))
    kind = _FORM if is_form else "application/json"
    accept = "application/json"
    target = session.resolved(url)
    if not session.is_own(target) and session.is_secure and target.scheme != "https":
        raise ServiceFailed(
            f"the server wants a secret to be sent to {target.host} without encryption, which is not done"
        )
    reply = session.fetch("POST", url, content=content, content_type=kind, accept=accept, secret=True)
    try:
        found = orjson.loads(reply.content)
    except orjson.JSONDecodeError as error:
        raise ServiceFailed(f"the reply of {reply.url} is broken: {error}") from error
    if not isinstance(found, dict):
        raise ServiceFailed(f"the reply of {reply.url} is no object of JSON")
    return found
