"""DNS as a bystander has it: one query over UDP every 10 ms whether or not the last was answered, in a process of its own.

Beside each, one goes to a process that does nothing but send it back: what that takes is the machine's doing, not the server's.
`python -m tests.stories.attack.prober PORT NAME` asks until its standard input ends; then it says what it saw, as JSON.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, NoReturn

import dns.message

from tests.stories.process import LIMIT, ROOT

EVERY = 0.01
# Seconds that the last answers are waited for.
PATIENCE = 1.0


class Probed(NamedTuple):
    """`milliseconds`: of each query that was answered, in the order of the answers."""

    asked: int
    milliseconds: list[float]

    @property
    def lost(self) -> int:
        return self.asked - len(self.milliseconds)

    def percentile(self, percent: float) -> float:
        return percentile(self.milliseconds, percent)

    def __str__(self) -> str:
        figures = ", ".join(f"p{percent} {self.percentile(percent):.2f}" for percent in (50, 99, 100))
        return f"{self.asked} asked, {self.lost} lost, {figures} ms"


class Probe:
    """What came of it, once the `with` block has ended. `machine`: of the process that only sends back."""

    probed: Probed
    machine: Probed

    @property
    def waited(self) -> float:
        """Milliseconds that 99 of 100 queries were answered in, without what the machine itself took."""
        return self.probed.percentile(99) - self.machine.percentile(99)

    def __str__(self) -> str:
        return f"DNS: {self.probed}; the machine itself: {self.machine}"


def percentile(values: list[float], percent: float) -> float:
    """The smallest value that so many per cent do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-len(ordered) * percent // 100) - 1)]


@contextmanager
def probing(port: int, name: str) -> Iterator[Probe]:
    """It asks already."""
    command = [sys.executable, "-m", __name__, str(port), name]
    probe = Probe()
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "asking\n"
        yield probe
        said, _ = process.communicate(timeout=LIMIT)
    probe.probed, probe.machine = (Probed(*each) for each in json.loads(said))


def main() -> None:
    port, name = int(sys.argv[1]), sys.argv[2]
    query = dns.message.make_query(name, "A").to_wire()[2:]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mirror:
        mirror.bind(("127.0.0.1", 0))
        child = os.fork()
        if not child:
            _echo(mirror)
        asked = [_Asked(port), _Asked(mirror.getsockname()[1])]
    try:
        _ask(asked, query)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    print(json.dumps([[each.count, each.milliseconds] for each in asked]))


class _Asked:
    """One of the two, and what came back from it."""

    def __init__(self, port: int) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.connect(("127.0.0.1", port))
        self.sent: dict[int, float] = {}
        self.milliseconds: list[float] = []
        self.count = 0

    def ask(self, query: bytes) -> None:
        id = self.count & 0xFFFF
        self.count += 1
        self.sent[id] = time.perf_counter()
        self.sock.send(id.to_bytes(2, "big") + query)

    def receive(self) -> None:
        at = self.sent.pop(int.from_bytes(self.sock.recv(4096)[:2], "big"), None)
        if at is not None:
            self.milliseconds.append((time.perf_counter() - at) * 1000)


def _ask(asked: list[_Asked], query: bytes) -> None:
    print("asking", flush=True)
    due, until = time.perf_counter(), float("inf")
    while time.perf_counter() < until and (until == float("inf") or any(each.sent for each in asked)):
        going = until == float("inf")
        if going and time.perf_counter() >= due:
            for each in asked:
                each.ask(query)
            due += EVERY
        inputs = [each.sock for each in asked] + ([sys.stdin] if going else [])
        ready, _, _ = select.select(inputs, [], [], max(0.0, min(due - time.perf_counter(), EVERY)) if going else EVERY)
        for each in asked:
            if each.sock in ready:
                each.receive()
        if sys.stdin in ready:
            until = time.perf_counter() + PATIENCE


def _echo(sock: socket.socket) -> NoReturn:
    while True:
        packet, client = sock.recvfrom(4096)
        sock.sendto(packet, client)


if __name__ == "__main__":
    main()
