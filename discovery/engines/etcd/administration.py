"""What an operator does to a cluster from outside: shows what all nodes agree on, changes it for all, and moves a registry into etcd and
out of it. It needs etcd, no node.

In a migration `conf.moved` says where the truth is meanwhile: in a data folder. It is set before the first key is written, and emptied when
all is there, so a node that is started too early takes no writes, and a migration that was cut off is done again from the beginning.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from discovery.core import exact_json
from discovery.core.caller import Caller
from discovery.core.event import Commit, Event, InstanceEvent, Kind, octets_of
from discovery.core.ids import new_id
from discovery.core.kinds import KINDS, TokenEvent
from discovery.engines.etcd import conf as configuration
from discovery.engines.etcd.conf import AHEAD, Conf, Shared, new_cluster
from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.layout import Decision, Layout
from discovery.engines.etcd.membership import Kept
from discovery.engines.etcd.messages import EtcdError, created_at, delete_all, end_of, put, unchanged_since
from discovery.engines.etcd.read_all import Reader
from discovery.engines.etcd.settings import EtcdSettings
from discovery.engines.etcd.unreadable import shown
from discovery.engines.etcd.waiting import service_of
from discovery.store.registry import Registry
from discovery.store.values import Snapshot

# Seconds for one try of one call: nobody waits for an answer of ours meanwhile, and an etcd with a slow disk must not end a migration.
PATIENCE = 10.0


class Cluster(NamedTuple):
    """`leader`: empty while nobody leads. `nodes`: the names of those alive."""

    shared: Shared
    leader: str
    nodes: list[str]


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[tuple[Etcd, Layout]]:
    """Of ENGINE_URL and ETCD_*. SettingsError."""
    settings = EtcdSettings.read()
    etcd = settings.client(url, PATIENCE)
    await etcd.open()
    try:
        yield etcd, Layout(settings.etcd_prefix)
    finally:
        await etcd.close()


async def show(etcd: Etcd, layout: Layout) -> Cluster:
    """EtcdAway, EtcdError."""
    shared = await configuration.read(etcd, layout.conf)
    leader = (await etcd.range(layout.leader)).found
    beats = layout.key("h", "")
    nodes = (await etcd.range(beats, end_of(beats), keys_only=True)).found
    return Cluster(
        shared, leader[0].octets.decode("utf-8", "replace") if leader else "", [layout.parts(each.key)[1] for each in nodes]
    )  # fmt: skip


async def begin(etcd: Etcd, layout: Layout, kept: Kept) -> Shared:
    """The registry that a node belongs to, where etcd has lost everything: its settings, and every index above those that it has had.
    EtcdAway, EtcdError; EtcdError where there is a registry.
    """
    conf = kept.conf._replace(offset=kept.last + AHEAD)
    await etcd.txn([created_at(layout.conf, 0)], [put(layout.conf, conf.dumps())])
    found = await configuration.read(etcd, layout.conf)
    if found.conf != conf:
        raise EtcdError(f"it has registry {found.conf.cluster} there; nothing was written")
    return found


async def change(etcd: Etcd, layout: Layout, values: Mapping[str, Any]) -> tuple[Conf, Shared]:
    """`values` by the names of their variables. What was, and what is. EtcdAway, EtcdError."""
    wanted = {variable.lower(): value for variable, value in values.items()}
    seen: list[Conf] = []

    def changed(found: Shared) -> Conf:
        seen.append(found.conf)
        return found.conf._replace(settings=found.conf.settings._replace(**wanted))

    after = await configuration.change(etcd, layout.conf, changed)
    return seen[-1], after


# -- the state of a single node into etcd and out of it, while neither the node nor a node on etcd runs (`discovery migrate`)

# Events of one transaction, each at most two operations and one for its service's version, of etcd's 128; and octets.
_EVENTS = 40
_OCTETS = 300 * 1024
# Transactions at a time.
_AT_ONCE = 8
# Seconds of the lease on tombstones, which last a minute.
_TOMBSTONES_SECONDS = 180
# Kinds of keys that are replaced. Revoked tokens stay: what was revoked anywhere stays so.
_STATE = (
    "i",
    "id",
    "t",
    "v",
    "commit",
    *(of.kind.letter for of in KINDS.values() if of.kind.letter and of is not TokenEvent),
)
_BY = Caller("127.0.0.1", "discovery migrate")
_REASON = "copied from a single node"


@dataclass(eq=False)
class Migration:
    """`mine`: the configuration that becomes everybody's where there is none. `folder`: how people call the data folder."""

    etcd: Etcd
    layout: Layout
    mine: Conf
    folder: str

    async def running(self) -> list[str]:
        """The nodes on etcd: those that were killed too, until their lease ends. EtcdAway, EtcdError."""
        start = self.layout.key("n", "")
        return [self.layout.parts(each.key)[1] for each in (await self.etcd.range(start, end_of(start))).found]

    async def conf(self) -> Conf | None:
        """What is agreed on in etcd; None where nothing is. EtcdAway; EtcdError where it cannot be read."""
        found = await configuration.find(self.etcd, self.layout.conf)
        return None if found is None else found.conf

    # -- into etcd

    async def put(self, snapshot: Snapshot) -> Shared:
        """Etcd has this state, and nothing else. The nodes there take no writes yet: `finish`. EtcdAway, EtcdError."""
        registry = _registry(self.mine)
        registry.load(snapshot, time.monotonic(), time.time())
        shared = await self._begin(snapshot.index)
        await self.etcd.txn([], [delete_all(self.layout.key(kind)) for kind in _STATE])
        parts = _parts(_events(registry, snapshot))
        await asyncio.gather(*(self._put_each(parts, shared.version) for _ in range(_AT_ONCE)))
        if snapshot.tombstones:
            lease = await self.etcd.grant(_TOMBSTONES_SECONDS)
            written = exact_json.dumps([[*key, until] for key, until in snapshot.tombstones])
            await self.etcd.txn([], [put(self.layout.key("t", new_id()), written, lease)])
        return shared

    async def finish(self) -> Shared:
        """The nodes on etcd take the writes from now on."""
        return await configuration.change(self.etcd, self.layout.conf, lambda found: found.conf._replace(moved=()))

    async def _begin(self, index: int) -> Shared:
        """The configuration, made where it is missing: the truth is in the folder, and each index from now on is above this one."""
        first = self.mine._replace(cluster=new_cluster(), offset=int(time.time()), moved=(self.folder,))
        await self.etcd.txn([created_at(self.layout.conf, 0)], [put(self.layout.conf, first.dumps())])

        def changed(found: Shared) -> Conf:
            offset = max(found.conf.offset, index + 1 - found.revision)
            return found.conf._replace(offset=offset, moved=(self.folder,))

        return await configuration.change(self.etcd, self.layout.conf, changed)

    async def _put_each(self, parts: Iterator[tuple[Event, ...]], version: int) -> None:
        for events in parts:
            decision = Decision(Commit(0, time.time(), _BY, "migrate", events), _services(events))
            compare = [unchanged_since(self.layout.conf, version)]
            outcome = await self.etcd.txn(compare, list(self.layout.operations(decision, 0).values()))
            if not outcome.succeeded:
                raise EtcdError(
                    "somebody else has changed the configuration in etcd meanwhile; do it again when nobody does"
                )

    # -- out of etcd

    async def leave(self) -> Shared:
        """The nodes on etcd take no writes from now on: the truth is in the folder."""
        moved = (self.folder,)
        return await configuration.change(self.etcd, self.layout.conf, lambda found: found.conf._replace(moved=moved))

    async def read(self, conf: Conf) -> Snapshot:
        """All there is, under an index that no node has given yet. EtcdAway; EtcdError when something cannot be read: it would be lost."""
        reader = Reader(self.layout, lambda parts, change: None)
        found = await reader.read_all(self.etcd)
        for key, each in (found.unreadable | found.passed_over).items():
            more = len(found.unreadable) + len(found.passed_over) - 1
            named = f"the key {shown(key)} ({each.reason})" + (f" and {more} more" if more else "")
            raise EtcdError(f"{named} cannot be read and would be lost; mend it or delete it")
        return found.snapshot(found.revision + conf.offset)


def _registry(conf: Conf) -> Registry:
    return Registry(conf.settings, cleanup_interval=1.0, new_id=new_id, started_at=0.0)


def _events(registry: Registry, snapshot: Snapshot) -> Iterator[Event]:
    """All of it as new, by service, so that few transactions are about many services. Everybody has a full lease, as after a start."""
    for service, known in registry.services.items():
        for entry in known.entries.values():
            yield InstanceEvent(Kind.REGISTERED, service, None, entry.instance, _REASON, True)
    yield from (replace(event, reason=_REASON) for event in snapshot.values)


def _services(events: Sequence[Event]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(service_of, events)))


def _parts(events: Iterable[Event]) -> Iterator[tuple[Event, ...]]:
    """Each is one transaction's."""
    part: list[Event] = []
    octets = 0
    for event in events:
        size = octets_of(event)
        if part and (len(part) == _EVENTS or octets + size > _OCTETS):
            yield tuple(part)
            part, octets = [], 0
        part.append(event)
        octets += size
    if part:
        yield tuple(part)
