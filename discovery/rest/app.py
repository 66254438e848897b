"""The aiohttp application, and the runner that serves it: routes, middleware, limits."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Middleware
from aiohttp.web_protocol import RequestHandler

from discovery.rest import cors, errors
from discovery.rest.access_log import AccessLogger, logger
from discovery.rest.handlers import Handlers
from discovery.rest.times import Times

# Room for a batch of 10,000 heartbeats of 200 octets each; nothing else comes near it.
MAX_BODY = 2 * 1024 * 1024
# Seconds for requests in hand when the process is asked to stop (it has five in all).
SHUTDOWN_SECONDS = 3.0


def make_app(
    handlers: Handlers,
    times: Times,
    origins: Collection[str],
    routes: Iterable[web.AbstractRouteDef] = (),
    middlewares: Iterable[Middleware] = (),
) -> web.Application:
    """`routes` and `middlewares` are those of the plugins; theirs run inside the error table and CORS."""
    app = web.Application(client_max_size=MAX_BODY)
    cors.install(app, origins)
    app.middlewares.extend([errors.middleware(times, MAX_BODY), *middlewares])
    app.add_routes([*handlers.routes(), *routes])
    return app


class Runner(web.AppRunner):
    """Serves the application; what is not even HTTP gets a JSON error like everything else."""

    def __init__(self, app: web.Application, times: Times) -> None:
        super().__init__(
            app,
            access_log_class=AccessLogger,
            access_log=logger,
            shutdown_timeout=SHUTDOWN_SECONDS,
            auto_decompress=False,  # no JSON bombs
        )
        self._times = times

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

        return _Server(self._times, as_json, request_factory=made.request_factory, **made._kwargs)


class _Server(web.Server):
    def __init__(self, times: Times, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.times = times

    def __call__(self) -> RequestHandler:
        return _Protocol(self, loop=self._loop, **self._kwargs)


class _Protocol(RequestHandler):
    __slots__ = ()

    def data_received(self, data: bytes) -> None:
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
