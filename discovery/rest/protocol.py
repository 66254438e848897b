"""The HTTP server's connections: aiohttp's, with a fast lane in front, JSON for what is no HTTP, and a graceful end."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from discovery.rest import errors
from discovery.rest.access_log import AccessLogger, logger
from discovery.rest.fast import FastLane
from discovery.rest.requests import MAX_BODY
from discovery.rest.times import Times

# Seconds for requests in hand when the process is asked to stop. aiohttp may wait twice as long, and five are all there are.
SHUTDOWN_SECONDS = 2.0
# Pipelined requests of one connection for one turn of the event loop: 50 µs each at the most.
_PER_TURN = 64


class Runner(web.AppRunner):
    """Serves the application; what is not even HTTP gets a JSON error like everything else.

    `lane` None: every request goes through the application, because somebody wants to see each.
    """

    def __init__(self, app: web.Application, times: Times, lane: FastLane | None) -> None:
        super().__init__(
            app,
            access_log_class=AccessLogger,
            access_log=logger,
            shutdown_timeout=SHUTDOWN_SECONDS,
            auto_decompress=False,  # no JSON bombs
        )
        self._times = times
        self._lane = lane

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        handle = made.request_handler

        async def as_json(request: web.BaseRequest) -> web.StreamResponse:
            """For what aiohttp raises outside the middlewares: an Expect that it does not know."""
            try:
                return await handle(request)
            except web.HTTPException as error:
                if error.status < 400:
                    raise
                return errors.of_framework(request, error, self._times, MAX_BODY)

        return _Server(self._times, self._lane, as_json, request_factory=made.request_factory, **made._kwargs)


class _Server(web.Server):
    def __init__(self, times: Times, lane: FastLane | None, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.times = times
        self.lane = lane

    def __call__(self) -> RequestHandler:
        return _Protocol(self, loop=self._loop, **self._kwargs)


class _Protocol(RequestHandler):
    """`_held`: the beginning of a request for the fast lane. `_owed`: octets that aiohttp still has to get of its request.

    `_waiting`: `_held` is for a later turn. `_foreign`: where requests end on this connection is only known to aiohttp from now on.
    """

    __slots__ = ("_address", "_foreign", "_held", "_lane", "_owed", "_waiting")

    def __init__(self, manager: _Server, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self._lane = manager.lane
        self._foreign = self._lane is None
        self._held = b""
        self._owed = 0
        self._waiting = False
        self._address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self._address = str(peer[0]) if peer else ""

    def data_received(self, data: bytes) -> None:
        if not data:  # aiohttp goes on with what it has
            super().data_received(b"")
        elif self._waiting:
            self._held += data
        else:
            self._deal(self._held + data)

    def resume_writing(self) -> None:
        super().resume_writing()
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
                    reply, size = self._lane.take(data, self._address)
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
        self.transport.write(reply)
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout

    def _feed(self, data: bytes) -> None:
        """While it stops, aiohttp drops what arrives. The rest of a request in hand is let through."""
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
        assert isinstance(self._manager, _Server)
        if status == 400:
            first_line = (message or "").strip().partition("\n")[0].rstrip(":")
            text = f"This is not an HTTP request that can be read: {first_line}"
            response = errors.body(status, "BAD_REQUEST", text, self._manager.times)
        else:
            self.log_exception("A request from %s failed", request.remote, exc_info=exc)
            response = errors.body(status, "INTERNAL", errors.INTERNAL, self._manager.times)
        response.force_close()
        return response
