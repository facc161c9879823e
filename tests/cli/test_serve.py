"""The command serves what lies at a path, says where and to whom, and ends when it is told to."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import databroker_like
from databroker_like.cli import _server, main
from databroker_like.cli._app import app
from databroker_like.cli._log import without_key
from databroker_like.cli._serve import _told
from databroker_like.cli._server import listen, run, url_of
from databroker_like.client import from_uri
from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.errors import Invalid
from databroker_like.nodes import MapNode
from databroker_like.tree import build_app
from tests.support.serving import PATIENCE, get, memory_of, serving


@contextmanager
def _client(url: str, **options: str) -> Iterator[Any]:
    client = from_uri(url, **options)
    try:
        yield client
    finally:
        client.context.close()


def _command(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "databroker_like", *words],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, **environment},
    )


def test_a_store_is_served_to_who_has_the_key_that_is_told(store: Path, tmp_path: Path) -> None:
    with serving(store, tmp_path) as server:
        assert get(f"{server.url}/healthz").json() == {"status": "ready"}
        assert get(f"{server.url}/api/v1/metadata/").status_code == 401
        assert get(f"{server.url}/api/v1/metadata/", params={"api_key": "wrong"}).status_code == 401
        headers = {"Authorization": f"Apikey {server.key}"}
        found = get(f"{server.url}/api/v1/search/", params={"fields": ""}, headers=headers).json()
        assert [one["id"] for one in found["data"]] == ["run-0", "run-1", "run-2"]
        with _client(server.url, api_key=server.key) as client:
            assert list(client) == ["run-0", "run-1", "run-2"]
            assert client["run-1", "primary", "internal"].read(["seq_num"])["seq_num"].tolist() == [1, 2, 3, 4]
        assert get(f"{server.url}/api/v1/metadata/", params={"api_key": server.key}).status_code == 200
        assert server.stop() == 0
        assert server.key not in server.log
        assert "wrong" not in server.log
        assert '"GET /api/v1/metadata/?api_key=..." 200' in server.log


def test_what_a_server_starts_with_is_little(store: Path, tmp_path: Path) -> None:
    with serving(store, tmp_path, "--public") as server:
        assert get(f"{server.url}/api/v1/metadata/").status_code == 200
        if sys.platform == "linux":
            assert memory_of(server.process.pid) < 120e6


def test_serving_a_store_loads_nothing_that_it_does_not_need() -> None:
    code = (
        "import sys, databroker_like.cli._serve as serve; "
        "print(*(name for name in ('pandas', 'xarray', 'dask', 'zarr', 'h5py', 'pymongo', 'matplotlib', 'event_model')"
        " if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert done.stdout.split() == []


def test_a_key_that_is_given_is_not_told(store: Path, tmp_path: Path) -> None:
    with serving(store, tmp_path, TILED_SINGLE_USER_API_KEY="secret") as server:
        assert "secret" not in server.said
        assert server.key == ""
        with _client(server.url, api_key="secret") as client:
            assert len(client) == 3
        assert server.stop(signal.SIGINT) == 0
        assert "secret" not in server.log


def test_anybody_reads_what_is_public(store: Path, tmp_path: Path) -> None:
    with serving(store, tmp_path, "--public", "--log-level", "warning") as server:
        with _client(server.url) as client:
            assert len(client) == 3
        assert server.stop() == 0
        assert server.log == ""


def test_what_is_recorded_while_it_runs_shows(store: Path, tmp_path: Path) -> None:
    with serving(store, tmp_path, "--public") as server, _client(server.url) as client:
        assert list(client) == ["run-0", "run-1", "run-2"]
        recording = BlueskyEmbeddedCatalog(store)
        recording.insert("start", {"uid": "new", "time": 1.8e9})
        assert list(client)[-1] == "new"
        recording.close()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["stor"], "there is nothing at"),
        (["stor"], "'store'"),
        (["nothing/here"], "there is no folder"),
        (["store/store.db"], "neither the folder"),
        (["store", "--host", "no.such.host.invalid"], "there is no address 'no.such.host.invalid'"),
        (["store", "--host", "192.0.2.1"], "this machine has no address '192.0.2.1'"),
        (["store", "--api-key", "with spaces"], "an API key has letters"),
    ],
)
def test_what_cannot_be_served_is_said_in_a_sentence(store: Path, words: list[str], says: str) -> None:
    done = CliRunner().invoke(app, ["serve", str(store.parent / words[0]), "--port", "0", *words[1:]])
    assert done.exit_code == 1
    assert done.stderr.startswith("databroker-like serve: ")
    assert says in done.stderr


def test_a_port_that_is_taken_is_said(store: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = CliRunner().invoke(app, ["serve", str(store), "--port", str(port)])
    assert done.exit_code == 1
    assert f"another program listens at port {port} of 127.0.0.1" in done.stderr


def test_packages_that_are_not_installed_are_named_with_the_command_that_installs_them(store: Path) -> None:
    for package in ("typer", "starlette", "uvicorn"):
        code = (
            f"import sys; sys.modules[{package!r}] = None; sys.argv = ['databroker-like', 'serve', {str(store)!r}]; "
            "from databroker_like.cli import main; main()"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 1, package
        assert "pip install 'databroker-like[service]'" in done.stderr
        assert "Traceback" not in done.stderr


def test_the_version_is_told() -> None:
    assert _command("--version").stdout == f"databroker-like {databroker_like.__version__}\n"


def test_who_listens_on_the_network_is_told_what_can_be_seen() -> None:
    assert "no TLS" in _told("http://0.0.0.0:8000", None, False, False)
    assert "no TLS" in _told("http://[2001:db8::1]:8000", None, True, False)
    assert "no TLS" not in _told("http://127.0.0.1:8000", None, False, False)
    assert "no TLS" not in _told("http://[::1]:8000", None, False, False)


def test_who_gives_a_key_and_serves_anybody_is_told_that_nobody_needs_it() -> None:
    assert "Nobody needs the API key" in _told("http://127.0.0.1:8000", None, True, False, True)
    assert "Nobody needs" not in _told("http://127.0.0.1:8000", None, True, False, False)
    assert "Nobody needs" not in _told("http://127.0.0.1:8000", None, False, False, True)


def test_a_key_that_is_given_beside_public_is_told_to_be_of_no_use(store: Path, tmp_path: Path) -> None:
    with serving(store, tmp_path, "--public", "--api-key", "secret") as server:
        assert server.stop() == 0
        assert "Nobody needs the API key" in server.said
        assert "secret" not in server.said + server.log


def test_the_address_has_the_key_on_a_terminal_alone() -> None:
    key = "0" * 64
    assert f"http://127.0.0.1:8000?api_key={key}" in _told("http://127.0.0.1:8000", key, False, True)
    assert "?api_key" not in _told("http://127.0.0.1:8000", key, False, False)
    assert key in _told("http://127.0.0.1:8000", key, False, False)


def test_every_way_to_write_a_key_into_a_path_is_kept_out_of_the_log() -> None:
    for written in ("api_key", "%61pi_key", "api%5Fkey", "API_KEY"):
        assert "secret" not in without_key(f"/a?x=1&{written}=secret&y=2")
    for other in ("x=1&y=2", "filter[eq][condition][key]=color", "", "x"):
        assert without_key(f"/a?{other}") == f"/a?{other}"
    assert without_key("/a") == "/a"


def test_an_address_of_the_newer_kind_is_listened_at() -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    try:
        listening = listen("::1", 0)
    except Invalid:
        pytest.skip("this machine has no address ::1")
    with listening:
        assert url_of(listening).startswith("http://[::1]:")


def test_there_are_only_so_many_log_levels() -> None:
    with listen("127.0.0.1", 0) as listening, pytest.raises(Invalid, match="log level 'loud'"):
        run(build_app(MapNode({}), public=True), listening, log_level="loud", ready=lambda: None)


def test_memory_is_given_back_also_while_a_library_is_being_imported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for half in (types.ModuleType("pyarrow"), None):
        monkeypatch.setitem(sys.modules, "pyarrow", half)  # type: ignore[arg-type]
        asyncio.run(_server._give_memory_back())
    assert "could not be given back" not in caplog.text


def test_a_server_goes_on_when_memory_cannot_be_given_back(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> None:
        raise OSError("no")

    monkeypatch.setattr(_server, "_tidy", fails)
    asyncio.run(_server._give_memory_back())
    assert "memory could not be given back" in caplog.text


def test_the_command_is_installed_under_its_name() -> None:
    (found,) = metadata.entry_points(group="console_scripts", name="databroker-like")
    assert found.load() is main


@pytest.mark.parametrize(("seconds", "moment", "status"), [(1000, 0.1, 3), (0, 100, 4)])
def test_what_is_still_being_answered_keeps_no_process_from_ending(seconds: int, moment: float, status: int) -> None:
    code = (
        "import atexit, sys, threading, time\n"
        "from databroker_like import cli\n"
        "atexit.register(print, 'tidied')\n"
        f"threading.Thread(target=time.sleep, args=({seconds},)).start()\n"
        f"cli._LAST_MOMENT = {moment}\n"
        "cli._leave_what_goes_on(3)\n"
        "sys.exit(4)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stdout) == (status, "tidied\n")
