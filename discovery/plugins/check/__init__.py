"""Active checks: the registry itself probes the instances that asked for it when they registered. README.md beside this file.

`rounds` says when, `probe` asks, `watch` counts; here is whom, and what follows: a heartbeat, or a write through the engine.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import Any

from discovery.core.address import is_host_name
from discovery.core.caller import SERVER
from discovery.core.check import TTL, Check
from discovery.core.errors import DiscoveryError
from discovery.core.event import Commit, InstanceEvent
from discovery.core.health import Finding, Health
from discovery.core.instance import Instance
from discovery.core.network import Network, Networks
from discovery.core.warning import one, warning
from discovery.plugins import Plugin, Seams
from discovery.plugins.check.probe import CannotProbe, NoAddress, probe
from discovery.plugins.check.rounds import Rounds
from discovery.plugins.check.targets import NOT_ASKED, Lookups, refusal, target
from discovery.plugins.check.watch import Watch
from discovery.store.engine import Engine
from discovery.store.errors import UnknownCheck, UnknownInstance
from discovery.store.registration import ReportCheck
from discovery.store.registry import Registry
from discovery.store.state import CheckResult
from discovery.system.env import EnvSettings, Listed

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
        self._watched: dict[str, dict[str, Watch]] = {}  # by the instance's id, and the check's
        self._rounds = Rounds(clock, self._check)
        self._lookups = Lookups()
        self._complains_at = 0.0
        self._refused: dict[
            tuple[str, str], str
        ] = {}  # why, by the ids of instance and check: those that may not be made

    def install(self, seams: Seams) -> None:
        seams.concerns.append(warning("checks_refused", one(self._told_refused)))
        seams.followers.append(self.follow_commit)
        seams.last_checks.append(self.last)

    async def open(self, engine: Engine) -> None:
        self._engine = engine
        self._rounds.open()

    async def close(self) -> None:
        for id in list(self._watched):
            self._follow(id, ())
        await self._rounds.close()

    def follow_commit(self, commit: Commit) -> None:
        for event in commit.events:
            if not isinstance(event, InstanceEvent):
                continue
            before, after = event.before, event.after
            if after is None:
                self._follow(event.instance.id, ())
            elif before is None or before.spec is not after.spec:
                self._follow(after.id, after.spec.checks)

    def stats(self) -> Mapping[str, Any]:
        failing = sum(
            any(each.known.health is Health.FAILING for each in all.values()) for all in self._watched.values()
        )
        return {"check": {"checked": len(self._watched), "failing": failing, "inHand": self._rounds.in_hand}}

    def last(self, id: str) -> Mapping[str, CheckResult]:
        """By check id: those that were made at this node."""
        watched = self._watched.get(id, {})
        return {check: watch.last for check, watch in watched.items() if watch.last is not None}

    # -- whom to watch

    def _follow(self, id: str, checks: Iterable[Check]) -> None:
        """These of it are watched from now on, and no others. Those that it had already go on."""
        watched = self._watched.pop(id, {})
        made = {check.id: check for check in checks if check.kind != TTL}
        for watch in watched.values():
            if made.get(watch.check.id) != watch.check:
                self._rounds.remove(watch)
                self._refused.pop((id, watch.check.id), None)
        if not made:
            return
        entry, all = self._registry.at(id), self._watched.setdefault(id, {})
        for check in made.values():
            known = watched.get(check.id)
            if known is not None and known.check == check:
                all[check.id] = known
                continue
            all[check.id] = watch = Watch(entry, check)
            self._rounds.add(watch, self._random.uniform(0, watch.pace))

    # -- a probe and what follows from it

    async def _check(self, watch: Watch) -> None:
        instance, check = watch.entry.instance, watch.check
        if not self._engine.leads:  # of several nodes one probes; whoever is next goes on from what that one has found
            watch.begin_from_known()
            watch.last = watch.probing = None
            return
        try:
            host, port = target(instance, check)
            ip, failure = await self._address(instance, host, port, check.timeout)
            failure = failure or await probe(ip, port, check, host)
        except CannotProbe as error:
            self._complain(error)
            return
        finally:
            watch.probing = None  # a write that has begun is not cancelled with the watch
        watch.slow = self._clock() - watch.started > SLOW
        if failure is not None and failure.startswith(NOT_ASKED):
            self._refused[instance.id, check.id] = f"{instance.spec.name} {instance.address}, {check.label}: {failure}"
        elif self._refused:
            self._refused.pop((instance.id, check.id), None)
        watch.verdict.note(failure, check)
        watch.last = CheckResult(watch.started, failure)
        known = {"ip": instance.spec.ip, "port": instance.spec.port, "id": instance.id, "check": check.id}
        _log.debug(
            "check %(check)s of %(_address)s: %(_came_to)s [id %(id)s]",
            {"event": "check.done", **known, "reason": failure, "_address": instance.address, "_came_to": failure or "passed"},
        )  # fmt: skip
        try:
            await self._tell(watch, passed=failure is None)
        except (UnknownInstance, UnknownCheck):
            pass  # it went away meanwhile
        except DiscoveryError as error:
            _log.warning(
                "the check %(check)s of instance %(id)s could not be noted, its next one will be: %(reason)s",
                {"event": "check.not_noted", **known, "reason": str(error)},
            )

    async def _address(self, instance: Instance, host: str, port: int, seconds: float) -> tuple[str, str | None]:
        """The one to probe: of a host name the first of those it has now that may be asked. Or why none may be. CannotProbe."""
        refused = None
        try:
            found = await self._lookups.addresses(host, seconds) if is_host_name(host) else (host,)
        except NoAddress as error:
            return "", str(error)
        for ip in found:
            why = refusal(instance, host, port, ip, self._networks, not self._engine.has_other_nodes)
            if why is None:
                return ip, None
            refused = refused or why
        return "", refused

    async def _tell(self, watch: Watch, passed: bool) -> None:
        id, failing = watch.entry.instance.id, watch.verdict.failing
        if passed:
            self._engine.renew(id, SERVER)
        if (failing is None) != (watch.known.health is not Health.FAILING):
            found = Finding(Health.PASSING) if failing is None else Finding(Health.FAILING, failing)
            await self._engine.submit(ReportCheck(id, watch.check.id, found), SERVER)
        else:
            watch.entry.note_output(watch.check.id, watch.last_failure if failing else "")

    def _told_refused(self) -> str | None:
        if not self._refused:
            return None
        return f"{len(self._refused)} checks that instances asked for are not made (CHECK_NETWORKS): {next(iter(self._refused.values()))}"

    def _complain(self, error: CannotProbe) -> None:
        now = self._clock()
        if now >= self._complains_at:
            self._complains_at = now + COMPLAIN_EVERY
            _log.warning(
                "%(reason)s; that counts against no instance", {"event": "check.impossible", "reason": str(error)}
            )


class CheckSettings(EnvSettings):
    check_enabled: bool = True
    """true: instances that ask for active checks get them."""
    check_networks: Listed[Network] = ()
    """Networks, comma separated, in which instances are checked whoever registers them; others only where they register themselves."""


def make(registry: Registry, clock: Callable[[], float]) -> Checks | None:
    settings = CheckSettings.read()
    return Checks(registry, clock, Random(), settings.check_networks) if settings.check_enabled else None
