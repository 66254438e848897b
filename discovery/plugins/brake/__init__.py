"""The brake asks before it believes: while it holds an instance, that one's port is asked by a TCP connection. README.md beside this file.

`store.probing` says whom to ask next and what the answers come to, `port` asks; here is when, and what is told to the registry.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from discovery.core.caller import SERVER
from discovery.core.event import Commit, InstanceEvent
from discovery.core.instance import Instance
from discovery.core.metric import Metric
from discovery.core.network import Network, Networks
from discovery.core.status import Probed, Status
from discovery.core.warning import one, warning
from discovery.plugins import Plugin, Seams
from discovery.plugins.brake.port import ask
from discovery.store.engine import Engine
from discovery.store.probing import AGAIN, Answers, AskQueue, Probe, Silence, is_to_be_asked, may_be_asked
from discovery.store.registry import Registry
from discovery.store.transaction import MAX_EVENTS
from discovery.system.env import EnvSettings, Listed
from discovery.system.turns import turns

_log = logging.getLogger("discovery.brake")

# Ports asked in one step, and seconds between two: 200 a second at most, which take 4 % of a core.
PER_STEP = 4
STEP_SECONDS = 0.02
# Seconds by which a step may be late, while others keep the loop busy, and be made up for.
_LATE = 0.2
# Seconds for which a count of all that are silent is believed: 100,000 take 50 ms of the processor, in turns.
COUNT_SECONDS = 1.0
# Instances that are counted before a turn may end.
_PART = 500
# Seconds until one is looked at again that is not to be asked yet.
_LOOK_AGAIN = 1.0
_UNKNOWN = "unknown"


class BrakeProbe(Plugin):
    """`clock`: monotonic seconds, the registry's. `networks`: see `may_be_asked`."""

    def __init__(self, registry: Registry, clock: Callable[[], float], networks: Iterable[Network] = ()) -> None:
        self._registry = registry
        self._clock = clock
        self._networks = Networks(networks)
        self._queue = AskQueue()
        self._arrived = asyncio.Event()
        self._answers = Answers()
        self._counts = dict.fromkeys([*(answer.value for answer in Probed), _UNKNOWN], 0)
        self._found: dict[str, dict[str, Probed | None]] = {}  # by service and id: what is still to be told
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_telling = self._is_wide = False
        self._counted_at = self._firewall_at = float("-inf")
        self._counting = asyncio.Lock()

    def install(self, seams: Seams) -> None:
        seams.followers.append(self.follow_commit)
        seams.concerns.append(warning("brake_firewall", one(self._firewall)))
        seams.metrics.append(
            Metric(
                "counter", "discovery_brake_asked", "Ports of suspects that were asked, by what they answered.",
                lambda: {(answer,): count for answer, count in self._counts.items()}, ("answer",),
            )
        )  # fmt: skip

    async def open(self, engine: Engine) -> None:
        self._engine = engine
        self._start(self._run())

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def stats(self) -> Mapping[str, Any]:
        return {"brakeProbe": {"waiting": len(self._queue), "inHand": len(self._tasks) - 1} | self._counts}

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
        entry = self._registry.find(instance.id)
        if entry is None:  # it made way in the same commit
            return
        if may_be_asked(entry, self._clock(), wall, self._networks, not self._engine.has_other_nodes):
            self._queue.put(instance.id, entry.lease.expires_at, service)
            self._arrived.set()

    async def _run(self) -> None:
        """For ever: a step, when somebody is to be asked, and not sooner after the last than the rate allows."""
        clock = asyncio.get_running_loop().time
        step_at = clock()
        while True:
            step_at = max(step_at, clock() - _LATE) + STEP_SECONDS
            await asyncio.sleep(step_at - clock())
            while (left := self._queue.next_at - self._clock()) > 0:
                self._arrived.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(left):  # wait_for can lose a cancellation
                        await self._arrived.wait()
                step_at = clock()
            self._step(self._clock())

    def _step(self, now: float) -> None:
        for _ in range(PER_STEP):
            id = self._queue.next(now)
            if id is None:
                return
            entry = self._registry.find(id)
            if entry is None:
                continue
            if not is_to_be_asked(entry, now):  # its lease became longer, or it may beat at a node that is silent
                self._queue.put(id, max(entry.lease.expires_at, now + _LOOK_AGAIN), entry.instance.spec.key.service)
                continue
            self._queue.put(id, now + AGAIN, None)
            if self._engine.leads:  # of several nodes one asks; whoever is next goes on from there
                self._start(self._ask(entry.instance))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("the brake could not ask; it holds as if it had not", {"event": "brake.failed"}, exc_info=error)

    # -- what was answered, and what follows from it

    async def _ask(self, instance: Instance) -> None:
        ip, port, service = instance.spec.ip, instance.spec.port, instance.spec.key.service
        answer = await ask(ip, port)
        said = answer.value if answer else _UNKNOWN
        self._counts[said] += 1
        self._answers.note(self._clock(), answer is Probed.REFUSED)
        _log.debug(
            "the brake asked %(ip)s port %(port)d: %(reason)s [id %(id)s]",
            {"event": "brake.asked", "ip": ip, "port": port, "id": instance.id, "reason": said},
        )
        if answer is Probed.REFUSED and await self._is_firewall():
            answer = None
        known = self._registry.find(instance.id)
        if known is not None and known.instance.probed is not answer:
            self._found.setdefault(service, {})[instance.id] = answer
            await self._tell()

    async def _is_firewall(self) -> bool:
        if not self._answers.all_refuse():
            return False
        async with self._counting:
            if self._clock() >= self._counted_at + COUNT_SECONDS:
                await self._count()
        if self._is_wide:
            self._firewall_at = self._clock()
        return self._is_wide

    def _firewall(self) -> str | None:
        if self._clock() >= self._firewall_at + 2 * AGAIN:
            return None
        return (
            "a fifth of all instances is silent and nearly all of their ports refuse: a firewall is likelier than so many dead, so the "
            "brake holds them all the same; can this server reach them?"
        )

    async def _count(self) -> None:
        silence, now = Silence(), self._clock()
        for part in self._registry.in_parts(_PART):
            silence.count(part, now)
            await turns().over()
        self._is_wide, self._counted_at = silence.is_wide(), self._clock()

    async def _tell(self) -> None:
        """A write for each service; what is found meanwhile goes with the next."""
        if self._is_telling:
            return
        self._is_telling = True
        try:
            while self._found:
                writes = []
                for service, answers in self._found.items():
                    items = list(answers.items())
                    writes += [Probe(service, items[at : at + MAX_EVENTS]) for at in range(0, len(items), MAX_EVENTS)]
                self._found = {}
                await self._engine.submit_all(writes, SERVER)  # what the engine does not take now is asked again
        finally:
            self._is_telling = False


class BrakeSettings(EnvSettings):
    brake_probe: bool = True
    """true: while the brake holds an instance, its port is asked by a TCP connection; one that refuses is out at once."""
    brake_networks: Listed[Network] = ()
    """Networks, comma separated, in which ports are asked. Empty: all but loopback, link-local and multicast ones."""


def make(registry: Registry, clock: Callable[[], float]) -> BrakeProbe | None:
    settings = BrakeSettings.read()
    return BrakeProbe(registry, clock, settings.brake_networks) if settings.brake_probe else None
