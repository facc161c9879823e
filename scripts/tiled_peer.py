"""Run a command with the real tiled at hand, in an environment of its own that is made for it.

    python -m scripts.tiled_peer [--python PYTHON] [--optional] -- pytest tests/interop

The command finds the interpreter that has tiled in the environment variable DATABROKER_LIKE_TILED_PYTHON. With
``--optional`` it is no failure that it cannot be installed; it is said, and the command runs without.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from scripts.peers.environments import TILED, make_environment

VARIABLE = "DATABROKER_LIKE_TILED_PYTHON"


class NoPeer(Exception):
    """Why there is no tiled here."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command; its exit status, or 2 when there is no tiled.

    Parameters
    ----------
    arguments : list of str, optional
        Those of the command line by default.

    Returns
    -------
    int
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--python", default=os.environ.get(VARIABLE), help="an interpreter that has tiled")
    parser.add_argument("--optional", action="store_true", help="it is no failure that tiled cannot be installed")
    parser.add_argument("command", nargs="+")
    given = parser.parse_args(arguments)
    try:
        python = _python(given.python)
    except NoPeer as reason:
        print(f"tiled: NOT tested with the real one: {reason}", file=sys.stderr, flush=True)
        return subprocess.run(given.command, check=False).returncode if given.optional else 2
    print(f"tiled: the real one, {_version(python)}: {' '.join(given.command)}", flush=True)
    return subprocess.run(given.command, env={**os.environ, VARIABLE: str(python)}, check=False).returncode


def _python(named: str | None) -> Path:
    if named:
        if not Path(named).is_file():
            raise NoPeer(f"there is no interpreter {named}")
        return Path(named)
    try:
        return make_environment(TILED)
    except (subprocess.CalledProcessError, OSError) as error:
        raise NoPeer(f"its environment cannot be made: {error}") from error


def _version(python: Path) -> str:
    asked = [python, "-c", "from importlib.metadata import version; print(version('tiled'))"]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
