"""Clients that keep their instances alive at one node, and go to the next when that one does not take a heartbeat, as the SDK's do."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.stories.cluster.nodes import TTL
from tests.stories.process import Discovery

PORT = 3001


class Crowd:
    """`at`: the nodes that they know, the one they prefer first. `forgotten`: heartbeats that were answered with 404."""

    def __init__(self, service: str, ips: Sequence[str], at: Sequence[Discovery]) -> None:
        self.service = service
        self.ips = list(ips)
        self.at = list(at)
        self.forgotten: list[str] = []
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(TTL / 5):
            for ip in list(self.ips):
                self._beat(ip)

    def stop(self) -> None:
        self._over.set()

    def _beat(self, ip: str) -> None:
        for node in list(self.at):
            try:
                status = node.heartbeat(self.service, ip, PORT).status
            except OSError:
                continue
            if status == 404:
                self.forgotten.append(f"{ip} at {node.http}")
            if status != 503:
                return


@contextmanager
def beating(service: str, ips: Sequence[str], at: Sequence[Discovery]) -> Iterator[Crowd]:
    """Registered at the first node."""
    for ip in ips:
        at[0].register(service, ip, PORT)
    crowd = Crowd(service, ips, at)
    thread = threading.Thread(target=crowd.run, daemon=True)
    thread.start()
    try:
        yield crowd
    finally:
        crowd.stop()
        thread.join()
