"""A client's connection: requests are taken from it one by one and answered in their order, by our own handlers or through aiohttp.

Nothing is parsed while a request is in hand, but for what came in one slice with it; while anything waits, no more is read.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from time import monotonic
from typing import cast

from aiohttp import web

from discovery.core.address import client_prefix
from discovery.rest.api.answers import Answer
from discovery.rest.api.deferred_answer import DeferredAnswer
from discovery.rest.api.errors import HttpError
from discovery.rest.api.requests import Request
from discovery.rest.http.bodies import SMALL, Bodies
from discovery.rest.http.connections import Connections
from discovery.rest.http.exchange import Exchange
from discovery.rest.http.framing import SLICE, Framer
from discovery.rest.http.front import Front
from discovery.rest.http.heads import Heads
from discovery.rest.http.holding import Holding
from discovery.rest.http.patience import SECONDS, Patience, Phase

# Pipelined requests of one connection for one turn of the event loop: 50 µs each at the most.
_PER_TURN = 64
# Octets of a body that are parsed at a time.
_BODY_SLICE = 256 * 1024
# Seconds that a client may go on sending what nobody wants, so that it gets to read why.
LINGERING_SECONDS = 2.0
# Seconds that it may take for the last octets of a connection that we have closed.
LAST_WORDS_SECONDS = 5.0


# A request with the status of its answer, the client's address, and the seconds from one to the other. Status 0: the client left before.
Note = Callable[[Request, str, float], None]


class Shared:
    """What the connections of a server share. `aiohttp`: makes the protocols that answer what `front` does not."""

    def __init__(self, front: Front, limits: Connections, bodies: Bodies, aiohttp: web.Server, note: Note) -> None:
        self.front = front
        self.limits = limits
        self.bodies = bodies
        self.aiohttp = aiohttp
        self.note = note
        self.heads = Heads()
        self.open: set[Connection] = set()
        self._all_closed = asyncio.Event()

    def closed(self, connection: Connection) -> None:
        self.open.discard(connection)
        if not self.open:
            self._all_closed.set()

    async def wait_until_all_closed(self) -> None:
        self._all_closed.clear()
        if self.open:
            await self._all_closed.wait()


class Connection(asyncio.Protocol):
    """`_unread`: octets that are not parsed yet. `_paused`: the client does not read what it asked for. `_closing`: nothing that comes
    is looked at any more. `_stopping`: what is in hand is the last.
    """

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._front = shared.front
        self._limits = shared.limits
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._framer = Framer(self._admit, shared.heads)
        self._patience = Patience(self._loop, self._too_slow)
        self._unread = b""
        self._new = True
        self._current: Request | None = None  # whose answer is being made
        self._exchange: Exchange | Holding | None = None
        self._task: asyncio.Task[Answer] | None = None
        self._since = 0.0  # the last request's beginning, or the end of its answer, monotonic seconds
        self._paused = self._reading_paused = self._closing = self._stopping = self._scheduled = False
        self.address = self.prefix = ""

    # -- what the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if peer else ""
        self.prefix = client_prefix(self.address)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._shared.open.add(self)
        self._since = monotonic()
        if self._limits.opened(self):
            self._look()
        else:
            text = "There are too many connections; try again in a moment"
            self._stopping = True  # it is not counted, so it must not linger
            self._refuse(HttpError(503, "TOO_MANY_CONNECTIONS", text, retryAfter=1))

    def data_received(self, data: bytes) -> None:
        if not self._framer.ended and not (self._stopping and self._framer.coming is None):
            self._unread = self._unread + data if self._unread else data
            self._work()

    def eof_received(self) -> bool:
        """True: the connection stays until what was asked for has been answered."""
        self._stopping = True
        assert self._transport is not None
        if self._exchange is not None and self._exchange.ends_with_client:
            return False
        return not self.is_idle() and self._transport.get_extra_info("sslcontext") is None

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing may refer to this object, or to what it refers to, in a circle from now on: the collector does not look for those that
        have lived long (`cli.gc_tuning`).
        """
        self._closing = True
        if self._current is not None:
            if self._exchange is None or not self._exchange.begun:
                self._current.status = 0
            self._shared.note(self._current, self._current.address, monotonic() - self._since)
        self._shared.closed(self)
        self._limits.closed(self)
        if self._task is None:  # else the body is still worked on
            self._shared.bodies.done(self)
        self._patience.stop()
        self._framer.close()
        self._transport = None
        if self._exchange is not None:
            exchange, self._exchange = self._exchange, None
            exchange.lost(exc)

    def pause_writing(self) -> None:
        self._paused = True
        if self._exchange is not None:
            self._exchange.pause_writing()
        self._look()

    def resume_writing(self) -> None:
        self._paused = False
        if self._exchange is not None:
            self._exchange.resume_writing()
        self._look()  # it has read, so the time for that begins anew
        self._work()

    # -- what others ask of it

    @property
    def _is_busy(self) -> bool:
        return self._current is not None or bool(self._framer.whole)

    def is_idle(self) -> bool:
        return not self._is_busy and not self._unread

    def make_way(self) -> None:
        if self._transport is not None:
            self._transport.abort()  # what is unsent would keep its descriptor, uncounted

    def give_up_body(self) -> None:
        error = HttpError(
            503, "TOO_BUSY", "Too many large bodies are being sent at once; try again in a moment", retryAfter=1
        )
        if self._framer.whole:  # it has just come whole
            request = self._framer.whole[0]
            request.body, request.refusal = b"", error
        else:
            self._refuse(error)

    def stop(self) -> None:
        """What is in hand is finished, and what is coming whole is still taken."""
        self._stopping = True
        if self._exchange is not None:
            self._exchange.stop()
        self._work()

    # -- requests

    def _admit(self, request: Request) -> None:
        self._front.admit(request, self.address)

    def _work(self) -> None:
        """As far as it goes in one turn of the loop."""
        framer = self._framer
        for _ in range(_PER_TURN):
            if self._closing or self._paused or self._current is not None:
                break
            if framer.whole:
                self._begin(framer.whole.popleft())
            elif framer.ended:
                self._end()
            elif self._unread:
                self._parse()
            elif self._stopping and framer.coming is None:
                self._end()
            else:
                break
        else:
            if not self._scheduled:
                self._scheduled = True
                self._loop.call_soon(self._go_on)
        self._look()

    def _go_on(self) -> None:
        self._scheduled = False
        self._work()

    def _parse(self) -> None:
        framer, unread, coming = self._framer, self._unread, self._framer.coming
        size = SLICE if coming is None else max(SLICE, min(framer.missing, _BODY_SLICE))
        if len(unread) <= size:
            self._unread = b""
        else:
            unread, self._unread = unread[:size], unread[size:]
        framer.feed(unread)
        if coming is None:
            return  # what has begun in one slice is small
        if framer.coming is coming:
            self._shared.bodies.grown(self, framer.held)
        else:
            self._shared.bodies.grown(self, len(coming.body))
            self._shared.bodies.whole(self)

    def _begin(self, request: Request) -> None:
        self._new = False
        self._since = monotonic()
        self._limits.used(self)
        self._answer(request)

    def _answer(self, request: Request) -> None:
        answer = self._front.answer(request)
        if isinstance(answer, Answer):
            self._say(request, answer)
            return
        self._current = request
        self._limits.busy(self)
        if answer is None:
            self._exchange_with_aiohttp(request)
        elif isinstance(answer, DeferredAnswer):
            self._hold(request, answer)
        else:
            self._task = self._loop.create_task(self._front.awaited(request, answer))
            self._task.add_done_callback(self._task_ended)

    def _exchange_with_aiohttp(self, request: Request) -> None:
        assert self._transport is not None
        self._current = request
        self._exchange = exchange = Exchange(request, self._transport, self._exchange_ended)
        exchange.begin(self._shared.aiohttp)

    def _hold(self, request: Request, held: DeferredAnswer) -> None:
        assert self._transport is not None
        self._current = request
        self._exchange = holding = Holding(
            request, held, self._transport, self._front, self.address, self._exchange_ended
        )
        holding.begin()
        if self._stopping and self._exchange is holding:
            holding.stop()

    def _say(self, request: Request, answer: Answer) -> None:
        self._write(self._front.octets(request, answer))
        self._said(request)

    def _said(self, request: Request) -> None:
        now = monotonic()
        self._shared.note(request, request.address or self.address, now - self._since)
        self._since = now
        if len(request.body) > SMALL:
            self._shared.bodies.done(self)

    def _task_ended(self, task: asyncio.Task[Answer]) -> None:
        request, self._current, self._task = self._current, None, None
        if self._closing:
            self._shared.bodies.done(self)
        elif not task.cancelled() and request is not None:
            self._limits.used(self)
            self._say(request, task.result())
            self._work()

    def _exchange_ended(self) -> None:
        """In the middle of the other's work: it is told later that its connection is gone, as from any other transport."""
        exchange, self._exchange, self._current = self._exchange, None, None
        if exchange is None:
            return
        self._loop.call_soon(exchange.lost, None)
        if self._closing:
            return
        if exchange.handed_on:
            self._answer(exchange.request)
        else:
            self._limits.used(self)
            self._said(exchange.request)
            if exchange.answered:
                self._loop.call_soon(self._go_on)
            else:
                self._close()

    def _write(self, octets: bytes) -> None:
        if self._transport is not None:
            self._transport.write(octets)

    # -- bounds

    def _look(self) -> None:
        """What the client owes us decides how long it may take, and who makes way for others. While octets wait, no more are read."""
        if self._closing or self._transport is None:
            return
        framer = self._framer
        if self._paused:
            phase = Phase.READ
        elif self._is_busy or self._unread:
            phase = Phase.IDLE
        elif framer.coming is not None:
            phase = Phase.BODY
            self._ask_for_body(framer.coming)
        else:
            phase = Phase.HEAD if self._new or framer.begun else Phase.IDLE
        is_owing = phase in _OWING
        if self._patience.wait_for(phase, framer.heads_read if is_owing else 0) and is_owing:
            self._limits.owes(self)
        if (bool(self._unread) and not self._waits_for_the_end()) is not self._reading_paused:
            self._reading_paused = not self._reading_paused
            if self._reading_paused:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _waits_for_the_end(self) -> bool:
        """It has to be noticed that the client goes: whoever does not read on does not see it. A client that sends much meanwhile is not
        read on all the same.
        """
        return self._exchange is not None and self._exchange.ends_with_client and len(self._unread) <= SLICE

    def _ask_for_body(self, request: Request) -> None:
        """Of a client that waits for that, when those before it have been answered (RFC 9110 §10.1.1)."""
        if request.expects and not request.status and not self._framer.body_size:
            request.status = 100
            self._write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _too_slow(self, phase: Phase) -> None:
        if phase is Phase.IDLE:
            left = self._since + SECONDS[phase] - monotonic()
            if self._current is not None:  # the client waits, perhaps for long
                self._patience.wait(SECONDS[phase])
            elif left > 0:
                self._patience.wait(max(left, 1.0))
            else:
                self._close()
        elif phase is Phase.READ:
            self.make_way()
        else:
            text = f"The {phase.name.lower()} of a request took longer than {SECONDS[phase]:g} s"
            self._refuse(HttpError(408, "REQUEST_TIMEOUT", text))

    def _refuse(self, error: HttpError) -> None:
        """The request that is coming, and all after it; answered when those before it are."""
        self._framer.refuse(error)
        self._work()

    def _end(self) -> None:
        """After the last answer. A client that is still sending would lose it if we did not read on (RFC 9112 §9.6)."""
        transport, cut = self._transport, self._framer.cut
        self._framer.close()
        self._unread = b""
        self._shared.bodies.done(self)
        if transport is not None and cut and not self._stopping and transport.can_write_eof():
            self._closing = True
            self._patience.stop()
            transport.write_eof()
            if self._reading_paused:
                transport.resume_reading()
            self._loop.call_later(LINGERING_SECONDS, transport.abort)
        else:
            self._close()

    def _close(self) -> None:
        """A client that never reads would keep what is unsent, and so the connection, for ever."""
        transport, self._closing = self._transport, True
        if transport is not None:
            transport.close()
            if transport.get_write_buffer_size():
                self._loop.call_later(LAST_WORDS_SECONDS, transport.abort)


_OWING = (Phase.HEAD, Phase.BODY)
