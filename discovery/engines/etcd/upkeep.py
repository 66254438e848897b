"""What is done once in a while: etcd is compared with this node, and the leader clears away what nobody compares any more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from discovery.core.log_fields import fields
from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.layout import Layout
from discovery.engines.etcd.messages import EtcdAway, EtcdError, delete, unchanged_since
from discovery.engines.etcd.mirror import Mirror
from discovery.store.registry import Registry

_log = logging.getLogger("discovery.etcd")

# Seconds between two comparisons of etcd with this node.
COMPARE_SECONDS = 600.0
# Comparisons that a service's version outlives its last instance: an hour. Versions that go with one of them: 1 ms each.
_IDLE_TIMES = 6
_SWEPT_AT_ONCE = 1000


class Upkeep:
    def __init__(
        self, etcd: Etcd, layout: Layout, mirror: Mirror, registry: Registry, leads: Callable[[], bool]
    ) -> None:
        self._etcd = etcd
        self._layout = layout
        self._mirror = mirror
        self._registry = registry
        self._leads = leads
        self._idle: dict[str, tuple[int, int]] = {}  # services without instances: version, and for how many comparisons

    async def run(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(COMPARE_SECONDS)
            try:
                await self._mirror.check()
                if self._leads():
                    await self.sweep()
            except (EtcdAway, EtcdError, TimeoutError) as error:
                reason = str(error) or "the watch does not bring what was read"
                _log.info(
                    "what is in etcd could not be compared with this node: %s",
                    reason,
                    extra=fields("etcd.not_compared", reason=reason),
                )

    async def sweep(self) -> None:
        """The versions of services that have had no instance for an hour."""
        known, before = self._registry.services, self._idle
        versions = self._layout.versions(self._mirror.revisions)
        idle = [(service, version) for service, version in versions.items() if service not in known]
        self._idle = {
            service: (version, before[service][1] + 1 if before.get(service, (0, 0))[0] == version else 1)
            for service, version in idle
        }
        over = [(service, version) for service, (version, times) in self._idle.items() if times > _IDLE_TIMES]
        for service, version in over[:_SWEPT_AT_ONCE]:
            key = self._layout.version(service)
            await self._etcd.txn([unchanged_since(key, version)], [delete(key)])
