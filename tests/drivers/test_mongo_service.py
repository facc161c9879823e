"""The script that runs the tests of MongoDB on a real server, and says so when there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SAY = [sys.executable, "-c", "import os; print('asked', os.environ['DATABROKER_LIKE_TEST_MONGO']); raise SystemExit(3)"]


def run(*arguments, **environment):
    env = {k: v for k, v in os.environ.items() if k not in ("DATABROKER_LIKE_TEST_MONGO", "MONGO_SERVICE")}
    return subprocess.run(
        [sys.executable, "-m", "scripts.mongo_service", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**env, **environment},
        timeout=300,
    )


@pytest.mark.parametrize(("more", "status"), [((), 2), (("--optional",), 0)])
def test_where_there_is_no_service_it_is_said(more, status, tmp_path):
    done = run(*more, "--", *SAY, MONGO_SERVICE=str(tmp_path))
    assert done.returncode == status
    assert done.stdout == ""
    assert "NOT tested on a real server, on mongomock alone: there is no" in done.stderr
    assert str(tmp_path) in done.stderr


def test_a_server_that_is_there_is_used_and_the_command_says_how_it_ended():
    uri = "mongodb://ann:secret@127.0.0.1:1/"
    for done in (run("--uri", uri, "--", *SAY), run("--", *SAY, DATABROKER_LIKE_TEST_MONGO=uri)):
        assert done.returncode == 3
        assert done.stdout.splitlines()[-1] == f"asked {uri}"
        assert done.stdout.startswith("MongoDB: a real server at 127.0.0.1:1/: ")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="the service needs root")
def test_a_service_that_does_not_start_is_told_with_its_last_words_and_leaves_nothing(tmp_path):
    service = tmp_path / "service"
    service.mkdir()
    start = service / "start"
    start.write_text(
        "#!/bin/sh\nsleep 60 >/dev/null 2>&1 &\necho $! > $1/gw.pid\n"
        f"cp $1/gw.pid {tmp_path}/pid\necho no package source\nexit 7\n"
    )
    start.chmod(0o755)
    apt = tmp_path / "apt-get"
    apt.write_text("#!/bin/sh\n")
    apt.chmod(0o755)
    made = tmp_path / "made"
    made.mkdir()
    done = run(
        "--optional",
        "--",
        *SAY,
        MONGO_SERVICE=str(service),
        TMPDIR=str(made),
        PATH=f"{tmp_path}:{os.environ['PATH']}",
    )
    assert done.returncode == 0
    assert "ended with 7: no package source" in done.stderr
    assert list(made.iterdir()) == []
    stat = Path("/proc", (tmp_path / "pid").read_text().strip(), "stat")
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"
