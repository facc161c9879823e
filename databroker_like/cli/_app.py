"""What can be said on the command line; what is done then is imported only when it is."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

import databroker_like
from databroker_like import registry
from databroker_like.cli._keys import KEY_VARIABLES
from databroker_like.errors import DatabrokerError

__all__ = ["app"]

app = typer.Typer(
    help="The data of a laboratory, from one command.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class LogLevel(StrEnum):
    """How much a server tells of what it does."""

    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"databroker-like {databroker_like.__version__}")
        raise typer.Exit


@app.callback()
def _command(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Say the version, and end.")
    ] = False,
) -> None:
    """The data of a laboratory, from one command."""


@app.command()
def serve(
    path: Annotated[
        str,
        typer.Argument(
            metavar="PATH",
            help="The folder of an embedded store, a catalog YAML file, or a folder of data files. "
            "A catalog file runs code that its author chose.",
        ),
    ],
    host: Annotated[str, typer.Option(help="Where it listens: this machine alone, or an address of it.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free one, and says which.")] = 8000,
    api_key: Annotated[
        str | None,
        typer.Option(
            envvar=list(KEY_VARIABLES),
            show_envvar=True,
            help="Who shows it may read. Better in the environment, for a command line is seen by others. "
            "Without it one is made up, and told.",
        ),
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="Anybody may read without a key.")] = False,
    log_level: Annotated[LogLevel, typer.Option(help="How much is told; requests from 'info' on.")] = LogLevel.info,
) -> None:
    """Serve runs, catalogs or files over HTTP, to the clients of the Tiled protocol."""
    try:
        registry.load("cli.serve")(
            path, host=host, port=port, api_key=api_key, public=public, log_level=log_level.value
        )
    except (DatabrokerError, OSError) as error:
        typer.echo(f"databroker-like serve: {error}", err=True)
        sys.exit(1)
