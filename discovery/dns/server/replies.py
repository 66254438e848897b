"""What a reply has beside its answer: RA in its header, and its EDNS options (NSID, keepalive, cookie)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from discovery.dns.message.edns import Edns, Option, option
from discovery.dns.message.query import RA, Transport
from discovery.dns.message.values import Answer, Rcode
from discovery.dns.server.cookies import COOKIE_SIZE, Cookies

# Octets. A reply over UDP may have 512: header 12, longest question 259, OPT 11, cookie 28 and NSID's own 4 leave 198.
MAX_SERVER_ID = 128

_COOKIE_HEAD = Option.COOKIE.to_bytes(2, "big") + COOKIE_SIZE.to_bytes(2, "big")

_BADVERS = Answer(rcode=Rcode.BADVERS, authoritative=False)
_BADCOOKIE = Answer(rcode=Rcode.BADCOOKIE, authoritative=False)
_FORMERR = Answer(rcode=Rcode.FORMERR, authoritative=False)


class Replies:
    """`server_id`, at most MAX_SERVER_ID octets, answers NSID. `recurses(client)`: whether this server would ask
    others for that client (RA).

    `require_cookies`: over UDP, a client that knows cookies must show a valid one.
    """

    def __init__(
        self, cookies: Cookies, server_id: bytes, recurses: Callable[[str], bool] | None, require_cookies: bool = False
    ) -> None:
        self._cookies = cookies
        self._nsid = option(Option.NSID, server_id)
        self.recurses = recurses
        self._require_cookies = require_cookies

    def flags(self, client: str) -> int:
        return RA if self.recurses is not None and self.recurses(client) else 0

    def options(
        self, edns: Edns, cookie: bytes | None, now: float, client: str, transport: Transport
    ) -> tuple[bytes, Answer | None]:
        """The options of the reply, and the answer if EDNS itself decides it. `cookie`: of the query."""
        if edns.version:  # RFC 6891 §6.1.3
            return b"", _BADVERS
        options = self._asked_for(edns.options, transport) if edns.options else b""
        if cookie is None:
            return options, None
        reply, valid = self._cookies.check(cookie, client, int(now))
        if not reply:  # RFC 7873 §5.2.2
            return options, _FORMERR
        refused = self._require_cookies and transport.datagram and not valid
        return options + _COOKIE_HEAD + reply, _BADCOOKIE if refused else None

    def _asked_for(self, asked: Mapping[int, bytes], transport: Transport) -> bytes:
        options = self._nsid if Option.NSID in asked else b""
        if Option.KEEPALIVE in asked and transport.keepalive is not None:
            options += option(Option.KEEPALIVE, round(transport.keepalive * 10).to_bytes(2, "big"))
        return options
