"""The brake asks before it believes: who was killed is out with its lease, or soon after."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any

import dns.message
import dns.query

from tests.stories.liveness.listening import have_beaten, listening
from tests.stories.process import LIMIT, Discovery, running, until

TTL = 4.0
# Seconds after their leases until all are out: two where nobody else uses the machine; the brake would hold them for a minute.
SOON = 20.0
SETTINGS: dict[str, Any] = {
    "HEARTBEAT_TIMEOUT_SECONDS": TTL,
    "CLEANUP_INTERVAL_SECONDS": 1,
    "MAX_INSTANCES_PER_SERVICE": 1000,
    "REGISTERS_PER_SECOND": 0,
}


def ready(server: Discovery, name: str) -> list[Any]:
    """Its instances, once all of them may be asked."""
    found: list[Any] = server.request("GET", f"/resolve/{name}").body.get("instances", [])
    return found if have_beaten(found, TTL) else []


def served(server: Discovery, name: str) -> int:
    """In the answers of HTTP and DNS, the larger of the two."""
    found = server.request("GET", f"/resolve/{name}")
    query = dns.message.make_query(f"{name}.svc.local", "SRV")
    over_dns = dns.query.tcp(query, "127.0.0.1", port=server.dns_port, timeout=LIMIT).answer
    return max(int(found.body.get("instanceCount", 0)), len(over_dns[0]) if over_dns else 0)


def test_of_those_that_are_killed_together_none_is_held_by_the_brake() -> None:
    """Three of four, and 60 of more than three hundred, while all of their host lives."""
    three = [("127.0.0.1", 20001 + number) for number in range(3)]
    many = [("127.0.0.1", 21001 + number) for number in range(60)]
    with running(**SETTINGS) as server, ExitStack() as stack:
        for number in range(300):
            server.register(f"others-{number % 30}", "10.9.0.1", 1 + number, ttl=3600)
        stack.enter_context(listening(server.http, TTL, {"three": [("127.0.0.1", 20000)]}))
        killed = stack.enter_context(listening(server.http, TTL, {"three": three, "many": many}))
        until(lambda: len(ready(server, "three")) == 4 and len(ready(server, "many")) == 60)
        killed.kill()
        killed_at = time.monotonic()
        out: dict[str, float] = {}
        while len(out) < 2:
            assert time.monotonic() < killed_at + TTL + LIMIT, (out, server.log[-5:])
            for name, left in (("three", 1), ("many", 0)):
                if name not in out and served(server, name) == left:
                    out[name] = time.monotonic() - killed_at
            time.sleep(0.05)
        print(f"out after {out}")
        assert max(out.values()) < TTL + SOON
