"""What the demonstration prints: colours on a terminal, plain lines in a pipe."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

__all__ = ["Narrator"]


class Narrator:
    """Prints steps, code, tables and results.

    Parameters
    ----------
    console : rich.console.Console, optional
        Where to; standard output by default, 100 columns wide when that is a pipe.
    """

    def __init__(self, console: Console | None = None) -> None:
        if console is None:
            console = Console(highlight=False)
            if not console.is_terminal:
                console = Console(highlight=False, width=100)
        self._console = console
        self._step = 0

    def step(self, title: str) -> None:
        """Begin the next numbered step."""
        self._step += 1
        self._console.print()
        self._console.print(Text(f"{self._step}. {title}", style="bold cyan"))

    def code(self, source: str) -> None:
        """Show the lines that a user would type."""
        if self._console.is_terminal:
            self._console.print(Syntax(source, "python", background_color="default", word_wrap=True))
        else:
            self.line("\n".join(f"{'...' if line[0] == ' ' else '>>>'} {line}" for line in source.splitlines()))

    def line(self, text: object) -> None:
        """One plain result, indented."""
        for part in str(text).splitlines():
            self._console.print(Text("   " + part), soft_wrap=True)

    def table(self, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
        """A small table."""
        table = Table(box=None, header_style="bold", pad_edge=True, padding=(0, 2, 0, 1))
        for column in columns:
            table.add_column(column, no_wrap=True)
        for row in rows:
            table.add_row(*(str(cell) for cell in row))
        self._console.print(table)
