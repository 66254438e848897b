"""Octets of one connection in, requests out. httptools (llhttp) alone decides where each begins and ends; nobody frames them again.

Every request that comes out gets an answer, in this order; one that must not be served carries its `refusal`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import httptools

from discovery.core.errors import DiscoveryError
from discovery.rest.api.errors import HttpError
from discovery.rest.api.requests import Request
from discovery.rest.http.heads import HEAD_END, Heads, body_length

# Octets of a request's first line and header fields together, as in Node; and how many fields there may be.
MAX_HEAD = 16 * 1024
MAX_FIELDS = 100
# Octets that are parsed at a time: 200 of the smallest requests, half a millisecond.
SLICE = 4096
# Octets of the body of a heartbeat or registration that is refused: which instance it was about.
_MAX_NAMING = 4096
# A body's octets may be so many times as many with the framing of its chunks: it is sent in pieces, not in octets.
_MAX_FRAMING = 2


class Framer:
    """`admit(request)`: asked when a head is whole; raises what the request is refused with. A refused one's body is dropped, where
    it does not name an instance.

    `heads`: shared with other connections.

    `whole`: requests that are to be answered. `coming`: one whose body has not come whole. `begun`: of the next head, some octets are
    here. `heads_read`: how many heads have come whole, by which one head is told from the next. `ended`: no more requests are taken from
    this connection. `cut`: although the client is still sending one.
    """

    def __init__(self, admit: Callable[[Request], None], heads: Heads) -> None:
        self._admit = admit
        self._heads = heads
        self._parser = httptools.HttpRequestParser(self)
        self.whole: deque[Request] = deque()
        self.coming: Request | None = None
        self.begun = False
        self.heads_read = 0
        self.ended = self.cut = False
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._is_long = False  # the head did not begin in the slice at hand
        self._body = bytearray()  # not a list: a body may come in chunks of one octet
        self.body_size = 0
        self._unframed = 0  # octets since the head or body began, those of the slice it began in left out

    def feed(self, octets: bytes) -> None:
        """At most SLICE, but for what is known to be a body."""
        heads_read, coming = self.heads_read, self.coming
        between = coming is None and not self.begun and not self.whole
        if between and self._is_known(octets):
            return
        self._is_long = self.begun
        self._parse(octets)
        if self.begun or self.coming is not None:
            self._count(octets, is_same=self.heads_read == heads_read and self.coming is coming)
        elif between and len(self.whole) == 1:
            self._heads.remember(self.whole[0], octets)

    def _parse(self, octets: bytes) -> None:
        while octets:
            try:
                self._parser.feed_data(octets)
                return
            except httptools.HttpParserUpgrade as upgrade:
                octets = b"" if self.ended else self._decline_upgrade(octets[upgrade.args[0] :])
            except httptools.HttpParserError as error:
                self._break_off(f"{error}")
                return

    def _is_known(self, octets: bytes) -> bool:
        """One whole request, whose head has been parsed before."""
        head, end, body = octets.partition(HEAD_END)
        known = self._heads.get(head)
        if known is None or len(body) != known[-1] or not end:
            return False
        self.heads_read += 1
        method, target, headers, route, names, _ = known
        request = Request(method, target, "1.1", headers, True, route, names)
        request.body = body
        try:
            self._admit(request)
        except DiscoveryError as error:
            request.refusal = error.with_traceback(None)  # its frames refer to the request
        self.whole.append(request)
        return True

    def _count(self, octets: bytes, *, is_same: bool) -> None:
        """What never ends is cut off. `is_same`: the head or body that is coming was coming before these octets."""
        if not is_same:
            self._unframed = 0
            return
        self._unframed += len(octets)
        if self.coming is not None:
            if self._unframed > MAX_HEAD + _MAX_FRAMING * self.coming.route.max_body:
                self._refuse_body(self.coming)
        elif self._unframed > MAX_HEAD + SLICE:
            self._break_off(_HEAD_TOO_LARGE)

    def close(self) -> None:
        """The parser refers to this object; without it both are freed at once."""
        self._parser = _NO_PARSER
        self._admit = _closed
        self.ended = True

    def refuse(self, error: DiscoveryError) -> None:
        """The request that is coming, and all after it."""
        request = self.coming or Request()
        request.refusal = request.refusal or error
        self._end_with(request)

    @property
    def kept(self) -> int:
        """Octets of the body in hand that are kept: those of a refused request are not."""
        return len(self._body)

    @property
    def missing(self) -> int:
        """Octets of the body in hand that its Content-Length still promises."""
        if self.coming is None:
            return 0
        return (body_length(self.coming) or 0) - self.body_size

    def _decline_upgrade(self, rest: bytes) -> bytes:
        """We speak nothing else: `rest` begins with the body, then comes the next request (RFC 9110 §7.8). But httptools takes it for the
        other protocol, so a new parser reads it, behind a head that says how the body is framed. Returns the octets to parse now.
        """
        self._parser = httptools.HttpRequestParser(self)
        if self.coming is None:
            return rest
        fields = [b"%b: %b\r\n" % field for field in self.coming.headers.items() if field[0] in _FRAMING]
        return b"POST / HTTP/1.1\r\nhost: a\r\n%b\r\n%b" % (b"".join(fields), rest)

    def _break_off(self, why: str) -> None:
        """Where the next request would begin is anybody's guess."""
        if self.ended:
            return
        if self.coming is not None:
            self.refuse(HttpError("BROKEN_BODY", f"The body cannot be read: {why}"))
        else:
            self.refuse(HttpError.usual("VERSION_UNSUPPORTED") if why in _OTHER_VERSIONS else _unreadable(why))

    def _refuse_body(self, request: Request) -> None:
        size = request.headers.get(b"content-length", b"").decode()
        what = f"has {size} octets" if size else "is longer"
        self.refuse(HttpError("BODY_TOO_LARGE", f"The body {what}, at most {request.route.max_body} are read here"))

    def _end_with(self, request: Request) -> None:
        """Answered now; what of it is still to come is not waited for."""
        request.keeps = False
        self.coming, self.begun = None, False
        self.ended = self.cut = True
        self._body.clear()
        self.whole.append(request)

    # -- what httptools calls

    def on_message_begin(self) -> None:
        self.begun = self.coming is None  # else it is the head that _decline_upgrade made
        self._target = b""
        self._headers = {}

    def on_url(self, part: bytes) -> None:
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        name, headers = name.lower(), self._headers
        headers[name] = b"%b, %b" % (headers[name], value) if name in headers else value

    def on_headers_complete(self) -> None:
        parser, headers = self._parser, self._headers
        self._headers = {}  # the fields behind a chunked body are nobody's
        if self.ended or self.coming is not None:
            return
        self.heads_read += 1
        version = parser.get_http_version()
        # HTTP/1.0 closes: an answer without a length would have no other end.
        keeps = version == "1.1" and parser.should_keep_alive()
        request = Request(parser.get_method().decode(), self._target.decode("ascii"), version, headers, keeps)
        self.coming, self.begun, self.body_size = request, False, 0
        try:
            self._check(request)
            self._admit(request)
        except DiscoveryError as error:
            request.refusal = error.with_traceback(None)
        if request.refusal is not None and (
            request.expects or not (request.keeps or self._names(request, self.missing))
        ):
            self._end_with(request)
        if b"content-length" in headers and self.missing > request.route.max_body:
            self._refuse_body(request)

    def _check(self, request: Request) -> None:
        """What llhttp lets through. HttpError; after most of them the connection is closed."""
        headers, keeps = request.headers, request.keeps
        request.keeps = False
        if request.version not in ("1.1", "1.0"):
            raise HttpError.usual("VERSION_UNSUPPORTED")
        if len(headers) > MAX_FIELDS or (self._is_long and _size(request) > MAX_HEAD):
            raise _unreadable(_HEAD_TOO_LARGE)
        if b"," in headers.get(b"host", b"," if request.version == "1.1" else b""):  # RFC 9112 §3.2
            raise _unreadable("it needs one Host field")
        if b"transfer-encoding" in headers and headers[b"transfer-encoding"].strip().lower() != b"chunked":
            # RFC 9112 §6.1.
            raise HttpError.usual("CODING_UNSUPPORTED")
        if b"expect" in headers and headers[b"expect"].strip().lower() != b"100-continue":
            raise HttpError.usual("EXPECTATION_FAILED")
        request.keeps = keeps
        is_origin_form = request.target[0] == "/" and request.method != "CONNECT"
        if not is_origin_form and (request.method, request.target) != ("OPTIONS", "*"):
            self._to_origin_form(request)

    @staticmethod
    def _to_origin_form(request: Request) -> None:
        """RFC 9112 §3.2.2: the target's authority counts, not the Host field."""
        _, separator, rest = request.target.partition("://")
        if not separator or request.method == "CONNECT":
            request.keeps = False
            raise _unreadable(f"{request.method} does not go with {request.target:.100}")
        authority, _, path = rest.partition("/")
        request.headers[b"host"] = authority.encode()
        request.target = f"/{path}"

    def _names(self, request: Request, octets: int) -> bool:
        """Whether so much of its body is kept for the log and the accounts, though it was refused."""
        return 0 < octets <= _MAX_NAMING and request.route.kind.tells_refused

    def on_body(self, part: bytes) -> None:
        request = self.coming
        if request is None:
            return
        self.body_size += len(part)
        if self.body_size > request.route.max_body:
            self._refuse_body(request)
        elif request.refusal is None or self._names(request, self.body_size):
            self._body += part

    def on_message_complete(self) -> None:
        request = self.coming
        if request is None or (self._parser.should_upgrade() and body_length(request) != 0):  # it was skipped
            return
        self.coming = None
        if self._body:
            request.body = bytes(self._body)
            self._body.clear()
        self.ended = not request.keeps
        self.whole.append(request)


# As llhttp calls them: HTTP/9.9, and the preface of HTTP/2.
_OTHER_VERSIONS = ("Invalid HTTP version", "Pause on PRI/Upgrade")
_HEAD_TOO_LARGE = f"its head has more than {MAX_HEAD} octets or {MAX_FIELDS} fields"


# Fields that say where a body ends.
_FRAMING = frozenset((b"content-length", b"transfer-encoding"))

_NO_PARSER = httptools.HttpRequestParser(object())


def _size(request: Request) -> int:
    return len(request.target) + sum(len(name) + len(value) + 4 for name, value in request.headers.items())


def _closed(request: Request) -> None:
    raise AssertionError("nothing is parsed any more")


def _unreadable(why: str) -> HttpError:
    return HttpError("BAD_REQUEST", f"This is not an HTTP request that can be read: {why}")
