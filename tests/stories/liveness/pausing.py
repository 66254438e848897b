"""A server with 1,000 clients that stands still for 30 s (without --all 200, and 14 s), and what is seen of it afterwards."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any, NamedTuple

from tests.examples import examples
from tests.stories.liveness.beating import Beat, beating, crowd
from tests.stories.process import running, until

SERVICES, EACH = examples(100), 10
# Seconds.
LEASE, SILENT_LEASE = 10, 8
PAUSE = 10 + examples(20)


class Paused(NamedTuple):
    """Monotonic seconds. `silent_after`: from the end of the pause to the end of the one that never beat.

    `addresses`: in the answer of each service, when all had beaten.
    """

    stopped: float
    over: float
    silent_after: float
    registered: dict[int, Beat]
    beats: list[Beat]
    services: dict[str, Any]
    stats: dict[str, Any]
    addresses: list[int]
    log: list[str]


def pause(data: Path) -> Paused:
    everybody = set(range(SERVICES * EACH))
    with (
        running(DATA_DIR=str(data), HEARTBEAT_TIMEOUT_SECONDS=LEASE, MAX_INSTANCES_PER_SERVICE=EACH) as server,
        beating(server.port, crowd(SERVICES, EACH)) as clients,
    ):
        until(lambda: clients.answered(0) == everybody)
        server.register("silent", "10.200.0.1", 1, ttl=SILENT_LEASE)
        stopped = time.monotonic()
        server.process.send_signal(signal.SIGSTOP)
        time.sleep(PAUSE)
        over = time.monotonic()  # not later
        server.process.send_signal(signal.SIGCONT)
        until(lambda: server.request("GET", "/resolve/silent").status == 404)
        silent_after = time.monotonic() - over
        until(lambda: clients.answered(over) == everybody)
        addresses = [len(server.ask(f"crowd-{number}.svc.local").answer[0]) for number in range(SERVICES)]
        services = server.request("GET", "/services").body["services"]
        stats = server.request("GET", "/stats").body
        return Paused(
            stopped, over, silent_after, clients.registered, list(clients.beats), services, stats, addresses,
            list(server.log),
        )  # fmt: skip
