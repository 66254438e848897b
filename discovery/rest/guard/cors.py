"""CORS (the Fetch standard's protocol) for a fixed list of origins, compared exactly. Never a wildcard.

Headers are added by a signal, so that streamed answers and errors have them too; only preflights need a middleware.
"""

from __future__ import annotations

from collections.abc import Collection

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

_PREFLIGHT_SECONDS = "600"  # Chromium keeps a preflight for two hours at most, Safari for ten minutes


def install(app: web.Application, origins: Collection[str]) -> None:
    allowed = frozenset(origins)

    async def grant(request: web.Request, response: web.StreamResponse) -> None:
        response.headers.add(hdrs.VARY, hdrs.ORIGIN)  # also without one: what caches keep differs
        origin = request.headers.get(hdrs.ORIGIN)
        if origin in allowed:
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_CREDENTIALS] = "true"
            response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = hdrs.LOCATION

    app.middlewares.append(_answer_preflight)
    app.on_response_prepare.append(grant)


@web.middleware
async def _answer_preflight(request: web.Request, handler: Handler) -> web.StreamResponse:
    headers = request.headers
    if request.method != hdrs.METH_OPTIONS or hdrs.ACCESS_CONTROL_REQUEST_METHOD not in headers:
        return await handler(request)
    response = web.Response(status=204)
    response.headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = "GET, POST, PUT, DELETE"
    response.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = "Authorization, Content-Type"
    response.headers[hdrs.ACCESS_CONTROL_MAX_AGE] = _PREFLIGHT_SECONDS
    return response
