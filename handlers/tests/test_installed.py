"""Built as a wheel and installed in a clean environment, the handlers are found and used."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
NOTHING_MADE = shutil.ignore_patterns(
    ".git", ".venv*", ".*_cache", "__pycache__", "*.egg-info", "build", "dist", "demo-output", "_build", "tests"
)

pytestmark = pytest.mark.timeout(900)


def run(*arguments, **options):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A new virtual environment with the two wheels in it, and what they need from the one the tests run in."""
    top = tmp_path_factory.mktemp("clean")
    for name, source in (("databroker-like", ROOT), ("handlers", ROOT / "handlers")):
        copy = top / "sources" / name
        shutil.copytree(source, copy, ignore=NOTHING_MADE)
        run(sys.executable, "-m", "pip", "wheel", "-qq", "--no-index", "--no-deps", "--no-build-isolation",
            "--wheel-dir", top / "wheels", copy)  # fmt: skip
    venv.create(top / "env", symlinks=True, with_pip=False)
    python = top / "env" / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "-qq", "--no-index", "--no-deps",
        *sorted((top / "wheels").glob("*.whl")))  # fmt: skip
    (site,) = (top / "env" / "lib").glob("python*/site-packages")
    # Third-party packages come after what is installed here; editable installations over there do not count.
    (site / "third_party.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return site, python


def ask(python, code, cwd):
    clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    return run(python, "-W", "ignore", "-c", code, cwd=cwd, env=clean).splitlines()


def test_every_handler_is_found_in_the_clean_environment(environment, tmp_path):
    site, python = environment
    code = (
        "import sys, databroker_like_handlers\n"
        "from databroker_like.core import discover_handlers\n"
        "print(databroker_like_handlers.__file__)\n"
        "found = discover_handlers(skip_failures=False)\n"
        "print(*sorted(spec for spec, h in found.items() if h.__module__.startswith('databroker_like_handlers')))\n"
        "print(all(spec in h.specs for spec, h in found.items() if h.__module__.startswith('databroker_like_')))\n"
    )
    file, specs, told = ask(python, code, tmp_path)
    assert Path(file).is_relative_to(site)
    assert specs.split() == [
        "AD_HDF5", "AD_HDF5_SINGLE", "AD_HDF5_SWMR", "AD_HDF5_SWMR_TS", "AD_HDF5_TS", "AD_SPE", "AD_TIFF", "CSV",
        "NPY_SEQ",
    ]  # fmt: skip
    assert told == "True"


def test_a_run_is_read_with_them_there_and_nothing_is_said(environment, tmp_path):
    """The entry point is all it takes: no registry, and no warning about the other packages that are installed."""
    _, python = environment
    for i in range(3):
        np.save(tmp_path / f"img_{i}.npy", np.full((2, 2), i))
    code = """
import warnings
warnings.simplefilter("error", UserWarning)
import event_model
from databroker_like.drivers.jsonl import BlueskyJSONLCatalog
catalog = BlueskyJSONLCatalog("runs/*.jsonl")
run = event_model.compose_run()
catalog.insert("start", run.start_doc)
key = {"source": "x", "dtype": "array", "shape": [2, 2], "external": "FILESTORE:"}
primary = run.compose_descriptor(name="primary", data_keys={"img": key})
catalog.insert("descriptor", primary.descriptor_doc)
images = run.compose_resource(spec="NPY_SEQ", root=".", resource_path="img", resource_kwargs={})
catalog.insert("resource", images.resource_doc)
for i in range(3):
    datum = images.compose_datum({"index": i})
    catalog.insert("datum", datum)
    event = primary.compose_event(data={"img": datum["datum_id"]}, timestamps={"img": 0.0}, filled={"img": False})
    catalog.insert("event", event)
catalog.insert("stop", run.compose_stop())
print(catalog[-1].primary.read()["img"].values[:, 0, 0].tolist())
print(catalog.handler_registry["NPY_SEQ"].__module__)
"""
    assert ask(python, code, tmp_path) == ["[0, 1, 2]", "databroker_like_handlers.npy"]
