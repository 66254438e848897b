"""Small servers for clients to meet: one that answers by a function, ones that are no registry, and places where nobody answers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from tests.ports import free_port

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[str]:
    """The base URL of a server that gives every request to `answer`."""
    runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0.1)  # type: ignore[arg-type]
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def saying(octets: bytes) -> AsyncIterator[str]:
    """A server that says this to everybody, whatever they say, and closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(octets)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@asynccontextmanager
async def silent() -> AsyncIterator[str]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def nobody() -> str:
    """A base URL where nothing listens."""
    return f"http://127.0.0.1:{free_port()}"


# -- JSON that is another than a registry's

DEEP: Any = []
for _ in range(400):
    DEEP = [DEEP]
STRANGE = [
    None, True, -1, 0.5, 10**400, float("inf"), "", "x", "\x1b[2J\n\u202e", "\ud800", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00", [], {},
    [None], {"a": None}, DEEP,
]  # fmt: skip


def mutants(whole: Any, value: Any) -> Iterator[Any]:
    """`whole` with the value in the place of each of its parts in turn, and without each."""
    yield value
    if isinstance(whole, dict):
        for key, part in whole.items():
            yield {name: each for name, each in whole.items() if name != key}
            yield from (whole | {key: changed} for changed in mutants(part, value))
    elif isinstance(whole, list):
        yield from ([changed] for part in whole for changed in mutants(part, value))
