"""DNS latency as a client sees it: queries at a steady pace, whether or not the answers come (an open loop).

They are asked by a process of their own. It shares the load's core, so it runs at a real-time priority where it may:
what it measures is the server and not its own waiting for the core.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import select
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from typing import NamedTuple

import dns.message

from tests.benchmarks.report import percentile
from tests.benchmarks.rivals import CLIENT_CORE

# Ids in flight are told apart by the 16 bits that DNS has.
_IDS = 65536
# Seconds that the last answers are waited for.
_PATIENCE = 2.0

_fork = multiprocessing.get_context("fork")


class Latencies(NamedTuple):
    """`late`: the most that the probe was behind its own schedule. All in milliseconds."""

    values: list[float]
    lost: int
    late: float
    seconds: float

    @property
    def rate(self) -> float:
        return (len(self.values) + self.lost) / self.seconds

    def ms(self, percent: float) -> float:
        return percentile(self.values, percent)

    @property
    def worst(self) -> float:
        return max(self.values)


class Probe:
    """Asks while the `with` block runs; `latencies` afterwards."""

    latencies: Latencies


@contextmanager
def probing(port: int, names: Sequence[str], rate: float) -> Iterator[Probe]:
    """`rate` queries a second for A and SRV of the names, in a random order."""
    probe = Probe()
    ours, theirs = _fork.Pipe()
    stop = _fork.Event()
    process = _fork.Process(target=_ask, args=(port, names, rate, stop, theirs), daemon=True)
    process.start()
    theirs.close()  # so that its end is noticed, should it fail
    ours.recv()  # it asks
    try:
        yield probe
    finally:
        stop.set()
        probe.latencies = ours.recv()
        process.join()


def _ask(port: int, names: Sequence[str], rate: float, stop: Event, result: Connection) -> None:
    queries = [bytes(dns.message.make_query(name, kind).to_wire())[2:] for name in names for kind in ("A", "SRV")]
    random.Random(1).shuffle(queries)
    come_first()  # not before: what reads the server's log must not wait for the above
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect(("127.0.0.1", port))
    clock = time.perf_counter
    asked: dict[int, float] = {}
    values: list[float] = []
    late, number = 0.0, 0
    result.send("asking")
    start = clock()
    end = None
    while end is None or (asked and clock() < end + _PATIENCE):
        now, due = clock(), start + number / rate
        if end is None and now >= due:
            late = max(late, now - due)
            id = number % _IDS
            asked[id] = clock()
            sock.send(id.to_bytes(2, "big") + queries[number % len(queries)])
            number += 1
            if stop.is_set():
                end = clock()
        elif select.select([sock], [], [], max(0.0, due - now) if end is None else 0.1)[0]:
            reply = sock.recv(4096)
            values.append((clock() - asked.pop(int.from_bytes(reply[:2], "big"))) * 1000)
    result.send(Latencies(values, len(asked), late * 1000, end - start))


def come_first() -> None:
    """Puts this process on the clients' core, ahead of everything else there."""
    os.sched_setaffinity(0, {int(CLIENT_CORE)})
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    except PermissionError:
        print("(no right to a real-time priority: the probe's own waiting is in its latencies)")
