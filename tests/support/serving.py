"""The command ``databroker-like serve`` as a process of its own, on a port of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx

#: A busy machine is slow; what takes longer hangs.
PATIENCE = 300


@dataclass
class Serving:
    """A server that runs.

    Parameters
    ----------
    url : str
    key : str
        The API key that it made up; empty when it made none.
    process : subprocess.Popen
    said : str
        What it said on its standard output when it was ready.
    """

    url: str
    key: str
    process: subprocess.Popen[str]
    said: str
    _log: IO[str]

    @property
    def log(self) -> str:
        """What it said on its standard error until now."""
        return Path(self._log.name).read_text()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send it a signal; how it ended."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextmanager
def serving(path: Path, folder: Path, *options: str, **environment: str) -> Iterator[Serving]:
    """A server of what lies at a path; it is ended by its pid.

    Parameters
    ----------
    path : Path
    folder : Path
        For its log.
    *options : str
        Of the command; the port is any free one.
    **environment : str
        Variables besides those of this process.
    """
    command = [sys.executable, "-m", "databroker_like", "serve", str(path), "--port", "0", *options]
    keys = ("DATABROKER_LIKE_API_KEY", "TILED_SINGLE_USER_API_KEY", "TILED_API_KEY")
    inherited = {name: value for name, value in os.environ.items() if name not in keys}
    with (folder / "server.log").open("w") as log:
        process: subprocess.Popen[str] = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env={**inherited, **environment}
        )
        try:
            said = _said(process)
            url, key = re.search(r"http://[^\s,?]+", said), re.search(r"\b[0-9a-f]{64}\b", said)
            assert url is not None, (said, Path(log.name).read_text())
            yield Serving(url[0], key[0] if key else "", process, said, log)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(PATIENCE)
            assert process.stdout is not None
            process.stdout.close()


def _said(process: subprocess.Popen[str]) -> str:
    """What it says until it is ready, or has ended."""
    assert process.stdout is not None
    lines: list[str] = []
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        line = process.stdout.readline()
        lines.append(line)
        if not line or line.startswith("Ctrl+C"):
            break
    return "".join(lines)


def get(url: str, **asked: Any) -> httpx.Response:
    """What a server answers, who may take his time."""
    return httpx.get(url, timeout=PATIENCE, **asked)


def memory_of(pid: int) -> int:
    """How much memory a process has now, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    found: Any = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) * 1024
