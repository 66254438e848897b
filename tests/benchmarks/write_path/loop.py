"""How long the event loop of a server with 100,000 instances is held by one operation, seen from inside (`loop_server`).

Each figure has two parts: the longest gap, which others who use the machine lengthen, and the most CPU time of the loop's thread in one
gap, which they do not. Both contain the millisecond that the watching callback sleeps and what an idle loop costs here, the first row.
"""

from __future__ import annotations

import json
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from tests.benchmarks.fleet import TTL, Instance, fleet, pipelined, post
from tests.benchmarks.write_path.checkout import Checkout
from tests.stories.process import LIMIT, Discovery, until

SERVICES, INSTANCES = 5_000, 10
LARGE = 1000
# Seconds until the leases that run out together do: longer than registering so many takes.
LEASE, LEASE_OF_LARGE = 20, 4
# Seconds that it takes to tell all.
TOLD = 2.0
CLEANUP_INTERVAL = 3
BRAKE_SECONDS = 3


class Held(NamedTuple):
    """Milliseconds."""

    title: str
    gap: float
    cpu: float


class Run:
    """One server, and what was seen of its loop."""

    def __init__(self, server: Discovery, batches: bool) -> None:
        self.server = server
        self.held: list[Held] = []
        self._batches = batches

    @contextmanager
    def watching(self, title: str) -> Iterator[None]:
        time.sleep(0.3)
        self._report()
        yield
        found = self._report()
        self.held.append(Held(title, found["gap"], found["cpu"]))

    def _report(self) -> Any:
        before = len(self.server.output)
        self.server.process.send_signal(signal.SIGUSR1)
        until(lambda: len(self.server.output) > before)
        return json.loads(self.server.output[-1])

    def ask(self, title: str, method: str, path: str, body: Any = None) -> None:
        with self.watching(title):
            reply = self.server.request(method, path, body)
        assert reply.status < 300, reply

    def register(self, members: list[Instance], end: float | None = None) -> None:
        """`end`: when all their leases run out (monotonic seconds)."""
        parts = [members[start : start + LARGE] for start in range(0, len(members), LARGE)]
        if self._batches:
            pipelined(self.server.port, (post("/registrations", _batch(part, end)) for part in parts), size=1)
        else:
            pipelined(self.server.port, (post("/register", _one(member, end)) for member in members))

    def count(self, status: str) -> int:
        count: int = self.server.request("GET", "/stats").body["instancesByStatus"][status]
        return count


def measure(checkout: Checkout, *, journal: bool, brake: bool, batches: bool) -> list[Held]:
    with tempfile.TemporaryDirectory() as data:
        settings: dict[str, str | int] = {
            "DATA_DIR": data if journal else "",
            "CLEANUP_INTERVAL_SECONDS": CLEANUP_INTERVAL,
            "MAX_INSTANCES_PER_SERVICE": LARGE,
            "BRAKE_PERCENT": 30 if brake else 0,
            "BRAKE_MAX_SECONDS": BRAKE_SECONDS,
        }
        with checkout.serving(settings, "loop_server") as server:
            run = Run(server, batches)
            with run.watching("nothing: what the machine costs"):
                time.sleep(3)
            run.register(list(fleet(SERVICES, INSTANCES)))
            (_with_brake if brake else _without_brake)(run)
            return run.held


def _without_brake(run: Run) -> None:
    _large_service(run)
    _lapse(run, "50,000 leases run out at once")
    with run.watching("the cleanup removes them"):
        until(lambda: run.count("unhealthy") == 0)
    _lapse(run, "GET /stats while 50,000 leases run out", lambda: run.server.request("GET", "/stats"))
    run.register(list(_lapsing()))
    run.ask("POST /admin/clear of 100,000", "POST", "/admin/clear")


def _large_service(run: Run) -> None:
    run.register(_large())
    first = _large()[0]
    path = "/services/large/instances/drain?ip={ip}&port={port}".format(**first._asdict())
    window = {"reason": "measured", "seconds": 600}
    run.ask("one of a service of 1,000 drains", "PUT", path)
    run.ask("it drains no longer", "DELETE", path)
    run.ask("maintenance of a service of 1,000 begins", "PUT", "/services/large/maintenance", window)
    run.ask("it ends", "DELETE", "/services/large/maintenance")
    run.ask("a service of 1,000 is deregistered", "DELETE", "/services/large")


def _with_brake(run: Run) -> None:
    end = time.monotonic() + LEASE_OF_LARGE
    run.register(_large(), end)
    with run.watching("the brake engages for a service of 1,000"):
        time.sleep(max(0.0, end + TOLD - time.monotonic()))
    assert run.count("suspect") == LARGE
    with run.watching("it lets them go, and the cleanup removes them"):
        until(lambda: run.count("suspect") == run.count("unhealthy") == 0, 4 * LIMIT)
    _lapse(run, "50,000 leases run out at once, the brake engages")


def _lapse(run: Run, title: str, meanwhile: Callable[[], object] = lambda: time.sleep(0.1)) -> None:
    end = time.monotonic() + LEASE
    lapsing = list(_lapsing())
    run.register(lapsing, end)
    assert time.monotonic() < end - 1, "LEASE is too short for this machine"
    time.sleep(max(0.0, end - 0.5 - time.monotonic()))
    with run.watching(title):
        while time.monotonic() < end + TOLD:
            meanwhile()
    until(lambda: run.count("unhealthy") + run.count("suspect") == len(lapsing), LEASE)


def _large() -> list[Instance]:
    return [Instance("large", f"10.200.{number >> 8}.{number & 255}", 3000) for number in range(LARGE)]


def _lapsing() -> Iterator[Instance]:
    return (one._replace(name=f"lapsing-{one.name}") for one in fleet(SERVICES, INSTANCES))


def _content(member: Instance, end: float | None) -> dict[str, Any]:
    return {**member._asdict(), "ttl": TTL if end is None else end - time.monotonic()}


def _one(member: Instance, end: float | None) -> bytes:
    return json.dumps(_content(member, end)).encode()


def _batch(members: list[Instance], end: float | None) -> bytes:
    return json.dumps({"instances": [_content(member, end) for member in members]}).encode()
