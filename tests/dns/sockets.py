"""The DNS servers on real loopback sockets, in the test's own event loop, and clients for them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import NamedTuple

import dns.message

from discovery.dns.server.counted import QueryCounter
from discovery.dns.server.tcp import TcpConnections, TcpServer
from discovery.dns.server.udp import UdpServer
from discovery.system.waiting_octets import WaitingOctets
from tests.dns.world import World, make_query, parsed

LIMIT = 60.0  # seconds for anything at all, far above what it takes


class Served(NamedTuple):
    world: World
    udp: tuple[str, int]
    tcp: tuple[str, int]
    close_tcp: Callable[[], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(
    world: World, host: str = "127.0.0.1", send_buffer: int | None = None, connections: TcpConnections | None = None
) -> AsyncIterator[Served]:
    """Both servers on free ports of `host`; the clock stands at 0."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    datagram, stream = socket.socket(family, socket.SOCK_DGRAM), socket.socket(family, socket.SOCK_STREAM)
    if send_buffer is not None:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    for sock in (datagram, stream):
        sock.setblocking(False)
        sock.bind((host, 0))
    stream.listen(128)
    udp_address, tcp_address = datagram.getsockname()[:2], stream.getsockname()[:2]
    udp, tcp = (
        UdpServer(
            datagram, world.responder.respond, lambda: 0.0, counter=QueryCounter("udp", world.traffic, lambda: 0.0)
        ),
        TcpServer(
            stream,
            world.responder.respond,
            lambda: 0.0,
            TcpConnections(512, WaitingOctets(2**26)) if connections is None else connections,
        ),
    )
    await udp.start()
    await tcp.start()
    try:
        yield Served(world, udp_address, tcp_address, tcp.close)
    finally:
        await udp.close()
        await tcp.close()


@contextlib.contextmanager
def udp_client(address: tuple[str, int]) -> Iterator[socket.socket]:
    """Connected, so that replies from any other address are dropped, as resolvers do."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect(address)
        yield sock


async def ask_udp(address: tuple[str, int], name: str = "web.svc.local", rtype: str = "A") -> dns.message.Message:
    with udp_client(address) as sock:
        sock.send(make_query(name, rtype).to_wire())
        return parsed(await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 65535), LIMIT))


class TcpClient:
    """One connection. `receive` is None when the server has closed it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def send(self, octets: bytes) -> None:
        self._writer.write(octets)

    def ask(self, name: str = "web.svc.local", rtype: str = "A", id: int = 0) -> None:
        self.send(framed(make_query(name, rtype, id=id).to_wire()))

    async def drain(self) -> None:
        await self._writer.drain()

    async def receive(self) -> dns.message.Message | None:
        try:
            prefix = await asyncio.wait_for(self._reader.readexactly(2), LIMIT)
            return parsed(await asyncio.wait_for(self._reader.readexactly(int.from_bytes(prefix, "big")), LIMIT))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    @property
    def closed(self) -> bool:
        """Whether the server's end of the stream has been seen."""
        return self._reader.at_eof() or self._reader.exception() is not None

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


@contextlib.asynccontextmanager
async def connected(address: tuple[str, int]) -> AsyncIterator[TcpClient]:
    client = TcpClient(*await asyncio.open_connection(*address))
    try:
        yield client
    finally:
        await client.close()


def framed(packet: bytes) -> bytes:
    """RFC 1035 §4.2.2."""
    return struct.pack("!H", len(packet)) + packet
