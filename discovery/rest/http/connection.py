"""A client's connection: requests are taken from it one by one and answered in their order.

What comes is only kept when it comes, and worked on in turns with all other connections: small requests first, by their routes, long
answers as their clients read. Nothing is parsed while a request is in hand, but for what came in one slice with it; while anything
waits, no more is read.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from time import monotonic
from typing import cast

from discovery.core.address import client_prefix
from discovery.core.caller import UNKNOWN
from discovery.core.log_fields import fields
from discovery.rest.api.answers import WITHOUT_BODY, Answer
from discovery.rest.api.deferred_answer import DeferredAnswer
from discovery.rest.api.errors import HttpError
from discovery.rest.api.requests import Arrival, Request
from discovery.rest.api.route import Kind
from discovery.rest.http.bodies import SMALL
from discovery.rest.http.deferred_exchange import DeferredExchange
from discovery.rest.http.framing import SLICE, Framer
from discovery.rest.http.phase_timer import SECONDS, Phase, PhaseTimer
from discovery.rest.http.pull import PIECE, Pull
from discovery.rest.http.shared import Shared
from discovery.system.turns import TURN

_log = logging.getLogger("discovery.rest")

# Seconds after which a connection that was sent much lets others go before it.
_STEP = 0.0005
# Seconds that the task of a small request takes at the most in one turn.
_SMALL_TASK = 0.0001
# Seconds for which one heartbeat stands for those that follow.
_NOTED_SECONDS = 5.0
# Seconds within which the order of connections by their last requests may be another.
_ORDER_SECONDS = 0.1
# Seconds for which a large request waits at the most while half of what may wait for clients does.
_CROWDED_SECONDS = 1.0
# Octets of a body that are parsed at a time.
_BODY_SLICE = 256 * 1024
# Octets that wait in the transport; with more, nothing else is written, or asked for, until they have gone.
UNSENT = 4 * 1024
# Octets of an answer of its own that a client may leave unread for as long as Phase.READ; of more, for as long as Phase.READ_MUCH.
MUCH = 256 * 1024
# Seconds that a client may go on sending what nobody wants, so that it gets to read why.
LINGERING_SECONDS = 2.0
# Seconds that it may take for the last octets of a connection that we have closed.
LAST_WORDS_SECONDS = 5.0


class Connection(asyncio.Protocol):
    """`_unread`: octets that are not parsed yet. `_paused`: the client does not read what it asked for. `_closing`: nothing that comes
    is looked at any more. `_stopping`: what is in hand is the last. `_scheduled`: it has a step to come. `_large`: the next request is
    large, and has waited for its turn. `beat_at`: of its last heartbeat, monotonic seconds.
    """

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._front = shared.front
        self._limits = shared.limits
        self._turns = shared.turns
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._framer = Framer(self._admit, shared.heads)
        self._timer = PhaseTimer(self._loop, self._too_slow)
        self._unread = b""
        self._new = True
        self._current: Request | None = None  # whose answer is being made, or sent
        self._exchange: DeferredExchange | None = None
        self._task: asyncio.Task[Answer] | None = None
        self._pull: Pull | None = None
        self._held = 0  # octets that wait for this client, as `waiting` knows it
        self._waits_until = 0.0  # that others have read, monotonic seconds
        self._since = 0.0  # the last request's beginning, or the end of its answer, monotonic seconds
        self._paused = self._reading_paused = self._closing = self._stopping = self._scheduled = self._large = False
        self.beat_at = self._ordered_at = _NEVER
        self.address = self.prefix = ""
        self.arrival = Arrival("", 0, "http")

    # -- what the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=UNSENT)
        peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        self.address = str(peer[0]) if peer else UNKNOWN
        self.prefix = client_prefix(self.address)
        if self.address in self._front.proxies:  # it is of many clients, so it counts alone
            self.prefix = f"{self.prefix} {id(self)}"
        if own:
            scheme = "http" if transport.get_extra_info("sslcontext") is None else "https"
            self.arrival = Arrival(own[0], own[1], scheme)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._shared.open.add(self)
        self._since = monotonic()
        if self._limits.opened(self):
            self._update_timer()
        else:
            text = "There are too many connections; try again in a moment"
            self._stopping = True  # it is not counted, so it must not linger
            self._refuse(HttpError(503, "TOO_MANY_CONNECTIONS", text, retryAfter=1))

    def data_received(self, data: bytes) -> None:
        if not self._framer.ended and not (self._stopping and self._framer.coming is None):
            self._unread = self._unread + data if self._unread else data
            if self._scheduled:
                if len(self._unread) > SLICE:
                    self._update_reading()
            elif self._turns.may_go_ahead():
                self._work()
            else:
                self._schedule()

    def eof_received(self) -> bool:
        """True: the connection stays until what was asked for has been answered."""
        self._stopping = True
        assert self._transport is not None
        if self._exchange is not None:  # nobody who waits says good-bye first
            return False
        return not self.is_idle() and self._transport.get_extra_info("sslcontext") is None

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing may refer to this object, or to what it refers to, in a circle from now on: the collector does not look for those that
        have lived long (`cli.gc_tuning`).
        """
        self._closing = True
        if self._current is not None:
            if self._pull is None and (self._exchange is None or not self._exchange.begun):
                self._current.status = 0
            self._shared.note(self._current, self._current.address, monotonic() - self._since)
        self._shared.closed(self)
        self._limits.closed(self)
        if self._task is None:  # else the body is still worked on
            self._shared.bodies.done(self)
        self._timer.stop()
        self._framer.close()
        self._transport = None
        if self._pull is not None:
            pull, self._pull = self._pull, None
            pull.close()
        self._hold()
        if self._exchange is not None:
            exchange, self._exchange = self._exchange, None
            exchange.lost()

    def pause_writing(self) -> None:
        self._paused = True
        if self._exchange is not None:
            self._exchange.pause_writing()
        self._hold()
        self._update_timer()

    def resume_writing(self) -> None:
        self._paused = False
        if self._exchange is not None:
            self._exchange.resume_writing()
        self._hold()
        self._update_timer()  # it has read, so the time for that begins anew
        self._schedule()

    # -- what others ask of it

    def is_idle(self) -> bool:
        return self._current is None and not self._framer.whole and not self._unread

    def make_way(self) -> None:
        self._closing = True
        if self._transport is not None:
            self._transport.abort()  # what is unsent would keep its descriptor, uncounted

    def give_up(self) -> None:
        """At the end of the server."""
        self.make_way()
        if self._task is not None:
            self._task.cancel()

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
        self._schedule()

    # -- turns

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            if self._large or self._pull is not None:
                self._turns.add(self._step)
            else:
                self._turns.add_small(self._step)

    def _step(self) -> bool:
        self._scheduled = False
        if self._is_gone:
            pass
        elif self._pull is not None:
            self._send_more(self._pull)
        else:
            self._work()
        return False

    @property
    def _is_gone(self) -> bool:
        """Nothing can be written: its transport may have failed, and tell it in a moment."""
        return self._closing or self._transport is None or self._transport.is_closing()

    def _work(self) -> None:
        framer = self._framer
        began = now = monotonic()
        while not (self._closing or self._paused or self._current is not None):
            if framer.whole:
                request = framer.whole[0]
                if not self._large and (not request.route.is_small or "?" in request.target):
                    self._large = True
                    self._schedule()
                    break
                if self._large and self._has_to_wait():
                    break
                self._large = False
                del framer.whole[0]
                self._begin(request, now)
                now = self._since
            elif framer.ended:
                self._end()
            elif self._unread:
                self._parse()
                if framer.whole:
                    continue
                now = monotonic()
            elif self._stopping and framer.coming is None:
                self._end()
            else:
                break
            if now > began + _STEP:
                self._go_on()
                break
        self._update_timer()
        self._turns.spent(now - began)

    def _go_on(self) -> None:
        """With what waits, if anything does."""
        if self._unread or self._framer.whole or self._framer.ended or self._stopping:
            self._schedule()
        else:
            self._update_timer()

    def _has_to_wait(self) -> bool:
        """While others have much to read, for a moment: whoever is answered now would have octets wait that nobody has room for."""
        now = monotonic()
        if not self._shared.waiting.is_crowded():
            self._waits_until = 0.0
            return False
        if not self._waits_until:
            self._waits_until = now + _CROWDED_SECONDS
        elif now >= self._waits_until:
            self._waits_until = 0.0
            return False
        self._scheduled = True
        self._loop.call_later(_CROWDED_SECONDS / 20, self._turns.add, self._step)
        return True

    # -- requests

    def _admit(self, request: Request) -> None:
        request.arrival = self.arrival
        self._front.admit(request, self.address)

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
            self._shared.bodies.grown(self, framer.kept)
        else:
            self._shared.bodies.grown(self, len(coming.body))
            self._shared.bodies.whole(self)

    def _begin(self, request: Request, now: float) -> None:
        self._new = False
        self._since = now
        if self._ordered_at < now - _ORDER_SECONDS:
            self._ordered_at = now
            self._limits.used(self, now)
        answer = self._front.answer(request)
        if isinstance(answer, Answer):
            self._send(request, answer)
            return
        self._current, self._ordered_at = request, _NEVER
        self._limits.busy(self)
        if isinstance(answer, DeferredAnswer):
            self._defer(request, answer)
        else:
            self._task = self._loop.create_task(self._front.awaited(request, answer))
            self._task.add_done_callback(self._task_ended)
            self._turns.reserve(_SMALL_TASK if request.route.is_small else TURN)

    def _defer(self, request: Request, deferred: DeferredAnswer) -> None:
        assert self._transport is not None
        self._exchange = exchange = DeferredExchange(
            request, deferred, self._transport, self._front, self.address, self._exchange_ended
        )
        exchange.begin()
        if self._stopping and self._exchange is exchange:
            exchange.stop()

    def _task_ended(self, task: asyncio.Task[Answer]) -> None:
        request, self._current, self._task = self._current, None, None
        if self._is_gone:
            self._shared.bodies.done(self)
        elif not task.cancelled() and request is not None:
            self._limits.used(self, monotonic())
            self._send(request, task.result())
            self._go_on()

    def _exchange_ended(self) -> None:
        """In the middle of the other's work: it is told later that it has ended, as when the client leaves."""
        exchange, self._exchange, self._current = self._exchange, None, None
        if exchange is None:
            return
        self._loop.call_soon(exchange.lost)
        if self._is_gone:
            return
        if exchange.handed_on:
            self._begin(exchange.request, monotonic())
            return
        self._limits.used(self, monotonic())
        if exchange.outcome is not None:
            self._send(exchange.request, exchange.outcome)
            self._go_on()
        else:
            self._finish(exchange.request)
            self._close()

    # -- answers

    def _send(self, request: Request, answer: Answer) -> None:
        """All of it, or what is left as the client reads."""
        try:
            octets = self._front.octets(request, answer)
        except Exception as error:
            answer = self._front.refused(request, error)
            octets = self._front.octets(request, answer)
        body = answer.body
        if isinstance(body, bytes):
            if len(octets) <= PIECE:
                if self._transport is not None:
                    self._transport.write(octets)
                self._finish(request)
                return
            pull = Pull(octets, self._turns, self._hold)
        else:
            self._write(octets)
            if request.method == "HEAD" or request.status in WITHOUT_BODY:
                self._finish(request)
                return
            pull = Pull(body, self._turns, self._hold, chunked=request.version == "1.1")
        self._current, self._pull = request, pull
        self._hold()
        self._send_more(pull)

    def _send_more(self, pull: Pull) -> None:
        while not self._paused and not self._is_gone:
            try:
                piece = pull.next()
            except Exception:
                self._fail(pull)
                return
            if piece is None:
                self._sent(pull)
                return
            if piece:
                self._write(piece)
            if self._turns.is_over():
                self._schedule()
                return

    def _sent(self, pull: Pull) -> None:
        request, self._current, self._pull = self._current, None, None
        pull.close()
        self._hold()
        if request is not None:
            self._finish(request)
        self._schedule()

    def _fail(self, pull: Pull) -> None:
        request = self._current
        assert request is not None
        _log.exception(
            "%s %s failed",
            request.method,
            request.path,
            extra=fields("request.failed", method=request.method, path=request.path),
        )
        self.make_way()  # half an answer is all there will be

    def _finish(self, request: Request) -> None:
        now = monotonic()
        self._shared.note(request, request.address or self.address, now - self._since)
        self._since = now
        if request.route.kind is _HEARTBEAT and request.status < 300 and self.beat_at < now - _NOTED_SECONDS:
            self.beat_at = now
            self._limits.beats(self, now)
        if len(request.body) > SMALL:
            self._shared.bodies.done(self)

    def _write(self, octets: bytes) -> None:
        if self._transport is not None:
            self._transport.write(octets)

    def _hold(self) -> None:
        """So many octets wait for it."""
        held = 0 if self._pull is None else self._pull.own
        if self._paused and self._transport is not None:
            held += self._transport.get_write_buffer_size()
        if held != self._held:
            self._held = held
            self._shared.waiting.hold(self, held)

    # -- bounds

    def _update_timer(self) -> None:
        """What the client owes us decides how long it may take, and who makes way for others."""
        if self._closing or self._transport is None:
            return
        framer, phase = self._framer, _IDLE
        if self._paused:
            phase = Phase.READ if self._held <= MUCH else Phase.READ_MUCH
        elif self._current is not None or framer.whole or self._unread:
            pass
        elif framer.coming is not None:
            phase = Phase.BODY
            self._ask_for_body(framer.coming)
        elif self._new or framer.begun:
            phase = Phase.HEAD
        is_owing = phase in _OWING
        if (
            (phase is not self._timer.phase or is_owing)
            and self._timer.wait_for(phase, framer.heads_read if is_owing else 0)
            and is_owing
        ):
            self._ordered_at = _NEVER
            self._limits.owes(self)
        if bool(self._unread) is not self._reading_paused:
            self._update_reading()

    def _update_reading(self) -> None:
        """While octets wait, no more are read."""
        if self._closing or self._transport is None:
            return
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
        return self._exchange is not None and len(self._unread) <= SLICE

    def _ask_for_body(self, request: Request) -> None:
        """Of a client that waits for that, when those before it have been answered (RFC 9110 §10.1.1)."""
        if request.expects and not request.status and not self._framer.body_size:
            request.status = 100
            self._write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _too_slow(self, phase: Phase) -> None:
        if phase is Phase.IDLE:
            left = self._since + SECONDS[phase] - monotonic()
            if self._current is not None:  # the client waits, perhaps for long
                self._timer.wait(SECONDS[phase])
            elif left > 0:
                self._timer.wait(max(left, 1.0))
            else:
                self._close()
        elif phase in (Phase.READ, Phase.READ_MUCH):
            self.make_way()
        else:
            text = f"The {phase.name.lower()} of a request took longer than {SECONDS[phase]:g} s"
            self._refuse(HttpError(408, "REQUEST_TIMEOUT", text))

    def _refuse(self, error: HttpError) -> None:
        """The request that is coming, and all after it; answered when those before it are."""
        self._framer.refuse(error)
        self._schedule()

    def _end(self) -> None:
        """After the last answer. A client that is still sending would lose it if we did not read on (RFC 9112 §9.6)."""
        transport, cut = self._transport, self._framer.cut
        self._framer.close()
        self._unread = b""
        self._shared.bodies.done(self)
        if transport is not None and cut and not self._stopping and transport.can_write_eof():
            self._closing = True
            self._timer.stop()
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


_NEVER = float("-inf")
_HEARTBEAT = Kind.HEARTBEAT  # looking into an enum takes as long as all the rest of a test
_IDLE = Phase.IDLE
_OWING = (Phase.HEAD, Phase.BODY)
