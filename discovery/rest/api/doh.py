"""DNS over HTTPS (RFC 8484) at /dns-query: GET with ?dns= in base64url, POST with the message as the body.

HTTP carries the message; what it says, errors included, is the DNS side's. How long a reply may be kept is the shortest TTL in it
(§5.1).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Coroutine
from typing import Any

from aiohttp import web

from discovery.rest.api.errors import HttpError
from discovery.rest.api.requests import MAX_MESSAGE, sent

# A message and the client's address in, the reply out: at once, later, or never.
Respond = Callable[[bytes, str], "bytes | Coroutine[Any, Any, bytes] | None"]
FreshFor = Callable[[bytes], int]

MEDIA_TYPE = "application/dns-message"
_EXAMPLE = "/dns-query?dns=AAABAAABAAAAAAAADHVzZXItc2VydmljZQNzdmMFbG9jYWwAAAEAAQ"


class DnsOverHttps:
    """`fresh_for(reply)`: seconds that the reply may be kept."""

    def __init__(self, respond: Respond, fresh_for: FreshFor) -> None:
        self._respond = respond
        self._fresh_for = fresh_for

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/dns-query", self.get), web.post("/dns-query", self.post)]

    async def get(self, request: web.Request) -> web.Response:
        text = request.query.get("dns")
        if text is None:
            raise HttpError(400, "PARAMETER_MISSING", "dns: the query parameter is required", example=_EXAMPLE)
        try:
            message = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise HttpError(400, "INVALID_FIELD", "dns: must be a DNS message in base64url", field="dns") from None
        return await self._reply(message, request)

    async def post(self, request: web.Request) -> web.Response:
        if request.content_type != MEDIA_TYPE:
            raise HttpError(
                415, "NOT_DNS", f"Content-Type is {request.content_type}; send a DNS message as {MEDIA_TYPE}"
            )
        return await self._reply(sent(request).body, request)

    async def _reply(self, message: bytes, request: web.Request) -> web.Response:
        if len(message) > MAX_MESSAGE:
            raise HttpError(413, "BODY_TOO_LARGE", f"A DNS message has at most {MAX_MESSAGE} octets")
        reply = self._respond(message, request.remote or "")
        if reply is None:
            raise HttpError(400, "NO_QUERY", "This is no DNS query: it is a response, or too short to have an id")
        if not isinstance(reply, bytes):
            reply = await reply
        headers = {"Cache-Control": f"max-age={self._fresh_for(reply)}"}
        return web.Response(body=reply, content_type=MEDIA_TYPE, headers=headers)
