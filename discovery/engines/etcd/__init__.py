"""The engine of several nodes: the truth is in etcd, and each node answers from its own mirror of it. README.md beside this file.
writes       decided here, compared and put in etcd, applied when the watch brings them      writes, layout
mirror       the only one who changes this node's registry, from the watch or all at once    following, mirror, read_all, difference
comparison   of all of etcd now and then, of a service whose commit did not fit               upkeep, unreadable
heartbeats   gathered, put once a flush under this node's key, read by all                   presence, beats, peers
staleness    how old what this node knows is, and what it believes while etcd is away        peers, overrides
leader       whoever decides what time brings                                                leadership
agreement    settings and reserved names that all nodes have in common                       agreement, conf
membership   of which registry this node is, kept in DATA_DIR                                membership
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from discovery import __version__
from discovery.core.caller import NOBODY, SERVER, Caller
from discovery.core.errors import DiscoveryError
from discovery.core.event import Commit
from discovery.core.instance import Key
from discovery.core.metric import Metric
from discovery.core.warning import Concern, critical, each, warning
from discovery.engines.etcd.agreement import Agreement
from discovery.engines.etcd.conf import Conf
from discovery.engines.etcd.following import Following
from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.layout import Decision, Layout
from discovery.engines.etcd.leadership import Leadership
from discovery.engines.etcd.membership import Kept, Membership
from discovery.engines.etcd.messages import Change, EtcdAway, EtcdError, with_hint
from discovery.engines.etcd.mirror import Mirror
from discovery.engines.etcd.node_info import NodeInfos
from discovery.engines.etcd.numbers import metrics_of, nodes_shown
from discovery.engines.etcd.peers import Peers
from discovery.engines.etcd.presence import Presence
from discovery.engines.etcd.settings import EtcdSettings
from discovery.engines.etcd.supervise import supervise
from discovery.engines.etcd.upkeep import Upkeep
from discovery.engines.etcd.writes import Writes
from discovery.store.engine import WriteSeams
from discovery.store.errors import EngineAway, EngineNotOpened, Moved, UnknownForNow, UnknownInstance
from discovery.store.registry import Registry
from discovery.store.service import Entry
from discovery.store.write import Write

T = TypeVar("T")

_log = logging.getLogger("discovery.etcd")

# An etcd that is there may have no time for longer than a call: the machine starts, or others use it.
_START_SECONDS = 5.0
_DIFFER = "{}; make ZONES_DIR and DNS_DOMAIN the same on all nodes"


class EtcdEngine:
    """`node`: its name, unique among those alive. `mine`: the settings that become everybody's if this is the first node. `clock`:
    monotonic seconds, the registry's; `wall`: epoch seconds. `folder`: DATA_DIR.
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
        folder: Path | None = None,
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._seams = seams
        self._etcd = etcd
        self._node = node
        layout = Layout(prefix)
        self._peers = Peers(node, mine.settings.etcd_flush_seconds)
        self._agreement = Agreement(etcd, layout, registry, node, mine, self._adopt)
        self._membership = Membership(folder, lambda: Kept(self._agreement.conf, registry.index))
        self._infos = NodeInfos(etcd, layout, node, __version__, lambda: registry.zones, self._peers.is_silent)
        self._presence = Presence(
            etcd, layout, registry, node, clock, wall, self._peers,
            [self._agreement.put_back, self._agreement.tell_names, self._infos.tell],
            lambda write, by: self._writes.submit(write, by),
        )  # fmt: skip
        registry.followers.insert(0, self._presence.heard.follow)
        self._mirror = Mirror(
            etcd, layout, registry, clock, wall, self._on_key, self._on_decision, self._presence.read_again
        )
        self._following = Following(
            etcd, layout, self._mirror, lambda: self._presence.staleness.limit, self._agreement.raise_offset
        )
        self._leadership = Leadership(etcd, layout, node, clock)
        self._writes = Writes(
            etcd, layout, self._mirror, registry, clock, wall, seams,
            lambda: self._leadership.created, lambda: self._presence.tombstone_lease, self._refuses,
            node, self._presence.overrides.beat, lambda: self._presence.away,
            lambda: self._agreement.version,
        )  # fmt: skip
        self._upkeep = Upkeep(etcd, layout, self._mirror, registry, lambda: self.leads)
        self._tasks: list[asyncio.Task[None]] = []

    # -- the seam

    has_other_nodes = True

    @property
    def leads(self) -> bool:
        return self._leadership.leads and self._presence.staleness.fresh and not self._agreement.conf.moved

    @property
    def safe(self) -> float:
        """What has come back on the watch is in etcd."""
        return float("inf")

    async def open(self) -> None:
        """EngineAway."""
        await self._etcd.open()
        give_up_at = time.monotonic() + _START_SECONDS
        try:
            while not await self._begin(time.monotonic() < give_up_at):
                pass
        except DiscoveryError as error:
            await self._etcd.close()
            if not isinstance(error, EtcdAway | EtcdError):
                raise
            said = f"{self._etcd.endpoint} refuses: {error}" if isinstance(error, EtcdError) else str(error)
            raise EngineNotOpened(with_hint(f"ENGINE_URL: {said}")) from None
        works = (
            self._following.run, self._writes.carry_out, self._leadership.stand, self._presence.tell, self._presence.look,
            self._upkeep.run, self._membership.run, self._upkeep.mend,
        )  # fmt: skip
        self._tasks = [asyncio.create_task(supervise(work, self._seams.fails)) for work in works]
        self._registry.loaded = True

    async def _begin(self, may_again: bool) -> bool:
        """False: etcd has not answered in time, and may be asked again."""
        try:
            if not self._mirror.etcd:  # else all was read, and the table is filled once
                kept = await self._membership.read()
                await self._agreement.agree(kept, self._membership.file)
                started = time.monotonic()
                await self._mirror.fill(0 if kept is None else kept.last)
                self._presence.begin(started)
            await self._presence.renew_leases()
        except EtcdAway as error:
            if not (error.is_late and may_again):
                raise
            return False
        return True

    async def submit(self, write: Write[T], by: Caller = NOBODY) -> T:
        try:
            result: T = await self._writes.submit(write, by)
        except EngineAway:
            self._presence.overrides.heed(write, by, self._seams.authorize)
            raise
        return result

    async def submit_all(self, writes: Iterable[Write[T]], by: Caller = NOBODY) -> list[T | DiscoveryError]:
        found: list[T | DiscoveryError] = []
        for result in await asyncio.gather(*(self.submit(write, by) for write in writes), return_exceptions=True):
            if isinstance(result, BaseException) and not isinstance(result, DiscoveryError):
                raise result
            found.append(result)
        return found

    def renew(self, which: Key | str, by: Caller = NOBODY, check: str | None = None) -> Entry:
        """As `Engine.renew`: a client that is told 503 goes to another node, and one that cannot is not forgotten."""
        try:
            entry = self._registry.at(which)
        except UnknownInstance:
            self._authorize(which.service if isinstance(which, Key) else None, by)
            if (away := self._presence.away) is not None:
                raise UnknownForNow(away) from None
            raise
        self._authorize(entry.instance.spec.key.service, by)
        if by.address != entry.instance.registrant.address:
            entry.beaten_from = by.address
        away = self._presence.away
        if not self._presence.overrides.beat(entry, check):
            self._registry.renewals += 1
            if away is None:
                self._presence.overrides.revive(entry.instance.id, by)
        if self._agreement.conf.moved:
            raise Moved(self._agreement.conf.moved)
        if away is not None:
            raise EngineAway(away)
        return entry

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._writes.close()
        if self._tasks:
            try:
                await self._leadership.resign()
                await self._presence.say_goodbye()
            except (EtcdAway, EtcdError) as error:
                _log.warning(
                    "this node could not say goodbye to the others, who wait for it for a while: %(reason)s",
                    {"event": "node.no_goodbye", "reason": str(error)},
                )
            await self._membership.close()
        await self._etcd.close()

    def not_ready(self) -> str | None:
        if self._agreement.conf.moved:
            return str(Moved(self._agreement.conf.moved))
        if self._etcd.full is not None:
            return f"etcd takes no writes: {self._etcd.full}; compact and defragment it, then `etcdctl alarm disarm`"
        return self._following.lost or self._presence.away

    def concerns(self) -> Sequence[Concern]:
        return [
            critical("node_cut_off", lambda: self._presence.cut_off(self.not_ready())),
            warning("node_silent", self._presence.silent_nodes),
            warning("keys_unreadable", self._mirror.unreadable.warnings),
            warning("commit_misfit", self._mirror.misfits.warnings),
            warning("settings_differ", lambda: each(self._agreement.differences())),
            warning("zones_differ", lambda: each(map(_DIFFER.format, self._infos.differences()))),
        ]

    def metrics(self) -> Sequence[Metric]:
        return metrics_of(
            self._mirror, self._writes, self._leadership, self._peers, self._infos, self._presence,
            lambda: self.not_ready() is None,
        )  # fmt: skip

    def stats(self) -> Mapping[str, Any]:
        return {
            "engine": {
                "kind": "etcd",
                "node": self._node,
                "version": __version__,
                "endpoint": self._etcd.endpoint,
                "cluster": self._agreement.conf.cluster,
                "movedTo": list(self._agreement.conf.moved),
                "leader": self._leadership.leader,
                "leads": self.leads,
                "revision": self._mirror.revision,
                "fresh": self._presence.staleness.fresh,
                "lagSeconds": round(self._presence.staleness.lag, 1),
                "staleSeconds": self._presence.staleness.seconds(),
                "conflicts": self._writes.conflicts,
                "resyncs": self._mirror.syncs,
                "skippedKeys": self._mirror.unreadable.times,
                "unreadableKeys": len(self._mirror.unreadable),
                "mended": self._upkeep.mended,
                **nodes_shown(self._peers, self._infos, self._presence),
            }
        }

    def _authorize(self, owner: str | None, by: Caller) -> None:
        for authorize in self._seams.authorize:
            authorize(owner, by)

    # -- what the watch brings besides, and what follows from it

    def _on_key(self, parts: Sequence[str], change: Change) -> None:
        """ValueError when it cannot be read."""
        match parts:
            case ["h", node]:
                self._presence.on_batch(node, change)
            case ["leader"]:
                self._leadership.note(change)
            case ["conf"]:
                self._agreement.on_conf(change)
            case ["n", node]:
                self._infos.on_node_info(node, change)
            case ["z", node]:
                self._agreement.on_names(node, change)

    def _on_decision(self, decision: Decision) -> None:
        self._presence.on_decision(decision)
        self._writes.on_decision(decision)

    def _adopt(self, conf: Conf) -> None:
        self._mirror.offset = conf.offset
        self._mirror.settings = conf.settings
        self._peers.flush = conf.settings.etcd_flush_seconds

    def _refuses(self, commit: Commit) -> DiscoveryError | None:
        if self._agreement.conf.moved and commit.by is not SERVER:
            return Moved(self._agreement.conf.moved)
        return self._mirror.unreadable.refusal(commit) or self._presence.heard.refusal(commit)


def make(
    url: str, registry: Registry, clock: Callable[[], float], wall: Callable[[], float], seams: WriteSeams
) -> EtcdEngine:
    """SettingsError."""
    settings = EtcdSettings.read()
    return EtcdEngine(
        registry, clock, wall, seams, settings.client(url), settings.etcd_prefix, settings.node_id(),
        settings.conf(registry.settings), next(iter(seams.folders), None),
    )  # fmt: skip
