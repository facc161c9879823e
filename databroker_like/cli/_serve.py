"""The command ``serve``: open what is at a path, listen, say where, and go on until told to stop."""

from __future__ import annotations

import ipaddress
import sys
from urllib.parse import urlsplit

from databroker_like.cli._keys import KEY_VARIABLES, made_up_key
from databroker_like.cli._server import listen, run, url_of
from databroker_like.doors import open_app, open_root

__all__ = ["serve"]


def serve(
    path: str,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    api_key: str | None = None,
    public: bool = False,
    log_level: str = "info",
) -> None:
    """Serve what is at a path until the process is told to stop.

    A key that is made up is told on the standard output, for nobody could know it otherwise. One that is given is not
    told, and none is ever in the log, which goes to the standard error.

    Parameters
    ----------
    path : str
        A folder of a store, a catalog YAML file, or a folder of files.
    host, port
        Where to listen; with port 0 any free one is taken.
    api_key : str, optional
        One is made up by default, unless anybody may read.
    public : bool
        Whether anybody may read without a key; False by default.
    log_level : str
        ``"debug"``, ``"info"``, ``"warning"`` or ``"error"``.

    Raises
    ------
    DatabrokerError
        When there is no such path, the port is taken, ...
    """
    made_up = api_key is None and not public
    key = made_up_key() if made_up else api_key
    with open_root(path) as root:
        app = open_app(root, api_key=key, public=public)
        listening = listen(host, port)
        told = _told(url_of(listening), key if made_up else None, public, sys.stdout.isatty(), key is not None)
        run(app, listening, log_level=log_level, ready=lambda: print(told, flush=True))


def _told(url: str, made_up: str | None, public: bool, on_terminal: bool, has_key: bool = False) -> str:
    """What is said when the server answers."""
    if public:
        lines = [f"Serving at {url}, to anybody, without a key."]
        if has_key:
            lines.append("Nobody needs the API key that is given: leave out --public to serve only those who have it.")
    elif made_up is None:
        lines = [f"Serving at {url}, to those who have the API key."]
    elif on_terminal:
        lines = [f"Serving at {url}?api_key={made_up}", "The key is made up, for as long as this goes on."]
    else:
        lines = [f"Serving at {url}", f"API key, made up for as long as this goes on: {made_up}"]
    if made_up is not None:
        lines.append(f"Set {KEY_VARIABLES[0]} to keep one.")
    host = urlsplit(url).hostname or ""
    if not ipaddress.ip_address(host.partition("%")[0]).is_loopback:
        what = "what is read" if public else "the key and what is read"
        lines.append(
            f"Others on the network reach this address, and {what} can be seen on the way: there is no TLS here. "
            "Put it behind a server that has it."
        )
    return "\n".join([*lines, "Ctrl+C stops it."])
