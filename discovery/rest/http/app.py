"""The aiohttp application behind our connections: what is streamed and the files of pages, errors, and the headers of its answers."""

from __future__ import annotations

import asyncio
import logging

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from discovery.core.log_fields import fields
from discovery.rest.api.answers import INDEX, STALE
from discovery.rest.api.json_body import MAX_BODY
from discovery.rest.api.requests import REQUEST, sent
from discovery.rest.http.exchange import Exchange
from discovery.rest.http.front import HEADERS, Front

_log = logging.getLogger("discovery.rest")


def make_app(front: Front) -> web.Application:
    """It routes nothing: who answers a request has been found before it gets here."""

    async def handle(request: web.Request) -> web.StreamResponse:
        by_aiohttp = sent(request).by_aiohttp
        assert by_aiohttp is not None
        return await by_aiohttp.handle(request)

    @web.middleware
    async def outermost(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Its request is given ours; errors become answers; and the exchange learns when one has been written whole."""
        exchange = request.transport
        if not isinstance(exchange, Exchange):
            raise asyncio.CancelledError("the client left before its answer")
        ours = request[REQUEST] = exchange.request
        try:
            return await written(request, await handler(request), exchange)
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
            response = front.refused(ours, error).for_aiohttp()
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
        if stale := front.stale():
            headers[STALE] = str(stale)
        headers.update(front.cors.granted(ours))
        headers.popall(hdrs.SERVER, None)
        if ours.keeps:  # aiohttp was told that it does not
            headers.popall(hdrs.CONNECTION, None)
        else:
            headers[hdrs.CONNECTION] = "close"

    app = web.Application(client_max_size=MAX_BODY, middlewares=[outermost])
    app.on_response_prepare.append(finish)
    app.router.add_route("*", "/{path:.*}", handle)
    return app
