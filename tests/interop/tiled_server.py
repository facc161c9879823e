"""The real tiled server, from an environment of its own, for as long as a test needs it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def tiled_python() -> Path:
    """The interpreter of that environment; the test is skipped, and says so, where there is none."""
    named = os.environ.get("DATABROKER_LIKE_TILED_PYTHON")
    folder = ROOT / ".venv-peers" / "tiled-0.2.20" / ("Scripts" if sys.platform == "win32" else "bin")
    python = Path(named) if named else folder / "python"
    if not python.exists():
        pytest.skip(f"tiled is not at {python}; DATABROKER_LIKE_TILED_PYTHON names the python that has it")
    return python


def clean_environment() -> dict[str, str]:
    """This one without what is meant for the Python that runs the tests."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL", "TILED"))}


@contextmanager
def tiled_server(place: Path, *what: str) -> Iterator[str]:
    """The address of a server of ``tiled serve ...``, which ends with the block."""
    for _ in range(3):
        # Another program may take the port before tiled does.
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        uri = f"http://127.0.0.1:{port}"
        asked = [str(tiled_python().parent / "tiled"), "serve", *what, "--port", str(port)]
        with (place / "log").open("wb") as log:
            process = subprocess.Popen(asked, cwd=place, env=clean_environment(), stdout=log, stderr=subprocess.STDOUT)
        try:
            while process.poll() is None and not _answers(uri):
                time.sleep(0.2)
            if process.poll() is None:
                yield uri
                return
        finally:
            _end(process)
    raise RuntimeError(f"the tiled server does not answer: {(place / 'log').read_text()[-1000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _answers(uri: str) -> bool:
    try:
        with urllib.request.urlopen(f"{uri}/healthz", timeout=20):
            return True
    except OSError:
        return False
