"""One round: CPU microseconds of each operation in the registry, as JSON. A script, run with the code of any checkout (`checkout`).

The collector is off while an operation is measured. One follower that does nothing; the log, where there is one, at its default size.
"""

from __future__ import annotations

import gc
import importlib
import itertools
import json
import time
from collections.abc import Callable, Iterable
from random import Random
from typing import Any

from discovery.core.instance import Key, Registration
from discovery.core.kinds import RegistrySettings
from discovery.store.brake import Brake
from discovery.store.damping import Damping
from discovery.store.registry import Registry

INSTANCES, PER_SERVICE = 20_000, 10
TTL, CLEANUP = 10.0, 5.0
# Wall time runs alongside, so far apart.
APART = 1e9


class Commits:
    """Today's way."""

    def __init__(self, registry: Any) -> None:
        self._registry = registry
        self._expire = importlib.import_module("discovery.store.expiry").Expire()
        self._writes = importlib.import_module("discovery.store.registration")
        registry.followers.append(lambda commit: None)

    def register(self, spec: Registration, now: float) -> None:
        self._registry.carry_out(self._writes.Register(spec), now, now + APART)

    def heartbeat(self, key: Key, now: float) -> None:
        assert self._registry.beat(self._registry.at(key), now)

    def advance(self, now: float) -> None:
        while self._registry.carry_out(self._expire, now, now + APART):
            pass

    def deregister(self, key: Key, now: float) -> None:
        self._registry.carry_out(self._writes.Deregister(key, "measured"), now, now + APART)


class Verbs:
    """The way before: a verb for each write, and changes published after it."""

    def __init__(self, registry: Any) -> None:
        self._registry = registry
        registry.subscribe(lambda change: None)

    def register(self, spec: Registration, now: float) -> None:
        self._registry.register(spec, now, now + APART)

    def heartbeat(self, key: Key, now: float) -> None:
        self._registry.renew(key, now)

    def advance(self, now: float) -> None:
        self._registry.advance(now, INSTANCES)

    def deregister(self, key: Key, now: float) -> None:
        self._registry.deregister(key, "measured", now)


def main() -> None:
    found: dict[str, float] = {}
    old, new = _specs(0), _specs(1)
    keys = [spec.key for spec in old]
    calm, ways = _registry(brake_percent=0)

    def measure(title: str, act: Callable[[Any], None], items: Iterable[Any]) -> None:
        items = list(items)
        gc.collect()
        gc.disable()
        started = time.process_time()
        for item in items:
            act(item)
        found[title] = (time.process_time() - started) * 1e6 / INSTANCES
        gc.enable()

    measure("register new", lambda spec: ways.register(spec, 1.0), old)
    measure("register again, same contents", lambda spec: ways.register(spec, 2.0), old)
    measure("register again, other contents", lambda spec: ways.register(spec, 3.0), new)
    measure("heartbeat", lambda key: ways.heartbeat(key, 4.0), keys)
    measure("lapse", ways.advance, [4.0 + TTL])
    assert len(calm) == INSTANCES
    measure("cleanup", ways.advance, [4.0 + TTL + 2 * CLEANUP])
    assert len(calm) == 0
    for spec in old:
        ways.register(spec, 30.0)
    measure("deregister", lambda key: ways.deregister(key, 31.0), keys)
    assert len(calm) == 0
    _, ways = _registry(brake_percent=30)
    for spec in old:
        ways.register(spec, 1.0)
    measure("lapse that the brake holds", ways.advance, [1.0 + TTL])
    print(json.dumps(found))


def _registry(brake_percent: int) -> tuple[Any, Commits | Verbs]:
    ids = itertools.count()
    registry = Registry(
        RegistrySettings(TTL, PER_SERVICE, 1_000_000, 10_000_000),
        cleanup_interval=CLEANUP,
        new_id=lambda: f"id-{next(ids)}",
        started_at=0.0,
        brake=Brake(brake_percent, 60, CLEANUP, TTL, Random(1)),
        damping=Damping(6, 60.0),
    )
    return registry, Commits(registry) if hasattr(registry, "carry_out") else Verbs(registry)


def _specs(version: int) -> list[Registration]:
    return [
        Registration.of(
            f"svc-{number // PER_SERVICE}",
            f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
            3000 + number % PER_SERVICE,
            metadata={"number": number, "version": version},
        )
        for number in range(INSTANCES)
    ]


if __name__ == "__main__":
    main()
