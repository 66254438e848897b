"""The hot path: a question that was answered before is answered from its kept template, without being parsed.

    query    id  flags  counts  question           no OPT, or one with nothing in it but a cookie
    key                         in lower case  ->  template: the answer's pieces, and until when its TTL holds
    reply    id  flags  counts  as it was spelt    pieces in an order drawn anew, OPT and cookie

Names that nobody has are left to `absent`. Anything else that is not exactly of that shape, and every first question, goes
to the responder, whose templates are kept here. A template is never the truth: it is dropped when its service changes or
zones are read anew, it is looked at again when the TTL in it would outlive a lease, and all can be dropped at any moment.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, NamedTuple

from discovery.core.change import Change
from discovery.dns.message.edns import MAX_UDP, MIN_UDP, Option
from discovery.dns.message.query import RA, RD, Request, Transport
from discovery.dns.message.values import Answer, Lifetime, Type
from discovery.dns.message.wire import MAX_TCP, Template, nxdomain
from discovery.dns.server.cookies import CLIENT_SIZE, SERVER_SIZE, Cookies
from discovery.dns.server.nxdomain_cache import Absences
from discovery.dns.server.responder import Respond, Responder
from discovery.dns.zones.spellings import NAMESPACE
from discovery.dns.zones.zone import Zone

# Names that exist, times the types below; 2 KB each, 8 KB at the most. When they are full all go: the next queries bring back what is used.
MAX_KEPT = 65536
# Types that clients ask for: the others could be asked for by the ten thousand about one name.
_KEPT_TYPES = frozenset((Type.A, Type.AAAA, Type.SRV, Type.TXT, Type.PTR, Type.SVCB, Type.HTTPS))

# The header's counts: one question, and nothing or one additional record.
_BARE = b"\0\1\0\0\0\0\0\0"
_WITH_OPT = b"\0\1\0\0\0\0\0\1"
# An OPT record (RFC 6891 §6.1.2): root and type; size; upper rcode; version; flags; length; a cookie's head (RFC 7873 §4).
_OPT = b"\0\0\x29"
_COOKIE = Option.COOKIE.to_bytes(2, "big")
_EMPTY = b"\0\0"
_CLIENT_COOKIE = b"\0\x0c" + _COOKIE + CLIENT_SIZE.to_bytes(2, "big")
_BOTH_COOKIES = b"\0\x1c" + _COOKIE + (CLIENT_SIZE + SERVER_SIZE).to_bytes(2, "big")


class _Heads(NamedTuple):
    """How a reply's OPT begins: with no options, and before a cookie."""

    empty: bytes
    cookie: bytes

    @classmethod
    def of(cls, flags: bytes) -> _Heads:
        head = _OPT + MAX_UDP.to_bytes(2, "big") + b"\0\0" + flags
        return cls(head + _EMPTY, head + _BOTH_COOKIES)


_HEADS = (_Heads.of(b"\0\0"), _Heads.of(b"\x80\0"))  # without and with DO


class _Shape(NamedTuple):
    """What follows from an OPT that ends with a client's cookie, but for the cookie: nearly all clients send one of a few."""

    head: bytes
    limit: int


# Octets of such an OPT, and of what stands before the cookie; shapes remembered.
_WITH_COOKIE, _BEFORE_COOKIE = 23, 15
_MAX_SHAPES = 1024


def _limit(opt: bytes) -> int:
    """As edns.udp_limit."""
    return min(max(opt[3] << 8 | opt[4], MIN_UDP), MAX_UDP)


class _Kept:
    """`until`: monotonic seconds. `tail`: type and class, which lower-casing the key may have made another's.

    `index`: of the registry, in answers with an SOA, whose serial it is.
    """

    __slots__ = ("index", "lifetime", "tail", "template", "ttl", "until")

    def __init__(self, template: Template, tail: bytes, index: int | None, lifetime: Lifetime, ttl: int) -> None:
        self.template = template
        self.tail = tail
        self.index = index
        self.lifetime = lifetime
        self.ttl = ttl
        self.until = lifetime.until(ttl)

    def renewed(self, now: float) -> bool:
        """`until` is over: whether the TTL is right all the same, because leases were renewed since."""
        if self.lifetime.ttl(now) != self.ttl:
            return False
        self.until = self.lifetime.until(self.ttl)
        return now < self.until


class HotPath:
    """In front of `responder`, with the same contract. `cookies` and `recurses` are the responder's, `index` the registry's.

    `rest` answers what is not answered here: the responder, with features in front of it or not.
    """

    def __init__(
        self,
        responder: Responder,
        cookies: Cookies,
        recurses: Callable[[str], bool],
        index: Callable[[], int],
        rest: Respond | None = None,
    ) -> None:
        self._index = index
        self._rest = rest or responder.respond
        self._responder = responder
        self._cookies = cookies
        self._recurses = recurses
        self.absences = Absences()
        self._shapes: dict[bytes, _Shape] = {}
        self._kept: dict[bytes, _Kept] = {}
        self._keys: defaultdict[str, set[bytes]] = defaultdict(set)  # by folded service
        responder.keep = self._keep

    def respond(
        self, packet: bytes, now: float, client: str, transport: Transport
    ) -> bytes | Coroutine[Any, Any, bytes] | None:
        counts = packet[4:12]
        end = packet.find(0, 12) + 5
        question, opt = packet[12:end], packet[end:]
        if counts != (_WITH_OPT if opt else _BARE):
            return self._rest(packet, now, client, transport)
        key = question.lower()
        kept = self._kept.get(key)
        if kept is None and question and not opt and packet[2] <= 1:
            authority = self.absences.authority(key)
            if authority is not None:
                return nxdomain(packet[:2], self._flags(packet, client), question, authority)
        if (
            kept is None
            or packet[2] > 1
            or question[-4:] != kept.tail
            or (now >= kept.until and not kept.renewed(now))
            or (kept.index is not None and kept.index != self._index())
        ):
            return self._rest(packet, now, client, transport)
        limit = MIN_UDP if transport.datagram else MAX_TCP
        if opt:
            shape = self._shapes.get(opt[:_BEFORE_COOKIE])
            if shape is not None and len(opt) == _WITH_COOKIE and kept.template.explanation is None:
                nonce = opt[_BEFORE_COOKIE:]
                opt = shape.head + nonce + self._cookies.make(nonce, client, int(now))
                edns_limit = shape.limit
            else:
                reply_opt = self._opt(opt, kept, client, now)
                if reply_opt is None:
                    return self._rest(packet, now, client, transport)
                edns_limit = _limit(opt)
                opt = reply_opt
            if transport.datagram:
                limit = edns_limit
        return kept.template.reply(packet[:2], self._flags(packet, client), question, opt, limit)

    def _flags(self, packet: bytes, client: str) -> int:
        return (RD if packet[2] else 0) | (RA if self._recurses(client) else 0)

    def changed(self, change: Change) -> None:
        """A listener to the registry: what was made of this service is made anew when somebody asks."""
        if change.instance.spec.key.service == NAMESPACE:  # it changes what other services' names mean
            self.clear()
        for key in self._keys.pop(change.instance.spec.key.service, ()):
            self._kept.pop(key, None)

    def clear(self) -> None:
        self._kept.clear()
        self._keys.clear()

    def follow(self, zones: Iterable[Zone]) -> None:
        """The zones that are served from now on."""
        self.clear()
        self.absences.follow(zones)

    def _opt(self, opt: bytes, kept: _Kept, client: str, now: float) -> bytes | None:
        """The reply's OPT to one that is empty or has a cookie; None for all others."""
        size = len(opt)
        if size < 11 or opt[:3] != _OPT or opt[6] or kept.template.explanation is not None:
            return None
        heads = _HEADS[1 if opt[7] & 0x80 else 0]
        if size == 11 and opt[9:] == _EMPTY:
            return heads.empty
        if size == _WITH_COOKIE and opt[9:15] == _CLIENT_COOKIE and not self._responder.require_cookies:
            if len(self._shapes) >= _MAX_SHAPES:
                self._shapes.clear()
            self._shapes[opt[:_BEFORE_COOKIE]] = _Shape(heads.cookie, _limit(opt))
            nonce = opt[_BEFORE_COOKIE:]
            return heads.cookie + nonce + self._cookies.make(nonce, client, int(now))
        if size == 39 and opt[9:15] == _BOTH_COOKIES:
            cookie = self._cookies.check(opt[15:], client, int(now))
            if cookie is not None and (cookie.valid or not self._responder.require_cookies):
                return heads.cookie + cookie.reply
        return None

    def _keep(self, request: Request, answer: Answer, template: Template, now: float) -> None:
        lifetime, wire = answer.lifetime, request.question_wire
        if lifetime is None or request.question.type not in _KEPT_TYPES or not template.small:
            return
        if answer.aliases:  # it also depends on what the names on the way are, and of wildcards there is no end
            return
        if len(self._kept) >= MAX_KEPT:
            self.clear()
        key = wire.lower()
        index = self._index() if answer.authority else None
        self._kept[key] = _Kept(template, wire[-4:], index, lifetime, lifetime.ttl(now))
        self._keys[lifetime.service].add(key)
