"""databroker-pack's packs open here, and ours open there."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import xarray

from databroker_like.drivers.in_memory import BlueskyInMemoryCatalog
from databroker_like.drivers.jsonl import BlueskyJSONLCatalog
from databroker_like.transfer import copy, pack, unpack
from databroker_like_handlers.npy import NumpySeqHandler

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
RUNS = ("scalars", "numpy_images", "two_camera_streams")


def encoding() -> ModuleType:
    """scripts/peers/encoding.py, which is no package of the distribution."""
    spec = importlib.util.spec_from_file_location("peers_encoding", ROOT / "scripts" / "peers" / "encoding.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def recorded(*names: str) -> Any:
    paths = [str(DATA / "runs" / f"{name}.jsonl") for name in names]
    return BlueskyJSONLCatalog(paths, root_map={"/recorded/external": str(DATA / "external")})


def streams(catalog: Any) -> dict[tuple[str, str], xarray.Dataset]:
    catalog.register_handler("NPY_SEQ", NumpySeqHandler, overwrite=True)
    return {(uid, stream): catalog[uid][stream].read() for uid in catalog for stream in catalog[uid]}


@pytest.mark.parametrize("name", ["copied-msgpack", "listed-jsonl"])
def test_a_pack_of_databroker_pack_gives_what_was_packed(name: str) -> None:
    dest = BlueskyInMemoryCatalog()
    report = unpack(DATA / "packs" / name, into=dest, verify="documents")
    report.raise_if_failed()
    if name.startswith("listed"):
        assert any("external files are not in the pack" in issue for issue in report.issues)
        (root,) = dest.root_map
        assert dest.root_map[root] == "/packed/elsewhere/external"
        dest.root_map[root] = str(DATA / "external")
    else:
        assert report.issues == ()
    expected, found = streams(recorded(*RUNS)), streams(dest)
    assert set(found) == set(expected)
    for key, data in expected.items():
        assert found[key].identical(data), key


def test_a_pack_of_databroker_pack_is_packed_again(tmp_path: Path) -> None:
    first, second = BlueskyInMemoryCatalog(), BlueskyInMemoryCatalog()
    unpack(DATA / "packs" / "copied-msgpack", into=first)
    pack(first, tmp_path / "pack", format="jsonl", external="copy").raise_if_failed()
    unpack(tmp_path / "pack", into=second, verify="documents").raise_if_failed()
    expected, found = streams(first), streams(second)
    assert all(found[key].identical(data) for key, data in expected.items())
    assert copy(first, second, verify="documents").skipped == tuple(first)


@pytest.fixture(scope="module")
def peer() -> str:
    """The interpreter of the environment of databroker-pack."""
    named = os.environ.get("DATABROKER_LIKE_PACK_PYTHON")
    folder = ROOT / ".venv-peers" / "databroker-pack-0.3.0" / ("Scripts" if sys.platform == "win32" else "bin")
    python = Path(named) if named else folder / "python"
    if not python.exists():
        pytest.skip(f"databroker-pack is not at {python}; 'make peers' puts it there")
    return str(python)


@pytest.mark.peer
@pytest.mark.parametrize("kind", ["msgpack", "jsonl"])
@pytest.mark.parametrize("external", [None, "copy", "fill"])
def test_databroker_reads_our_packs(kind: str, external: str | None, peer: str, tmp_path: Path) -> None:
    source = recorded(*RUNS, "configuration", "without_stop", "reconfigured", "event_pages")
    source.register_handler("NPY_SEQ", NumpySeqHandler, overwrite=True)
    pack(source, tmp_path / "pack", format=kind, external=external).raise_if_failed()
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "PYTHON", "VIRTUAL"))}
    done = subprocess.run(
        [peer, str(ROOT / "scripts" / "peers" / "read_pack.py"), str(tmp_path / "pack")],
        env={**environment, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    decode, found = encoding().decode, json.loads(done.stdout)
    assert set(found) == set(source)
    for uid, run in source.items():
        assert found[uid]["start"] == json.loads(json.dumps(run.metadata["start"]))
        assert (found[uid]["stop"] is None) == (run.metadata["stop"] is None)
        for stream in run:
            theirs, ours = decode(found[uid]["streams"][stream]), run[stream].read()
            assert list(theirs.data_vars) == list(ours.data_vars)
            xarray.testing.assert_equal(theirs, ours)
