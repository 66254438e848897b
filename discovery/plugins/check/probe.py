"""One probe: a connection to an address and, for HTTP, one request of which the status line is all that counts; for gRPC see `grpc`.

Not with an HTTP client: this way nothing could look up a name, follow a redirect, unpack a body, keep a connection or read a proxy from the
environment, and the kernel is never asked for more than a few KiB.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache

from discovery.core.address import authority
from discovery.core.check import GRPC, HTTP, Check
from discovery.core.errors import DiscoveryError
from discovery.store.clock import LATE
from discovery.system.connecting import OUR_TROUBLE, connect, stream_socket

# Octets of an answer that are read: any status line and, of an honest health page, usually all, so that its server sees no reset.
MAX_ANSWER = 4096
# TLS contexts that are kept, 50 KB each with the system's authorities: one for each `ca` of the checks.
MAX_CONTEXTS = 64

# RFC 9112 §4, and HTTP/1.0's.
_STATUS = re.compile(rb"HTTP/1\.[0-9] ([1-9][0-9]{2})[ \r\n]")
_WITH_BODY = ("POST", "PUT", "PATCH")


class CannotProbe(DiscoveryError):
    def __init__(self, why: str) -> None:
        super().__init__(f"An active check could not be made: {why}")


class NoAddress(DiscoveryError):
    def __init__(self, name: str) -> None:
        super().__init__(f"{name} has no address")


class Connection:
    """In plain text."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    async def send(self, octets: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._sock, octets)

    async def receive(self, most: int) -> bytes:
        """Empty at the end."""
        return await asyncio.get_running_loop().sock_recv(self._sock, most)


class TlsConnection(Connection):
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, octets: bytes) -> None:
        self._writer.write(octets)
        await self._writer.drain()

    async def receive(self, most: int) -> bytes:
        return await self._reader.read(most)


async def probe(ip: str, port: int, check: Check, host: str = "") -> str | None:
    """None when it passes, else why not. CannotProbe when that is no fault of the instance. `host`: whose address it is, where it is
    known by a name.
    """
    answer = bytearray()
    trouble = None
    ends = asyncio.get_running_loop().time() + check.timeout
    try:
        async with asyncio.timeout(check.timeout), _connected(ip, port, check, host or ip) as connection:
            if check.kind == HTTP:
                await _ask(connection, _request(check, authority(host or ip, port)), answer)
            elif check.kind == GRPC:
                from discovery.plugins.check.grpc import serving  # 15 ms, for those who ask for it

                return await serving(connection, check, authority(host or ip, port))
    except TimeoutError:
        # When time was up so long ago, this process was not run: the answer may have been here since.
        if asyncio.get_running_loop().time() > ends + LATE and _status(bytes(answer)) is None:
            raise CannotProbe("this process stood still") from None
        trouble = f"no answer within {check.timeout:g} s"
    except ssl.SSLCertVerificationError as error:
        trouble = f"its certificate is not accepted: {error.verify_message}"
    except ssl.SSLError as error:
        trouble = f"no TLS: {(error.reason or 'closed').lower().replace('_', ' ')}"
    except OSError as error:
        if error.errno in OUR_TROUBLE:
            raise CannotProbe(_text(error)) from None
        trouble = _text(error)
    return trouble if check.kind != HTTP else _judge(bytes(answer), trouble)


@asynccontextmanager
async def _connected(ip: str, port: int, check: Check, host: str) -> AsyncIterator[Connection]:
    with stream_socket(ip) as sock:
        await connect(sock, ip, port)
        if not (check.tls or check.ca or check.tls_skip_verify):
            yield Connection(sock)
            return
        context = await asyncio.to_thread(_context, check.ca, check.tls_skip_verify, check.kind == GRPC)
        reader, writer = await asyncio.open_connection(
            sock=sock, ssl=context, server_hostname=host.removesuffix("."), limit=MAX_ANSWER
        )
        try:
            yield TlsConnection(reader, writer)
        finally:
            writer.transport.abort()  # the answer is there, or nobody waits for it any more


@lru_cache(MAX_CONTEXTS)
def _context(ca: str, skip_verify: bool, is_http2: bool) -> ssl.SSLContext:
    """`ca` empty: the system's authorities. ssl.SSLError."""
    context = ssl.create_default_context(cadata=ca or None)
    if skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if is_http2:
        context.set_alpn_protocols(["h2"])
    return context


def _request(check: Check, host: str) -> bytes:
    headers = {"Host": host, "User-Agent": "discovery-check", "Accept": "*/*"}
    given = {name.lower() for name, _ in check.headers}
    lines = [(name, value) for name, value in headers.items() if name.lower() not in given]
    body = check.body.encode()
    lines += [*check.headers, ("Connection", "close")]
    if body or check.method in _WITH_BODY:
        lines.append(("Content-Length", str(len(body))))
    head = "".join(f"{name}: {value}\r\n" for name, value in lines)
    return f"{check.method} {check.path} HTTP/1.1\r\n{head}\r\n".encode("ascii") + body


async def _ask(connection: Connection, request: bytes, answer: bytearray) -> None:
    """Adds to `answer` until its end, or as much of it as we read."""
    await connection.send(request)
    while chunk := await connection.receive(MAX_ANSWER - len(answer)):
        answer += chunk
        if len(answer) == MAX_ANSWER:
            return


def _judge(answer: bytes, trouble: str | None) -> str | None:
    """By the status as soon as there is one: what befell the rest of the answer does not matter."""
    status = _status(answer)
    if status is not None:
        return None if 200 <= status <= 299 else f"answered {status}"
    return trouble or ("no HTTP status in its answer" if answer else "closed the connection without an answer")


def _status(answer: bytes) -> int | None:
    """The final one: interim answers come before it (RFC 9110 §15.2)."""
    while found := _STATUS.match(answer):
        status = int(found[1])
        if status >= 200:
            return status
        answer = answer.partition(b"\r\n\r\n")[2]
    return None


def _text(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else type(error).__name__
