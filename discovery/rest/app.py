"""The aiohttp application: routes, middleware, limits."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from aiohttp import web
from aiohttp.typedefs import Middleware

from discovery.rest import cors, errors
from discovery.rest.handlers import Handlers
from discovery.rest.requests import MAX_BODY
from discovery.rest.times import Times


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
