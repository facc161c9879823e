"""The folder in which tokens are remembered, as the clients of Tiled have it."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from databroker_like.errors import NotWritable

__all__ = ["TokenFolder", "Tokens"]

#: A file that is longer holds no token.
_LONGEST = 1 << 16


@dataclass(frozen=True)
class Tokens:
    """What a server gives when somebody has logged in; never shown.

    Parameters
    ----------
    access_token : str
        Sent with every request, for some minutes.
    refresh_token : str, optional
        Given for the next access token, for some days.
    """

    access_token: str
    refresh_token: str | None = None

    def __repr__(self) -> str:
        return "Tokens(...)"


class TokenFolder:
    """The tokens of one server, in files for their owner alone.

    Parameters
    ----------
    api_uri : str
        The server; tokens of one are in no other's folder.
    folder : path, optional
        Where the folders of all servers are; ``tokens`` in ``TILED_CACHE_DIR`` or in ``~/.cache/tiled`` by default.
    """

    def __init__(self, api_uri: str, folder: str | os.PathLike[str] | None = None) -> None:
        where = Path(folder).expanduser() if folder is not None else _default_folder()
        self.path = where / quote(f"{api_uri.rstrip('/')}/", safe="")

    def read(self) -> Tokens | None:
        """The tokens that are remembered.

        Returns
        -------
        Tokens or None
        """
        access, refresh = self._read("access_token"), self._read("refresh_token")
        return Tokens(access, refresh) if access else None

    def write(self, tokens: Tokens) -> None:
        """Remember tokens in place of the former ones.

        Parameters
        ----------
        tokens : Tokens

        Raises
        ------
        NotWritable
            When the folder cannot be written to.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.mkdir(mode=0o700, exist_ok=True)
            for name, token in (("refresh_token", tokens.refresh_token), ("access_token", tokens.access_token)):
                if token is None:
                    (self.path / name).unlink(missing_ok=True)
                else:
                    self._write(name, token)
        except OSError as error:
            raise NotWritable(f"tokens cannot be remembered in {str(self.path)!r}: {error}") from error

    def forget(self) -> None:
        """Remember nothing of this server."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.path)

    def _read(self, name: str) -> str | None:
        try:
            with (self.path / name).open("rb") as file:
                content = file.read(_LONGEST)
            token = content.decode("ascii").strip()
        except (OSError, UnicodeDecodeError):
            return None
        # What has spaces or lines in it is no token, and would be another header.
        return token if token and token.isprintable() and " " not in token else None

    def _write(self, name: str, token: str) -> None:
        # Another process reads the former one or the new one, and nothing between; mkstemp makes it private.
        handle, new = tempfile.mkstemp(prefix=f".{name}.", dir=self.path)
        try:
            with open(handle, "w", encoding="ascii") as file:
                file.write(token)
            os.replace(new, self.path / name)
        except BaseException:
            os.unlink(new)
            raise


def _default_folder() -> Path:
    told = os.environ.get("TILED_CACHE_DIR")
    if told:
        return Path(told).expanduser() / "tokens"
    import platformdirs

    return Path(platformdirs.user_cache_dir("tiled")) / "tokens"
