"""A client's connection: requests are taken from it one by one and answered in their order.

What comes alone is worked on as it comes, all else in turns with all other connections: small requests first, by their routes, long
answers as their clients read. Nothing is parsed while a request is in hand, but for what came in one slice with it. `receiving` has what
comes, `sending` what goes.
"""

from __future__ import annotations

import asyncio
import socket
from time import monotonic
from typing import cast

from discovery.core.address import client_prefix
from discovery.core.caller import UNKNOWN
from discovery.rest.api.answers import Answer, DeferredAnswer
from discovery.rest.api.errors import HttpError
from discovery.rest.api.requests import Arrival, Request
from discovery.rest.api.route import Kind
from discovery.rest.http.deferred_exchange import DeferredExchange
from discovery.rest.http.framing import SLICE
from discovery.rest.http.receiving import Receiving
from discovery.rest.http.sending import NEVER
from discovery.rest.http.shared import Shared
from discovery.system.turns import TURN

# Seconds after which a connection that was sent much lets others go before it.
_STEP = 0.0005
# Seconds that the task of a small request takes at the most in one turn.
_SMALL_TASK = 0.0001
# Seconds within which the order of connections by their last requests may be another.
_ORDER_SECONDS = 0.1
# Seconds for which a large request waits at the most while half of what may wait for clients does.
_CROWDED_SECONDS = 1.0
# Octets that wait in the transport; with more, nothing else is written, or asked for, until they have gone.
UNSENT = 4 * 1024


class Connection(Receiving):
    """`_scheduled`: it has a step to come. `_large`: the next request is large, and has waited for its turn."""

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared)
        self._task: asyncio.Task[Answer] | None = None
        self._waits_until = 0.0  # that others have read, monotonic seconds
        self._scheduled = self._large = False

    # -- what the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._turns.read_urgent()
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
            self._stopping = True  # it is not counted, so it must not linger
            self._refuse(HttpError.usual("TOO_MANY_CONNECTIONS"))

    def data_received(self, data: bytes) -> None:
        if not self._framer.ended and not (self._stopping and self._framer.coming is None):
            self._unread = self._unread + data if self._unread else data
            if self._scheduled:
                if len(self._unread) > SLICE:
                    self._update_reading()
            elif self._turns.may_go_ahead():
                self._work()
            else:
                self._turns.read_urgent()
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
        self._turns.read_urgent()
        self._closing = True
        if self._current is not None:
            if self._pull is None and (self._exchange is None or not self._exchange.begun):
                self._current.status = 0
            self._shared.note(self._current, self._current.address, monotonic() - self._since)
        self._shared.closed(self)
        self._limits.closed(self)
        if self._task is None or self._task.done():  # else the body is still worked on
            self._body_done()
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

    def give_up(self) -> None:
        """At the end of the server."""
        self.make_way()
        if self._task is not None:
            self._task.cancel()

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
            if (
                self._large
                or self._pull is not None
                or (self._current is not None and not self._current.route.is_small)
            ):
                self._turns.add(self._step)
            else:
                self._turns.add_small(self._step)

    def _step(self) -> bool:
        self._scheduled = False
        if self._is_gone:
            pass
        elif self._pull is not None:
            self._send_more(self._pull)
        elif self._task is not None and self._task.done():
            self._answer(self._task)
        else:
            self._work()
        return False

    def _work(self) -> None:
        framer = self._framer
        began = now = monotonic()
        while not (self._closing or self._paused or self._current is not None):
            if self._unread and not (framer.whole or framer.ended):
                self._parse()
            if framer.whole:
                request = framer.whole[0]
                if self._large:
                    if self._has_to_wait():
                        break
                    self._large = False
                elif not request.route.is_small or ("?" in request.target and request.route.kind is not Kind.HEARTBEAT):
                    self._large = True
                    self._schedule()
                    break
                del framer.whole[0]
                self._begin(request, now)
                now = self._since
            elif self._unread and not framer.ended:
                now = monotonic()
            elif framer.ended or (self._stopping and framer.coming is None):
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

    def _begin(self, request: Request, now: float) -> None:
        self._new = False
        self._since = now
        answer = self._front.answer(request)
        if isinstance(answer, dict):
            answer = self._front.whole(answer)
        if isinstance(answer, Answer):
            if self._ordered_at < now - _ORDER_SECONDS:
                self._ordered_at = now
                self._limits.used(self, now)
            self._send(request, answer)
            return
        self._current, self._ordered_at = request, NEVER
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
        """A thousand may end at once, that waited for one disk or for one list."""
        if self._is_gone:
            self._current = self._task = None
            self._body_done()
        elif self._turns.may_go_ahead():
            began = monotonic()
            self._answer(task)
            self._turns.spent(monotonic() - began)
        else:
            self._schedule()

    def _answer(self, task: asyncio.Task[Answer]) -> None:
        request, self._current, self._task = self._current, None, None
        if not task.cancelled() and request is not None:
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
