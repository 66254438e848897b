"""Eureka's HTTP API over the same registry: Netflix's and Spring's clients need nothing but another address. README.md beside this file.

It translates. What only Eureka's clients ask for is an attachment of the instance (`record`), so it is on every node and survives a
restart; where an id is, is kept in step with the commits (`ids`). `registering` and `writing` are what clients say, `listing`, `info` and
`forms` what they read.
"""

from __future__ import annotations

from collections.abc import Callable

from discovery.plugins import Plugin
from discovery.store.registry import Registry
from discovery.system.env import EnvSettings


class EurekaSettings(EnvSettings):
    eureka: bool = False
    """true: clients of Netflix's Eureka are answered below /eureka."""


def make(registry: Registry, clock: Callable[[], float]) -> Plugin | None:
    if not EurekaSettings.read().eureka:
        return None
    from discovery.plugins.eureka.plugin import Eureka  # who does not want it does not wait for it at the start

    return Eureka(registry, clock)
