"""Writes become etcd transactions: decided here on the mirror, compared there, and answered when the watch has brought them back.

    queue ─▶ decide each on the mirror ─▶ one transaction, a nested one for each decision ─▶ the watch applies it ─▶ answer
                                          If all that was read is as the mirror has it: puts, deletes, v/SERVICE
    something that was read has changed meanwhile: the nested transaction does nothing, and the write is decided again

One transaction is under way at a time, with up to 20 decisions in it of which none changes what another has read: what comes meanwhile is
gathered for the next. "No" is said only after etcd was asked: a refusal is decided again on a mirror that has all that had
happened by then.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar

from discovery.core.caller import Caller
from discovery.core.errors import DiscoveryError
from discovery.core.event import Commit, octets_of
from discovery.engines.etcd import layout as keys
from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.layout import Decision, Layout
from discovery.engines.etcd.messages import (
    EtcdAway,
    EtcdError,
    Json,
    created_at,
    nested,
    none_since,
    put,
    unchanged_since,
    with_hint,
)
from discovery.engines.etcd.mirror import Mirror
from discovery.engines.etcd.waiting import Prepared, Waiting, break_off, service_of
from discovery.store.engine import WriteSeams
from discovery.store.errors import EngineAway
from discovery.store.expiry import Expire
from discovery.store.operations import DeregisterMany
from discovery.store.registry import Registry
from discovery.store.service import Entry
from discovery.store.transaction import MAX_EVENTS, Transaction
from discovery.store.write import Write
from discovery.system.turns import turns

T = TypeVar("T")

_log = logging.getLogger("discovery.etcd")

# Decisions of one transaction. etcd takes 128 operations and as many compares, less those of the outer one for each nested one: 107 are
# left for a decision.
_AT_ONCE = 20
_MOST_OPERATIONS = 128 - _AT_ONCE - 1
# Keys that a decision compares, beside the configuration, the reserved names and the leader's.
_MOST_COMPARED = 100
# Octets of a transaction's values, which are there twice (the key's, and in `commit`); etcd takes 1.5 MiB for a request, aiohttp 1 MiB
# of its JSON, where they are base64. A decision that is larger is made of fewer events.
_MOST_OCTETS = 320 * 1024
_FEW_EVENTS = 8
# Writes that wait; more are refused.
_MOST_WAITING = 10_000
# Decisions in vain, after which whoever waits is told: 40 racers on four nodes need under 20.
_MOST_CONFLICTS = 100
# Seconds until a call that nobody answered is made again.
_RETRY_SECONDS = 0.05
# Seconds for the watch to bring back what a transaction has done.
_ECHO_SECONDS = 2.0


@dataclass(eq=False)
class Writes:
    """`leading`: the create revision of the key that makes this node the leader; None when it is not. `refused`: why an instance cannot be
    taken here, an error or None. `beat`: notes a sign of life that is no commit, of an instance and perhaps a check of it. `agreed`: the
    revision that wrote the configuration that holds here; a decision under another does not count. `away`: why nothing can be changed now.
    """

    etcd: Etcd
    layout: Layout
    mirror: Mirror
    registry: Registry
    clock: Callable[[], float]
    wall: Callable[[], float]
    seams: WriteSeams
    leading: Callable[[], int | None]
    tombstone_lease: Callable[[], int]
    refused: Callable[[Commit], DiscoveryError | None]
    node: str
    beat: Callable[[Entry, str | None], object]
    away: Callable[[], str | None]
    agreed: Callable[[], int]

    def __post_init__(self) -> None:
        self._tickets = count(1)
        self._taken: set[int] = set()  # of those that are under way: what the watch has brought
        self._queue: deque[Waiting] = deque()
        self._arrived = asyncio.Event()
        self.conflicts = 0

    def submit(self, write: Write[Any], by: Caller) -> asyncio.Future[Any]:
        """EngineAway, at once while etcd is away; what the write raises."""
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if len(self._queue) >= _MOST_WAITING:
            done.set_exception(EngineAway(f"{_MOST_WAITING} writes are waiting for etcd"))
            return done
        waiting = Waiting(write, by, done)
        if (away := self.away()) is not None:
            self._fail(waiting, EngineAway(away))
            return done
        self._queue.append(waiting)
        self._arrived.set()
        return done

    async def carry_out(self) -> None:
        """For ever."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._queue:
                await self._round()

    def on_decision(self, decision: Decision) -> None:
        """As the watch brings it."""
        if decision.node == self.node:
            self._taken.add(decision.ticket)

    def close(self) -> None:
        """What still waits is refused."""
        while self._queue:
            self._fail(self._queue.popleft(), EngineAway("this node ends"))

    async def _round(self) -> None:
        decided, unsure = self._decide()
        if not decided and not unsure:
            return
        waiting = [*(each.waiting for each in decided), *unsure]
        try:
            if decided:
                await self._commit(decided)
            else:
                found = (await self._insist(lambda: self.etcd.range(self.layout.commit))).found
                await self.mirror.reached(found[0].mod_revision if found else 0, _ECHO_SECONDS)
        except EtcdAway as error:  # whoever waits would be told so after the same time
            queue, self._queue = self._queue, deque()
            await self._fail_all([*waiting, *queue], EngineAway(str(error)))
        except EtcdError as error:
            await self._fail_all(waiting, EngineAway(with_hint(f"etcd refuses it: {error}")))
        except TimeoutError:
            await self._fail_all(waiting, EngineAway("etcd does not tell this node what happens there"))
        except BaseException as error:  # a defect, or this node ends: nobody waits for ever
            for each in waiting:
                break_off(each, error)
            raise
        else:
            for each in unsure:
                each.fresh = True
            self._queue.extendleft(reversed(unsure))

    async def _insist(self, call: Callable[[], Awaitable[T]]) -> T:
        """Again and again while etcd may be electing a leader. EtcdAway. A transaction that was carried out all the same, though its answer
        was lost, does nothing when it is sent again.
        """
        while True:
            try:
                return await call()
            except EtcdAway:
                if self.away() is not None:
                    raise
            await asyncio.sleep(_RETRY_SECONDS)

    # -- decide

    def _decide(self) -> tuple[list[Prepared], list[Waiting]]:
        """Those that go into the next transaction, and those whose answer is to be asked for first. Others have theirs."""
        decided: list[Prepared] = []
        unsure: list[Waiting] = []
        later: list[Waiting] = []
        compared, changed, octets = set[bytes](), set[bytes](), 0
        for _ in range(min(len(self._queue), 2 * _AT_ONCE)):
            if len(decided) == _AT_ONCE:
                break
            waiting = self._queue.popleft()
            if waiting.done.done():
                continue
            try:
                found = self._decide_one(waiting)
            except DiscoveryError as error:
                if waiting.fresh or not waiting.write.lasts:
                    self._fail(waiting, error)
                else:
                    unsure.append(waiting)
                continue
            except Exception as error:  # a defect of that write alone
                break_off(waiting, error)
                continue
            if not found.txn.events:
                if waiting.fresh or not waiting.write.lasts:
                    self._conclude(found)
                else:
                    unsure.append(waiting)
                continue
            octets += sum(map(octets_of, found.decision.commit.events))
            if decided and octets > _MOST_OCTETS:
                later.append(waiting)
                break
            # A key that one changes is read by no other: etcd compares all before it changes anything.
            if changed.isdisjoint(found.compared) and compared.isdisjoint(found.operations):
                compared |= found.compared
                changed.update(found.operations)
                decided.append(found)
            else:
                later.append(waiting)
        self._queue.extendleft(reversed(later))
        return decided, unsure

    def _decide_one(self, waiting: Waiting, max_events: int = MAX_EVENTS) -> Prepared:
        if isinstance(waiting.write, Expire) and self.leading() is None:
            raise EngineAway("another node decides what time brings")
        now, wall = self.clock(), self.wall()
        txn = Transaction(self.registry, now, wall, waiting.by, self.seams.authorize, max_events)
        result = waiting.write.decide(txn)
        commit = Commit(0, txn.wall, waiting.by, waiting.write.action, tuple(txn.events))
        if (error := self.refused(commit)) is not None:
            raise error
        services = tuple(dict.fromkeys(service_of(event) for event in txn.events))
        decision = Decision(commit, services, txn.settled, txn.half_held, self.node, next(self._tickets))
        operations = self.layout.operations(decision, self.tombstone_lease(), txn.ids, self.mirror.revisions)
        compared = self.layout.read(txn) | {self.layout.version(service) for service in services}
        octets = sum(map(octets_of, commit.events))
        is_large = octets > _MOST_OCTETS or len(operations) > _MOST_OPERATIONS or len(compared) > _MOST_COMPARED
        if is_large and max_events > _FEW_EVENTS and not isinstance(waiting.write, DeregisterMany):
            return self._decide_one(waiting, _FEW_EVENTS)
        return Prepared(waiting, result, txn, decision, compared, operations)

    # -- commit

    async def _commit(self, decided: list[Prepared]) -> None:
        commit = keys.dumps((each.decision for each in decided), self.layout.unknown)
        success = [*map(self._nested, decided), put(self.layout.commit, commit)]
        self._taken.clear()
        outcome = await self._insist(lambda: self.etcd.txn([], success))
        await self.mirror.reached(outcome.revision, _ECHO_SECONDS)
        again = []
        for each, response in zip(decided, outcome.responses, strict=False):
            # A transaction whose answer was lost is sent again, and then finds nothing left to do.
            if response["response_txn"].get("succeeded") or each.decision.ticket in self._taken:
                self._conclude(each)
            else:
                self.conflicts += 1
                each.waiting.conflicts += 1
                if each.waiting.conflicts < _MOST_CONFLICTS:
                    again.append(each.waiting)
                else:
                    self._fail(each.waiting, EngineAway("other nodes change the same service all the time"))
        self._queue.extendleft(reversed(again))

    def _nested(self, each: Prepared) -> Json:
        revisions = self.mirror.revisions
        compare = [unchanged_since(key, revisions.get(key, 0)) for key in each.compared]
        compare.append(unchanged_since(self.layout.conf, self.agreed()))
        if isinstance(each.waiting.write, Expire):  # an old leader is fenced
            compare.append(created_at(self.layout.leader, self.leading() or 0))
        if each.txn.reads_reserved:
            compare.append(none_since(self.layout.key("z", ""), self.mirror.revision))
        return nested(compare, list(each.operations.values()))

    def _conclude(self, each: Prepared) -> None:
        registry = self.registry
        for entry, check in each.txn.beats:
            self.beat(entry, check)
        if not each.txn.events:  # else they came with the events
            registry.note(each.txn.settled, each.txn.half_held)
        registry.conclude(each.waiting.write, each.txn)
        if not each.waiting.done.done():
            each.waiting.done.set_result(each.result)

    async def _fail_all(self, all: list[Waiting], error: DiscoveryError) -> None:
        """In turns: each is told of to the audit, too."""
        left = deque(all)
        try:
            while left:
                self._fail(left.popleft(), error)
                if len(left) % _AT_ONCE == 0:
                    await turns().over()
        finally:  # this node ends meanwhile: nobody waits for ever
            for waiting in left:
                self._fail(waiting, error)

    def _fail(self, waiting: Waiting, error: DiscoveryError) -> None:
        if waiting.done.done():
            return
        for refused in self.seams.refused:
            refused(waiting.write, waiting.by, error)
        waiting.done.set_exception(error)
