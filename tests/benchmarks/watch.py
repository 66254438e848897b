"""Watchers by the thousand: how soon they hear of a change, what they cost while nothing happens, and whom a flapping service wakes.

The clients are plain sockets of one selector, so that 1,000 answers are read in some 10 ms. How long the server's loop is held while it
tells them is seen from inside (`write_path.loop_server`): as processor time, which others who use the machine do not lengthen.
What the counting of metrics costs DNS and heartbeats follows (`metrics`).

python -m tests.benchmarks.watch [7900]
"""

from __future__ import annotations

import itertools
import json
import selectors
import socket
import sys
import time
from collections.abc import Iterable
from contextlib import closing

from tests.benchmarks import metrics, report
from tests.benchmarks.isolation import enter
from tests.benchmarks.scale import resident
from tests.benchmarks.write_path.checkout import ours
from tests.benchmarks.write_path.loop import Run
from tests.stories.process import Discovery
from tests.stories.standards.memory import processor

FANOUT, ROUNDS = 1000, 10
IDLE = 4000
# A real limit counts one address; each of these may have so many.
PER_ADDRESS = 1000
FLAPS, FLAPS_A_SECOND, OWN, OTHERS = 500, 100, 10, 1000

_COMMENT = b":\n\n"
_clock = time.perf_counter


class Crowd:
    """Connections that have asked something and wait."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.sockets: list[socket.socket] = []
        self.heard: dict[socket.socket, float] = {}
        self._selector = selectors.DefaultSelector()

    def come(self, count: int, target: str) -> None:
        for _ in range(count):
            sock = socket.socket()
            sock.bind((f"127.0.1.{1 + len(self.sockets) // PER_ADDRESS}", 0))
            sock.connect(("127.0.0.1", self._port))
            self.sockets.append(sock)
            self._selector.register(sock, selectors.EVENT_READ)
            self.ask(sock, target)

    @staticmethod
    def ask(sock: socket.socket, target: str) -> None:
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: registry\r\n\r\n".encode())

    def listen(self, seconds: float, until: int = 0) -> int:
        """How many heard something: until so many have, or for so long."""
        self.heard.clear()
        end = _clock() + seconds
        while len(self.heard) < (until or sys.maxsize) and (left := end - _clock()) > 0:
            for key, _ in self._selector.select(left):
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                octets = sock.recv(65536)
                assert octets, "the server closed it"
                if octets != _COMMENT:
                    self.heard.setdefault(sock, _clock())
        return len(self.heard)

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()


class Writer:
    """One connection that changes things."""

    def __init__(self, port: int) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port))
        self._versions = itertools.count()

    def change(self, name: str) -> tuple[float, int]:
        """When its 201 came, and the index."""
        body = json.dumps(
            {"name": name, "ip": "10.0.0.1", "port": 80, "ttl": 3600, "metadata": {"v": next(self._versions)}}
        )
        head = f"POST /register HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        self._sock.sendall(f"{head}\r\n\r\n{body}".encode())
        reply = self._sock.recv(65536)
        done = _clock()
        assert b" 201 " in reply, reply
        return done, json.loads(reply.partition(b"\r\n\r\n")[2])["index"]


def fan_out(server: Discovery, title: str, target: str, *, again: bool) -> None:
    """`again`: each round asks anew."""
    writer, delays = Writer(server.port), []
    _, index = writer.change("web")
    with closing(Crowd(server.port)) as crowd:
        crowd.come(FANOUT, target.format(index=index))
        crowd.listen(1)  # the heads of streams
        run = Run(server, batches=True)
        for _ in range(ROUNDS):
            with run.watching("a change"):
                done, index = writer.change("web")
                assert crowd.listen(10, until=FANOUT) == FANOUT
            delays += [max(0.0, heard - done) * 1000 for heard in crowd.heard.values()]
            if again:
                for sock in crowd.sockets:
                    crowd.ask(sock, target.format(index=index))
                time.sleep(0.5)  # the server has read them all
    report.at_most(f"{title}: {FANOUT} heard of a change, p99", report.percentile(delays, 99), 100, "ms")
    report.fact("… median", report.percentile(delays, 50), "ms")
    report.at_most("… the loop was held, processor time at the most", max(each.cpu for each in run.held), 10, "ms")
    report.fact("… by the clock, others on the machine included", max(each.gap for each in run.held), "ms")


def idle(server: Discovery, count: int) -> None:
    server.register("web")
    before = resident(server)
    with closing(Crowd(server.port)) as crowd:
        crowd.come(count, "/events?service=web")
        assert crowd.listen(20, until=count) == count
        grown = resident(server) - before
        report.at_most(f"{count} idle streams: memory for each", grown / count, 30, "KiB")
        began, cpu = _clock(), processor(server.process.pid)
        crowd.listen(20)
        report.fact("… of a core, for comments", 100 * (processor(server.process.pid) - cpu) / (_clock() - began), "%")


def flapping(server: Discovery) -> None:
    """Its own hear each change; the others nothing, and cost nothing."""
    writer = Writer(server.port)
    _, index = writer.change("flapping")
    used = []
    for others in (0, OTHERS):
        with closing(Crowd(server.port)) as crowd, closing(Crowd(server.port)) as quiet:
            crowd.come(OWN, "/events?service=flapping")
            quiet.come(others // 2, "/events?service=web")
            quiet.come(others // 2, f"/resolve/web?index={index}&wait=5m")
            crowd.listen(1)
            quiet.listen(1)
            cpu, began = processor(server.process.pid), _clock()
            for number in range(FLAPS):
                time.sleep(max(0.0, began + number / FLAPS_A_SECOND - _clock()))
                writer.change("flapping")
            used.append((processor(server.process.pid) - cpu) / FLAPS * 1000)
            assert crowd.listen(1, until=OWN) == OWN
            if others:
                woken = quiet.listen(0.2)
                report.at_most(f"a service that flaps {FLAPS_A_SECOND}×/s: of {OTHERS} others woken", woken, 0)
    report.at_most("… a change with them, of one without", used[1] / used[0], 1.1, "", f"{used[0]:.2f} ms of processor")


def main(counts: Iterable[int]) -> None:
    """Watching takes no part in a query; what counting costs one is measured in the same run."""
    report.machine()
    quiet: dict[str, str | int] = {"DATA_DIR": "", "LOG_LEVEL": "warning"}
    with ours().serving(quiet, "loop_server") as server:
        fan_out(server, "Long polls", "/resolve/web?index={index}&wait=5m", again=True)
        fan_out(server, "Streams", "/events?service=web", again=False)
    with ours().serving(quiet) as server:
        flapping(server)
    for count in counts:
        limits: dict[str, str | int] = {"MAX_WATCHERS": count, "HTTP_MAX_CONNECTIONS": 2 * count + 16}
        with ours().serving(quiet | limits) as server:
            idle(server, count)
    metrics.cost(metrics.ROUNDS)


if __name__ == "__main__":
    enter()
    main([IDLE, *map(int, sys.argv[1:])])
