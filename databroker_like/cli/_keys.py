"""The API key of a server: where it is given, and one made up."""

from __future__ import annotations

import secrets

__all__ = ["KEY_VARIABLES", "made_up_key"]

#: Environment variables that have the key, the first one first; the second is that of ``tiled serve``.
KEY_VARIABLES = ("DATABROKER_LIKE_API_KEY", "TILED_SINGLE_USER_API_KEY")


def made_up_key() -> str:
    """A key that nobody guesses, of letters and digits.

    Returns
    -------
    str

    Examples
    --------
    >>> len(made_up_key())
    64
    """
    return secrets.token_hex(32)
