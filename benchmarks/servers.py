"""Servers that are measured: started, asked how much they have used, and ended by the process that was started."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["KEY", "Server", "ours", "served", "tiled"]

#: The API key of each of them.
KEY = "secret"
_SECONDS_TO_START = 120
_MIB = 1 << 20


@dataclass(frozen=True)
class Server:
    """A server that runs.

    Parameters
    ----------
    uri : str
    pid : int
    seconds_to_start : float
        From its command to its first answer.
    """

    uri: str
    pid: int
    seconds_to_start: float

    def cpu(self) -> float:
        """CPU seconds that it has used, of all its threads and of those of its children."""
        return sum(_cpu(pid) for pid in (self.pid, *_children(self.pid)))

    def memory(self) -> float:
        """MiB that it holds now."""
        return sum(_memory(pid) for pid in (self.pid, *_children(self.pid)))


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found += [child, *_children(child)]
    return found


def _cpu(pid: int) -> float:
    # Counted in nanoseconds for each thread; the threads of a pool that ended are in the ticks of the process alone.
    ticks = os.sysconf("SC_CLK_TCK")
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    running = sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir())
    return max(running / 1e9, (int(fields[11]) + int(fields[12])) / ticks)


def _memory(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / _MIB


@contextmanager
def served(command: Sequence[str | Path], place: Path) -> Iterator[Server]:
    """A server while it is needed.

    Parameters
    ----------
    command : sequence of str
        It is given ``--port`` and ``--api-key``.
    place : Path
        A folder for what it writes.

    Yields
    ------
    Server
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL", "TILED"))
    }
    place.mkdir(parents=True, exist_ok=True)
    with (place / "log").open("ab") as log:
        begin = time.monotonic()
        process = subprocess.Popen(
            [*map(str, command), "--port", str(port), "--api-key", KEY],
            cwd=place,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    uri = f"http://127.0.0.1:{port}"
    try:
        _wait(process, uri, place / "log")
        yield Server(uri, process.pid, time.monotonic() - begin)
    finally:
        process.terminate()
        process.wait(20)


def _wait(process: subprocess.Popen[bytes], uri: str, log: Path) -> None:
    end = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{uri}/healthz", timeout=2):
                return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"the server did not start:\n{log.read_text()}")


def ours(path: Path) -> list[str | Path]:
    """The command that serves a store or a folder with this package."""
    return [sys.executable, "-m", "databroker_like", "serve", path]


def tiled(python: Path, place: Path) -> list[str | Path]:
    """The command that serves a catalog with the real tiled."""
    database = place / "catalog.db"
    made = [] if database.exists() else ["--init"]
    return [python.parent / "tiled", "serve", "catalog", database, *made, "--write", place / "data"]
