"""Active checks: the registry itself probes the instances that asked for it when they registered. README.md beside this file.

One loop timer an instance until it is due, then a place in a lane, then a task for the one probe. Instances whose probes are slow
have a lane of their own: waiting for the dead must not keep anybody else's checks from being made.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from random import Random
from typing import Any

from discovery.core.change import Change, Kind
from discovery.core.errors import DiscoveryError
from discovery.core.instance import Instance
from discovery.plugins import Plugin
from discovery.plugins.check.lane import Lane
from discovery.plugins.check.probe import CannotProbe, probe
from discovery.plugins.check.settings import CheckSettings
from discovery.plugins.check.watch import Watch
from discovery.store.engine import Engine
from discovery.store.errors import UnknownInstance
from discovery.store.registry import Registry
from discovery.store.writes import Checked

_log = logging.getLogger("discovery.check")

# Probes at a time in each of the two lanes; each holds a file and about 8 KB. When a fifth of 10,000 instances fall silent at once,
# each for 2 s, the quick lane is through with them within their leases of 10 s.
MAX_IN_HAND = 500
# Seconds that make a probe a slow one; a healthy answer from the same network takes a hundredth.
SLOW = 0.5
# Timers count in whole milliseconds and may fire that much early.
TIMER_GRAIN = 0.001
# Seconds between two complaints that probes cannot be made: there may be a thousand a second.
COMPLAIN_EVERY = 60.0

_GONE = (Kind.DEREGISTERED, Kind.EXPIRED)
_CONTENTS = (Kind.REGISTERED, Kind.RESTORED, Kind.UPDATED)


class Checks(Plugin):
    def __init__(self, registry: Registry, clock: Callable[[], float], random: Random) -> None:
        self._registry = registry
        self._clock = clock
        self._random = random  # spreads the first probes
        self._watched: dict[str, Watch] = {}  # by id
        self._quick: Lane[Watch] = Lane(MAX_IN_HAND)
        self._slow: Lane[Watch] = Lane(MAX_IN_HAND)
        self._tasks: set[asyncio.Task[None]] = set()
        self._complains_at = 0.0

    async def open(self, engine: Engine) -> None:
        self._engine = engine
        self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        for id in list(self._watched):
            self._stop(id)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def changed(self, change: Change) -> None:
        if change.kind in _CONTENTS:
            self._follow(change.instance)
        elif change.kind in _GONE:
            self._stop(change.instance.id)

    def stats(self) -> Mapping[str, Any]:
        failing = sum(watch.told is not None for watch in self._watched.values())
        return {"check": {"checked": len(self._watched), "failing": failing, "inHand": len(self._tasks)}}

    # -- whom to watch

    def _follow(self, instance: Instance) -> None:
        watch, check = self._watched.get(instance.id), instance.spec.check
        if watch is not None:
            if watch.check == check:
                return
            self._stop(instance.id)
        if check is not None:
            lease = self._registry.by_id(instance.id).lease
            watch = Watch(instance.id, instance.spec.ip, instance.spec.port, check, lease)
            self._watched[instance.id] = watch
            self._sleep(watch, self._random.uniform(0, watch.pace))

    def _stop(self, id: str) -> None:
        watch = self._watched.pop(id, None)
        if watch is None:
            return
        if watch.timer is not None:
            watch.timer.cancel()
        if watch.probing is not None:
            watch.probing.cancel()
        self._lane(watch).drop(watch)

    # -- when

    def _sleep(self, watch: Watch, seconds: float) -> None:
        watch.timer = self._loop.call_later(seconds, self._wake, watch)

    def _wake(self, watch: Watch) -> None:
        watch.timer = None
        left = watch.due - self._clock()
        if left > TIMER_GRAIN:  # it beat meanwhile, or the process stood still
            self._sleep(watch, left)
            return
        lane = self._lane(watch)
        lane.enter(watch)
        self._start(lane)

    def _lane(self, watch: Watch) -> Lane[Watch]:
        return self._slow if watch.slow else self._quick

    def _start(self, lane: Lane[Watch]) -> None:
        while (watch := lane.next()) is not None:
            watch.started = self._clock()
            watch.probing = task = self._loop.create_task(self._check(watch))
            self._tasks.add(task)
            task.add_done_callback(partial(self._ended, watch, lane))

    def _ended(self, watch: Watch, lane: Lane[Watch], task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        lane.leave()
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("the check of instance %s failed itself; it goes on", watch.id, exc_info=error)
        if self._watched.get(watch.id) is watch:
            self._sleep(watch, max(0.0, watch.due - self._clock()))
        self._start(lane)

    # -- a probe and what follows from it

    async def _check(self, watch: Watch) -> None:
        try:
            failure = await probe(watch.ip, watch.port, watch.check)
        except CannotProbe as error:
            self._complain(error)
            return
        finally:
            watch.probing = None  # a write that has begun is not cancelled with the watch
        watch.slow = self._clock() - watch.started > SLOW
        watch.verdict.note(failure, watch.check)
        _log.debug("check of %s port %d: %s [id %s]", watch.ip, watch.port, failure or "passed", watch.id)
        try:
            await self._tell(watch, passed=failure is None)
        except UnknownInstance:
            pass  # it went away meanwhile
        except DiscoveryError as error:
            _log.warning("the check of instance %s could not be noted, its next one will be: %s", watch.id, error)

    async def _tell(self, watch: Watch, passed: bool) -> None:
        if passed:
            self._engine.renew(watch.id)
        failing = watch.verdict.failing
        if (failing is None) != (watch.told is None):
            await self._engine.submit(Checked(watch.id, failing))
            watch.told = failing

    def _complain(self, error: CannotProbe) -> None:
        now = self._loop.time()
        if now >= self._complains_at:
            self._complains_at = now + COMPLAIN_EVERY
            _log.warning("%s; that counts against no instance", error)


def make(registry: Registry, clock: Callable[[], float]) -> Checks | None:
    # Spreads probes, guards nothing.
    return Checks(registry, clock, Random()) if CheckSettings.read().check_enabled else None
