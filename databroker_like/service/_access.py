"""Who may read: everybody, or those who show the API key of the one user."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, field

from databroker_like.errors import Invalid, NotAuthenticated

__all__ = ["Access", "Caller"]

#: What the clients of the Tiled protocol can send.
_KEY = re.compile(r"[A-Za-z0-9_]{1,512}")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Parameters
    ----------
    name : str
        ``"anonymous"`` or ``"single user"``.
    """

    name: str


_ANONYMOUS, _USER = Caller("anonymous"), Caller("single user")


@dataclass(frozen=True)
class Access:
    """Who may read.

    Parameters
    ----------
    api_key : str, optional
        Letters, digits and underscores; who shows it is the user.
    public : bool
        Whether anybody may read without a key; False by default.

    Raises
    ------
    Invalid
        When nobody could read, or the key has other characters.

    Examples
    --------
    >>> access = Access("secret")
    >>> access
    Access(public=False)
    >>> access.caller("Apikey secret").name
    'single user'
    """

    api_key: str | None = field(default=None, repr=False)
    public: bool = False

    def __post_init__(self) -> None:
        if self.api_key is None and not self.public:
            raise Invalid("nobody could read: give an api_key, or public=True")
        if self.api_key is not None and not (isinstance(self.api_key, str) and _KEY.fullmatch(self.api_key)):
            raise Invalid(
                "an API key has letters of ASCII, digits and underscores; make one with secrets.token_hex(32)"
            )

    def caller(self, authorization: str | None = None, key: str | None = None) -> Caller:
        """Who shows these credentials.

        Parameters
        ----------
        authorization : str, optional
            The header ``Authorization``: ``Apikey ...``.
        key : str, optional
            The parameter ``api_key`` of the URL.

        Returns
        -------
        Caller

        Raises
        ------
        NotAuthenticated
            When they are wrong, or there are none and they are needed. It never says the key.
        """
        shown = key if authorization is None else self._key_in(authorization)
        if shown is None:
            if self.public:
                return _ANONYMOUS
            raise NotAuthenticated("an API key is needed: send the header 'Authorization: Apikey ...'")
        # Compared in the same time whatever is wrong with it.
        if self.api_key is None or not hmac.compare_digest(shown.encode(), self.api_key.encode()):
            raise NotAuthenticated("this is not the API key of this service")
        return _USER

    @staticmethod
    def _key_in(authorization: str) -> str:
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() != "apikey":
            raise NotAuthenticated(
                "the header 'Authorization' begins with 'Apikey' here; there are no other ways to log in"
            )
        return key.strip()
