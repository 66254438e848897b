"""The engine of several nodes: the truth is in etcd, and each node answers from its own mirror of it. README.md beside this file.

writes       decided here, compared and put in etcd, applied when the watch brings them      writes, layout
mirror       the only one who changes this node's registry                                   mirror, difference
heartbeats   gathered, put once a flush under this node's key, read by all                   beats, peers
leader       whoever decides what time brings                                                leadership
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from discovery.core.caller import NOBODY, Caller
from discovery.core.errors import DiscoveryError
from discovery.core.event import Commit, InstanceEvent
from discovery.core.instance import Key
from discovery.core.metric import Metric
from discovery.engines.etcd import conf as configuration
from discovery.engines.etcd.beats import GOODBYE, Heard, pack, unpack
from discovery.engines.etcd.conf import Conf
from discovery.engines.etcd.gateway import Change, Etcd, EtcdAway, EtcdError, created_at, put, unchanged_since
from discovery.engines.etcd.layout import Layout
from discovery.engines.etcd.leadership import Leadership
from discovery.engines.etcd.mirror import Mirror
from discovery.engines.etcd.numbers import metrics_of
from discovery.engines.etcd.peers import FLUSHES, Peers
from discovery.engines.etcd.settings import EtcdSettings, endpoints_of
from discovery.engines.etcd.writes import Writes
from discovery.store.engine import WriteSeams
from discovery.store.errors import EngineAway, IdTaken, UnknownInstance
from discovery.store.hearing import DIRECT
from discovery.store.registration import Revive
from discovery.store.registry import Registry
from discovery.store.service import Entry
from discovery.store.write import Write

T = TypeVar("T")

_log = logging.getLogger("discovery.etcd")

# Seconds of the lease on this node's batches: when it ends, nobody knows of the node any more.
NODE_LEASE_SECONDS = 30
# Seconds of the leases on tombstones, which last a minute: one lease serves for so long and then another.
_TOMBSTONES_SECONDS = 180
_TOMBSTONES_FOR = 90.0
_NO_NEWS = "etcd does not tell this node what happens there"
# How far the index jumps when etcd has gone back: other nodes may have seen a little more than the one that notices first.
_AHEAD = 10_000


class EtcdEngine:
    """`node`: its name, unique among those alive. `mine`: the settings that become everybody's if this is the first node. `clock`:
    monotonic seconds, the registry's; `wall`: epoch seconds.
    """

    def __init__(
        self,
        registry: Registry,
        clock: Callable[[], float],
        wall: Callable[[], float],
        seams: WriteSeams,
        etcd: Etcd,
        prefix: str,
        node: str,
        mine: Conf,
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._wall = wall
        self._seams = seams
        self._etcd = etcd
        self._layout = Layout(prefix)
        self._node = node
        self._key = self._layout.key("h", node)
        self.conf = mine
        self._heard = Heard(registry)
        registry.followers.insert(0, self._heard.follow)
        self._peers = Peers(mine.flush, mine.hold, mine.ttl + mine.grace)
        self._mirror = Mirror(
            etcd,
            self._layout,
            registry,
            clock,
            wall,
            self._on_key,
            lambda: FLUSHES * self.conf.flush,
            self._raise_offset,
        )
        self._leadership = Leadership(etcd, self._layout, node, clock)
        self._writes = Writes(
            etcd, self._layout, self._mirror, registry, clock, wall, seams,
            lambda: self._leadership.created, lambda: self._tombstones[0], self._refuses,
        )  # fmt: skip
        self._lease = 0
        self._tombstones = (0, float("-inf"))  # the lease, and when it was granted
        self._echoed_at = float("-inf")
        self._reviving: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []

    # -- the seam

    @property
    def leads(self) -> bool:
        return self._leadership.leads and self._fresh

    @property
    def safe(self) -> float:
        """What has come back on the watch is in etcd."""
        return float("inf")

    async def open(self) -> None:
        """EngineAway when no member answers, or it refuses."""
        await self._etcd.open()
        try:
            await self._agree()
            await self._mirror.fill()
            await self._renew_leases()
        except (EtcdAway, EtcdError) as error:
            raise EngineAway(str(error)) from None
        works = (self._mirror.follow, self._writes.carry_out, self._leadership.stand, self._beat)
        self._tasks = [asyncio.create_task(_for_ever(work)) for work in works]
        self._registry.loaded = True

    async def submit(self, write: Write[T], by: Caller = NOBODY) -> T:
        result: T = await self._writes.submit(write, by)
        return result

    async def submit_all(self, writes: Iterable[Write[T]], by: Caller = NOBODY) -> list[T | DiscoveryError]:
        futures = [self._writes.submit(write, by) for write in writes]
        results = await asyncio.gather(*futures, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, DiscoveryError):
                raise result
        return [
            result for result in results if not isinstance(result, BaseException) or isinstance(result, DiscoveryError)
        ]

    def renew(self, which: Key | str, by: Caller = NOBODY) -> Entry:
        """As `Engine.renew`: a client that is told 503 goes to another node, and one that cannot is not forgotten."""
        try:
            entry = self._registry.at(which)
        except UnknownInstance:
            self._authorize(which.service if isinstance(which, Key) else None, by)
            if not self._fresh:
                raise EngineAway(_NO_NEWS) from None
            raise
        self._authorize(entry.instance.spec.key.service, by)
        self._heard.note(entry.instance)
        if self._registry.beat(entry, self._clock()):
            entry.through = DIRECT
        else:
            self._revive(entry, by)
        if not self._fresh:
            raise EngineAway(_NO_NEWS)
        return entry

    async def close(self) -> None:
        """Says goodbye, so that nobody waits for this node or takes its instances for suspects."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._writes.close()
        try:
            if self._tasks:
                await self._renew_leases()
                await self._flush()
                await self._etcd.txn([], [put(self._key, GOODBYE, self._lease)])
                await self._leadership.resign()
                await self._etcd.revoke(self._lease)
        except (EtcdAway, EtcdError) as error:
            _log.warning("this node could not say goodbye to the others, who wait for it for a while: %s", error)
        await self._etcd.close()

    def not_ready(self) -> str | None:
        """Why this node must not be asked to change something; None when it may."""
        if self._writes.storage is not None:
            return f"etcd takes no writes: {self._writes.storage}"
        return None if self._fresh else _NO_NEWS

    def metrics(self) -> Sequence[Metric]:
        return metrics_of(
            self._registry, self._mirror, self._writes, self._leadership, self._peers,
            lambda: self.not_ready() is None, lambda: self._lag,
        )  # fmt: skip

    def stats(self) -> Mapping[str, Any]:
        now = self._clock()
        return {
            "engine": {
                "kind": "etcd",
                "node": self._node,
                "endpoint": self._etcd.endpoint,
                "cluster": self.conf.cluster,
                "leader": self._leadership.leader,
                "leads": self.leads,
                "revision": self._mirror.revision,
                "fresh": self._fresh,
                "lagSeconds": round(self._lag, 1),
                "conflicts": self._writes.conflicts,
                "resyncs": self._mirror.syncs,
                "skippedKeys": self._mirror.skipped,
                "nodes": self._peers.shown(now),
            }
        }

    # -- heartbeats

    @property
    def _fresh(self) -> bool:
        """This node's own latest batch has come back."""
        return self._lag < FLUSHES * self.conf.flush

    @property
    def _lag(self) -> float:
        """Seconds since that batch; a million when there was none."""
        return min(self._clock() - self._echoed_at, 1e6)

    def _authorize(self, owner: str | None, by: Caller) -> None:
        for authorize in self._seams.authorize:
            authorize(owner, by)

    def _revive(self, entry: Entry, by: Caller) -> None:
        id = entry.instance.id
        if id in self._reviving:
            return
        self._reviving.add(id)
        done = self._writes.submit(Revive(id), by)

        def revived(done: asyncio.Future[Any]) -> None:
            self._reviving.discard(id)
            if not done.cancelled() and (error := done.exception()) is not None:
                _log.debug("%s could not be revived yet: %s", id, error)

        done.add_done_callback(revived)
        self._registry.renewals += 1

    async def _beat(self) -> None:
        """For ever: a batch a flush, and a look at the other nodes."""
        while True:
            started = self._clock()
            try:
                await self._renew_leases()
                await self._flush()
            except (EtcdAway, EtcdError) as error:
                _log.debug("heartbeats wait for the next batch: %s", error)
            self._look()
            await asyncio.sleep(max(0.05, self.conf.flush - (self._clock() - started)))

    def _look(self) -> None:
        changed = self._peers.look(self._clock())
        for hearing in changed:
            what = "is silent: its instances are suspects" if hearing.silent else "is no longer waited for"
            _log.warning("the node %s %s", hearing.node, what)
        if changed:
            self._registry.doubt_changed()

    async def _flush(self) -> None:
        handles = self._heard.take()
        try:
            await self._etcd.txn([], [put(self._key, pack(self._wall(), handles), self._lease)])
        except (EtcdAway, EtcdError):
            self._heard.give_back(handles)
            raise

    async def _renew_leases(self) -> None:
        now = self._clock()
        if not self._lease or not await self._etcd.keep_alive(self._lease):
            self._lease = await self._etcd.grant(NODE_LEASE_SECONDS)
        if now - self._tombstones[1] > _TOMBSTONES_FOR:
            self._tombstones = (await self._etcd.grant(_TOMBSTONES_SECONDS), now)

    # -- what the watch brings besides

    def _on_key(self, parts: Sequence[str], change: Change) -> None:
        match parts:
            case ["h", node]:
                self._on_batch(node, change)
            case ["leader"]:
                self._leadership.note(change)
            case ["conf"]:
                self._on_conf(change)

    def _on_batch(self, node: str, change: Change) -> None:
        now = self._clock()
        if node == self._node:
            self._echoed_at = now
        elif change.value == GOODBYE:
            if self._peers.goodbye(node):
                self._registry.doubt_changed()
        elif change.value is not None:
            try:
                _, handles = unpack(change.value)
            except ValueError as error:
                _log.error("a batch of %s cannot be read: %s", node, error)
            else:
                self._heard.renew(handles, self._peers.heard(node, now), now)

    # -- what all nodes agree on

    async def _agree(self) -> None:
        key = self._layout.conf
        # The index must not begin below one that a single node has given before: see `migrate`. Fits the serial's 32 bits.
        first = self.conf._replace(cluster=configuration.new_cluster(), offset=int(time.time()))
        await self._etcd.txn([created_at(key, 0)], [put(key, first.dumps())])
        found = await self._etcd.range(key)
        self._adopt(configuration.loads(found.found[0].value))

    async def _raise_offset(self, revision: int) -> None:
        """etcd has gone back to this revision; whoever is first to notice moves all indexes above those that were given before."""
        key = self._layout.conf
        while True:
            found = (await self._etcd.range(key)).found
            if not found:
                raise EtcdError("the configuration of the registry is gone from etcd")
            conf = configuration.loads(found[0].value)
            if conf.cluster != self.conf.cluster:
                raise EtcdError(f"etcd has another registry now: {conf.cluster}, not {self.conf.cluster}")
            if revision + conf.offset > self._registry.index:
                break
            raised = conf._replace(offset=self._registry.index + _AHEAD - revision)
            outcome = await self._etcd.txn([unchanged_since(key, found[0].mod_revision)], [put(key, raised.dumps())])
            if outcome.succeeded:
                conf = raised
                break
        self._adopt(conf)

    def _on_conf(self, change: Change) -> None:
        if change.value is None:
            return
        try:
            conf = configuration.loads(change.value)
        except ValueError as error:
            _log.error("the configuration in etcd cannot be read and stays as it was: %s", error)
        else:
            self._adopt(conf)

    def _adopt(self, conf: Conf) -> None:
        for name, (mine, theirs) in self.conf.differing(conf).items():
            variable = configuration.SETTINGS[name]
            _log.warning("%s is %s here and %s for all nodes, which holds", variable, mine, theirs)
        registry, peers = self._registry, self._peers
        self.conf = conf
        self._mirror.offset = conf.offset
        registry.lease_ttl, registry.grace = conf.ttl, conf.grace
        registry.max_instances, registry.max_services = conf.max_instances_per_service, conf.max_services
        registry.max_in_all = conf.max_instances
        peers.flush, peers.hold, peers.window = conf.flush, conf.hold, conf.ttl + conf.grace

    def _refuses(self, commit: Commit) -> DiscoveryError | None:
        for event in commit.events:
            if isinstance(event, InstanceEvent) and event.before is None and self._heard.collides(event.instance):
                return IdTaken(event.instance.id)
        return None


async def _for_ever(work: Callable[[], Any]) -> None:
    while True:
        try:
            await work()
        except asyncio.CancelledError:
            raise
        except Exception:
            _log.exception("%s failed; it begins again in a second", work.__qualname__)
            await asyncio.sleep(1)


def node_id(name: str) -> str:
    """Unique among the living, whatever the names."""
    return f"{name}-{os.urandom(3).hex()}"


def make(
    url: str, registry: Registry, clock: Callable[[], float], wall: Callable[[], float], seams: WriteSeams
) -> EtcdEngine:
    """SettingsError."""
    settings = EtcdSettings.read()
    etcd = Etcd(endpoints_of(url), settings.credentials(), settings.tls())
    mine = Conf(
        cluster="",
        ttl=registry.lease_ttl,
        flush=settings.etcd_flush_seconds,
        hold=settings.etcd_hold_seconds,
        max_instances_per_service=registry.max_instances,
        max_services=registry.max_services,
        max_instances=registry.max_in_all,
        offset=0,
    )
    node = node_id(settings.node_name or re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname()))
    return EtcdEngine(registry, clock, wall, seams, etcd, settings.etcd_prefix, node, mine)
