"""A Server that is really started, on free ports, inside the test's own event loop; and a plugin that writes down what reaches it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import aiohttp
import dns.asyncquery
import dns.message
import dns.rcode
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from discovery.app import Server
from discovery.core.change import Change
from discovery.core.errors import DiscoveryError
from discovery.dns.message.query import Request
from discovery.dns.message.values import Answer, Deferred
from discovery.dns.zones.catalog import Lookup
from discovery.plugins import Factory, Plugin
from discovery.settings import Settings
from discovery.store.engine import Engine
from discovery.store.registry import Registry

LIMIT = 10.0
ZONE = """$ORIGIN svc.local.
$TTL 60
@     IN SOA ns hostmaster 0 60 10 604800 2
@     IN NS  ns
ns    IN A   127.0.0.1
fixed IN A   {ip}
"""
REGISTRATION = {"name": "user-service", "ip": "10.1.2.3", "port": 3001}


class Running(NamedTuple):
    server: Server
    lines: list[str]
    http: str
    dns_port: int
    session: aiohttp.ClientSession

    async def register(self, **fields: object) -> int:
        """The status."""
        async with self.session.post(self.http + "/register", json=REGISTRATION | fields) as response:
            return response.status

    async def ask(self, name: str) -> tuple[dns.rcode.Rcode, set[str]]:
        """The rcode and the addresses."""
        query = dns.message.make_query(name, "A")
        reply = await dns.asyncquery.udp(query, "127.0.0.1", port=self.dns_port, timeout=LIMIT)
        return reply.rcode(), {rdata.to_text() for rrset in reply.answer for rdata in rrset}


class Recorder(Plugin):
    """Writes down whatever reaches it, and passes it on."""

    def __init__(self, name: str, events: list[str], registry: Registry, failing: bool = False) -> None:
        self.name = name
        self.events = events
        self.registry = registry
        self.failing = failing

    def changed(self, change: Change) -> None:
        self.events.append(f"{self.name} {change.kind} {change.instance.spec.name}")

    def lookup(self, inner: Lookup) -> Lookup:
        def lookup(request: Request, now: float) -> Answer | Deferred | None:
            self.events.append(f"{self.name} lookup")
            return inner(request, now)

        return lookup

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        return [web.get(f"/{self.name}", self.answer)]

    def middlewares(self) -> Iterable[Middleware]:
        @web.middleware
        async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
            self.events.append(f"{self.name} {request.path}")
            return await handler(request)

        return [note]

    async def answer(self, request: web.Request) -> web.Response:
        return web.json_response({"plugin": self.name, "instances": len(self.registry)})

    async def open(self, engine: Engine) -> None:
        self.events.append(f"{self.name} open")
        if self.failing:
            raise DiscoveryError(f"{self.name} cannot open")

    async def close(self) -> None:
        self.events.append(f"{self.name} close")


def recorders(events: list[str], *names: str, failing: str = "") -> tuple[Factory, ...]:
    def factory(name: str) -> Factory:
        return lambda registry, clock: Recorder(name, events, registry, name == failing)

    return tuple(factory(name) for name in names)


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Running]:
    server = Server(settings)
    lines = await server.start()
    try:
        where = dict(line.removeprefix("listening ").split("://") for line in lines[:-1])
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=LIMIT)) as session:
            port = int(where["dns"].rpartition(":")[2])
            yield Running(server, lines, f"http://{where['http']}", port, session)
    finally:
        await server.stop()


def settings(zones: Path, **others: object) -> Settings:
    return Settings.model_validate({"port": 0, "dns_port": 0, "zones_dir": zones, **others})


def open_sockets() -> set[str]:
    """The sockets that this process has open."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the listing itself
            found.add(os.readlink(f"/proc/self/fd/{number}"))
    return {link for link in found if link.startswith("socket:")}
