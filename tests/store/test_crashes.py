"""Processes killed by SIGKILL at any moment: what was acknowledged is there, and the store needs no repair."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

KILLS = {"recording": 140, "deleting": 15, "vacuuming": 12, "backing_up": 20, "upgrading": 20}
ROOT = Path(__file__).parents[2]
#: A campaign takes some; on a machine with much else to do, ten times as many.
SECONDS = 500


@pytest.fixture
def folder(tmp_path):
    """In memory where that can be: what the death of a process leaves is the same, without waiting for a disk."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else tmp_path
    with tempfile.TemporaryDirectory(dir=memory, prefix="crashes") as made:
        yield made


@pytest.mark.slow
@pytest.mark.parametrize(("scenario", "kills"), KILLS.items())
def test_killed_at_any_moment(scenario, kills, folder, worker_seed):
    campaign(scenario, kills, folder, worker_seed)


@pytest.mark.slow
def test_killed_at_any_moment_while_recording_to_a_server(postgresql, folder, worker_seed):
    campaign("recording", 30, folder, worker_seed, postgresql())


def campaign(scenario, kills, folder, worker_seed, *database):
    command = [sys.executable, "-m", "tests.store.crashing", scenario, folder, str(worker_seed), str(kills), *database]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS)
    assert not done.returncode, done.stderr
    assert not done.stderr
    told = json.loads(done.stdout)
    assert told["problems"] == [], f"seed {worker_seed}"
    assert told["killed"] >= kills
    assert told["acknowledged"] + told["finished"] > kills / 10, "the children die before they do anything"


@pytest.fixture
def worker_seed():
    """Another one each time; a failure names it."""
    return int.from_bytes(os.urandom(4), "little")


def test_the_killing_would_notice_a_loss(folder):
    """With insert() that acknowledges before it writes, the same campaign finds documents missing."""
    broken = (
        "import sys; from tests.store import crashing; from databroker_like.store._recording import StoreSink\n"
        "insert, waiting = StoreSink.insert, []\n"
        "def late(self, name, doc):\n"
        "    waiting.append((name, doc))\n"
        "    if len(waiting) > 1: insert(self, *waiting.pop(0))\n"
        "StoreSink.insert = late\n"
        "crashing.warm_up = lambda folder: None\n"
        "crashing.main(*sys.argv[1:])"
    )
    command = [sys.executable, "-c", broken, "recording", folder, "1", "60"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS)
    assert json.loads(done.stdout)["problems"], done.stderr
