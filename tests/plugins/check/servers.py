"""Real servers on loopback for the checks to meet, and a registry with the plugin in front of it. Every wait is for a condition."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from discovery.core.caller import NOBODY, Caller
from discovery.core.check import Check
from discovery.core.instance import Instance, Key, Registration
from discovery.engines.local import LocalEngine
from discovery.plugins import Seams
from discovery.plugins.check import Checks
from discovery.store.registration import Register
from tests.driven import DrivenRegistry
from tests.patient import clock
from tests.store.making import Log, a_registry
from tests.waiting import until

# Seconds that anything may take before a test fails; far above what it does take.
LIMIT = 60.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n"
# Long enough not to play a part.
TTL = 600.0

Script = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Fake:
    """A server that answers each request as `answer` is now: octets to send, or what to do. `requests`: what it was asked."""

    answer: bytes | Script = OK
    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    accepted: int = 0
    open: int = 0
    most_open: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                if isinstance(self.answer, bytes):
                    writer.write(self.answer)
                else:
                    await self.answer(writer)
        finally:
            self.open -= 1
            writer.close()


@asynccontextmanager
async def serving(answer: bytes | Script = OK, ip: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Fake]:
    fake = Fake(answer)
    server = await asyncio.start_server(fake.serve, ip, port, backlog=2048)
    fake.port = server.sockets[0].getsockname()[1]
    async with server:
        yield fake
        server.close()
        await until(lambda: fake.open == 0)


def silent_port() -> tuple[socket.socket, int]:
    """A bound port where nobody listens: connections are refused for as long as the socket is open."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock, sock.getsockname()[1]


@dataclass
class House:
    registry: DrivenRegistry
    log: Log
    engine: LocalEngine
    plugin: Checks

    async def register(
        self,
        port: int,
        check: Check | None,
        name: str = "web",
        by: Caller = NOBODY,
        ip: str = "127.0.0.1",
        **fields: Any,
    ) -> Instance:
        spec = replace(Registration.of(name, ip, port, **fields), checks=() if check is None else (check,))
        return await self.engine.submit(Register(spec), by)

    def served(self, name: str = "web") -> int:
        """How many instances answers have now."""
        service = self.registry.service(name)
        return 0 if service is None else len(service.served(clock()))

    @property
    def stats(self) -> dict[str, int]:
        stats: dict[str, int] = self.plugin.stats()["check"]
        return stats


@asynccontextmanager
async def watching(lease_ttl: float = TTL, seed: int = 1) -> AsyncIterator[House]:
    registry = a_registry(lease_ttl=lease_ttl, started_at=clock(), max_instances=10)
    plugin = Checks(registry, clock, Random(seed))
    seams = Seams(followers=registry.followers)
    plugin.install(seams)
    engine = LocalEngine(registry, clock, time.time, seams)
    house = House(registry, Log.of(registry), engine, plugin)
    await plugin.open(engine)
    try:
        yield house
    finally:
        await plugin.close()
        assert house.stats == {"checked": 0, "failing": 0, "inHand": 0}


def quick(**fields: Any) -> Check:
    """Of GET /health, a hundred times a second."""
    return Check(
        **{
            "kind": "http",
            "id": "http",
            "path": "/health",
            "interval": 0.01,
            "timeout": 5.0,
            "failures": 3,
            "successes": 1,
            **fields,
        }
    )


def key(port: int) -> Key:
    return Key("web", "127.0.0.1", port)
