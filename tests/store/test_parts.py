"""What is being made has another name until it is whole, and what killed processes left of it is cleared away."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from databroker_like.store import _parts
from databroker_like.store._parts import part_of
from databroker_like.store._store import Store
from tests.store.conftest import harmful, make_run, record


def left(folder: Path, name: str) -> Path:
    """A folder as a process leaves it that was killed."""
    place = folder / name
    (place / "data").mkdir(parents=True)
    (place / "data" / "file").write_text("half")
    return place


def test_it_has_its_name_when_it_is_renamed_and_is_gone_when_it_is_not(tmp_path: Path) -> None:
    with part_of(str(tmp_path / "backup")) as part:
        Path(part, "file").write_text("whole")
        os.rename(part, tmp_path / "backup")
    assert (tmp_path / "backup" / "file").read_text() == "whole"
    with contextlib.suppress(ZeroDivisionError), part_of(str(tmp_path / "other")) as part:
        Path(part, "file").write_text("half")
        _ = 1 / 0
    assert os.listdir(tmp_path) == ["backup"]


def test_what_is_left_for_the_same_name_is_cleared_away_and_nothing_else(tmp_path: Path) -> None:
    gone = [left(tmp_path, name) for name in ("backup.0123abcd.part", "backup.89abcdef.part")]
    names = (
        "backup2.0123abcd.part",
        "backup.0123abcd",
        "backup.part",
        "backup.0123abcd.partly",
        "a.backup.0123abcd.part",
    )
    others = [left(tmp_path, name) for name in names]
    (tmp_path / "backup.00000000.part").write_text("a file")
    os.symlink(others[0], tmp_path / "backup.11111111.part")
    with part_of(str(tmp_path / "backup")) as part:
        assert not any(place.exists() for place in gone)
        assert os.path.isdir(part)
    assert all((place / "data" / "file").exists() for place in others)
    assert (tmp_path / "backup.00000000.part").exists()
    assert (tmp_path / "backup.11111111.part").is_symlink()


def test_what_another_process_makes_stays(tmp_path: Path) -> None:
    with part_of(str(tmp_path / "backup")) as first:
        Path(first, "file").write_text("half")
        with part_of(str(tmp_path / "backup")) as second:
            assert second != first
            assert Path(first, "file").exists()
        assert Path(first, "file").exists()


def test_a_folder_that_is_taken_for_left_behind_before_it_is_held_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold, tries = _parts._hold, []

    def late(folder: str) -> int | None:
        tries.append(folder)
        if len(tries) == 1:  # deleted before it is opened
            os.rmdir(folder)
        if len(tries) == 2:  # about to be deleted
            raise BlockingIOError
        held = hold(folder)
        if len(tries) == 3:  # deleted between the opening and the holding
            os.rmdir(folder)
        return held

    monkeypatch.setattr(_parts, "_hold", late)
    with part_of(str(tmp_path / "backup")) as part:
        assert part == tries[3]
        assert os.path.isdir(part)


def test_where_there_are_no_locks_nothing_is_cleared_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*args: Any) -> None:
        raise OSError(95, "not supported")

    place = left(tmp_path, "backup.0123abcd.part")
    monkeypatch.setattr(fcntl, "flock", refuses)
    with part_of(str(tmp_path / "backup")) as part:
        assert os.path.isdir(part)
    assert place.exists()


KILLED = """
import os, signal, sys
from databroker_like.store import _backup
from databroker_like.store._store import Store

_backup._copy = lambda *args, **kwargs: os.kill(os.getpid(), signal.SIGKILL)
Store(sys.argv[1]).backup(sys.argv[2])
"""


def test_the_next_backup_takes_the_place_of_one_that_was_killed(store: Store, small: Any, tmp_path: Path) -> None:
    record(store, make_run("a", 40))
    target = tmp_path / "backups" / "backup"
    done = subprocess.run([sys.executable, "-c", KILLED, store.path, str(target)], timeout=300)
    assert done.returncode == -signal.SIGKILL
    (half,) = os.listdir(target.parent)
    assert half.startswith("backup.")
    assert store.backup(target).runs == 1
    assert os.listdir(target.parent) == ["backup"]
    assert harmful(Store(target)) == []
