"""`harness.serving` with what keeps people out: admission, the Host check, ceilings and the rate of registrations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from itertools import count
from random import Random
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from discovery.engines.local import LocalEngine
from discovery.rest.api.handlers import Handlers
from discovery.rest.api.operations import Operations
from discovery.rest.api.times import Times
from discovery.rest.guard.admission import Admit, anyone
from discovery.rest.guard.browsers import IsHost
from discovery.rest.guard.rate import RegisterRate
from discovery.rest.guard.refusals import Refusals
from discovery.store.engine import Engine, WriteSeams
from tests.driven import DrivenRegistry
from tests.rest.harness import DNS_TTL, LEASE, SWEEP, Api, Clock, listening, watching


@asynccontextmanager
async def serving_strictly(
    *,
    max_instances: int = 10,
    max_services: int = 10_000,
    max_in_all: int = 1_000_000,
    registers_per_second: int = 0,
    admit: Admit = anyone,
    is_host: IsHost = lambda host: True,
    only_local: bool = False,
    lane: bool = True,
    routes: Iterable[web.AbstractRouteDef] = (),
    checks: Mapping[str, Callable[[], str | None]] | None = None,
    engine: Callable[[Engine, DrivenRegistry], Engine] = lambda inner, registry: inner,
    seams: WriteSeams | None = None,
) -> AsyncIterator[Api]:
    """`lane`: without a middleware that sees every request."""
    clock, numbers = Clock(), count(1)
    registry = DrivenRegistry(
        lease_ttl=LEASE,
        cleanup_interval=SWEEP,
        max_instances=max_instances,
        max_services=max_services,
        max_in_all=max_in_all,
        new_id=lambda: f"id-{next(numbers)}",
        started_at=clock.now,
    )
    times = Times(clock, clock.wall)
    outer = engine(LocalEngine(registry, clock, clock.wall, seams), registry)
    refusals = Refusals(clock, asyncio.get_running_loop().call_later)
    watch = watching(registry, times)
    handlers = Handlers(
        registry,
        outer,
        clock,
        times,
        Random(1),
        watch.polls,
        checks or {},
        count_registration=RegisterRate(registers_per_second).take,
        note_refused=refusals.note_items,
    )
    routes = [*Operations(registry, outer, clock, times, DNS_TTL).routes(), *routes]
    middlewares = () if lane else [_watch]
    guards: Any = {"admit": admit, "is_host": is_host, "only_local": only_local, "refusals": refusals}
    async with listening(handlers, watch, times, clock, routes, middlewares, **guards) as (port, session):
        yield Api(clock, registry, port, session)


@web.middleware
async def _watch(request: web.Request, handler: Handler) -> web.StreamResponse:
    return await handler(request)
