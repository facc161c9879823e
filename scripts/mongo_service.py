"""Run a command with a MongoDB-protocol server: one that is there, or one that is started for it.

    python -m scripts.mongo_service [--uri URI] [--optional] -- pytest tests/drivers

The command finds the URI in the environment variable DATABROKER_LIKE_TEST_MONGO. A server is started by the script
``start`` in the folder that MONGO_SERVICE names (by default ``shared/services/mongodb`` beside the checkout), which is
called ``start WORKDIR POSTGRESQL_PORT MONGO_PORT PYTHON``, leaves the ids of its processes in WORKDIR, and needs root
and apt-get. With ``--optional`` it is no failure that there is none; it is said.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "DATABROKER_LIKE_TEST_MONGO"
_SECONDS_TO_START = 300
_SECONDS_TO_STOP = 20


class NoService(Exception):
    """Why no server can be started here."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command; its exit status, or 2 when there is no server.

    Parameters
    ----------
    arguments : list of str, optional
        Those of the command line by default.

    Returns
    -------
    int
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--uri", default=os.environ.get(VARIABLE), help="of a server that is there")
    parser.add_argument("--optional", action="store_true", help="it is no failure that there is none")
    parser.add_argument("command", nargs="+")
    given = parser.parse_args(arguments)
    try:
        with _server(given.uri) as uri:
            shown = uri.rpartition("@")[2].removeprefix("mongodb://")
            print(f"MongoDB: a real server at {shown}: {' '.join(given.command)}", flush=True)
            return subprocess.run(given.command, env={**os.environ, VARIABLE: uri}, check=False).returncode
    except NoService as reason:
        print(f"MongoDB: NOT tested on a real server, on mongomock alone: {reason}", file=sys.stderr, flush=True)
        return 0 if given.optional else 2


@contextmanager
def _server(uri: str | None) -> Iterator[str]:
    if uri:
        yield uri
        return
    start = service() / "start"
    if not start.is_file():
        raise NoService(f"there is no {start}; name a server with --uri, or in MONGO_SERVICE the folder of a script")
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or not shutil.which("apt-get"):
        raise NoService(f"{start} needs root and apt-get")
    work = Path(tempfile.mkdtemp(prefix="mongo-service-"))
    try:
        yield _started(start, work)
    finally:
        _stop(work)
        shutil.rmtree(work, ignore_errors=True)


def service() -> Path:
    """The folder of the script that starts a server."""
    named = os.environ.get("MONGO_SERVICE")
    return Path(named) if named else Path(__file__).parents[2] / "shared" / "services" / "mongodb"


def _started(start: Path, work: Path) -> str:
    import pymongo

    postgresql, mongo = _free_port(), _free_port()
    log = work / "start.log"
    with log.open("w") as output:
        try:
            done = subprocess.run(
                [str(start), str(work), str(postgresql), str(mongo), sys.executable],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                timeout=_SECONDS_TO_START,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise NoService(f"{start} took more than {_SECONDS_TO_START} s") from None
    if done.returncode:
        last = log.read_text(errors="replace").strip().splitlines()[-3:]
        raise NoService(f"{start} ended with {done.returncode}: {' / '.join(last)}")
    uri = f"mongodb://127.0.0.1:{mongo}/"
    try:
        with pymongo.MongoClient(uri, serverSelectionTimeoutMS=20_000) as client:
            client.admin.command("ping")
    except pymongo.errors.PyMongoError as error:
        raise NoService(f"the server does not answer: {str(error).splitlines()[0][:200]}") from error
    return uri


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port


def _stop(work: Path) -> None:
    """End what the script started, by the ids it left."""
    waiting = []
    for file, sent in ((work / "gw.pid", signal.SIGTERM), (work / "root/pgdata/postmaster.pid", signal.SIGINT)):
        if not file.is_file():
            continue
        pid = int(file.read_text().split()[0])
        try:
            os.kill(pid, sent)
        except ProcessLookupError:
            continue
        waiting.append(pid)
    until = time.monotonic() + _SECONDS_TO_STOP
    while any(map(_runs, waiting)) and time.monotonic() < until:
        time.sleep(0.1)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


if __name__ == "__main__":
    sys.exit(main())
