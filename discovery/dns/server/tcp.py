"""DNS over TCP (RFC 7766) and over TLS (RFC 7858): messages with their length in front, pipelined as clients like."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from typing import cast

from discovery.core.address import client_prefix
from discovery.dns.message.query import CutShort, Transport
from discovery.dns.server.deferred import DeferredReplies
from discovery.dns.server.responder import Respond
from discovery.system.listener import Listener
from discovery.system.tls import Tls
from discovery.system.turns import turns
from discovery.system.waiting_octets import WaitingOctets

# Messages of one connection for one step, in turns with all that the server does.
BURST = 8
# RFC 7766 §6.2.3 asks for seconds. CoreDNS and BIND use 10 to 30.
TCP_IDLE_SECONDS = 10.0
# When the server closes: a connection ends when nothing has come for so long, and all end after so long. The process has 5 in all.
SILENT_SECONDS, FINISH_SECONDS = 0.05, 1.0
# Octets that wait in the transport; with more, nothing is answered until they have gone.
_UNSENT = 4 * 1024
# RFC 1035 §4.2.2.
_LENGTH = struct.Struct("!H")


class TcpConnections:
    """All that there are, of however many servers. Beyond `most`, the one that has been idle longest makes way. BIND's tcp-clients is 150,
    Knot's default 500+. `waiting`: where the octets count that they do not read.
    """

    def __init__(self, most: int, waiting: WaitingOctets) -> None:
        self._most = most
        self.waiting = waiting
        self._all: dict[_Connection, None] = {}  # longest idle first

    def __len__(self) -> int:
        return len(self._all)

    def opened(self, connection: _Connection) -> None:
        self._all[connection] = None
        if len(self._all) > self._most:
            longest_idle = next(iter(self._all))
            self.closed(longest_idle)  # at once: the transport may take a while
            longest_idle.close()

    def used(self, connection: _Connection) -> None:
        if connection in self._all:
            self._all[connection] = self._all.pop(connection)

    def closed(self, connection: _Connection) -> None:
        self._all.pop(connection, None)


class TcpServer:
    """Serves one listening socket, DNS over TLS with `tls`. Idle connections are closed after `TCP_IDLE_SECONDS`. `connections`: shared
    with other servers.
    """

    def __init__(
        self,
        sock: socket.socket,
        respond: Respond,
        clock: Callable[[], float],
        connections: TcpConnections,
        deferred: DeferredReplies | None = None,
        tls: Tls | None = None,
    ) -> None:
        self._sock = sock
        self._tls = tls
        self.connections = connections
        self._own: set[_Connection] = set()
        self._all_closed = asyncio.Event()
        self._server: Listener | None = None
        self.deferred = deferred or DeferredReplies()
        self.transport = Transport(keepalive=TCP_IDLE_SECONDS, private=tls is not None)
        self.respond = respond
        self.now = clock

    async def start(self) -> None:
        self.turns = turns()
        self._server = Listener(self._sock, lambda: _Connection(self), self._tls)

    async def close(self) -> None:
        """What was received is answered first."""
        if self._server is None:  # never started
            self._sock.close()
            return
        self._server.close()
        for connection in list(self._own):
            connection.finish()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FINISH_SECONDS):
                while self._own:
                    self._all_closed.clear()
                    await self._all_closed.wait()
        for connection in list(self._own):
            connection.make_way()
        await self._server.wait_closed()

    def opened(self, connection: _Connection) -> None:
        self._own.add(connection)
        self.connections.opened(connection)

    def closed(self, connection: _Connection) -> None:
        self._own.discard(connection)
        self.connections.closed(connection)
        if not self._own:
            self._all_closed.set()


class _Connection(asyncio.Protocol):
    """One client, which brings no heartbeats. While it does not read, nothing more is read from it. Replies that take time are sent when
    they are there, not in the order of their queries (RFC 7766 §6.2.1.1).
    """

    beat_at = float("-inf")

    def __init__(self, server: TcpServer) -> None:
        self._server = server
        self.prefix = ""
        self._received = bytearray()
        self._paused = False
        self._finishing = self._heard = self._scheduled = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._loop = asyncio.get_running_loop()
        self._turns = server.turns
        self._used_at = 0.0  # on the loop's clock
        self._timer: asyncio.TimerHandle | None = None
        self._way = replace(server.transport, stream=self._stream)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class
        peer = transport.get_extra_info("peername")
        if peer is None:  # the client reset the connection before it was accepted
            self._transport.abort()
            return
        self._transport.set_write_buffer_limits(high=_UNSENT)
        self._client = str(peer[0])
        self.prefix = client_prefix(self._client)
        self._used_at = self._loop.time()
        self._close_when_idle()
        self._server.opened(self)

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._heard = True
        if not self._scheduled and self._turns.may_go_ahead():
            began = self._turns.clock()
            self._answer_whole_messages()
            self._turns.spent(self._turns.clock() - began)
        else:
            self._schedule()

    def pause_writing(self) -> None:
        self._paused = True
        self._hold()
        self._writable.clear()
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._paused = False
        self._hold()
        self._writable.set()
        self._schedule()

    def connection_lost(self, error: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._server.closed(self)
        self._server.connections.waiting.hold(self, self.prefix, 0)
        self._writable.set()
        self._way = self._server.transport  # `_stream` leads back here: what is over should not wait for the collector

    def finish(self) -> None:
        """The server closes: no more than what was received is answered, and then the connection ends."""
        self._finishing = self._heard = True
        self._end_when_silent()

    def close(self) -> None:
        # A client that never reads would keep its unsent answers, and so the connection, for ever. `finish` has its own limit.
        if self._transport.get_write_buffer_size() and not self._finishing:
            self._transport.abort()
        else:
            self._transport.close()

    def make_way(self) -> None:
        self._transport.abort()

    def _hold(self) -> None:
        """What it has not read counts."""
        octets = self._transport.get_write_buffer_size() if self._paused else 0
        self._server.connections.waiting.hold(self, self.prefix, octets)

    def _answer_whole_messages(self) -> None:
        for _ in range(BURST):
            if self._paused or (packet := self._next_message()) is None:
                return
            self._use()
            reply = self._server.respond(packet, self._server.now(), self._client, self._way)
            if isinstance(reply, bytes):
                self._write(reply)
            elif reply is not None:
                self._server.deferred.add(reply, self._write)
        self._schedule()  # others wait too

    def _schedule(self) -> None:
        if not self._scheduled and not self._transport.is_closing():
            self._scheduled = True
            self._transport.pause_reading()
            self._turns.add_small(self._step)

    def _step(self) -> bool:
        self._scheduled = False
        if not self._paused and not self._transport.is_closing():
            self._transport.resume_reading()
            self._answer_whole_messages()
        return False

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
                    self._use()
                    self._write(message)
            except CutShort:
                self._transport.abort()

    def _write(self, reply: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(_LENGTH.pack(len(reply)) + reply)
            if self._paused:
                self._hold()

    def _end_of_message(self) -> int | None:
        """None when what was received is less than a message."""
        if len(self._received) < _LENGTH.size:
            return None
        end: int = _LENGTH.size + _LENGTH.unpack_from(self._received)[0]
        return end if len(self._received) >= end else None

    def _next_message(self) -> bytes | None:
        end = self._end_of_message()
        if end is None:
            return None
        packet = bytes(self._received[_LENGTH.size : end])
        del self._received[:end]
        return packet

    def _use(self) -> None:
        """Only a whole message counts as a sign of life, so that a trickle of octets holds nothing open."""
        self._used_at = self._loop.time()
        self._server.connections.used(self)

    def _close_when_idle(self) -> None:
        """The timer is not moved for each message, which would cost as much as a kept answer: it looks when the last one was."""
        left = self._used_at + TCP_IDLE_SECONDS - self._loop.time()
        if left > 0:
            self._call_later(left, self._close_when_idle)
        else:
            self.close()

    def _end_when_silent(self) -> None:
        if self._heard or self._paused or self._scheduled or self._end_of_message() is not None:
            self._heard = False
            self._call_later(SILENT_SECONDS, self._end_when_silent)
        else:
            self.close()

    def _call_later(self, seconds: float, what: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, what)
