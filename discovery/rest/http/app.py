"""The aiohttp application: routes, the plugins' middlewares, errors, and the headers of its answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from discovery.core.log_fields import fields
from discovery.rest.api.answers import INDEX
from discovery.rest.api.errors import of_framework
from discovery.rest.api.held import ForConnection
from discovery.rest.api.requests import MAX_BODY, REQUEST, sent
from discovery.rest.api.times import Times
from discovery.rest.http.exchange import Exchange
from discovery.rest.http.front import HEADERS, Front

_log = logging.getLogger("discovery.rest")


def make_app(
    front: Front, times: Times, routes: Iterable[web.AbstractRouteDef], middlewares: Iterable[Middleware] = ()
) -> web.Application:
    """`middlewares`: of the plugins. They see requests that were let in."""

    @web.middleware
    async def outermost(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Its request is given ours; errors become answers; and the exchange learns when one has been written whole."""
        exchange = request.transport
        if not isinstance(exchange, Exchange):
            raise asyncio.CancelledError("the client left before its answer")
        ours = request[REQUEST] = exchange.request
        response: web.StreamResponse
        try:
            made = await handler(request)
            if isinstance(made, ForConnection):
                exchange.held = made.held
                raise asyncio.CancelledError("the connection answers")
            return await written(request, made, exchange)
        except web.HTTPException as error:
            if error.status < 400:  # a redirect
                await written(request, error, exchange)
                raise
            response = of_framework(request, error, times).for_aiohttp()
        except Exception as error:
            if exchange.is_closing():
                raise asyncio.CancelledError("the client left before its answer") from None
            if exchange.begun:
                _log.exception(
                    "%s %s failed",
                    ours.method,
                    ours.path,
                    extra=fields("request.failed", method=ours.method, path=ours.path),
                )
                raise asyncio.CancelledError("half an answer is all there will be") from None
            response = front.refused(ours, error, request.remote or "").for_aiohttp()
        return await written(request, response, exchange)

    async def written(request: web.Request, response: web.StreamResponse, exchange: Exchange) -> web.StreamResponse:
        """aiohttp would do it too, and does not once it has been done; but it does not say when it failed."""
        await response.prepare(request)
        await response.write_eof()
        exchange.answered = True
        return response

    async def finish(request: web.Request, response: web.StreamResponse) -> None:
        ours, headers = sent(request), response.headers
        ours.status = response.status
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        headers.setdefault(INDEX, str(front.index()))
        headers.update(front.cors.granted(ours))
        headers.popall(hdrs.SERVER, None)
        if ours.keeps:  # aiohttp was told that it does not
            headers.popall(hdrs.CONNECTION, None)
        else:
            headers[hdrs.CONNECTION] = "close"

    app = web.Application(client_max_size=MAX_BODY, middlewares=[outermost, *middlewares])
    app.on_response_prepare.append(finish)
    app.add_routes(routes)
    return app
