"""Writers that are killed at random moments.

A process of its own forks one writer after the other, so that each costs milliseconds: the modules are loaded once.
A writer says which documents it was told are recorded; what it said before it died is what must be found.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from databroker_like.core._pages import pack_event_page

ROOT = Path(__file__).parents[2]
EVENTS = 60
#: What a writer says is so long that only a few such words fit in the pipe: it waits for who reads them, and dies.
_WORD, _AHEAD = 512, 4096
Documents = list[tuple[str, dict[str, Any]]]


@dataclass
class Death:
    """What one writer had said when it died.

    Parameters
    ----------
    uid : str
        Of the run it was recording.
    acknowledged : int
        How many of its documents it was told are recorded, in their order.
    was_killed : bool
        False when it was faster, and ended.
    """

    uid: str
    acknowledged: int
    was_killed: bool


def run_of(uid: str, seed: int) -> Documents:
    """The documents that the writer of a run records, the same each time: events one by one and in pages."""
    rng = random.Random(f"{uid} {seed}")
    began = 1_700_000_000.0 + int(uid[3:])
    key = {"source": "simulated", "shape": []}
    start = {"uid": uid, "time": began, "scan_id": int(uid[3:]), "plan_name": "scan"}
    descriptor = {
        "uid": f"{uid} primary",
        "run_start": uid,
        "time": began,
        "name": "primary",
        "data_keys": {"x": {**key, "dtype": "number"}, "state": {**key, "dtype": "string"}},
        "configuration": {},
        "object_keys": {},
        "hints": {},
    }
    sent: Documents = [("start", start), ("descriptor", descriptor)]
    number = 0
    while number < EVENTS:
        size = min(rng.choice([1, 1, 1, 1, 5]), EVENTS - number)
        events = [_event(descriptor["uid"], n, began) for n in range(number + 1, number + size + 1)]
        sent.append(("event", events[0]) if size == 1 else ("event_page", dict(pack_event_page(*events))))
        number += size
    stop = {"uid": f"{uid} stop", "run_start": uid, "time": began + 100, "exit_status": "success"}
    return [*sent, ("stop", {**stop, "num_events": {"primary": EVENTS}})]


def _event(descriptor: str, number: int, began: float) -> dict[str, Any]:
    return {
        "uid": f"{descriptor} {number}",
        "descriptor": descriptor,
        "seq_num": number,
        "time": began + number,
        "data": {"x": number / 7, "state": "moving" * (number % 3)},
        "timestamps": {"x": began + number, "state": began},
        "filled": {},
    }


def kill_writers(kind: str, folder: Path, times: int, seed: int) -> list[Death]:
    """Let many writers record into one catalog, one after the other, and kill each.

    Parameters
    ----------
    kind : str
        A catalog of `tests.support.catalogs`.
    folder : Path
    times : int
    seed : int

    Returns
    -------
    list of Death
    """
    command = [sys.executable, "-m", "tests.support.killing", kind, str(folder), str(times), str(seed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return [Death(*json.loads(line)) for line in done.stdout.splitlines()]


def _deaths(kind: str, folder: str, times: int, seed: int) -> Iterator[tuple[str, int, bool]]:
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as scratch:  # so that no writer has to load anything
        catalog = open_catalog(kind, scratch)
        for name, doc in run_of("run99999", seed):
            catalog.insert(name, doc)
        catalog.close()
    for n in range(times):
        uid = f"run{n:05}"
        documents = run_of(uid, seed)
        read_end, write_end = os.pipe()
        fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, _AHEAD)
        writer = os.fork()
        if not writer:
            _write(kind, folder, documents, write_end)
        os.close(write_end)
        # At first after so many documents, and then in the middle of something.
        said = _read(read_end, rng.randrange(len(documents) - _AHEAD // _WORD) * _WORD)
        time.sleep(rng.random() ** 2 * 0.002)
        os.kill(writer, signal.SIGKILL)
        while more := os.read(read_end, 1 << 16):
            said += len(more)
        os.close(read_end)
        _, status = os.waitpid(writer, 0)
        assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0, f"the writer of {uid} failed"
        yield uid, said // _WORD, os.WIFSIGNALED(status)


def _write(kind: str, folder: str, documents: Documents, write_end: int) -> None:
    code = 1
    try:
        catalog = open_catalog(kind, folder)
        for name, doc in documents:
            catalog.insert(name, doc)
            os.write(write_end, bytes(_WORD))
        code = 0
    except BaseException:  # noqa: BLE001 - whatever it is, it is told, and this process ends here
        traceback.print_exc()
    finally:
        os._exit(code)


def _read(read_end: int, wanted: int) -> int:
    said = 0
    while said < wanted and select.select([read_end], [], [], 30)[0]:
        piece = os.read(read_end, wanted - said)
        if not piece:
            break
        said += len(piece)
    return said


if __name__ == "__main__":
    from tests.support.catalogs import open_catalog

    for death in _deaths(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])):
        print(json.dumps(death), flush=True)
