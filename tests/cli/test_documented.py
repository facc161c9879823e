"""The reference of the command says what the command takes, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from databroker_like.cli._app import app

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "command.md").read_text()
COMMANDS: dict[str, Any] = dict(get_command(app).commands)  # type: ignore[attr-defined]


def _sections() -> dict[str, str]:
    """Command -> what the page says of it; the empty one is what is before all commands."""
    parts = re.split(r"^## `databroker-like (\w[\w -]*?)(?: [A-Z_]+)*`$", PAGE, flags=re.MULTILINE)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def _options(command: Any) -> set[str]:
    return {name for each in command.params for name in each.opts if name.startswith("--")}


def test_every_command_has_a_section_of_its_own() -> None:
    assert set(_sections()) == {"", *COMMANDS}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_and_argument_is_documented(name: str) -> None:
    said = _sections()[name]
    command = COMMANDS[name]
    assert set(re.findall(r"^\| `(--[\w-]+)`", said, re.MULTILINE)) == _options(command) - {"--help"}
    for each in command.params:
        if each.param_type_name == "argument":
            assert f"`{each.metavar}`" in said
        elif each.default not in (None, False):
            assert f"`{getattr(each.default, 'value', each.default)}`" in said, each.name
        for variable in each.envvar or ():
            assert f"`{variable}`" in said


def test_the_options_of_the_command_itself_are_documented() -> None:
    found = set(re.findall(r"^\| `(--[\w-]+)`", _sections()[""], re.MULTILINE))
    assert found == _options(get_command(app)) | {"--help"}
