"""The brake asks before it believes: while it holds an instance, that one's port is asked by a TCP connection. README.md beside this file.

`store.probing` says whom to ask next and what the answers come to, `port` asks; here is when, and what is told to the registry.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from discovery.core.caller import SERVER
from discovery.core.errors import DiscoveryError
from discovery.core.event import Commit, InstanceEvent
from discovery.core.instance import Instance
from discovery.core.log_fields import fields
from discovery.core.metric import Metric
from discovery.core.network import Network, Networks
from discovery.core.status import Probed, Status
from discovery.plugins import Plugin, Seams
from discovery.plugins.brake.port import CannotAsk, ask, is_own
from discovery.plugins.brake.settings import BrakeSettings
from discovery.store.engine import Engine
from discovery.store.probing import AGAIN, Answers, AskQueue, Probe, Silence, is_to_be_asked, may_be_asked
from discovery.store.registry import Registry
from discovery.store.transaction import MAX_EVENTS
from discovery.system.turns import turns

_log = logging.getLogger("discovery.brake")

# Ports asked in one step, and seconds between two: 200 a second, which take 4 % of a core.
PER_STEP = 4
STEP_SECONDS = 0.02
# Seconds by which steps may be late and still be made up for.
_LATE = 0.2
# Seconds for which a count of all that are silent is believed: 100,000 take 50 ms of the processor, in turns.
COUNT_SECONDS = 1.0
# Instances that are counted before a turn may end.
_PART = 500
# Seconds until one is looked at again that is not to be asked yet.
_LOOK_AGAIN = 1.0
# Seconds between two warnings of the same kind.
_COMPLAIN_EVERY = 60.0
_UNKNOWN = "unknown"


class BrakeProbe(Plugin):
    """`clock`: monotonic seconds, the registry's; `wall`: epoch seconds. `networks`: see `may_be_asked`."""

    def __init__(
        self,
        registry: Registry,
        clock: Callable[[], float],
        networks: Iterable[Network] = (),
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._networks = Networks(networks)
        self._wall = wall
        self._queue = AskQueue()
        self._answers = Answers()
        self._counts = dict.fromkeys([*(answer.value for answer in Probed), _UNKNOWN], 0)
        self._found: dict[str, dict[str, Probed | None]] = {}  # by service and id: what is still to be told
        self._telling: asyncio.Task[None] | None = None
        self._asking: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = 0.0  # of the timer; the loop's time
        self._step_at = 0.0  # not before, by the rate
        self._is_wide = False
        self._counted_at = float("-inf")
        self._counting = asyncio.Lock()
        self._complained_at: dict[str, float] = {}

    def install(self, seams: Seams) -> None:
        seams.followers.append(self.follow_commit)
        seams.metrics.append(
            Metric(
                "counter", "discovery_brake_asked", "Ports of suspects that were asked, by what they answered.",
                lambda: {(answer,): count for answer, count in self._counts.items()}, ("answer",),
            )
        )  # fmt: skip

    async def open(self, engine: Engine) -> None:
        self._engine = engine
        self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        self._queue = AskQueue()
        if self._timer is not None:
            self._timer.cancel()
        tasks = [*self._asking, *([] if self._telling is None else [self._telling])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def stats(self) -> Mapping[str, Any]:
        return {"brakeProbe": {"waiting": len(self._queue), "inHand": len(self._asking)} | self._counts}

    # -- whom to ask

    def follow_commit(self, commit: Commit) -> None:
        for event in commit.events:
            if isinstance(event, InstanceEvent):
                was = event.before is not None and event.before.status is Status.SUSPECT
                is_suspect = event.after is not None and event.after.status is Status.SUSPECT
                if is_suspect and not was:
                    self._add(event.instance, event.service, commit.wall)
                elif was and not is_suspect:
                    self._queue.drop(event.instance.id)

    def _add(self, instance: Instance, service: str, wall: float) -> None:
        entry = self._registry.by_id(instance.id)
        is_alone = not self._engine.has_other_nodes
        if may_be_asked(entry, self._clock(), wall, self._networks, is_alone):
            self._queue.put(instance.id, entry.lease.expires_at, service)
            self._schedule()

    def _schedule(self) -> None:
        """The next step: when somebody is to be asked, and not sooner after the last than the rate allows."""
        if not len(self._queue):
            return
        at = max(self._step_at, self._loop.time() + self._queue.next_at - self._clock())
        if self._timer is None or at < self._wakes_at:
            if self._timer is not None:
                self._timer.cancel()
            self._wakes_at = at
            self._timer = self._loop.call_at(at, self._step)

    def _step(self) -> None:
        self._timer = None
        now = self._loop.time()
        # What is late because of others is made up for, not what nobody waited for.
        begun = max(self._step_at, now - _LATE) if self._wakes_at == self._step_at else now
        self._step_at = begun + STEP_SECONDS
        now = self._clock()
        for _ in range(PER_STEP):
            id = self._queue.next(now)
            if id is None:
                break
            entry = self._registry.by_id(id)
            if not is_to_be_asked(entry, now):  # its lease became longer, or it may beat at a node that is silent
                self._queue.put(id, max(entry.lease.expires_at, now + _LOOK_AGAIN), entry.instance.spec.key.service)
                continue
            self._queue.put(id, now + AGAIN, None)
            if self._engine.leads:  # of several nodes one asks; whoever is next goes on from there
                self._start(self._ask(entry.instance))
        self._schedule()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._asking.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._asking.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a port could not be asked; others are", exc_info=error, extra=fields("brake.failed"))

    # -- what was answered, and what follows from it

    async def _ask(self, instance: Instance) -> None:
        ip, port = instance.spec.ip, instance.spec.port
        if not ip.startswith("127.") and ip != "::1" and is_own(ip):
            return
        try:
            answer = await ask(ip, port)
        except CannotAsk as error:
            if self._complains("cannot ask"):
                _log.warning(
                    "ports of suspects cannot be asked: %s; they are held as if nobody asked", error,
                    extra=fields("brake.cannot_ask", reason=str(error)),
                )  # fmt: skip
            return
        said = answer.value if answer else _UNKNOWN
        self._counts[said] += 1
        self._answers.note(self._clock(), answer is Probed.REFUSED)
        _log.debug(
            "the brake asked %s port %d: %s [id %s]", ip, port, said, instance.id,
            extra=fields("brake.asked", ip=ip, port=port, id=instance.id, reason=said),
        )  # fmt: skip
        if answer is Probed.REFUSED and await self._is_firewall():
            answer = None
        known = self._registry.find(instance.id)
        if known is not None and known.instance.probed is not answer:
            self._found.setdefault(instance.spec.key.service, {})[instance.id] = answer
            if self._telling is None:
                self._telling = self._loop.create_task(self._tell())

    async def _is_firewall(self) -> bool:
        if not self._answers.all_refuse():
            return False
        async with self._counting:
            if self._clock() >= self._counted_at + COUNT_SECONDS:
                await self._count()
        if self._is_wide and self._complains("firewall"):
            _log.warning(
                "a fifth of all instances is silent and nearly all of their ports refuse: a firewall is likelier, so that they are held",
                extra=fields("brake.firewall"),
            )
        return self._is_wide

    async def _count(self) -> None:
        silence, now = Silence(), self._clock()
        for part in self._registry.in_parts(_PART):
            silence.count(part, now)
            await turns().over()
        self._is_wide, self._counted_at = silence.is_wide(), self._clock()

    async def _tell(self) -> None:
        """What was found goes to the engine, a write for each service; what is found meanwhile goes with the next."""
        try:
            while self._found:
                found, self._found = self._found, {}
                writes = []
                for service, answers in found.items():
                    items = tuple(answers.items())
                    writes += [Probe(service, items[at : at + MAX_EVENTS]) for at in range(0, len(items), MAX_EVENTS)]
                for done in await asyncio.gather(
                    *(self._engine.submit(write, SERVER) for write in writes), return_exceptions=True
                ):
                    if isinstance(done, DiscoveryError):
                        if self._complains("not told"):
                            _log.warning(
                                "what ports of suspects answered could not be noted: %s; they are asked again", done,
                                extra=fields("brake.not_told", reason=str(done)),
                            )  # fmt: skip
                    elif done is not None:
                        raise done
        finally:
            self._telling = None

    def _complains(self, what: str) -> bool:
        """Whether it was not said lately."""
        now = self._clock()
        if now < self._complained_at.get(what, float("-inf")) + _COMPLAIN_EVERY:
            return False
        self._complained_at[what] = now
        return True


def make(registry: Registry, clock: Callable[[], float]) -> BrakeProbe | None:
    settings = BrakeSettings.read()
    return BrakeProbe(registry, clock, settings.brake_networks) if settings.brake_probe else None
