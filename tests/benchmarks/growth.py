"""What one heartbeat, registration or expiry costs as the table grows, on the registry itself, alone and with DNS listening to it.

Each figure is the median of batches; a collection of garbage falls into few of them and is seen by `scale`.
python -m tests.benchmarks.growth [rounds]
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import dns.message

from discovery.core.instance import Key, Registration
from discovery.dns.message import names
from discovery.dns.message.query import UDP
from discovery.dns.zones.reverse import ReverseNames
from tests.benchmarks import report
from tests.benchmarks.fleet import TTL, Instance, fleet
from tests.benchmarks.rivals import CLIENT_CORE
from tests.dns.world import CLIENT, ORIGIN, World

INSTANCES = 10  # of a service
SIZES = [1_000, 10_000, 100_000]
BATCH = 500
SHORT_TTL = 1.0
# Seconds after its lease, when an instance has certainly been removed: two of World's cleanup intervals.
REMOVED_AFTER = 10.0
MAX_RATIO = 1.3
METADATA = {"version": "1.0.0", "zone": "eu-west-1"}

T = TypeVar("T")


class Costs(NamedTuple):
    """Microseconds for one.

    `heartbeat` of any instance: in a large table it misses the processor's caches. `heartbeat_again`: of a few that beat before,
    so what grows is the work alone.
    """

    heartbeat: float
    heartbeat_again: float
    registration: float
    expiry: float


def main() -> None:
    os.sched_setaffinity(0, {int(CLIENT_CORE)})
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 41
    report.machine()
    for listening in (False, True):
        print(
            "with the hot path, its templates kept, and the reverse index listening"
            if listening
            else "the registry alone"
        )
        costs = [_costs(_table(size, listening), size, rounds) for size in SIZES]
        for operation in Costs._fields:
            figures = [getattr(each, operation) for each in costs]
            of_sizes = ", ".join(f"{size:,}: {figure:.2f} µs" for size, figure in zip(SIZES, figures, strict=True))
            report.at_most(
                f"  one {operation.replace('_', ' ')}, {SIZES[-1]:,} to {SIZES[0]:,}",
                figures[-1] / figures[0],
                MAX_RATIO,
                "",
                of_sizes,
            )


def _table(size: int, listening: bool) -> World:
    world = World(hot=listening)
    if listening:
        world.registry.followers.append(ReverseNames(world.registry, names.from_text(ORIGIN), 5, 2).follow_commit)
    for member in fleet(size // INSTANCES, INSTANCES):
        world.registry.register(_spec(member, TTL), 0.0, 0.0)
    _ask(world, [f"s{number}" for number in range(size // INSTANCES)], 0.0)
    return world


def _costs(world: World, size: int, rounds: int) -> Costs:
    """The table has `size` instances throughout; what is registered and expires comes on top."""
    registry = world.registry
    draw = random.Random(1)
    members = list(fleet(size // INSTANCES, INSTANCES))
    newcomers = [
        one._replace(name=f"new-{one.name}", ip=f"11{one.ip[2:]}") for one in fleet(BATCH // INSTANCES, INSTANCES)
    ]
    heartbeats, again, registrations, expiries = [], [], [], []
    now = 1.0
    for _ in range(rounds):
        keys = [Key.of(*member) for member in draw.choices(members, k=BATCH)]
        heartbeats.append(_each(lambda key: registry.renew(key, now), keys))  # noqa: B023
        again.append(_each(lambda key: registry.renew(key, now), keys))  # noqa: B023
        specs = [_spec(member, SHORT_TTL) for member in newcomers]
        registrations.append(_each(lambda spec: registry.register(spec, now, 0.0), specs))  # noqa: B023
        assert len(registry) == size + BATCH
        _ask(world, sorted({member.name for member in newcomers}), now)
        moments = [now + SHORT_TTL, now + SHORT_TTL + REMOVED_AFTER]
        expiries.append(_each(lambda moment: registry.advance(moment, BATCH), moments) * len(moments) / BATCH)
        assert len(registry) == size
        now = moments[-1]
    return Costs(*map(statistics.median, (heartbeats, again, registrations, expiries)))


def _each(action: Callable[[T], object], arguments: Sequence[T]) -> float:
    """Microseconds for one."""
    start = time.perf_counter()
    for argument in arguments:
        action(argument)
    return (time.perf_counter() - start) * 1e6 / len(arguments)


def _ask(world: World, services: Sequence[str], now: float) -> None:
    """So that a template of each is kept, where there is a hot path."""
    for service in services:
        world.responder.respond(dns.message.make_query(f"{service}.{ORIGIN}", "A").to_wire(), now, CLIENT, UDP)


def _spec(member: Instance, ttl: float) -> Registration:
    return Registration.of(*member, metadata=METADATA, ttl=ttl)


if __name__ == "__main__":
    main()
