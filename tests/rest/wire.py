"""HTTP/1.1 in octets: what is sent and in which pieces, and the stream that comes back taken apart by its own framing."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from discovery.core.instance import Registration
from tests.rest.harness import LIMIT, ORIGIN, Api, serving

# Of the event loop that client and server share: enough for a request to be read, answered and the answer read.
_TURNS = 8
# What differs from one answer to the same request to the next.
_VOLATILE = ("heartbeatIntervalMs",)
_HEADERS = ("content-type", "content-length", "vary", "connection", "transfer-encoding", "allow", "location")


class Got(NamedTuple):
    """`headers`: those that a client acts on, names in lower case."""

    status: int
    body: Any
    headers: tuple[tuple[str, str], ...]


def request(line: str, *fields: str, body: bytes = b"", host: str | None = "Host: registry") -> bytes:
    lines = [f"{line} HTTP/1.1", *([host] if host else []), *fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def heartbeat(*fields: str, **item: Any) -> bytes:
    """Of user-service at 127.0.0.1:3001, but for what is said."""
    sent = {"name": "user-service", "ip": "127.0.0.1", "port": 3001} | item
    return request("POST /heartbeat", "Content-Type: application/json", *fields, body=json.dumps(sent).encode())


RESOLVE = request("GET /resolve/user-service")
HEALTH = request("GET /health")
LAST = request("GET /instances/user-1", "Connection: close")


@asynccontextmanager
async def filled() -> AsyncIterator[Api]:
    """With a few instances."""
    async with serving(origins=[ORIGIN]) as api:
        specs = [
            Registration.of("user-service", "127.0.0.1", 3001, id="user-1", metadata={"a": [1, {"b": None}]}),
            Registration.of("user-service", "2001:db8::1", 3001, id="user-2", tags=["blue"], ttl=20),
            Registration.of("Kafka", "127.0.0.1", 1, id="kafka-1"),
            Registration.of("a_b-c", "10.0.0.1", 65535, id="abc-1"),
        ]
        for spec in specs:
            api.registry.register(spec, api.clock.now, api.clock.wall())
        yield api


async def talk(port: int, *pieces: bytes) -> bytes:
    """Each piece is read by the server before the next is sent; reads until the server closes, or resets what was late."""
    async with asyncio.timeout(LIMIT):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        received = bytearray()
        closed = asyncio.ensure_future(_receive(reader, received))
        try:
            for piece in pieces:
                writer.write(piece)
                for _ in range(_TURNS):
                    await asyncio.sleep(0)
                if closed.done():
                    break
            await closed
        finally:
            closed.cancel()
            writer.close()
        return bytes(received)


async def _receive(reader: asyncio.StreamReader, received: bytearray) -> None:
    with contextlib.suppress(ConnectionError):
        while octets := await reader.read(65536):
            received += octets


def replies(octets: bytes) -> list[Got]:
    """Whole replies by their own framing; a rest that is none fails."""
    found = []
    while octets:
        head, end, octets = octets.partition(b"\r\n\r\n")
        assert end, head
        first, *lines = head.decode("latin-1").split("\r\n")
        fields = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        status = int(first.split()[1])
        body, octets = _body(dict(fields), octets)
        kept = sorted((name, value) for name, value in fields if name in _HEADERS or name.startswith("access-"))
        found.append(Got(status, _stable(body), tuple(kept)))
    return found


def _body(fields: dict[str, str], octets: bytes) -> tuple[bytes, bytes]:
    if fields.get("transfer-encoding") == "chunked":
        body = b""
        while True:
            size, _, octets = octets.partition(b"\r\n")
            length = int(size, 16)
            body, octets = body + octets[:length], octets[length + 2 :]
            if not length:
                return body, octets
    length = int(fields.get("content-length", 0))
    if octets.startswith(b"HTTP/1."):  # to HEAD
        return b"", octets
    assert len(octets) >= length or not octets
    return octets[:length], octets[length:]


def _stable(body: bytes) -> Any:
    content = json.loads(body) if body else None
    if isinstance(content, dict):
        return {name: value for name, value in content.items() if name not in _VOLATILE}
    return content


def statuses(got: Iterable[Got]) -> list[int]:
    return [one.status for one in got]
