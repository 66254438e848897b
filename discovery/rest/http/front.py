"""What all connections of a server share: who is let in, who answers a request, and the octets of our own answers."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from http import HTTPStatus

import orjson
from pydantic import ValidationError

from discovery.rest.api.answers import INDEX, JSON, WITHOUT_BODY, Answer
from discovery.rest.api.errors import HttpError, answer_to, of_shape
from discovery.rest.api.etag import conditional
from discovery.rest.api.held import Held
from discovery.rest.api.requests import Request
from discovery.rest.api.resolving import Resolve
from discovery.rest.api.times import Times
from discovery.rest.guard.admission import Admit
from discovery.rest.guard.browsers import Browsers
from discovery.rest.guard.cors import Cors, preflight
from discovery.rest.guard.refusals import Refusals

# On every answer of the API: for browsers that are led here it is no page, no script and no frame. Pages have a policy of their own.
HEADERS = {
    "Vary": "Origin",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
_ALLOW = {"Allow": "GET, HEAD, POST, PUT, DELETE, OPTIONS"}
_NO_CONTENT = f"%b{INDEX}: %d\r\n%b\r\n".encode()
_WHOLE = f"%b{INDEX}: %d\r\n%bContent-Length: %d\r\n\r\n%b".encode()
_NAME = re.compile(r"/resolve/([A-Za-z0-9_-]+)")


# As PlainHandler. None: aiohttp has the handler.
MaybePlainHandler = Callable[[Request], "Answer | Awaitable[Answer] | Held | None"]


class Front:
    """`plain`: handlers by method and path that are called without aiohttp, and `resolve` that of GET /resolve/NAME; none when somebody
    wants to see every request. `refusals`: are told of each. `index`: the registry's.
    """

    def __init__(
        self,
        times: Times,
        refusals: Refusals,
        cors: Cors,
        browsers: Browsers,
        admit: Admit,
        plain: Mapping[tuple[str, str], MaybePlainHandler],
        resolve: Resolve | None,
        index: Callable[[], int],
    ) -> None:
        self.cors = cors
        self._times = times
        self._browsers = browsers
        self._admit = admit
        self._plain = plain
        self._resolve = resolve
        self.index = index
        self._refusals = refusals
        self._second = 0
        self._heads: dict[int, bytes] = {}  # of this second

    def admit(self, request: Request, address: str) -> None:
        """The request learns who its caller is; DiscoveryError when it is not let in."""
        if request.method != "OPTIONS" or self._options(request) is None:
            self._browsers.check(request)
            request.caller = self._admit(request.method, request.path, request.header(b"authorization"), address)

    def answer(self, request: Request, address: str) -> Answer | Awaitable[Answer] | Held | None:
        """None: aiohttp has the handler."""
        if request.refusal is not None:
            return self.refused(request, request.refusal, address)
        try:
            handler = self._plain.get((request.method, request.path))
            if handler is not None:
                return handler(request)
            if request.method == "GET" and self._resolve is not None:
                match = _NAME.fullmatch(request.path)
                return None if match is None else self._resolve(match[1], request)
        except Exception as error:
            return self.refused(request, error, address)
        return self._options(request) if request.method == "OPTIONS" else None

    async def awaited(self, request: Request, answer: Awaitable[Answer], address: str) -> Answer:
        try:
            return await answer
        except Exception as error:
            return self.refused(request, error, address)

    def refused(self, request: Request, error: Exception, address: str) -> Answer:
        if isinstance(error, ValidationError):
            error = of_shape(error)
        answer = answer_to(error, f"{request.method} {request.path}", self._times)
        self._refusals.note(request, address, answer.status, error)
        return answer

    def to_plain_http(self) -> bytes:
        """The whole answer to a client that speaks HTTP without TLS on the port of HTTPS. It learns nothing else from it."""
        error = HttpError(
            400, "TLS_REQUIRED", "This port speaks HTTPS; ask again with https:// in front of the address"
        )
        return self.octets(Request(), answer_to(error, "HTTP without TLS", self._times)._replace(index=0))

    def _options(self, request: Request) -> Answer | None:
        """Preflights; and `OPTIONS *` and `OPTIONS /`, by which HAProxy asks whether we are there."""
        answer = preflight(request)
        if answer is None and request.path in ("*", "/"):
            answer = Answer(200, orjson.dumps({"service": "service-registry", "timestamp": self._times.now()}), _ALLOW)
        return answer

    def octets(self, request: Request, answer: Answer) -> bytes:
        """RFC 9112 §4."""
        if b"if-none-match" in request.headers:
            answer = conditional(request, answer)
        request.status = answer.status
        status, body, headers, index = answer
        if index is None:
            index = self.index()
        more = b"" if request.keeps else b"Connection: close\r\n"
        if b"origin" in request.headers:
            headers = {**self.cors.granted(request), **headers}
        if headers:
            more += "".join([f"{name}: {value}\r\n" for name, value in headers.items()]).encode()
        if status in WITHOUT_BODY:
            return _NO_CONTENT % (self._head(status), index, more)
        return _WHOLE % (
            self._head(status), index, more, len(body), body if request.method != "HEAD" else b"",
        )  # fmt: skip

    def head(self, request: Request, headers: dict[str, str]) -> bytes:
        """Of a 200 that ends when the connection does. `headers` has its Content-Type."""
        request.status = 200
        own = {"Date": formatdate(usegmt=True), INDEX: str(self.index()), "Connection": "close"}
        fields = HEADERS | own | self.cors.granted(request) | headers
        return "\r\n".join(["HTTP/1.1 200 OK", *map(": ".join, fields.items()), "", ""]).encode()

    def _head(self, status: int) -> bytes:
        """Of answers with this status, without the fields that differ. The date counts in seconds."""
        now = int(time.time())
        if now != self._second:
            self._second = now
            self._heads.clear()
        head = self._heads.get(status)
        if head is None:
            fields = (
                HEADERS
                | {"Date": formatdate(now, usegmt=True)}
                | ({} if status in WITHOUT_BODY else {"Content-Type": JSON})
            )
            lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *map(": ".join, fields.items()), ""]
            head = self._heads[status] = "\r\n".join(lines).encode()
        return head
