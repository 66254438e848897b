"""A Server that is really started, on free ports, inside the test's own event loop; and a plugin that writes down what reaches it."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import dns.asyncquery
import dns.message
import dns.rcode

from discovery.app import Server
from discovery.core.caller import Caller
from discovery.core.errors import DiscoveryError
from discovery.dns.message.query import Request, Transport
from discovery.dns.message.values import Answer, Deferred
from discovery.dns.server.responder import Respond
from discovery.dns.zones.catalog import Lookup
from discovery.plugins import Factory, LookupSeam, Plugin, Seams, everybody
from discovery.rest.api.answers import Answer as HttpAnswer
from discovery.rest.api.requests import Request as HttpRequest
from discovery.rest.api.route import Kind, Right, Route
from discovery.rest.guard.admission import Admit
from discovery.settings import Settings
from discovery.store.engine import Engine
from discovery.store.registry import Registry
from discovery.store.values import Snapshot

LIMIT = 60.0
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
    """Is in every seam: writes down whatever reaches it, and passes it on. `refuses`: what its keeper says, if anything."""

    safe = float("inf")

    def __init__(self, name: str, events: list[str], registry: Registry, failing: bool = False) -> None:
        self.name = name
        self.events = events
        self.registry = registry
        self.failing = failing
        self.refuses: DiscoveryError | None = None

    def note(self, what: str) -> None:
        self.events.append(f"{self.name} {what}")

    def install(self, seams: Seams) -> None:
        seams.authorize.append(lambda owner, by: self.note(f"authorize {owner}"))
        seams.keepers.append(self)
        seams.refused.append(lambda write, by, error: self.note(f"refused {write.action}"))
        seams.followers.append(lambda commit: self.note(f"commit {commit.action}"))
        seams.lookups.append(LookupSeam(self.lookup, everybody))
        seams.responders.append(self.responder)
        seams.zones.append(lambda zones: self.note("zones"))
        seams.recurses.append(lambda client: False)
        seams.admits.append(self.admit)
        seams.routes.append(Route("GET", f"/{self.name}", self.answer, Right.READ, Kind.QUESTION))

    # -- as a keeper

    async def restore(self) -> Snapshot | None:
        self.note("restore")
        return None

    def check(self) -> None:
        self.note("check")
        if self.refuses is not None:
            raise self.refuses

    async def settled(self) -> None:
        self.note("settled")

    # -- around others

    def lookup(self, inner: Lookup) -> Lookup:
        def lookup(request: Request, now: float) -> Answer | Deferred | None:
            self.note("lookup")
            return inner(request, now)

        return lookup

    def responder(self, inner: Respond) -> Respond:
        def respond(packet: bytes, now: float, client: str, transport: Transport) -> Any:
            self.note("message")
            return inner(packet, now, client, transport)

        return respond

    def admit(self, inner: Admit) -> Admit:
        def admit(request: HttpRequest) -> Caller:
            self.note(f"admit {request.path}")
            return inner(request)

        return admit

    def answer(self, request: HttpRequest) -> HttpAnswer:
        return HttpAnswer(200, json.dumps({"plugin": self.name, "instances": len(self.registry)}).encode())

    # -- its life

    async def open(self, engine: Engine) -> None:
        self.note("open")
        if self.failing:
            raise DiscoveryError(f"{self.name} cannot open")

    async def close(self) -> None:
        self.note("close")

    def stats(self) -> dict[str, Any]:
        return {self.name: {"events": len(self.events)}}


def lives(events: list[str]) -> list[str]:
    """Who was opened and closed."""
    return [event for event in events if event.endswith((" open", " close"))]


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
