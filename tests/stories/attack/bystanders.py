"""Those who must not notice an attack: 200 clients that beat as they are told, and the server's memory."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.stories.attack.prober import percentile
from tests.stories.liveness.beating import Beat, Clients, beating, crowd
from tests.stories.process import Discovery
from tests.stories.standards.memory import rss

SERVICES, EACH = 20, 10
# One of the services.
NAME = "crowd-0.svc.local"
# Seconds: three beats in each, so that a story sees some thousand.
LEASE = 3
MIB = 1024 * 1024


def peak(pid: int) -> int:
    """Octets that have been resident at the most (Linux)."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) * 1024


class Bystanders:
    """What they saw of an attack that begins now."""

    def __init__(self, pid: int, clients: Clients) -> None:
        self._pid = pid
        self._clients = clients
        self._since = time.monotonic()
        self._before = rss(pid)

    @property
    def beats(self) -> list[Beat]:
        return [beat for beat in list(self._clients.beats) if beat.sent >= self._since]

    @property
    def answered(self) -> float:
        """The share of the heartbeats that were answered with 200."""
        return sum(beat.status == 200 for beat in self.beats) / len(self.beats)

    @property
    def grown(self) -> int:
        """Octets, at the worst moment."""
        return peak(self._pid) - self._before

    def __str__(self) -> str:
        took = [(beat.received - beat.sent) * 1000 for beat in self.beats]
        figures = f"p50 {percentile(took, 50):.1f}, p99 {percentile(took, 99):.1f}, max {max(took):.0f} ms"
        left = (rss(self._pid) - self._before) / MIB
        return (
            f"{len(took)} heartbeats, {self.answered:.2%} answered, {figures}. Memory {self._before / MIB:.1f} MiB, "
            f"at most {self.grown / MIB:+.1f}, now {left:+.1f}"
        )


@contextmanager
def watching(server: Discovery) -> Iterator[Bystanders]:
    """All beat already."""
    with beating(server.port, crowd(SERVICES, EACH)) as clients:
        yield Bystanders(server.process.pid, clients)
