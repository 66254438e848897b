"""HTTP requests at a steady pace over keep-alive connections, whether or not the answers come, from a process of its own.

Heartbeats of all members in turn; and, over connections of their own, registrations of newcomers to the members' services,
each deregistered a tenth of a second later.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from typing import NamedTuple, cast

import uvloop

from tests.benchmarks.fleet import TTL, Instance, post
from tests.benchmarks.rivals import CLIENT_CORE

BEATING, CHURNING = 64, 8  # connections
# Seconds: how often what is due is sent, and how long a newcomer stays.
_TICK, _STAY = 0.001, 0.1
_SUCCESS, _STATUS = b"HTTP/1.1 2", b"HTTP/1.1 "

_fork = multiprocessing.get_context("fork")


class Done(NamedTuple):
    """Answered within the time, in requests a second; `failed` had another status than 2xx. `late`: milliseconds behind the pace."""

    heartbeats: float
    registrations: float
    deregistrations: float
    failed: int
    late: float


class Load:
    """Runs while the `with` block does; `done` afterwards."""

    done: Done


@contextmanager
def loading(port: int, members: Sequence[Instance], heartbeats: float, churn: float) -> Iterator[Load]:
    """So many heartbeats, and so many registrations and as many deregistrations, a second."""
    load = Load()
    ours, theirs = _fork.Pipe()
    stop = _fork.Event()
    process = _fork.Process(target=_run, args=(port, members, heartbeats, churn, stop, theirs), daemon=True)
    process.start()
    theirs.close()  # so that its end is noticed, should it fail
    ours.recv()  # it sends
    try:
        yield load
    finally:
        stop.set()
        load.done = ours.recv()
        process.join()


def _run(
    port: int, members: Sequence[Instance], heartbeats: float, churn: float, stop: Event, result: Connection
) -> None:
    os.sched_setaffinity(0, {int(CLIENT_CORE)})
    uvloop.run(_send(port, members, heartbeats, churn, stop, result))


async def _send(
    port: int, members: Sequence[Instance], heartbeats: float, churn: float, stop: Event, result: Connection
) -> None:
    beats = [post("/heartbeat", json.dumps(member._asdict()).encode()) for member in members]
    newcomers = [
        Instance(member.name, f"10.{200 + number // 65536}.{number // 256 % 256}.{number % 256}", 9000)
        for number, member in enumerate(members)
    ]
    arrive = [post("/register", json.dumps({**newcomer._asdict(), "ttl": TTL}).encode()) for newcomer in newcomers]
    leave = [_delete(newcomer) for newcomer in newcomers]
    beating = await _connect(port, BEATING)
    arriving, leaving = await _connect(port, CHURNING), await _connect(port, CHURNING)
    result.send("sending")
    start = time.perf_counter()
    streams = [
        _Stream(beating, beats, lambda now: (now - start) * heartbeats),
        _Stream(arriving, arrive, lambda now: (now - start) * churn),
        _Stream(leaving, leave, lambda now: (now - start - _STAY) * churn),
    ]
    late, last = 0.0, start
    while not stop.is_set():
        now = time.perf_counter()
        late, last = max(late, now - last - _TICK), now
        for stream in streams:
            stream.send_what_is_due(now)
        await asyncio.sleep(_TICK)
    seconds = time.perf_counter() - start
    failed = sum(stream.failed for stream in streams)
    beat, arrived, left = (stream.answered / seconds for stream in streams)
    result.send(Done(beat, arrived, left, failed, late * 1000))


class _Stream:
    """Requests in turn over connections in turn, as many as `due(now)` in all."""

    def __init__(
        self, connections: list[_Connection], requests: Sequence[bytes], due: Callable[[float], float]
    ) -> None:
        self._connections = connections
        self._requests = requests
        self._due = due
        self._sent = 0

    def send_what_is_due(self, now: float) -> None:
        while self._sent < self._due(now):
            connection = self._connections[self._sent % len(self._connections)]
            connection.transport.write(self._requests[self._sent % len(self._requests)])
            self._sent += 1

    @property
    def answered(self) -> int:
        return sum(connection.succeeded for connection in self._connections)

    @property
    def failed(self) -> int:
        return sum(connection.answered for connection in self._connections) - self.answered


class _Connection(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(self) -> None:
        self.answered = 0
        self.succeeded = 0
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Counts status lines, also those that come in two parts: what is left is too short to hold a whole one."""
        for pattern in (_SUCCESS, _STATUS):
            seen = (self._tail[-len(pattern) + 1 :] + data).count(pattern)
            if pattern is _SUCCESS:
                self.succeeded += seen
            else:
                self.answered += seen
        self._tail = data[-len(_SUCCESS) :]


async def _connect(port: int, count: int) -> list[_Connection]:
    loop = asyncio.get_running_loop()
    return [(await loop.create_connection(_Connection, "127.0.0.1", port))[1] for _ in range(count)]


def _delete(member: Instance) -> bytes:
    path = f"/services/{member.name}/instances?ip={member.ip}&port={member.port}"
    return f"DELETE {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
