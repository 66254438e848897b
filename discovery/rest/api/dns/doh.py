"""DNS over HTTPS (RFC 8484) at /dns-query: GET with ?dns= in base64url, POST with the message as the body.

HTTP carries the message; what it says, errors included, is the DNS side's. How long a reply may be kept is the shortest TTL in it
(§5.1).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Coroutine
from typing import Any

from discovery.core.errors import InvalidField
from discovery.rest.api.answers import Answer
from discovery.rest.api.errors import HttpError
from discovery.rest.api.query import Parameter, values_of
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Kind, Right, Route
from discovery.rest.api.services.listing import HEADING

# A message and the client's address in, the reply out: at once, later, or never.
Respond = Callable[[bytes, str], "bytes | Coroutine[Any, Any, bytes] | None"]
FreshFor = Callable[[bytes], int]

MEDIA_TYPE = "application/dns-message"
# RFC 1035 §4.2.2: no DNS message is longer.
MAX_MESSAGE = 65535


def _message(name: str, text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise InvalidField(name, "must be a DNS message in base64url") from None


_SCHEMA = {
    "type": "string", "pattern": "^[A-Za-z0-9_-]*$", "description": "a DNS message in base64url",
    "examples": ["AAABAAABAAAAAAAADHVzZXItc2VydmljZQNzdmMFbG9jYWwAAAEAAQ"],  # user-service.svc.local A
}  # fmt: skip


class DnsOverHttps:
    """`fresh_for(reply)`: seconds that the reply may be kept."""

    def __init__(self, respond: Respond, fresh_for: FreshFor) -> None:
        self._respond = respond
        self._fresh_for = fresh_for

    def routes(self) -> list[Route]:
        right, kind, summary = Right.READ, Kind.QUESTION, "DNS over HTTPS (RFC 8484)"
        return [
            Route(
                "GET", "/dns-query", self.get, right, kind, summary, HEADING, codes=("NO_QUERY",), media=MEDIA_TYPE,
                query={"dns": Parameter(_message, _SCHEMA, required=True)}, lenient=True,
            ),
            Route(
                "POST", "/dns-query", self.post, right, kind, summary, HEADING, codes=("NO_QUERY", "NOT_DNS"), media=MEDIA_TYPE,
                max_body=MAX_MESSAGE,
            ),
        ]  # fmt: skip

    async def get(self, request: Request) -> Answer:
        return await self._reply(values_of(request)["dns"], request)

    async def post(self, request: Request) -> Answer:
        media = (request.header(b"content-type") or "application/octet-stream").partition(";")[0].strip().lower()
        if media != MEDIA_TYPE:
            raise HttpError(415, "NOT_DNS", f"Content-Type is {media}; send a DNS message as {MEDIA_TYPE}")
        return await self._reply(request.body, request)

    async def _reply(self, message: bytes, request: Request) -> Answer:
        if len(message) > MAX_MESSAGE:
            raise HttpError(413, "BODY_TOO_LARGE", f"A DNS message has at most {MAX_MESSAGE} octets")
        reply = self._respond(message, request.address)
        if reply is None:
            raise HttpError.usual("NO_QUERY")
        if not isinstance(reply, bytes):
            reply = await reply
        return Answer(200, reply, {"Cache-Control": f"max-age={self._fresh_for(reply)}"}, media=MEDIA_TYPE)
