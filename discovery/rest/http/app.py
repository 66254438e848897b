"""The aiohttp application: routes, middleware, limits."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

from discovery.rest.api import errors
from discovery.rest.api.handlers import Handlers
from discovery.rest.api.requests import IN_HAND, MAX_BODY, InHand
from discovery.rest.api.times import Times
from discovery.rest.guard import admission, browsers, cors
from discovery.rest.guard.admission import Admit, anyone
from discovery.rest.guard.browsers import IsHost


def make_app(
    handlers: Handlers,
    times: Times,
    origins: Collection[str],
    admit: Admit = anyone,
    is_host: IsHost = lambda host: True,
    only_local: bool = False,
    routes: Iterable[web.AbstractRouteDef] = (),
    middlewares: Iterable[Middleware] = (),
) -> web.Application:
    """`routes` and `middlewares` are those of the plugins; theirs run inside the error table, CORS and admission.

    `is_host`, `only_local`: as `browsers` has them.
    """
    app = web.Application(client_max_size=MAX_BODY)
    app[IN_HAND] = InHand()
    cors.install(app, origins)
    app.middlewares.append(errors.middleware(times, MAX_BODY))
    app.middlewares.append(browsers.middleware(origins, is_host, only_local))
    app.middlewares.extend([admission.middleware(admit), *middlewares])
    app.on_response_prepare.append(_harden)
    app.add_routes([*handlers.routes(), *routes])
    return app


async def _harden(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in errors.SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault(hdrs.SERVER, "discovery")  # and not what it is made of
