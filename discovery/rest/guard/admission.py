"""Who is let in: each request is asked for once, before anything else looks at it, on both lanes."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from discovery.core.caller import Caller
from discovery.rest.api.requests import CALLER

# Method, path and the Authorization header (None without one) of a request, and the client's address; who that is. HttpError when
# there is no way in.
Admit = Callable[[str, str, "str | None", str], Caller]


def anyone(method: str, path: str, authorization: str | None, address: str) -> Caller:
    return Caller(address)


def middleware(admit: Admit) -> Middleware:
    @web.middleware
    async def admitted(request: web.Request, handler: Handler) -> web.StreamResponse:
        authorization = request.headers.get(hdrs.AUTHORIZATION)
        request[CALLER] = admit(request.method, request.path, authorization, request.remote or "")
        return await handler(request)

    return admitted
