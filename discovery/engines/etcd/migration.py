"""The state of a single node into etcd and out of it (`discovery migrate`).

What differs from etcd is put there as decisions, so nodes that run already follow as they follow each other; what is the same is not
touched, so it may be done again. A configuration with `moved` in it means that etcd is not the truth any more: its nodes take no writes,
and what is there is replaced rather than added to.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple

from discovery.core import exact_json
from discovery.core.caller import Caller
from discovery.core.event import Commit, Event, InstanceEvent
from discovery.core.ids import new_id
from discovery.core.instance import Instance
from discovery.core.maintenance import Scope
from discovery.engines.etcd import layout as keys
from discovery.engines.etcd import shared_conf
from discovery.engines.etcd.conf import Conf, new_cluster
from discovery.engines.etcd.difference import Found, difference
from discovery.engines.etcd.everything import Reader
from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.layout import Decision, Layout
from discovery.engines.etcd.messages import EtcdError, created_at, end_of, put, unchanged_since
from discovery.engines.etcd.shared_conf import Shared
from discovery.engines.etcd.waiting import service_of
from discovery.store.brake import Brake
from discovery.store.registry import Registry
from discovery.store.snapshot import Snapshot

# Events of one transaction: with a version for each they are 100 of etcd's 128 operations. Octets of their metadata, which are there twice.
_EVENTS = 50
_OCTETS = 300 * 1024
# Keys of one page, without their values.
_PAGE = 5000
# How often somebody else may be faster.
_TIMES = 20
# Seconds of the lease on tombstones, which last a minute.
_TOMBSTONES_SECONDS = 180
_BY = Caller("127.0.0.1", "discovery migrate")
_REASON = "copied from a single node"


class State(NamedTuple):
    """What is in etcd: as a registry, and the versions of its services."""

    registry: Registry
    versions: dict[str, int]


class Plan(NamedTuple):
    """What has to happen in etcd. `passed_over`: ids whose address another one has there."""

    there: State
    events: list[Event]
    passed_over: list[str]


class Migration:
    """`mine`: the configuration that becomes everybody's where there is none."""

    def __init__(self, etcd: Etcd, layout: Layout, mine: Conf) -> None:
        self._etcd = etcd
        self._layout = layout
        self._mine = mine
        self._copied: Snapshot | None = None  # by the last copy
        self._there: State | None = None  # as that left it

    # -- into etcd

    async def plan(self, snapshot: Snapshot) -> Plan:
        """Nothing is written. After a copy only what has changed since is looked at, unless somebody else has changed etcd: writes stand
        still meanwhile. EtcdAway, EtcdError.
        """
        is_made = bool((await self._etcd.range(self._layout.conf)).found)
        conf = (await shared_conf.read(self._etcd, self._layout.conf)).conf if is_made else self._mine
        instances, left = _changes(self._copied, snapshot)
        gone: list[tuple[str, ...]] | None = left
        there = self._there
        if there is None or there.versions != await self._versions():
            instances, there = snapshot.instances, await self._state(conf)
            gone = None if conf.moved else left
        target = _registry(conf)
        target.load(snapshot._replace(instances=instances), time.monotonic(), time.time())
        wanted = Found()
        wanted.instances = {entry.instance.id: (n, entry.instance) for n, entry in enumerate(target)}
        wanted.windows, wanted.drains, wanted.revoked = dict(target.windows), dict(target.drains), dict(target.revoked)
        differing = difference(there.registry, wanted, _REASON, gone)
        events = [_renewing(event) for event in differing if event is not None]
        put_there = {event.instance.id for event in events if isinstance(event, InstanceEvent)}
        passed_over = [id for id in wanted.instances if id not in put_there and there.registry.find(id) is None]
        return Plan(there, sorted(events, key=service_of), passed_over)

    async def _state(self, conf: Conf) -> State:
        found = await self._read(conf)
        registry = _registry(conf)
        registry.load(found.snapshot(0), time.monotonic(), time.time(), goes_on=True)
        return State(registry, self._layout.versions(found.revisions))

    async def _versions(self) -> dict[str, int]:
        start, end, found = self._layout.key("v", ""), end_of(self._layout.key("v", "")), {}
        while True:
            page = await self._etcd.range(start, end, limit=_PAGE, keys_only=True)
            found.update({self._layout.parts(each.key)[1]: each.mod_revision for each in page.found})
            if not page.more or not page.found:
                return found
            start = page.found[-1].key + b"\0"

    async def agree(self, index: int) -> Shared:
        """The configuration, made where it is missing; each index from now on is above this one."""
        first = self._mine._replace(cluster=new_cluster(), offset=int(time.time()))
        await self._etcd.txn([created_at(self._layout.conf, 0)], [put(self._layout.conf, first.dumps())])

        def raised(found: Shared) -> Conf:
            least = index + 1 - found.revision
            return found.conf if found.conf.offset >= least else found.conf._replace(offset=least)

        return await shared_conf.change(self._etcd, self._layout.conf, raised)

    async def copy(self, snapshot: Snapshot) -> Plan:
        """Returns what was done. EtcdAway, EtcdError."""
        await self.agree(snapshot.index)
        for _ in range(_TIMES):
            plan = await self.plan(snapshot)
            if await self._carry_out(plan):
                self._copied = snapshot
                return plan
        raise EtcdError("other nodes change the same services all the time; try again when less happens")

    async def finish(self, snapshot: Snapshot) -> Shared:
        """The nodes on etcd take the writes from now on."""
        if snapshot.tombstones:
            lease = await self._etcd.grant(_TOMBSTONES_SECONDS)
            written = exact_json.dumps([[*key, until] for key, until in snapshot.tombstones])
            await self._etcd.txn([], [put(self._layout.key("t", new_id()), written, lease)])
        return await shared_conf.change(self._etcd, self._layout.conf, lambda found: found.conf._replace(moved=()))

    async def _carry_out(self, plan: Plan) -> bool:
        """False when somebody has changed one of the services since it was made."""
        registry, versions = plan.there
        self._there = None
        for events in _parts(plan.events):
            services = tuple(dict.fromkeys(map(service_of, events)))
            commit = Commit(0, time.time(), _BY, "migrate", events)
            decision = Decision(commit, services)
            compare = [unchanged_since(self._layout.version(service), versions.get(service, 0)) for service in services]
            success = [
                *self._layout.operations(decision, 0),
                put(self._layout.commit, keys.dumps([decision], self._layout.unknown)),
            ]
            outcome = await self._etcd.txn(compare, success)
            if not outcome.succeeded:
                return False
            registry.apply(commit._replace(index=outcome.revision), time.monotonic())
            versions.update(dict.fromkeys(services, outcome.revision))
        self._there = plan.there
        return True

    # -- out of etcd

    async def leave(self, nodes: Sequence[str]) -> Shared:
        """The nodes on etcd take no writes from now on, and name these."""
        moved = tuple(nodes)
        return await shared_conf.change(self._etcd, self._layout.conf, lambda found: found.conf._replace(moved=moved))

    async def read(self, shared: Shared) -> Snapshot:
        """All there is, under an index that no node has given yet."""
        found = await self._read(shared.conf)
        return found.snapshot(found.revision + shared.conf.offset)

    async def _read(self, conf: Conf) -> Found:
        """EtcdError when something cannot be read: it would be lost."""
        unreadable: list[str] = []
        timed = _registry(conf)
        reader = Reader(
            lambda instance: instance._replace(ttl=timed.ttl_of(instance.spec)),
            lambda parts, change: None,
            lambda key, error: unreadable.append(f"{key.decode('utf-8', 'replace')} ({error})"),
            self._layout.unknown,
        )
        found = await reader.read_all(self._etcd, self._layout)
        if unreadable:
            more = f" and {len(unreadable) - 1} more" if len(unreadable) > 1 else ""
            raise EtcdError(f"the key {unreadable[0]}{more} cannot be read and would be lost; mend it or delete it")
        return found


def _registry(conf: Conf) -> Registry:
    return Registry(
        lease_ttl=conf.ttl, cleanup_interval=1.0, max_instances=conf.max_instances_per_service, new_id=new_id, started_at=0.0,
        brake=Brake(0, 0, 1.0, conf.ttl, Random()),
    )  # fmt: skip


def _changes(before: Snapshot | None, now: Snapshot) -> tuple[tuple[Instance, ...], list[tuple[str, ...]]]:
    """The instances that are new or other ones, and the paths in etcd of what is no longer there."""
    if before is None:
        return now.instances, []
    known = {instance.id: instance for instance in before.instances}
    changed = tuple(instance for instance in now.instances if known.pop(instance.id, None) != instance)
    left: list[tuple[str, ...]] = [("i", instance.spec.key.service, instance.id) for instance in known.values()]
    windows, drains, revoked = dict(now.windows), dict(now.drains), dict(now.revoked)
    scopes = [("w", scope) for scope, _ in before.windows if scope not in windows]
    scopes += [("d", Scope.of(key)) for key, _ in before.drains if key not in drains]
    left += [("r", sha256.hex()) for sha256, _ in before.revoked if sha256 not in revoked]
    if before.windows != now.windows:
        changed = now.instances  # whose status follows from them
    return changed, [*left, *((kind, *keys.path_of(scope)) for kind, scope in scopes)]


def _renewing(event: Event) -> Event:
    """Everybody has a full lease, as after a start."""
    return event._replace(renews=True) if isinstance(event, InstanceEvent) and event.after is not None else event


def _parts(events: Sequence[Event]) -> Iterator[tuple[Event, ...]]:
    """Each is one transaction's."""
    part: list[Event] = []
    octets = 0
    for event in events:
        size = len(event.after.spec.metadata) + 600 if isinstance(event, InstanceEvent) and event.after else 600
        if part and (len(part) == _EVENTS or octets + size > _OCTETS):
            yield tuple(part)
            part, octets = [], 0
        part.append(event)
        octets += size
    if part:
        yield tuple(part)
