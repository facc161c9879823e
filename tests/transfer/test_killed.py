"""A copy, or a pack, killed at any moment: what is there is readable, and the same call finishes it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from itertools import count
from pathlib import Path
from typing import Any

import intake
import numpy as np
import pytest

from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.drivers.jsonl import BlueskyJSONLCatalog
from databroker_like.drivers.msgpack import BlueskyMsgpackCatalog
from databroker_like.testing import _runs
from databroker_like.transfer import copy, pack
from databroker_like.transfer._counts import digests
from databroker_like.transfer._recorded import Recorded, recorded_in
from databroker_like_handlers.npy import NumpySeqHandler

#: Does it again and again, each time into a place that is empty at first, and says when it begins.
AGAIN = """
import sys
from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.drivers.jsonl import BlueskyJSONLCatalog
from databroker_like.drivers.msgpack import BlueskyMsgpackCatalog
from databroker_like.transfer import copy, pack
from databroker_like_handlers.npy import NumpySeqHandler

what, source, place = sys.argv[1:]
catalog = BlueskyMsgpackCatalog(source + "/*.msgpack", handler_registry={"NPY_SEQ": NumpySeqHandler})
print("ready", flush=True)
sys.stdin.readline()
if what == "pack":
    pack(catalog, place, external="copy")
else:
    dest = {
        "jsonl": lambda: BlueskyJSONLCatalog(place + "/*.jsonl"),
        "msgpack": lambda: BlueskyMsgpackCatalog(place + "/*.msgpack"),
        "embedded": lambda: BlueskyEmbeddedCatalog(place),
    }[what]()
    copy(catalog, dest, external_files=place + "-files")
print("done", flush=True)
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "detector").mkdir()
    catalog = BlueskyMsgpackCatalog(str(folder / "*.msgpack"), handler_registry={"NPY_SEQ": NumpySeqHandler})
    runs = [_runs.scalars(events=2500, uid=f"run-{n}", time=1.7e9 + n) for n in range(4)]
    runs.append(_runs.several_streams(events=500, uid="streams"))
    runs.append(_runs.external(folder / "detector", events=20, uid="images"))
    for documents in runs:
        for name, doc in documents:
            catalog.insert(name, doc)
    catalog.close()
    # Large enough that some die in the middle of a file.
    for file in (folder / "detector").iterdir():
        np.save(file, np.full((400, 500), 7, dtype="uint16"))
    return catalog


def said(catalog: Any) -> dict[Any, bytes]:
    return {
        (uid, *key): digest
        for uid in catalog
        for key, digest in digests(Recorded(recorded_in(catalog, uid)).documents())
    }


def killed_after(seconds: float, what: str, folder: str, place: Path) -> bool:
    """Do it in a process, and kill that; whether it was still at it."""
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    arguments = [sys.executable, "-c", AGAIN, what, folder, str(place)]
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.stdin.write(b"go\n")
        process.stdin.flush()
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        return b"done" not in process.stdout.read()


def opened(what: str, place: Path) -> Any:
    if what == "pack":
        return intake.open_catalog(str(place / "catalog.yml"))["packed_catalog"]
    return {
        "jsonl": lambda: BlueskyJSONLCatalog(str(place / "*.jsonl")),
        "msgpack": lambda: BlueskyMsgpackCatalog(str(place / "*.msgpack")),
        "embedded": lambda: BlueskyEmbeddedCatalog(place),
    }[what]()


def finish(what: str, source: Any, place: Path) -> None:
    if what == "pack":
        pack(source, place, external="copy").raise_if_failed()
    else:
        dest = opened(what, place)
        copy(source, dest, external_files=f"{place}-files", verify="documents").raise_if_failed()
        dest.close()


def check(what: str, times: int, source: Any, tmp_path: Path) -> int:
    """Kill it so many times, and until it was at work twice; how many times it was."""
    everything = said(source)
    files = sorted(np.load(file).sum() for file in (Path(source.paths[0]).parent / "detector").iterdir())
    place, interrupted, longest = tmp_path / "0", 0, 0.6
    for number in count():
        if number >= times and interrupted > 1:
            break
        if random.random() < 0.5:  # else it goes on with what the one before left
            place = tmp_path / str(number)
        was_at_it = killed_after(random.uniform(0, longest), what, str(Path(source.paths[0]).parent), place)
        interrupted += was_at_it
        longest = longest * 1.1 if was_at_it else longest * 0.8
        if what != "pack" or (place / "catalog.yml").exists():
            there = opened(what, place)
            assert said(there).items() <= everything.items()
            assert dict(there.problems) == {} or what != "pack"
            there.close()
        if number % 3 == 2 or number >= times - 1:
            finish(what, source, place)
            there = opened(what, place)
            assert said(there) == everything
            there.close()
            moved = place / "external_files" if what == "pack" else Path(f"{place}-files")
            assert sorted(np.load(file).sum() for file in moved.rglob("*.npy")) == files
            assert not [*place.rglob("*.part"), *moved.rglob("*.part")]
    return interrupted


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("what", ["pack", "embedded"])
def test_what_a_killed_process_left_is_readable_and_can_be_finished(what: str, source: Any, tmp_path: Path) -> None:
    check(what, 3, source, tmp_path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("what", ["pack", "embedded", "jsonl", "msgpack"])
def test_many_killed_processes(what: str, source: Any, tmp_path: Path) -> None:
    assert check(what, 7, source, tmp_path) > 1
