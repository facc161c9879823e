"""The command ``databroker-like``: what a terminal says, made into calls of the library."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading

from databroker_like import registry
from databroker_like.errors import MissingExtra

__all__ = ["main"]

#: Seconds for a thread that is about to end.
_LAST_MOMENT = 0.2


def main() -> None:
    """Run the command with the arguments of this process; it ends the process."""
    try:
        registry.require("typer", "run the command databroker-like")
        app = registry.load("cli.app")
    except MissingExtra as error:
        sys.exit(f"databroker-like: {error}")
    try:
        app(prog_name="databroker-like")
    except SystemExit as end:
        _leave_what_goes_on(end.code if isinstance(end.code, int) else 0)
        raise


def _leave_what_goes_on(status: int) -> None:
    """End the process if something is still being answered, for which a server that is told to stop has no more time.

    Python itself would wait for it: a sheet of a million rows takes minutes, and a thread cannot be stopped.
    """
    threads = [one for one in threading.enumerate() if one is not threading.main_thread() and not one.daemon]
    for one in threads:
        one.join(_LAST_MOMENT)
    if any(one.is_alive() for one in threads):
        # What has to be tidied up at the end, such as half a file in the folder for temporary ones, is.
        atexit._run_exitfuncs()
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
