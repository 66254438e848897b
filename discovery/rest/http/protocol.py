"""The HTTP server's connections: aiohttp's, with a fast lane in front, bounds on number and time, and JSON for what is no HTTP."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from discovery.rest.api import errors
from discovery.rest.api.times import Times
from discovery.rest.http.connections import Connections
from discovery.rest.http.fast import FastLane
from discovery.rest.http.patience import Patience, Phase

# How long a client may take for the last octets of a connection that we have closed.
LAST_WORDS_SECONDS = 5.0
# Pipelined requests of one connection for one turn of the event loop: 50 µs each at the most.
_PER_TURN = 64


class Server(web.Server):
    def __init__(
        self, times: Times, lane: FastLane | None, connections: Connections, *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.times = times
        self.lane = lane
        self.limits = connections

    def __call__(self) -> RequestHandler:
        return _Protocol(self, loop=self._loop, **self._kwargs)


class _Protocol(RequestHandler):
    """`_held`: the beginning of a request for the fast lane. `_owed`: octets that aiohttp still has to get of its request.

    `_waiting`: `_held` is for a later turn. `_foreign`: where requests end on this connection is only known to aiohttp from now on.
    `_begun`: aiohttp has octets of a request whose head is not whole. `_owes`: the client, the rest of a request or its first.
    """

    __slots__ = (
        "_awaited", "_begun", "_connections", "_foreign", "_held", "_lane", "_owed", "_owes", "_patience", "_waiting", "address",
    )  # fmt: skip

    def __init__(self, manager: Server, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self._lane = manager.lane
        self._foreign = self._lane is None
        self._held = b""
        self._owed = 0
        self._waiting = False
        self._begun = False
        self._awaited: object = None  # the body that BODY is about
        self._owes = True  # its first request
        self._connections = manager.limits
        self._patience = Patience(self._loop, self._too_slow)
        self.address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if peer else ""
        super().connection_made(transport)
        if self._connections.opened(self):
            self._patience.wait_for(Phase.HEAD)
        else:
            self._refuse(
                503, "TOO_MANY_CONNECTIONS", "There are too many connections; try again in a moment", retryAfter=1
            )

    def connection_lost(self, exc: BaseException | None) -> None:
        self._connections.closed(self)
        self._patience.wait_for(Phase.NOTHING)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not data:  # aiohttp goes on with what it has
            super().data_received(b"")
            return
        if self._waiting:
            self._held += data
        else:
            self._deal(self._held + data)
        if not self._paused:
            self._look()

    # -- bounds

    def is_idle(self) -> bool:
        return not self._messages and self._current_request is None and not self._waiting

    def make_way(self) -> None:
        if self.transport is not None:
            self.transport.abort()  # what is unsent would keep its descriptor, uncounted

    def force_close(self) -> None:
        """A client that never reads would keep what is unsent, and so the connection, for ever."""
        transport = self.transport
        super().force_close()
        if transport is not None and transport.get_write_buffer_size():
            self._loop.call_later(LAST_WORDS_SECONDS, transport.abort)

    def _look(self) -> None:
        """What the client still owes of its request decides how long it may take, and who makes way for others."""
        phase = self._phase()
        self._patience.wait_for(phase)
        if phase is not Phase.NOTHING:
            self._connections.owes(self)
            self._owes = True
        elif self._owes and not self._begun:
            self._owes = False
            self._connections.used(self)

    def _phase(self) -> Phase:
        if self._held and not self._waiting:
            return Phase.BODY if b"\r\n\r\n" in self._held else Phase.HEAD
        if self._owed:
            return Phase.BODY
        if self._messages:
            payload = self._messages[-1][1]
        elif self._current_request is not None:
            payload = self._current_request._payload
        else:
            return Phase.HEAD if self._begun else Phase.NOTHING
        self._begun = False
        if payload.is_eof():
            return Phase.NOTHING
        if payload is not self._awaited:  # of another request than before: its time begins now
            self._awaited = payload
            self._patience.wait_for(Phase.NOTHING)
        return Phase.BODY

    def _too_slow(self, phase: Phase) -> None:
        if phase is Phase.READ:
            if self.transport is not None:
                self.transport.abort()
        elif self.is_idle() or phase is Phase.BODY:
            text = f"The {phase.name.lower()} of a request took longer than {phase.value:g} s"
            self._refuse(408, "REQUEST_TIMEOUT", text)

    def _refuse(self, status: int, code: str, message: str, **facts: Any) -> None:
        """Says why, if that can be said at once, and closes."""
        assert isinstance(self._manager, Server)
        if self.transport is not None and not self.transport.is_closing():
            content = errors.content(status, code, message, self._manager.times, facts)
            fields = errors.SECURITY_HEADERS | {
                "Content-Type": "application/json",
                "Content-Length": str(len(content)),
                "Connection": "close",
            }
            head = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *map(": ".join, fields.items()), "", ""]
            self.transport.write("\r\n".join(head).encode() + content)
        self.force_close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._patience.wait_for(Phase.READ)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._look()
        if self._waiting:
            self._go_on()

    def _deal(self, data: bytes) -> None:
        """Deals out requests, in their order, to the fast lane and to aiohttp."""
        self._held = b""
        for _ in range(_PER_TURN):
            if not data:
                return
            if self._foreign or self._lane is None:
                self._feed(data)
                return
            if self._paused:  # the client does not read what it asked for
                break
            if not self._owed:
                if self._is_idle():
                    reply, size = self._lane.take(data, self.address)
                    if reply is not None:
                        self._answer(reply)
                        data = data[size:]
                        continue
                    if not size:
                        self._held = data
                        return
                whole = self._lane.size(data)
                if whole is None:
                    self._foreign = True
                    continue
                self._owed = whole
            part = data[: self._owed]
            self._owed -= len(part)
            self._feed(part)
            data = data[len(part) :]
        if data:
            self._wait(data)

    def _wait(self, data: bytes) -> None:
        """The rest in a later turn, or when the client has read; meanwhile nothing more is read from it."""
        self._held = data
        self._waiting = True
        self._pause_transport_reading()
        if not self._paused:
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        if self._waiting and not self._paused and self.transport is not None:
            self._waiting = False
            if not self._reading_paused and not self._buffer_paused:
                self._resume_transport_reading()
            self._deal(self._held)

    def _is_idle(self) -> bool:
        """Nothing before this request is still to be answered, and the connection stays."""
        waiter = self._waiter
        free = waiter is not None and not waiter.done() and not self._messages
        return free and not self._close and not self._force_close

    def _answer(self, reply: bytes) -> None:
        assert self.transport is not None
        if self._owes:
            self._owes = False
            self._connections.used(self)
            self._patience.wait_for(Phase.NOTHING)
        self.transport.write(reply)
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout

    def _feed(self, data: bytes) -> None:
        """While it stops, aiohttp drops what arrives. The rest of a request in hand is let through."""
        self._begun = True
        stopping = self._close, self._force_close
        if self._request_in_progress:
            self._close = self._force_close = False
        super().data_received(data)
        if any(stopping):
            self._close, self._force_close = stopping

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """aiohttp calls this for what its parser refused, and for what escaped the error table."""
        if request.writer.output_size > 0 or isinstance(exc, ConnectionError):
            raise ConnectionError("The answer has begun, or the client has left: there is nobody to tell")
        assert isinstance(self._manager, Server)
        if status == 400:
            first_line = (message or "").strip().partition("\n")[0].rstrip(":")
            text = f"This is not an HTTP request that can be read: {first_line}"
            response = errors.body(status, "BAD_REQUEST", text, self._manager.times)
        else:
            self.log_exception("A request from %s failed", request.remote, exc_info=exc)
            response = errors.body(status, "INTERNAL", errors.INTERNAL, self._manager.times)
        response.force_close()
        return response
