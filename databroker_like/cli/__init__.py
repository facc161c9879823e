"""The command ``databroker-like``: what a terminal says, made into calls of the library."""

from __future__ import annotations

import sys

from databroker_like import registry
from databroker_like.errors import MissingExtra

__all__ = ["main"]


def main() -> None:
    """Run the command with the arguments of this process; it ends the process."""
    try:
        registry.require("typer", "run the command databroker-like")
        app = registry.load("cli.app")
    except MissingExtra as error:
        sys.exit(f"databroker-like: {error}")
    app(prog_name="databroker-like")
