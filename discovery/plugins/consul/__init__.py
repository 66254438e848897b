"""Consul's HTTP API over the same registry: its clients register, beat, look up and wait here as they do there. README.md beside this file.

`directory` knows which of Consul's ids are which instances; `views` has its JSON; `reading` lets requests wait. Each of `catalog`,
`agent`, `registering`, `external` and `kv` has the routes of its subject.
"""

from __future__ import annotations

from collections.abc import Callable

from discovery.plugins import Plugin
from discovery.plugins.consul.settings import ConsulSettings
from discovery.store.registry import Registry


def make(registry: Registry, clock: Callable[[], float]) -> Plugin | None:
    settings = ConsulSettings.read()
    if not settings.consul:
        return None
    from discovery.plugins.consul.plugin import Consul  # who does not want it does not wait for it at the start

    return Consul(registry, clock, settings)
