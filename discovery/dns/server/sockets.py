"""The sockets: UDP read in a burst until it would block, TCP by length prefix (RFC 7766). The only DNS file that knows a clock.

On a wildcard address a UDP reply leaves from the address that was asked (IP_PKTINFO): clients drop it otherwise.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import struct
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, cast

from discovery.dns.message.query import UDP, CutShort, Transport
from discovery.dns.server.deferred import DeferredReplies
from discovery.system.tls import Tls, TlsListener

Clock = Callable[[], float]


class Responds(Protocol):
    def respond(
        self, packet: bytes, now: float, client: str, transport: Transport
    ) -> bytes | Coroutine[Any, Any, bytes] | None:
        """As Responder has it."""


# Datagrams, or messages of one connection, for one turn of the event loop, and the seconds it may take if they are hard to
# answer: a flood of queries must not starve HTTP.
BURST = 64
TURN_SECONDS = 0.002
# Octets of queries that may wait, as the kernel counts them (0.8 KB for a small one, and twice of this is granted): some 650, which
# take 15 ms. More would only be answered when nobody waits any more; the newest are shed instead.
RECEIVE_BUFFER = 256 * 1024
# The largest query that is read whole; longer ones are cut and thus malformed. Real queries have under 512 octets.
MAX_DATAGRAM = 4096
# RFC 7766 §6.2.3 asks for seconds. CoreDNS and BIND use 10 to 30.
TCP_IDLE_SECONDS = 10.0
# Connections at a time; beyond, the one that has been idle longest makes way. BIND's tcp-clients is 150, Knot's default 500+.
MAX_TCP_CONNECTIONS = 512
# RFC 1035 §4.2.2.
_LENGTH = struct.Struct("!H")

# socket has no name for Linux's IP_PKTINFO before Python 3.13; struct in_pktinfo is index, local address, header address.
_IP_PKTINFO = getattr(socket, "IP_PKTINFO", 8)
# Linux: socket(7) has it as SO_MEMINFO; the ninth number is the count of drops.
_SO_MEMINFO = 55 if sys.platform == "linux" else None
_ANCILLARY = socket.CMSG_SPACE(64)


class UdpServer:
    """Serves one bound, non-blocking datagram socket."""

    def __init__(
        self, sock: socket.socket, responder: Responds, clock: Clock, deferred: DeferredReplies | None = None
    ) -> None:
        self._sock = sock
        self._responder = responder
        self._clock = clock
        self._deferred = deferred or DeferredReplies()
        self._wildcard = ipaddress.ip_address(sock.getsockname()[0]).is_unspecified
        if self._wildcard:
            _ask_for_destination(sock)

    def shed(self) -> int:
        """Queries that came while the socket's buffer was full: the newest, dropped by the kernel before anybody read them."""
        if _SO_MEMINFO is None:
            return 0
        return int(struct.unpack_from("=I", self._sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 36), 32)[0])

    async def start(self) -> None:
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        asyncio.get_running_loop().add_reader(self._sock, self._on_readable)

    async def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._sock)
        self._sock.close()

    def _on_readable(self) -> None:
        # BlockingIOError ends the burst; other errors report an earlier reply that could not be delivered.
        with contextlib.suppress(OSError):
            if self._wildcard:
                self._answer_on_wildcard()
            else:
                self._answer_plain()

    def _answer_plain(self) -> None:
        receive, respond, send, clock = self._sock.recvfrom, self._responder.respond, self._sock.sendto, self._clock
        until = clock() + TURN_SECONDS
        for _ in range(BURST):
            packet, client = receive(MAX_DATAGRAM)
            now = clock()
            reply = respond(packet, now, client[0], UDP)
            if isinstance(reply, bytes):
                send(reply, client)
            elif reply is not None:
                self._deferred.add(reply, partial(_send_late, send, client))
            if now > until:
                return

    def _answer_on_wildcard(self) -> None:
        until = self._clock() + TURN_SECONDS
        for _ in range(BURST):
            packet, ancillary, _, client = self._sock.recvmsg(MAX_DATAGRAM, _ANCILLARY)
            now = self._clock()
            reply = self._responder.respond(packet, now, client[0], UDP)
            send = partial(self._send_from, [_as_source(*item) for item in ancillary])
            if isinstance(reply, bytes):
                send(reply, client)
            elif reply is not None:
                self._deferred.add(reply, partial(_send_late, send, client))
            if now > until:
                return

    def _send_from(self, source: list[tuple[int, int, bytes]], reply: bytes, client: Any) -> None:
        self._sock.sendmsg([reply], source, 0, client)


def _send_late(send: Callable[[bytes, Any], object], client: Any, reply: bytes) -> None:
    send(reply, client)


def _ask_for_destination(sock: socket.socket) -> None:
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)


def _as_source(level: int, kind: int, data: bytes) -> tuple[int, int, bytes]:
    """The packet info of a query, turned round: its destination becomes the reply's source, the route is the kernel's choice."""
    if level == socket.IPPROTO_IP:
        return level, kind, bytes(4) + data[4:8] + bytes(4)
    return level, kind, data


class TcpServer:
    """Serves one listening socket, DNS over TLS (RFC 7858) with `tls`.

    Idle connections are closed after `TCP_IDLE_SECONDS`.
    """

    def __init__(
        self,
        sock: socket.socket,
        responder: Responds,
        clock: Clock,
        deferred: DeferredReplies | None = None,
        tls: Tls | None = None,
    ) -> None:
        self._sock = sock
        self.deferred = deferred or DeferredReplies()
        self._tls = tls
        self.transport = Transport(keepalive=TCP_IDLE_SECONDS, private=tls is not None)
        self._responder = responder
        self._clock = clock
        self._connections: dict[_Connection, None] = {}  # longest idle first
        self._server: asyncio.Server | TlsListener | None = None

    async def start(self) -> None:
        if self._tls is not None:
            self._server = TlsListener(self._sock, self._tls, lambda: _Connection(self))
            return
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), sock=self._sock)

    async def close(self) -> None:
        if self._server is None:  # never started
            self._sock.close()
            return
        self._server.close()
        for connection in list(self._connections):
            connection.close()
        await self._server.wait_closed()

    def respond(self, packet: bytes, client: str, transport: Transport) -> bytes | Coroutine[Any, Any, bytes] | None:
        return self._responder.respond(packet, self._clock(), client, transport)

    def now(self) -> float:
        return self._clock()

    def opened(self, connection: _Connection) -> None:
        self._connections[connection] = None
        if len(self._connections) > MAX_TCP_CONNECTIONS:
            longest_idle = next(iter(self._connections))
            self.closed(longest_idle)  # at once: the transport may take a while
            longest_idle.close()

    def used(self, connection: _Connection) -> None:
        if connection in self._connections:
            self._connections[connection] = self._connections.pop(connection)

    def closed(self, connection: _Connection) -> None:
        self._connections.pop(connection, None)


class _Connection(asyncio.Protocol):
    """One client. While it does not read, nothing more is read from it. Replies that take time are
    sent when they are there, not in the order of their queries (RFC 7766 §6.2.1.1)."""

    def __init__(self, server: TcpServer) -> None:
        self._server = server
        self._received = bytearray()
        self._paused = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._way = replace(server.transport, stream=self._stream)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class
        self._client = str(transport.get_extra_info("peername")[0])
        self._idle = asyncio.get_running_loop().call_later(TCP_IDLE_SECONDS, self.close)
        self._server.opened(self)

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._answer_whole_messages()

    def pause_writing(self) -> None:
        self._paused = True
        self._writable.clear()
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._paused = False
        self._writable.set()
        self._continue()

    def connection_lost(self, error: Exception | None) -> None:
        self._idle.cancel()
        self._server.closed(self)
        self._writable.set()
        self._way = self._server.transport  # `_stream` leads back here: what is over should not wait for the collector

    def close(self) -> None:
        # A client that never reads would keep its unsent answers, and so the connection, for ever.
        if self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            self._transport.close()

    def _answer_whole_messages(self) -> None:
        until = self._server.now() + TURN_SECONDS
        for _ in range(BURST):
            if self._paused or (packet := self._next_message()) is None:
                return
            self._restart_idle_timer()
            reply = self._server.respond(packet, self._client, self._way)
            if isinstance(reply, bytes):
                self._write(reply)
            elif reply is not None:
                self._server.deferred.add(reply, self._write)
            if self._server.now() > until:
                break
        self._transport.pause_reading()  # the rest in the next turn: others wait too
        asyncio.get_running_loop().call_soon(self._continue)

    def _continue(self) -> None:
        if not self._paused and not self._transport.is_closing():
            self._transport.resume_reading()
            self._answer_whole_messages()

    def _stream(self, messages: AsyncGenerator[bytes]) -> None:
        self._server.deferred.stream(self._send_all(messages))

    async def _send_all(self, messages: AsyncGenerator[bytes]) -> None:
        """Each message when there is room for it, which counts as a sign of life; one that cannot be made ends the connection."""
        async with contextlib.aclosing(messages):
            try:
                async for message in messages:
                    await self._writable.wait()
                    if self._transport.is_closing():
                        return
                    self._restart_idle_timer()
                    self._write(message)
            except CutShort:
                self._transport.abort()

    def _write(self, reply: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(_LENGTH.pack(len(reply)) + reply)

    def _next_message(self) -> bytes | None:
        if len(self._received) < _LENGTH.size:
            return None
        end = _LENGTH.size + _LENGTH.unpack_from(self._received)[0]
        if len(self._received) < end:
            return None
        packet = bytes(self._received[_LENGTH.size : end])
        del self._received[:end]
        return packet

    def _restart_idle_timer(self) -> None:
        """Only a whole message counts as a sign of life, so that a trickle of octets holds nothing open."""
        self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(TCP_IDLE_SECONDS, self.close)
        self._server.used(self)
