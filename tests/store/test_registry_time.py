"""The three moments of a lease, to the instant: unhealthy, healthy again, expired. And what a heartbeat costs: nothing.

A lease of 10 s taken at 100 runs out at 110; cleanups run at 100, 105, 110, … (`making`).
"""

from __future__ import annotations

import sys

from discovery.core.instance import Key
from discovery.core.status import Status
from tests.driven import EXPIRE
from tests.store.making import ALL, START, TTL, WALL, Log, a_registry, spec

KEY = Key("web", "10.0.0.1", 80)
RUNS_OUT = START + TTL


def test_an_update_is_told_with_the_lease_that_goes_with_it() -> None:
    """The reaper looks at the deadlines when a change comes: by the last one of a write they must be in place."""
    registry = a_registry()
    registry.register(spec(ttl=3600), START, WALL)
    deadlines: list[float | None] = []
    registry.followers.append(lambda change: deadlines.append(registry.next_deadline()))
    registry.register(spec(ttl=2), 101.0, WALL)
    assert deadlines[-1] == 103.0


def test_a_heartbeat_is_no_change_and_leaves_the_queue_alone() -> None:
    registry = a_registry(max_instances=3)
    entries = [registry.register(spec(port=port), START, WALL) for port in (80, 81, 82)]
    log = Log.of(registry)
    held = [sys.getrefcount(entry) for entry in entries]  # every row of the queue refers to its entry
    for tick in range(1, 10_000):
        registry.renew(KEY, START + tick / 1024)
        registry.renew(entries[1].instance.id, START + tick / 1024)
    assert [sys.getrefcount(entry) for entry in entries] == held
    assert (log.changes, registry.index) == ([], 3)
    assert registry.next_deadline() == RUNS_OUT  # looked at when it is up, not before
    registry.advance(RUNS_OUT, ALL)
    assert [change.instance for change in log.changes] == [entries[2].instance]
    registry.deregister(entries[2].instance.spec.key, "test", START + TTL)
    assert registry.next_deadline() == entries[0].lease.expires_at == START + 9_999 / 1024 + TTL
    assert registry.renewals == 2 * 9_999


def test_leases_that_were_renewed_are_put_off_some_at_a_time() -> None:
    """After a start all leases end at once: 100,000 that were renewed meanwhile held the event loop for 230 ms."""
    registry = a_registry(max_instances=10_000)
    entries = [registry.register(spec(port=port), START) for port in range(1, 2_001)]
    for entry in entries[:-1]:
        registry.renew(entry.instance.id, START + 5)
    now = START + TTL
    put_off = [0]
    while not registry.do(EXPIRE, now):
        put_off.append(sum(entry.due != now for entry in entries))
        assert 0 < put_off[-1] - put_off[-2] <= 500
        deadline = registry.next_deadline()
        assert deadline is not None
        assert deadline <= now  # so that whoever advances it comes again
    assert [entry.status for entry in entries].count(Status.UNHEALTHY) == 1
    assert put_off[-1] >= 1_000
