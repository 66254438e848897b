"""Active checks: the registry itself probes the instances that asked for it when they registered. README.md beside this file.

`rounds` says when, `probe` asks, `watch` counts; here is whom, and what follows: a heartbeat, or a write through the engine.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import Any

from discovery.core.caller import SERVER
from discovery.core.errors import DiscoveryError
from discovery.core.event import Commit, InstanceEvent
from discovery.core.instance import Instance
from discovery.core.log_fields import fields
from discovery.core.network import Network, Networks
from discovery.plugins import Plugin, Seams
from discovery.plugins.check.probe import CannotProbe, probe
from discovery.plugins.check.rounds import Rounds
from discovery.plugins.check.settings import CheckSettings
from discovery.plugins.check.targets import refusal
from discovery.plugins.check.watch import Verdict, Watch
from discovery.store.engine import Engine
from discovery.store.errors import UnknownInstance
from discovery.store.operations import Checked
from discovery.store.registry import Registry
from discovery.store.state import CheckResult

_log = logging.getLogger("discovery.check")

# Seconds that make a probe a slow one; a healthy answer from the same network takes a hundredth.
SLOW = 0.5
# Seconds between two complaints that probes cannot be made: there may be a thousand a second.
COMPLAIN_EVERY = 60.0


class Checks(Plugin):
    """`random` spreads the first probes. `networks`: see `targets`."""

    def __init__(
        self, registry: Registry, clock: Callable[[], float], random: Random, networks: Iterable[Network] = ()
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._random = random
        self._networks = Networks(networks)
        self._watched: dict[str, Watch] = {}  # by id
        self._rounds = Rounds(clock, self._check)
        self._complains_at = 0.0

    def install(self, seams: Seams) -> None:
        seams.followers.append(self.follow_commit)
        seams.last_checks.append(self.last)

    async def open(self, engine: Engine) -> None:
        self._engine = engine
        self._rounds.open()

    async def close(self) -> None:
        for id in list(self._watched):
            self._stop(id)
        await self._rounds.close()

    def follow_commit(self, commit: Commit) -> None:
        for event in commit.events:
            if not isinstance(event, InstanceEvent):
                continue
            before, after = event.before, event.after
            if after is None:
                self._stop(event.instance.id)
            elif before is None or before.spec is not after.spec:
                self._follow(after)

    def stats(self) -> Mapping[str, Any]:
        failing = sum(watch.told is not None for watch in self._watched.values())
        return {"check": {"checked": len(self._watched), "failing": failing, "inHand": self._rounds.in_hand}}

    def last(self, id: str) -> CheckResult | None:
        """None: it was not checked at this node."""
        watch = self._watched.get(id)
        return None if watch is None else watch.last

    # -- whom to watch

    def _follow(self, instance: Instance) -> None:
        watch, check = self._watched.get(instance.id), instance.spec.check
        if watch is not None:
            if watch.check == check:
                return
            self._stop(instance.id)
        if check is not None:
            lease = self._registry.at(instance.id).lease
            watch = Watch(instance.id, instance.spec.ip, instance.spec.port, check, lease)
            self._watched[instance.id] = watch
            self._rounds.add(watch, self._random.uniform(0, watch.pace))

    def _stop(self, id: str) -> None:
        watch = self._watched.pop(id, None)
        if watch is not None:
            self._rounds.remove(watch)

    # -- a probe and what follows from it

    async def _check(self, watch: Watch) -> None:
        known = self._registry.find(watch.id)
        if not self._engine.leads:  # of several nodes one probes; whoever is next goes on from what that one has found
            watch.verdict = Verdict(None if known is None else known.instance.failing)
            watch.told = watch.verdict.failing
            watch.last = watch.probing = None
            return
        failure = None if known is None else refusal(known.instance, self._networks, not self._engine.has_other_nodes)
        try:
            failure = failure or await probe(watch.ip, watch.port, watch.check)
        except CannotProbe as error:
            self._complain(error)
            return
        finally:
            watch.probing = None  # a write that has begun is not cancelled with the watch
        watch.slow = self._clock() - watch.started > SLOW
        watch.verdict.note(failure, watch.check)
        watch.last = CheckResult(watch.started, failure)
        _log.debug(
            "check of %s port %d: %s [id %s]",
            watch.ip,
            watch.port,
            failure or "passed",
            watch.id,
            extra=fields("check.done", ip=watch.ip, port=watch.port, id=watch.id, reason=failure),
        )
        try:
            await self._tell(watch, passed=failure is None)
        except UnknownInstance:
            pass  # it went away meanwhile
        except DiscoveryError as error:
            _log.warning(
                "the check of instance %s could not be noted, its next one will be: %s",
                watch.id,
                error,
                extra=fields("check.not_noted", ip=watch.ip, port=watch.port, id=watch.id, reason=str(error)),
            )

    async def _tell(self, watch: Watch, passed: bool) -> None:
        if passed:
            self._engine.renew(watch.id, SERVER)
        failing = watch.verdict.failing
        if (failing is None) != (watch.told is None):
            await self._engine.submit(Checked(watch.id, failing), SERVER)
            watch.told = failing

    def _complain(self, error: CannotProbe) -> None:
        now = self._clock()
        if now >= self._complains_at:
            self._complains_at = now + COMPLAIN_EVERY
            _log.warning(
                "%s; that counts against no instance", error, extra=fields("check.impossible", reason=str(error))
            )


def make(registry: Registry, clock: Callable[[], float]) -> Checks | None:
    settings = CheckSettings.read()
    return Checks(registry, clock, Random(), settings.check_networks) if settings.check_enabled else None
