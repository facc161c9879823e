"""A service that runs: callers who are slow, who go away, and very many of them."""

from __future__ import annotations

import asyncio
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.serving import PATIENCE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read where Linux tells it")

SERVICE = """
import socket, sys
import numpy as np
import uvicorn
from databroker_like.nodes import ArrayData, MapNode
from databroker_like.service import Settings
from databroker_like.tree import build_app

array = np.random.default_rng(5).random(8_000_000)
tree = MapNode({"large": ArrayData(array, metadata={"color": "red"}), "small": ArrayData(array[:100])})
settings = Settings(most_held_bytes=100_000_000, most_idle_seconds=5)
listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(build_app(tree, public=True, settings=settings), log_level="critical")).run([listening])
"""
#: Every second number, for which the service makes a copy of 32 MB.
LARGE = "/api/v1/array/full/large?slice=::2"


class Service:
    """A service in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.port = port

    @property
    def megabytes(self) -> float:
        """Its memory."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1000

    def ask(self, path: str) -> socket.socket:
        """A connection on which something is asked, and nothing read yet."""
        connection = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return connection

    def status(self, connection: socket.socket) -> int:
        """The status of what is answered."""
        return int(connection.recv(12)[9:])

    def read(self, path: str) -> tuple[int, int]:
        """The status and the number of bytes of an answer."""
        with self.ask(path) as connection:
            status, size = self.status(connection), 0
            while piece := connection.recv(1 << 20):
                size += len(piece)
        return status, size


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with subprocess.Popen([sys.executable, "-c", SERVICE], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = Service(process, int(process.stdout.readline()))
        try:
            assert found.read(LARGE)[0] == 200
            yield found
        finally:
            process.terminate()


def eventually(service: Service, path: str, status: int) -> None:
    """Until then something is answered so."""
    until = time.monotonic() + PATIENCE
    while (found := service.read(path)[0]) != status:
        assert time.monotonic() < until, found
        time.sleep(0.2)


def test_slow_readers_hold_no_more_than_there_is_and_are_given_up(service):
    before = service.megabytes
    slow = [service.ask(LARGE) for _ in range(12)]
    statuses = [service.status(connection) for connection in slow]
    assert set(statuses) == {200, 503}
    assert 1 <= statuses.count(200) <= 3
    assert service.megabytes < before + 250
    # What is small is answered all the while, and what is large again when those who take nothing are given up.
    assert service.read("/api/v1/metadata/large")[0] == 200
    eventually(service, LARGE, 200)
    for connection in slow:
        connection.close()
    assert service.megabytes < before + 250


def test_a_reader_who_is_slow_but_reads_gets_all(service):
    eventually(service, LARGE, 200)
    with service.ask(LARGE) as connection:
        assert service.status(connection) == 200
        size = 0
        for _ in range(16):  # for longer than somebody who takes nothing is waited for
            time.sleep(0.35)
            for _ in range(2):
                size += len(connection.recv(1 << 20))
        while piece := connection.recv(1 << 20):
            size += len(piece)
    assert size > 32_000_000


def test_callers_who_go_away_leave_nothing_behind(service):
    eventually(service, LARGE, 200)
    before = service.megabytes
    for number in range(60):
        connection = service.ask(LARGE)
        if number % 3:
            connection.recv(1000)
        # Without a goodbye, as when somebody pulls the plug.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    eventually(service, LARGE, 200)
    assert service.megabytes < before + 250


def test_half_a_request_keeps_nobody_else_waiting(service):
    halves = [socket.create_connection(("127.0.0.1", service.port), PATIENCE) for _ in range(30)]
    for half in halves:
        half.sendall(b"POST /api/v1/container/full/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n[")
    assert service.read("/api/v1/metadata/small")[0] == 200
    for half in halves:
        half.close()
    assert service.read("/api/v1/metadata/small")[0] == 200


async def many(port: int, number: int, connections: int) -> int:
    """So many requests, each connection kept; how many were answered well."""
    paths = [
        "metadata/small",
        "search/",
        "array/full/small",
        "metadata/nope",
        "search/?fields=",
        "distinct/?metadata=color",
    ]

    async def one(count: int) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        good = 0
        for at in range(count):
            writer.write(f"GET /api/v1/{paths[at % len(paths)]} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
            await reader.readexactly(length)
            good += head[9:12] in ("200", "404")
        writer.close()
        return good

    return sum(await asyncio.gather(*(one(number // connections) for _ in range(connections))))


@pytest.mark.parametrize("number", [1280, pytest.param(10_240, marks=pytest.mark.slow)])
def test_very_many_requests_at_once_leave_the_memory_as_it_was(service, number):
    asyncio.run(many(service.port, 640, 64))
    before = service.megabytes
    assert asyncio.run(many(service.port, number, 64)) == number
    assert service.megabytes < before + 60
