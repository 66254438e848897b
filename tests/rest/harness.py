"""The HTTP side as it is served, on a free loopback port, with clocks that stand still until a test moves them.

Nothing here sleeps and there is no reaper: `settle` is what the reaper would have done by now.
"""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import re
import sys
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import Any, NamedTuple, cast

import aiohttp

from discovery.core.client_zones import ClientZones
from discovery.core.instance import Registration
from discovery.core.kinds import RegistrySettings
from discovery.core.network import Network, Networks
from discovery.core.warning import Concern, WarningList
from discovery.engines.local import LocalEngine
from discovery.rest.api.handlers import Handlers
from discovery.rest.api.openapi import OpenApi
from discovery.rest.api.route import Handler, Kind, Right, Route
from discovery.rest.api.router import Router
from discovery.rest.api.server.server import ServerItself
from discovery.rest.api.times import Times
from discovery.rest.guard.admission import Admit, RegisterRate, anyone
from discovery.rest.guard.browsers import Browsers, Cors, IsHost
from discovery.rest.guard.refusals import Refusals
from discovery.rest.http.connections import Connections
from discovery.rest.http.front import Front
from discovery.rest.http.kept_bodies import KeptBodies
from discovery.rest.http.server import Server
from discovery.rest.watch.watch import Watch
from discovery.rest.watch.watchers import Watchers
from discovery.store.brake import Brake
from discovery.store.damping import NO_DAMPING, Damping
from discovery.store.engine import Engine, WriteSeams
from discovery.store.nearness import Preference
from discovery.system.sockets import STREAM, bind
from discovery.system.waiting_octets import WaitingOctets
from discovery.web import subjects
from tests.driven import DrivenRegistry

LIMIT = 60.0  # seconds that an answer may take before the test fails
LEASE, SWEEP = 10, 5  # seconds
DNS_TTL = 5  # seconds, the upper bound of TTLs in DNS answers
ORIGIN = "http://localhost:3000"
START = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")

USER = {"name": "user-service", "ip": "127.0.0.1", "port": 3001}


class Reply(NamedTuple):
    """`body` is the decoded JSON, None when there was no body."""

    status: int
    body: Any
    headers: Mapping[str, str]


class Clock:
    """Monotonic seconds and, `ahead` of them, the wall's."""

    def __init__(self) -> None:
        self.now = 5000.0
        self.ahead = START.timestamp() - self.now

    def __call__(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + self.ahead


class Api:
    def __init__(
        self, clock: Clock, registry: DrivenRegistry, refusals: Refusals, port: int, session: aiohttp.ClientSession
    ) -> None:
        self.clock = clock
        self.registry = registry
        self.refusals = refusals
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.session = session

    # -- requests

    async def request(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """A body that is not bytes is sent as JSON."""
        if body is None or isinstance(body, bytes):
            options: dict[str, Any] = {"data": body, "skip_auto_headers": ["Content-Type"]}
        else:
            options = {"json": body}
        async with self.session.request(method, self.url + path, headers=headers, **options) as response:
            text = await response.read()
            if text:
                assert response.content_type == "application/json", text
            return Reply(response.status, json.loads(text) if text else None, response.headers)

    async def get(self, path: str, **headers: str) -> Reply:
        return await self.request("GET", path, headers=headers)

    async def post(self, path: str, body: Any = None) -> Reply:
        return await self.request("POST", path, body)

    async def put(self, path: str, body: Any = None) -> Reply:
        return await self.request("PUT", path, body)

    async def delete(self, path: str) -> Reply:
        return await self.request("DELETE", path)

    async def register(self, **fields: Any) -> Any:
        """user-service at 127.0.0.1:3001, but for what `fields` say; the body of the 201."""
        reply = await self.post("/register", USER | fields)
        assert reply.status == 201, reply
        return reply.body

    async def octets(self, request: bytes) -> bytes:
        """Sends the request as it is and reads until the server closes."""
        async with asyncio.timeout(LIMIT):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                writer.write(request)
                return await reader.read()
            finally:
                writer.close()
                await writer.wait_closed()

    async def raw(self, request: bytes) -> Reply:
        """As `octets`; the answer is parsed by the standard library."""
        response = http.client.HTTPResponse(cast("Any", _Received(await self.octets(request))))
        response.begin()
        text = response.read()
        return Reply(response.status, json.loads(text) if text else None, dict(response.getheaders()))

    # -- time

    def forward(self, seconds: float) -> None:
        self.clock.now += seconds

    def settle(self) -> None:
        """All that has become due happens; `forward` alone leaves the reaper late."""
        self.registry.advance(self.clock.now, wall=self.clock.wall())

    def time(self, seconds: float = 0) -> datetime:
        """The wall time, `seconds` after the clock's start."""
        return START + timedelta(seconds=seconds)

    # -- the table

    def fill(self, services: int, instances: int = 1) -> None:
        for service in range(services):
            for instance in range(instances):
                spec = Registration.of(f"service-{service}", "10.0.0.1", 1000 + instance)
                self.registry.register(spec, self.clock.now, self.clock.wall())

    def state(self) -> object:
        """Everything a write could change."""
        table = self.registry
        entries = [(entry.instance, entry.lease.renewed_at, entry.lease.ttl, entry.status) for entry in table]
        return (
            table.index,
            table.accepted["register"] + table.accepted["upsert"],
            table.renewals,
            table.cleanups,
            dict(table.windows),
            entries,
        )


@asynccontextmanager
async def serving(
    *,
    max_instances: int = 10,
    max_services: int = 10_000,
    max_in_all: int = 1_000_000,
    registers_per_second: int = 0,
    origins: Collection[str] = (ORIGIN,),
    routes: Iterable[Route] = (),
    checks: Mapping[str, Callable[[], str | None]] | None = None,
    concerns: Sequence[Concern] = (),
    brake_percent: float = 0,
    brake_max_seconds: float = 60,
    damping: Damping = NO_DAMPING,
    engine: Callable[[Engine, DrivenRegistry], Engine] = lambda inner, registry: inner,
    seams: WriteSeams | None = None,
    sees_actors: bool = True,
    connections: Connections | None = None,
    admit: Admit = anyone,
    is_host: IsHost = lambda host: True,
    only_local: bool = False,
    trusted: Iterable[Network] = (),
    waiting: WaitingOctets | None = None,
    client_zones: str = "",
) -> AsyncIterator[Api]:
    """Put together as `discovery.app` and `discovery.web` do. `engine` wraps the local one, which has these `seams`."""
    clock = Clock()
    numbers = count(1)
    registry = DrivenRegistry(
        RegistrySettings(LEASE, max_instances, max_services, max_in_all),
        cleanup_interval=SWEEP,
        new_id=lambda: f"id-{next(numbers)}",
        started_at=clock.now,
        brake=Brake(brake_percent, brake_max_seconds, SWEEP, LEASE, Random(1)),
        damping=damping,
    )
    times, random = Times(clock, clock.wall, lambda: registry.stale_seconds()), Random(1)
    registry.walls = times.walls
    outer = engine(LocalEngine(registry, clock, clock.wall, seams), registry)
    refusals = Refusals(registry, clock, clock.wall, asyncio.get_running_loop().call_later)
    watch = watching(registry, times)
    zones = ClientZones.read((line, line) for line in client_zones.split())
    preference = Preference(registry.missing, 0.7, zones) if zones else None
    take = RegisterRate(registers_per_second).take
    common = Handlers(
        registry, outer, clock, times, random, watch.polls, lambda *whom: sees_actors, preference, DNS_TTL, take, refusals.note_items
    )  # fmt: skip
    every: list[Route] = [
        *(route for each in subjects(common) for route in each.routes()),
        *watch.routes(),
        *ServerItself(registry, clock, times, checks or {}, WarningList(concerns), lambda caller: sees_actors).routes(),
        *OpenApi(lambda: every).routes(),
        *routes,
    ]
    waiting = WaitingOctets(64 * 2**20) if waiting is None else waiting
    cors, browsers = Cors(origins, credentials=False), Browsers(origins, is_host, only_local)
    front = Front(
        times, refusals, cors, browsers, admit, Router(every), Networks(trusted), registry,
        KeptBodies(registry, clock, waiting, times),
    )  # fmt: skip
    limits = Connections(sys.maxsize, sys.maxsize) if connections is None else connections  # an empty one is false
    served = Server(front, limits, waiting)
    try:
        [sock] = bind(["127.0.0.1"], 0, [STREAM], "PORT")
        served.listen(sock, None)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=LIMIT)) as session:
            yield Api(clock, registry, refusals, sock.getsockname()[1], session)
    finally:
        await served.close()


def route(path: str, handler: Handler, method: str = "GET") -> Route:
    """One that only a test has."""
    return Route(method, path, handler, Right.READ, Kind.OPERATION)


def watching(registry: DrivenRegistry, times: Times, watchers: Watchers | None = None) -> Watch:
    """Whoever asks sees who did what."""
    watch = Watch(registry, times, Random(1), watchers or Watchers(sys.maxsize, sys.maxsize), lambda caller: True)
    registry.index_followers.append(watch.follow)
    return watch


def time_of(text: str) -> datetime:
    """An ISO 8601 time in UTC, written with Z."""
    assert ISO.fullmatch(text), text
    return datetime.fromisoformat(text)


def assert_error(reply: Reply, status: int, *said: str) -> None:
    """The one shape of every error; the message says each of `said`."""
    assert reply.status == status, reply
    assert reply.headers["Content-Type"].startswith("application/json")
    assert {"error", "message", "timestamp"} <= reply.body.keys(), reply.body
    assert reply.body["error"] == http.client.responses[status]
    time_of(reply.body["timestamp"])
    for text in said:
        assert text.lower() in reply.body["message"].lower()
    assert "Traceback" not in json.dumps(reply.body)


class _Received:
    """What http.client reads from: it wants a socket."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._octets)
