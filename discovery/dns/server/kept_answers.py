"""The encoder's memory: a question that was answered before is laid down from its kept template, without being parsed.

    query    id  flags  counts  question           and nothing behind it but an OPT
    key                         in lower case  ->  template: the answer's pieces, and until when its TTL holds; one a locality
    reply    id  flags  counts  as it was spelt    pieces in an order drawn anew, OPT with its options

Names that do not exist are answered from `nxdomain_cache`. Everything else, and every first question, goes to the responder,
whose templates are kept here; a first one about a name right below a zone goes there without being parsed. A template is never
the truth: it is dropped when its service changes or zones are read anew, it is made anew when the TTL in it would outlive a
lease, and all can be dropped at any moment.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable
from functools import lru_cache
from random import Random
from typing import Any

from discovery.dns.message import names
from discovery.dns.message.edns import OPT_SIZE, Edns, parse
from discovery.dns.message.query import OPCODE_QUERY, RD, Request, Transport
from discovery.dns.message.values import Answer, Class, Lifetime, Question, Type
from discovery.dns.message.wire import Template
from discovery.dns.server.cookies import CLIENT_SIZE, COOKIE_SIZE
from discovery.dns.server.nxdomain_cache import NxdomainCache
from discovery.dns.server.replies import Replies
from discovery.dns.server.responder import Respond, Responder
from discovery.dns.server.traffic import Outcome
from discovery.dns.zones.live import LIVE_TYPES
from discovery.dns.zones.spellings import NAMESPACE
from discovery.dns.zones.zone import Zone

# Octets of kept answers: names that exist, times types. An answer takes its records twice, and some objects beside them:
# 1.8 KB for three instances, as measured, and what other types about its name share. 128 MiB hold 75,000 of these.
MAX_OCTETS = 128 << 20
_OBJECTS = 1500
# Names of one service, times types: a change of it drops them all, in 5 ms.
MAX_OF_SERVICE = 2048
# Clients whose route is remembered, at 0.2 KB each. In a flood from forged addresses each look at the networks is made anew.
MAX_CLIENTS = 16384

# Type and class as on the wire, of the types that instances have: others could be asked for by the ten thousand about one name. One
# object each, which the processor's caches then hold, and the type.
_TAILS = {
    tail: (tail, rtype)
    for tail, rtype in ((kind.type.to_bytes(2, "big") + Class.IN.to_bytes(2, "big"), kind.type) for kind in LIVE_TYPES)
}

# The header's counts: one question, and nothing or one additional record.
_BARE = b"\0\1\0\0\0\0\0\0"
_WITH_OPT = b"\0\1\0\0\0\0\0\1"

# Kinds of OPT that are remembered: nearly all clients send one of a few. Such an OPT has no option but a cookie, and the kind
# is all of it that stands before the cookie's data.
_MAX_KINDS = 1024
_BEFORE_COOKIE = OPT_SIZE + 4
_SIZES = {None: OPT_SIZE, CLIENT_SIZE: _BEFORE_COOKIE + CLIENT_SIZE, COOKIE_SIZE: _BEFORE_COOKIE + COOKIE_SIZE}


class _Kept:
    """`until`: its lifetime's, a step nearer. `tail`: type and class, which lower-casing the key may have made another's.

    `outcome`: what its replies are counted as. `zone`: whose SOA the answer has, as it was when the registry had this `index`; None
    without one. `generation`: KeptAnswers' when it was made. `place`: its key's in the list of all keys. The rest: the answer's.
    """

    __slots__ = (
        "by_locality", "generation", "index", "lifetime", "octets", "others", "outcome", "place", "tail", "template", "until", "zone",
    )  # fmt: skip

    def __init__(
        self, template: Template, tail: bytes, lifetime: Lifetime, answer: Answer, generation: int, outcome: Outcome
    ) -> None:
        self.template = template
        self.by_locality = answer.by_locality
        self.others = answer.others
        self.tail = tail
        self.lifetime = lifetime
        self.until = lifetime.until
        self.outcome = outcome
        self.zone: Zone | None = None
        self.index = 0
        self.generation = generation
        self.octets = _OBJECTS + 2 * template.size
        self.place = 0


def key_of(locality: str | None) -> bytes:
    """What the keys of its answers end with: each locality has its own, and so has being in none (""), for others may differ from that."""
    return b"" if locality is None else locality.encode() or b"\0"


def routed(is_usual: Callable[[str], bool], kept: Respond, plain: Respond) -> Respond:
    """Kept answers for clients that get what everybody gets, `plain` for the others. `is_usual` must say the same of a client each time."""

    @lru_cache(maxsize=MAX_CLIENTS)
    def route_of(client: str) -> Respond:
        return kept if is_usual(client) else plain

    return lambda packet, now, client, transport: route_of(client)(packet, now, client, transport)


class KeptAnswers:
    """In front of `responder`, with the same contract. `replies` are the responder's, `index` is the registry's; `random` draws who
    makes way.

    `rest` answers what is not answered here: the responder, with features in front of it or not.
    """

    def __init__(
        self,
        responder: Responder,
        replies: Replies,
        index: Callable[[], int],
        random: Random,
        rest: Respond | None = None,
    ) -> None:
        self._index = index
        self._responder = responder
        self._rest = rest or responder.respond
        self._replies = replies
        self._recurses = replies.recurses is not None
        self._traffic = responder.traffic
        self._nxdomain = NxdomainCache(responder.traffic)
        self._kinds: dict[bytes, tuple[int, Edns]] = {}  # octets of the OPT, and what it says without its cookie
        self._random = random
        self._generation = 0
        self._octets = 0
        self._kept: dict[bytes, _Kept] = {}
        self._named: dict[bytes, _Kept] = {}  # by the names alone: the latest that has `others`
        self._keys: list[bytes] = []  # of all that are kept, in no order
        self._keys_of: defaultdict[str, set[bytes]] = defaultdict(set)  # by folded service
        responder.keep = self._keep

    def respond(
        self, packet: bytes, now: float, client: str, transport: Transport, locality: bytes = b""
    ) -> bytes | Coroutine[Any, Any, bytes] | None:
        """`locality`: `key_of` the transport's."""
        end = packet.find(0, 12) + 5
        question, opt = packet[12:end], packet[end:]
        if packet[4:12] != (_WITH_OPT if opt else _BARE) or packet[2] > 1 or not question:
            return self._rest(packet, now, client, transport)
        key = question.lower()
        kept = self._kept.get(key + locality if locality else key)
        if kept is None:
            template = None if key[:-4] in self._named else self._nxdomain.template(key)
        else:
            holds = kept.generation == self._generation and now < kept.until and kept.zone is None  # nearly always
            template = (
                kept.template if question[-4:] == kept.tail and (holds or self._holds(kept, question, now)) else None
            )
            self._traffic.last = kept.outcome
        edns = explained = None
        options = b""
        if opt:
            kind = self._kinds.get(opt[:_BEFORE_COOKIE])
            if kind is not None and kind[0] == len(opt):
                edns, cookie = kind[1], opt[_BEFORE_COOKIE:] or None
            else:
                try:
                    edns, cookie = self._learn(opt)
                except ValueError:
                    return self._rest(packet, now, client, transport)
            options, refusal = self._replies.options(edns, cookie, now, client, transport)
            if refusal is not None:
                return self._rest(packet, now, client, transport)
        if template is None:
            usual = _TAILS.get(question[-4:])
            known = None if usual is None else self._nxdomain.asked(key, usual[1])
            if known is None:
                return self._rest(packet, now, client, transport)
            zone, asked = known
            request = Request(packet[:2], OPCODE_QUERY, bool(packet[2]), asked, question, edns, client, transport)
            other = None if locality else self._named.get(key[:-4])
            if other and other.others and other.generation == self._generation and now < other.until:
                answer = zone.finished(other.others(asked.type, now), asked.name, now)
                return self._responder.reply_to(request, answer, options)
            return self._responder.reply_to(request, self._responder.lookup(request, now), options)
        if edns is not None:
            if kept is None:
                explained = self._nxdomain.explained(now)
            if locality and transport.subnet is not None:
                options += transport.subnet.reply(kept is not None and kept.by_locality)
        flags = RD if packet[2] else 0
        if self._recurses:
            flags |= self._replies.flags(client)
        return template.reply(packet[:2], flags, question, edns, options, transport, explained)

    def forget(self, service: str | None) -> None:
        """What was made of this service (its folded name; None: of any) is made anew when somebody asks."""
        if service is None or service == NAMESPACE:  # that one changes what other services' names mean
            self.forget_all()
            return
        for key in tuple(self._keys_of.get(service, ())):
            self._drop(key)

    def forget_all(self) -> None:
        """They are replaced one by one when somebody asks: to free a hundred thousand at once would take a tenth of a second."""
        self._generation += 1

    def follow(self, zones: Iterable[Zone]) -> None:
        """The zones that are served from now on."""
        self.forget_all()
        self._nxdomain.follow(zones)

    def _holds(self, kept: _Kept, question: bytes, now: float) -> bool:
        """Whether it may be sent; an SOA with an older serial is replaced on the way."""
        if kept.generation != self._generation:
            return False
        if now >= kept.until:
            if not kept.lifetime.renew(now):
                return False
            kept.until = kept.lifetime.until
        if kept.zone is not None and kept.index != self._index():
            kept.index, soa = kept.zone.negative_soa()
            kept.template.replace_authority(Question(names.from_wire(question), Type.A), (soa,))
        return True

    def _learn(self, opt: bytes) -> tuple[Edns, bytes | None]:
        """What it says and its cookie; a usual kind is remembered. ValueError when it is malformed."""
        edns = parse(opt)
        cookie = edns.cookie
        size = _SIZES.get(None if cookie is None else len(cookie))
        if not edns.options and size == len(opt):
            if len(self._kinds) >= _MAX_KINDS:
                self._kinds.clear()
            self._kinds[opt[:_BEFORE_COOKIE]] = (size, edns._replace(cookie=None))
        return edns, cookie

    def _keep(self, request: Request, answer: Answer, template: Template) -> None:
        lifetime, wire = answer.lifetime, request.question_wire
        tail = _TAILS.get(wire[-4:])
        if lifetime is None or tail is None or not template.small:
            return
        if answer.aliases:  # it also depends on what the names on the way are, and of wildcards there is no end
            return
        kept = _Kept(template, tail[0], lifetime, answer, self._generation, self._traffic.kept_like_last())
        if answer.authority:
            kept.zone, kept.index = self._nxdomain.zone_at(answer.authority[0].name), self._index()
            if kept.zone is None:
                return
        key = wire.lower() + key_of(request.transport.locality)
        if key in self._kept:
            self._drop(key)
        siblings = self._keys_of[lifetime.service]
        if len(siblings) >= MAX_OF_SERVICE:
            self._drop(next(iter(siblings)))
        siblings.add(key)
        kept.place = len(self._keys)
        self._keys.append(key)
        self._kept[key] = kept
        if answer.others is not None:
            self._named[key[:-4]] = kept
        self._octets += kept.octets
        while self._octets > MAX_OCTETS:
            # Any one: were it the oldest, names asked for in turn would all be gone when they are needed.
            self._drop(self._random.choice(self._keys))

    def _drop(self, key: bytes) -> None:
        kept = self._kept.pop(key, None)
        if kept is None:
            return
        self._octets -= kept.octets
        if self._named.get(key[:-4]) is kept:
            del self._named[key[:-4]]
        last = self._keys.pop()
        if last != key:  # it takes the place that is free now
            self._keys[kept.place] = last
            self._kept[last].place = kept.place
        siblings = self._keys_of[kept.lifetime.service]
        siblings.discard(key)
        if not siblings:
            del self._keys_of[kept.lifetime.service]
