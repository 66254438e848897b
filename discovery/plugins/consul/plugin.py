"""The plugin: its parts, put together and into the seams."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from discovery.plugins import Plugin, Seams
from discovery.plugins.consul import kv
from discovery.plugins.consul.agent import Agent
from discovery.plugins.consul.catalog import Catalog
from discovery.plugins.consul.directory import Directory
from discovery.plugins.consul.external import External
from discovery.plugins.consul.imported import imported
from discovery.plugins.consul.kv import KeyValues
from discovery.plugins.consul.manners import MANNERS
from discovery.plugins.consul.names import Names
from discovery.plugins.consul.nodes import Nodes
from discovery.plugins.consul.reading import Reader
from discovery.plugins.consul.registering import Registering
from discovery.plugins.consul.serf import Serf
from discovery.plugins.consul.settings import ConsulSettings
from discovery.plugins.consul.topics import PLUGIN
from discovery.store.engine import Engine
from discovery.store.registry import Registry


class Consul(Plugin):
    """`clock`: monotonic seconds, the registry's."""

    def __init__(self, registry: Registry, clock: Callable[[], float], settings: ConsulSettings) -> None:
        self._settings = settings
        self._registry = registry
        self.directory = Directory(registry, Nodes(settings.consul_nodes))
        self._reader = Reader(registry, clock, self.directory, settings)
        self._keys = KeyValues(self._reader)
        self._serf = Serf(registry, self.directory)

    def install(self, seams: Seams) -> None:
        reader, directory = self._reader, self.directory
        catalog = Catalog(reader, self._serf.output)
        reader.proxies, reader.is_public = seams.proxies, seams.is_public
        self._registering = registering = Registering(reader, seams.count_registration)
        external = External(registering, seams.count_registration)
        parts = (registering, catalog, external, Agent(reader, catalog), self._keys)
        seams.routes.extend(MANNERS.routes(*(route for part in parts for route in part.routes()), *kv.beyond(reader)))
        self._seams = seams
        seams.concerns.extend(self._keys.concerns())
        seams.followers.append(directory.follow_commit)
        seams.imported_as[PLUGIN] = partial(imported, directory.nodes)
        if self._settings.consul_domain:
            names = Names(self._registry, directory, self._settings, seams.dns_ttl)
            seams.live_names[names.origin] = names
            seams.followers.append(names.follow_commit)
        seams.index_followers.append(directory.topics.published)
        seams.long_polls.extend([reader.let_wait, directory.topics.let_wait])
        if self._settings.consul_port:
            seams.http_ports.append(self._settings.consul_port)

    async def open(self, engine: Engine) -> None:
        self._registering.engine = engine
        self._serf.start(engine)
        self._keys.has_tokens = bool(self._seams.authorize)

    async def close(self) -> None:
        self.directory.topics.close()
        await self._serf.close()
        await self._keys.close()
