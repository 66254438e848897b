"""Load from one process: so many connections, each with one request under way, for so long. What is asked is made ready before.

Little is done with an answer, since this process should not be what is measured; `Result.cpu` says whether it was.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import ssl
import time
from array import array
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

from discovery.system.env import Endpoint

# Seconds that the last answer of a connection is waited for, after the end.
_PATIENCE = 2.0
# Seconds without a reply over UDP: it was lost.
_LOST = 1.0
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
# An answer that is longer is none of ours.
_MAX_HEAD = 65536


class Request(NamedTuple):
    method: str
    path: str
    body: Any


class Result:
    """What became of the requests of all connections together."""

    def __init__(self) -> None:
        self.latencies = array("f")  # seconds, four octets each: a minute's fit
        self.errors = 0
        self.why = ""
        self.seconds = 0.0
        self.cpu = 0.0  # of this process, while it lasted: 1.0 is a whole core

    @property
    def answered(self) -> int:
        return len(self.latencies)

    def failed(self, why: str) -> None:
        self.errors += 1
        self.why = self.why or why

    def as_json(self) -> dict[str, Any]:
        p50, p99, most = self._percentiles()
        return {
            "answered": self.answered,
            "perSecond": round(self.answered / self.seconds) if self.seconds else 0,
            "p50Ms": round(p50 * 1000, 3),
            "p99Ms": round(p99 * 1000, 3),
            "maxMs": round(most * 1000, 3),
            "errors": self.errors,
            "why": self.why,
            "clientCpuPercent": round(self.cpu * 100),
        }

    def as_row(self) -> dict[str, Any]:
        shown = self.as_json()
        return {
            "perSecond": f"{shown['perSecond']:,}",
            **{name: f"{shown[f'{name}Ms']:.1f} ms" for name in ("p50", "p99", "max")},
            "errors": shown["errors"],
            "clientCpu": f"{shown['clientCpuPercent']} %",
        }

    def _percentiles(self) -> tuple[float, float, float]:
        ordered = sorted(self.latencies) or [0.0]
        last = len(ordered) - 1
        return ordered[last // 2], ordered[last * 99 // 100], ordered[last]


async def http(url: str, token: str | None, requests: Sequence[Request], seconds: float, connections: int) -> Result:
    """`requests` are sent in turn, by all connections together."""
    parts = urlsplit(url)
    octets = itertools.cycle([_octets(each, parts.netloc, parts.path, token) for each in requests])
    tls = ssl.create_default_context() if parts.scheme == "https" else None
    port = parts.port or (443 if tls else 80)
    loop = asyncio.get_running_loop()

    async def one(result: Result, until: float) -> None:
        done = loop.create_future()
        try:
            transport, _ = await loop.create_connection(
                lambda: _HttpConnection(octets, result, until, done), parts.hostname or "", port, ssl=tls
            )
        except OSError as error:
            result.failed(error.strerror or str(error))
            return
        try:
            await asyncio.wait([done], timeout=until - time.monotonic() + _PATIENCE)
            if not done.done():
                done.cancel()
                result.failed(f"no answer within {_PATIENCE:g} s")
        finally:
            transport.close()

    return await _measured(one, seconds, connections)


async def dns_queries(server: Endpoint, queries: Sequence[bytes], seconds: float, connections: int) -> Result:
    """`queries` are sent in turn, over UDP, by all sockets together."""
    packets = itertools.cycle(queries)
    loop = asyncio.get_running_loop()

    async def one(result: Result, until: float) -> None:
        done = loop.create_future()
        transport, protocol = await loop.create_datagram_endpoint(
            lambda: _DnsSocket(packets, result, until, done), remote_addr=(server.ip, server.port)
        )
        try:
            while not done.done():
                await asyncio.wait([done], timeout=_LOST / 2)
                protocol.again()
        finally:
            transport.close()

    return await _measured(one, seconds, connections)


async def _measured(one: Any, seconds: float, connections: int) -> Result:
    result = Result()
    began, cpu = time.monotonic(), time.process_time()
    await asyncio.gather(*(one(result, began + seconds) for _ in range(connections)))
    result.seconds = time.monotonic() - began
    result.cpu = (time.process_time() - cpu) / result.seconds
    return result


def _octets(request: Request, host: str, base: str, token: str | None) -> bytes:
    body = b"" if request.body is None else json.dumps(request.body).encode()
    lines = [f"{request.method} {base}{request.path} HTTP/1.1", f"Host: {host}"]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    return "\r\n".join([*lines, "", ""]).encode() + body


class _HttpConnection(asyncio.Protocol):
    def __init__(self, requests: Iterator[bytes], result: Result, until: float, done: asyncio.Future[None]) -> None:
        self._requests = requests
        self._result = result
        self._until = until
        self._done = done
        self._buffer = b""
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclasses
        self._next()

    def _next(self) -> None:
        if time.monotonic() >= self._until:
            self._end()
            return
        self._sent = time.perf_counter()
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > _MAX_HEAD:
                self._fail("it speaks no HTTP")
            return
        length = _LENGTH.search(self._buffer, 0, end)
        if length is None or not self._buffer.startswith(b"HTTP/1.1 "):
            self._fail("it speaks no HTTP, or sends answers without a length")
            return
        if len(self._buffer) < end + 4 + int(length[1]):
            return
        if self._buffer[9:10] in b"23":
            self._result.latencies.append(time.perf_counter() - self._sent)
        else:
            self._result.failed(f"status {self._buffer[9:12].decode('ascii', 'replace')}")
        self._buffer = b""
        self._next()

    def _fail(self, why: str) -> None:
        self._result.failed(why)
        self._end()

    def _end(self) -> None:
        if not self._done.done():
            self._done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._done.done():
            self._fail("it closed the connection")


class _DnsSocket(asyncio.DatagramProtocol):
    def __init__(self, packets: Iterator[bytes], result: Result, until: float, done: asyncio.Future[None]) -> None:
        self._packets = packets
        self._result = result
        self._until = until
        self._done = done
        self._id = b""
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        self._next()

    def _next(self) -> None:
        if time.monotonic() >= self._until:
            if not self._done.done():
                self._done.set_result(None)
            return
        packet = next(self._packets)
        self._id = packet[:2]
        self._sent = time.perf_counter()
        self._transport.sendto(packet)

    def again(self) -> None:
        """If the reply is overdue, it is taken for lost."""
        if not self._done.done() and time.perf_counter() - self._sent > _LOST:
            self._result.failed("no reply within a second")
            self._next()

    def datagram_received(self, data: bytes, address: Any) -> None:
        if data[:2] != self._id:
            return
        if len(data) >= 12 and data[3] & 0x0F == 0:  # RCODE, RFC 1035 section 4.1.1
            self._result.latencies.append(time.perf_counter() - self._sent)
        else:
            self._result.failed(f"rcode {data[3] & 0x0F if len(data) >= 12 else '?'}")
        self._next()

    def error_received(self, error: Exception) -> None:
        self._result.failed(str(error))
