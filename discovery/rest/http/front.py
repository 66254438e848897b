"""What all connections of a server share: who is let in, who answers a request, and the octets of our own answers."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Hashable, Mapping
from email.utils import formatdate
from http import HTTPStatus

import orjson

from discovery.core.network import Networks
from discovery.rest.api.answers import INDEX, STALE, WITHOUT_BODY, Answer, Json, KeptBody, whole
from discovery.rest.api.errors import HttpError, answer_to
from discovery.rest.api.etag import conditional
from discovery.rest.api.requests import Request
from discovery.rest.api.route import NOWHERE, Reply
from discovery.rest.api.router import Router
from discovery.rest.api.times import Times
from discovery.rest.guard.admission import Admit, caller_of
from discovery.rest.guard.browsers import Browsers, Cors, preflight
from discovery.rest.guard.refusals import Refusals
from discovery.rest.http.kept_bodies import KeptBodies
from discovery.store.registry import Registry

# On every answer of the API: for browsers that are led here it is no page, no script and no frame. Pages have a policy of their own.
HEADERS = {
    "Vary": "Origin",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
_NONE = frozenset[str]()
_STALE = STALE.encode()
_NO_CONTENT = f"%b{INDEX}: %d\r\n%b\r\n".encode()
_WHOLE = f"%b{INDEX}: %d\r\n%bContent-Length: %d\r\n\r\n%b".encode()


class Front:
    """`refusals`: are told of each. `proxies`: those that are trusted. `kept`: answers for everybody."""

    def __init__(
        self,
        times: Times,
        refusals: Refusals,
        cors: Cors,
        browsers: Browsers,
        admit: Admit,
        router: Router,
        proxies: Networks,
        registry: Registry,
        kept: KeptBodies,
    ) -> None:
        self.cors = cors
        self._times = times
        self._browsers = browsers
        self._admit = admit
        self._router = router
        self.proxies = proxies
        self._has_proxies = bool(proxies)
        self._registry = registry
        self._refusals = refusals
        self._kept = kept
        self._until = 0.0
        self._heads: dict[tuple[int, str, frozenset[str]], bytes] = {}  # of this second

    def admit(self, request: Request, address: str) -> None:
        """The request learns what it is for and who its caller is; DiscoveryError when it is not let in. `address`: of whoever sent it,
        perhaps a proxy.
        """
        request.address = caller_of(request, address, self.proxies) if self._has_proxies else address
        if request.route is NOWHERE:  # else its head is known
            self._router.find(request)
        if request.method != "OPTIONS" or self._options(request) is None:
            self._browsers.check(request)
            request.caller = self._admit(request)

    def answer(self, request: Request) -> Reply:
        if request.refusal is not None:
            return self.refused(request, request.refusal)
        try:
            if request.method == "OPTIONS" and (answer := self._options(request)) is not None:
                return answer
            route = request.route
            if route.kept is not None and (form := self._form(request)) is not None:
                return self._kept.at_once(request, form) or self._kept.answer(request, form)
            return route.handler(request)
        except Exception as error:
            return self.refused(request, error)

    @staticmethod
    def _form(request: Request) -> Hashable | None:
        """RFC 9111 §5.2.1.4: whoever says no-cache has it made for himself."""
        if b"no-cache" in request.headers.get(b"cache-control", b"") or request.route.kept is None:
            return None
        return request.route.kept(request)

    async def awaited(self, request: Request, answer: Awaitable[Answer | Json]) -> Answer:
        try:
            return whole(await answer, self._times)
        except Exception as error:
            return self.refused(request, error)

    def whole(self, content: Json) -> Answer:
        return whole(content, self._times)

    def refused(self, request: Request, error: Exception) -> Answer:
        form = request.route.manners.error
        answer = answer_to(error, f"{request.method} {request.path}", self._times, form, request)
        self._refusals.note(request, answer.status, error)
        return answer

    def to_plain_http(self) -> bytes:
        """The whole answer to a client that speaks HTTP without TLS on the port of HTTPS. It learns nothing else from it."""
        error = answer_to(HttpError.usual("TLS_REQUIRED"), "HTTP without TLS", self._times)
        return self.octets(Request(), error._replace(index=0))

    def _options(self, request: Request) -> Answer | None:
        """Preflights; and `OPTIONS *` and `OPTIONS /`, by which HAProxy asks whether we are there."""
        answer = preflight(request, self._router.methods)
        if answer is None and request.path in ("*", "/"):
            allowed = {"Allow": ", ".join(self._router.methods)}
            answer = Answer(200, orjson.dumps({"service": "service-registry", "timestamp": self._times.now()}), allowed)
        return answer

    def octets(self, request: Request, answer: Answer) -> bytes:
        """RFC 9112 §4. Of a body that is no bytes, the head alone."""
        if b"if-none-match" in request.headers:
            answer = conditional(request, answer)
        request.status = answer.status
        status, body, headers, index, media = answer
        if index is None:
            index = self._registry.index
        more = b"" if request.keeps else b"Connection: close\r\n"
        if b"origin" in request.headers:
            headers = {**self.cors.granted(request), **headers}
        if stale := self._registry.stale_seconds():
            more += b"%b: %d\r\n" % (_STALE, stale)
        if headers:
            more += "".join([f"{name}: {value}\r\n" for name, value in headers.items()]).encode()
        head = self._head(status, media, headers)
        if status in WITHOUT_BODY:
            return _NO_CONTENT % (head, index, more)
        if isinstance(body, bytes):
            return _WHOLE % (head, index, more, len(body), body if request.method != "HEAD" else b"")
        if isinstance(body, KeptBody):
            return _WHOLE % (head, index, more, len(body), b"")
        if request.version == "1.1":
            more += b"Transfer-Encoding: chunked\r\n"
        return _NO_CONTENT % (head, index, more)

    def head(self, request: Request, headers: dict[str, str]) -> bytes:
        """Of a 200 that ends when the connection does. `headers` has its Content-Type."""
        request.status = 200
        own = {"Date": formatdate(usegmt=True), INDEX: str(self._registry.index), "Connection": "close"}
        if stale := self._registry.stale_seconds():
            own[STALE] = str(stale)
        fields = HEADERS | own | self.cors.granted(request) | headers
        return "\r\n".join(["HTTP/1.1 200 OK", *map(": ".join, fields.items()), "", ""]).encode()

    def _head(self, status: int, media: str, headers: Mapping[str, str]) -> bytes:
        """Of answers with this status, without the fields that differ. The date counts in seconds."""
        now = time.time()
        if not self._until - 1 <= now < self._until:
            self._until = int(now) + 1.0
            self._heads.clear()
        own = _NONE
        if headers and ("Vary" in headers or "Content-Security-Policy" in headers):  # of pages, and of what is packed
            own = frozenset(HEADERS.keys() & headers.keys())
        head = self._heads.get((status, media, own))
        if head is None:
            usual = {name: value for name, value in HEADERS.items() if name not in own}
            head = self._heads[status, media, own] = self._made_head(status, media, usual)
        return head

    @staticmethod
    def _made_head(status: int, media: str, usual: Mapping[str, str]) -> bytes:
        fields = {**usual, "Date": formatdate(usegmt=True)}
        if status not in WITHOUT_BODY and media:
            fields["Content-Type"] = media
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *map(": ".join, fields.items()), ""]
        return "\r\n".join(lines).encode()
