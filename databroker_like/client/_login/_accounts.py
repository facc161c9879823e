"""Who one is to a server: logging in and out, tokens, API keys."""

from __future__ import annotations

import re
import threading
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from databroker_like.client._about import About
from databroker_like.client._login._admin import Admin, bare, key_wanted
from databroker_like.client._login._tokens import TokenFolder, Tokens
from databroker_like.client._login._ways import can_prompt, choose, device_code_grant, password_grant, posted
from databroker_like.client._views import DictView
from databroker_like.errors import Invalid, NotAuthenticated, NotFound, NotOffered, NotWritable, ServiceFailed
from databroker_like.http import Params, Session

__all__ = ["Accounts"]

#: What an HTTP header can hold without being another header.
_KEY = re.compile(r"[!-~]+")


class _Hidden(DictView):
    """Tokens, which are not shown by accident."""

    def __repr__(self) -> str:
        return f"<{', '.join(self) or 'no tokens'}>"


class Accounts(ABC):
    """What a `Context` knows of users: it has either an API key, or the tokens of a session, or nothing.

    Parameters
    ----------
    session : Session
    api_uri : str
    token_folder : TokenFolder
        Where tokens are remembered when they are to be.
    """

    def __init__(self, session: Session, api_uri: str, token_folder: TokenFolder) -> None:
        self.session = session
        self.api_uri = api_uri
        self._folder = token_folder
        self._api_key: str | None = None
        self._tokens: Tokens | None = None
        self._remembered = False
        self._renewing = threading.RLock()
        self._within = False

    # -- what a Context has ------------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def server_info(self) -> About:
        """What the server says of itself."""

    @abstractmethod
    def get_json(self, url: str, params: Params = ()) -> Any:
        """The content of a reply in msgpack or JSON."""

    @abstractmethod
    def send_json(self, method: str, url: str, value: Any = None, params: Params = ()) -> Any:
        """Send JSON; the content of the reply, or None when it has none."""

    # -- credentials -------------------------------------------------------------------------------------------------

    @property
    def api_key(self) -> str | None:
        """The key that is sent to this server; None when none is. Setting one ends the use of tokens."""
        return self._api_key

    @api_key.setter
    def api_key(self, value: str | None) -> None:
        if value is not None and not _KEY.fullmatch(value):
            raise Invalid("an API key has letters, digits and signs only, without spaces")
        self._api_key = value
        self._tokens = None
        self.session.renew = None
        self.session.authorization = None if value is None else f"Apikey {value}"

    @property
    def authenticated(self) -> bool:
        """Whether requests carry an API key or a token."""
        return self.session.authorization is not None or self.session.auth is not None

    @property
    def tokens(self) -> DictView:
        """A view of the current ``access_token`` and ``refresh_token``; empty when nobody has logged in."""
        if self._tokens is None:
            return _Hidden({})
        return _Hidden({"access_token": self._tokens.access_token, "refresh_token": self._tokens.refresh_token})

    def configure_auth(self, tokens: Mapping[str, Any], remember_me: bool = True) -> None:
        """Use tokens that were got in some other way.

        Parameters
        ----------
        tokens : mapping
            With ``access_token``, and ``refresh_token`` if there is one.
        remember_me : bool
            Whether they are kept in the token folder, for the next time.

        Raises
        ------
        Invalid
            When there is no access token in it.
        """
        access, refresh = tokens.get("access_token"), tokens.get("refresh_token")
        if not isinstance(access, str) or not _KEY.fullmatch(access):
            raise Invalid(
                f"tokens are a dictionary with 'access_token' and 'refresh_token', not one with {list(tokens)}"
            )
        self._use(Tokens(access, refresh if isinstance(refresh, str) else None), remember_me)
        self._remember()

    def use_cached_tokens(self) -> bool:
        """Use the tokens that are remembered of this server, if the server still takes them.

        Returns
        -------
        bool
            Whether there are such tokens.
        """
        if not self.adopt_tokens():
            return False
        try:
            self.get_json(f"{self.api_uri}/auth/whoami")
        except NotAuthenticated:
            self.api_key = None
            return False
        return True

    def adopt_tokens(self) -> bool:
        """Use the tokens that are remembered of this server, without asking it.

        Returns
        -------
        bool
            Whether there are any.
        """
        tokens = self._folder.read()
        if tokens is None:
            return False
        self._use(tokens, remembered=True)
        return True

    def force_auth_refresh(self) -> dict[str, Any]:
        """Get the next access token now, though this one may still be good.

        Returns
        -------
        dict
            What the server gives.

        Raises
        ------
        NotAuthenticated
            When nobody has logged in, or the session is over.
        """
        with self._renewing:
            if self._tokens is None and not self.adopt_tokens():
                raise NotAuthenticated(f"nobody has logged in at {self.api_uri}; .login() does")
            return self._refreshed()

    # -- logging in and out ------------------------------------------------------------------------------------------

    def login(
        self,
        *,
        remember_me: bool = True,
        provider: str | None = None,
        username: str | None = None,
        password: str | None = None,
    ) -> None:
        """Log in, by user and password or by a code entered at another site, as the server has it.

        Parameters
        ----------
        remember_me : bool
            Whether the tokens are kept, for the next time.
        provider : str, optional
            One of the ways to log in; asked for when there are several.
        username, password : str, optional
            Asked for by default.

        Raises
        ------
        NotOffered
            When the server has no users.
        NotAuthenticated
            When it does not know this one, or there is nobody who can be asked.
        """
        providers = self.server_info.authentication.providers
        if not providers:
            raise NotOffered(
                f"the server at {self.api_uri} has no way to log in; if it wants an API key, give "
                "from_uri(..., api_key=...) or set TILED_API_KEY"
            )
        if (username is None or password is None) and not can_prompt():
            raise NotAuthenticated(self.how_to_log_in())
        chosen = choose(providers, provider)
        if chosen.takes_passwords:
            told = password_grant(self.session, chosen, username, password)
        else:
            told = device_code_grant(self.session, chosen)
        self.configure_auth(told, remember_me)
        identity = told.get("identity")
        if chosen.confirmation_message and isinstance(identity, Mapping):
            print(chosen.confirmation_message.replace("{id}", str(identity.get("id", ""))))

    def authenticate(self, *, remember_me: bool = True) -> None:
        """Log in; the same as `login`.

        Parameters
        ----------
        remember_me : bool
            Whether the tokens are kept, for the next time.
        """
        self.login(remember_me=remember_me)

    def how_to_log_in(self) -> str:
        """What to do when the server wants to know who one is, and nobody can be asked.

        Returns
        -------
        str
        """
        return (
            f"the server at {self.api_uri} wants to know who you are, and there is nobody here to be asked: set "
            "TILED_API_KEY or give from_uri(..., api_key=...); or log in once at a terminal, which is remembered; or "
            "set TILED_FORCE_PROMPT=1 if there is somebody"
        )

    def logout(self) -> None:
        """End the session, here and at the server; the tokens are forgotten, an API key in use is kept.

        It is no mistake to do it twice.

        Raises
        ------
        Unreachable
            When the server was not told; it is forgotten here all the same.
        """
        tokens = self._tokens or self._folder.read()
        self._folder.forget()
        self.api_key = self._api_key
        if tokens is None or tokens.refresh_token is None:
            return
        try:
            # What no one can use any more does no harm where it may have been left.
            url = f"{self.api_uri}/auth/session/revoke"
            content = {"refresh_token": tokens.refresh_token}
            self.session.fetch("POST", url, json=content, secret=True)
        except (NotAuthenticated, NotFound, Invalid):
            return

    def revoke_session(self, session_id: str) -> None:
        """End one of one's own sessions, as one that was left open elsewhere.

        Parameters
        ----------
        session_id : str
            A ``uuid`` among the ``sessions`` that `whoami` tells.

        Raises
        ------
        NotFound
            When there is none.
        """
        self.send_json("DELETE", f"{self.api_uri}/auth/session/revoke/{_word(session_id)}")

    # -- who one is, and keys ----------------------------------------------------------------------------------------

    def whoami(self) -> dict[str, Any] | None:
        """Who one is to this server: identities, roles, sessions and API keys.

        Returns
        -------
        dict or None
            None when nobody has logged in, or the server has no users.
        """
        if not self.authenticated:
            return None
        try:
            return bare(self._of_users(lambda: self.get_json(f"{self.api_uri}/auth/whoami")))
        except NotOffered:
            return None

    def which_api_key(self) -> dict[str, Any]:
        """What the API key in use is: its first eight letters, its scopes, when it expires.

        Returns
        -------
        dict

        Raises
        ------
        Invalid
            When no API key is in use.
        """
        if self._api_key is None:
            raise Invalid("no API key is in use")
        return bare(self._of_users(lambda: self.get_json(f"{self.api_uri}/auth/apikey")))

    def create_api_key(
        self,
        scopes: Iterable[str] | None = None,
        expires_in: int | str | None = None,
        note: str | None = None,
        access_tags: Iterable[str] | None = None,
    ) -> dict[str, Any]:
        """Make an API key, with which a program does what one may do oneself, or less.

        Parameters
        ----------
        scopes : iterable of str, optional
            What may be done with it, as ``["read:metadata", "read:data"]``; all that one may do by default.
        expires_in : int or str, optional
            In so many seconds, or as ``"30s"``, ``"5m"``, ``"1h"``, ``"3d"``, ``"1y"``; never by default.
        note : str, optional
            What it is for.
        access_tags : iterable of str, optional
            The tags of what is reached with it; all by default.

        Returns
        -------
        dict
            With the key itself as ``secret``, which is told this once.

        Raises
        ------
        Invalid
            When the time or a scope cannot be meant.
        """
        asked = key_wanted(scopes, expires_in, note, access_tags)
        return bare(self._of_users(lambda: self.send_json("POST", f"{self.api_uri}/auth/apikey", asked)))

    def revoke_api_key(self, first_eight: str) -> None:
        """Have one of one's own API keys be worth nothing.

        Parameters
        ----------
        first_eight : str
            Its first eight letters; what follows is not sent.
        """
        params = [("first_eight", first_eight[:8])]
        self._of_users(lambda: self.send_json("DELETE", f"{self.api_uri}/auth/apikey", params=params))

    @property
    def admin(self) -> Admin:
        """What administrators ask the server about its users."""

        def ask(method: str, path: str, value: Any, params: Params) -> Any:
            url = f"{self.api_uri}/auth/{path}"
            if method == "GET":
                return self._of_users(lambda: self.get_json(url, params))
            return self._of_users(lambda: self.send_json(method, url, value, params))

        return Admin(ask)

    def _of_users(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except NotFound as error:
            if self.server_info.authentication.providers:
                raise
            raise NotOffered(f"the server at {self.api_uri} has no users: {error}") from error

    # -- the next token ----------------------------------------------------------------------------------------------

    def _use(self, tokens: Tokens, remembered: bool) -> None:
        self._api_key = None
        self._tokens, self._remembered = tokens, remembered
        self.session.authorization = f"Bearer {tokens.access_token}"
        self.session.renew = self._renew

    def _renew(self, refused: str | None) -> bool:
        """Whether there is another token than the one that was refused; asked for once, whoever is waiting for it."""
        with self._renewing:
            if self._within:
                # What is asked on the way to the next token cannot wait for it.
                return False
            if self.session.authorization != refused:
                return self.session.authorization is not None
            if self._remembered:
                # Another process may have been faster.
                found = self._folder.read()
                if found is not None and f"Bearer {found.access_token}" != refused:
                    self._use(found, remembered=True)
                    return True
            self._refreshed()
            return True

    def _refreshed(self) -> dict[str, Any]:
        assert self._tokens is not None
        refresh = self._tokens.refresh_token
        over = f"the session at {self.api_uri} is over; log in again with .login()"
        if refresh is None:
            raise NotAuthenticated(over)
        self._within = True
        try:
            url, fields, is_form = self._where_to_refresh(refresh)
            told = posted(self.session, url, fields, is_form=is_form)
        except (NotAuthenticated, Invalid) as error:
            self._folder.forget()
            self.api_key = None
            raise NotAuthenticated(f"{over} ({error})") from error
        finally:
            self._within = False
        access = told.get("access_token")
        if not isinstance(access, str) or not _KEY.fullmatch(access):
            raise ServiceFailed(f"the server at {self.api_uri} gives no access token")
        following = told.get("refresh_token")
        self._use(Tokens(access, following if isinstance(following, str) else refresh), self._remembered)
        self._remember()
        return told

    def _remember(self) -> None:
        if self._remembered and self._tokens is not None:
            try:
                self._folder.write(self._tokens)
            except NotWritable as error:
                # Who has logged in is logged in.
                self._remembered = False
                warnings.warn(str(error), UserWarning, stacklevel=2)

    def _where_to_refresh(self, refresh: str) -> tuple[str, dict[str, str], bool]:
        """The server itself; or the site from which the token is, where the server names it among its providers."""
        told = self.server_info.authentication
        link = told.links.get("refresh_session")
        for provider in told.providers:
            if link and link == provider.links.get("token_endpoint"):
                client_id = provider.links.get("client_id", "")
                fields = {"grant_type": "refresh_token", "refresh_token": refresh, "client_id": client_id}
                return link, fields, True
        return f"{self.api_uri}/auth/session/refresh", {"refresh_token": refresh}, False


def _word(text: str) -> str:
    if not re.fullmatch(r"[\w-]+", text):
        raise Invalid(f"{text!r} is no identity of a session; .whoami() tells them")
    return text
