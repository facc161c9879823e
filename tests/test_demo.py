"""``make demo`` does what it says, twice, and leaves nothing outside its folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """What the demonstration needs of a checkout, in a folder of its own, and what two runs of it printed."""
    top = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "scripts" / "demo", top / "scripts" / "demo", ignore=shutil.ignore_patterns("__pycache__"))
    (top / "catalogs").mkdir()
    shutil.copy(ROOT / "catalogs" / "demo.yml", top / "catalogs")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "handlers"))),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONWARNINGS": "default",
    }
    before = _files(top)
    printed = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-m", "scripts.demo"], cwd=top, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        printed.append((done.stdout, done.stderr))
    return top, before, printed


def _files(top: Path) -> set[str]:
    return {str(file.relative_to(top)) for file in top.rglob("*") if file.is_file()}


def test_it_prints_no_warning_and_no_colours_into_a_pipe(checkout):
    _, _, printed = checkout
    for out, err in printed:
        assert err == ""
        assert "\x1b" not in out


def test_it_tells_each_step_and_what_it_found(checkout):
    _, _, ((first, _), (second, _)) = checkout
    for out in (first, second):
        for told in (
            "scan 6",
            "2 of 4: scans [2, 3]",
            "6 runs; the newest is scan 6",
            "recorded 'm', now 'mm'",
            "<xarray.Dataset>",
            "ring_current",
            "(9, 1, 120, 160)",
            "(5, 1, 240, 320)",
            "alignment: 'm'",
            "alignment_mended: 'mm'",
            "saved demo-output/demo.png",
        ):
            assert told in out


def test_it_writes_only_into_its_own_folder(checkout):
    top, before, _ = checkout
    made = _files(top) - before
    assert {name.partition(os.sep)[0] for name in made} == {"demo-output"}
    assert len([name for name in made if name.startswith("demo-output/alignment/") and name.endswith(".jsonl")]) == 4
    assert len([name for name in made if name.startswith("demo-output/imaging/") and name.endswith(".msgpack")]) == 2


def test_the_picture_is_a_png_with_something_in_it(checkout):
    with Image.open(checkout[0] / "demo-output" / "demo.png") as picture:
        assert picture.format == "PNG"
        assert picture.width > 1000
        pixels = np.asarray(picture.convert("L"))
    halves = [half for rows in np.array_split(pixels, 2) for half in np.array_split(rows, 2, axis=1)]
    assert all(half.std() > 10 for half in halves)
