"""The plugin: its parts, put together and into the seams."""

from __future__ import annotations

import time
from collections.abc import Callable

from discovery.plugins import Plugin, Seams
from discovery.plugins.eureka.forms import error_form
from discovery.plugins.eureka.ids import Ids
from discovery.plugins.eureka.imported import imported
from discovery.plugins.eureka.listing import Listing
from discovery.plugins.eureka.record import NAME
from discovery.plugins.eureka.registering import Registering
from discovery.rest.api.route import Manners
from discovery.store.engine import Engine
from discovery.store.registry import Registry

# Where clients have their defaultZone; some ask below /v2 of it, as of Netflix's own servers.
PREFIXES = ("/eureka", "/eureka/v2")


class Eureka(Plugin):
    def __init__(self, registry: Registry, clock: Callable[[], float], wall: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._ids = Ids(clock)
        self._listing = Listing(registry, clock, wall, self._ids)
        self._registering: Registering | None = None

    def install(self, seams: Seams) -> None:
        self._registering = Registering(self._listing, self._ids, self._clock, seams.count_registration)
        seams.followers.append(self._ids.follow)
        seams.imported_as[NAME] = imported
        for prefix in PREFIXES:
            manners = Manners(prefix, error_form, slash=True)
            seams.routes.extend(manners.routes(*self._listing.routes(), *self._registering.routes()))

    async def open(self, engine: Engine) -> None:
        assert self._registering is not None
        self._registering.engine = engine
        self._ids.hears_all = not engine.has_other_nodes
