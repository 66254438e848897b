"""Octets that an instance takes in the server at 100,000 of them, the full log included."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.fleet import TTL, Instance, fleet, pipelined, post, register
from tests.benchmarks.write_path.checkout import Checkout
from tests.stories.process import Discovery

SERVICES, INSTANCES = 10_000, 10
# As many as fill the log at its default size.
CHANGED = 16_384


class Octets(NamedTuple):
    """Of one instance. `changed`: when each event in the log also keeps what the instance was before, with metadata of its own."""

    registered: float
    changed: float


def octets(checkout: Checkout) -> Octets:
    with checkout.serving({"HEARTBEAT_TIMEOUT_SECONDS": 600}) as server:
        register(server.port, fleet(1, 1))  # what the first request brings into memory is not the table's
        before = _resident(server)
        register(server.port, fleet(SERVICES, INSTANCES))
        registered = _resident(server)
        members = list(fleet(SERVICES, INSTANCES))[:CHANGED]
        pipelined(server.port, (post("/register", _other(member)) for member in members))
        return Octets(*((seen - before) * 1024 / (SERVICES * INSTANCES) for seen in (registered, _resident(server))))


def _other(member: Instance) -> bytes:
    body = {**member._asdict(), "ttl": TTL, "metadata": {"version": "1.0.1", "zone": "eu-west-1"}}
    return json.dumps(body).encode()


def _resident(server: Discovery) -> int:
    """KiB."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))
