"""What was asked and what was said, counted in plain numbers: each query once, under the Outcome of its reply.

Who makes a reply says which outcome it has (`last`), and what answers again and again keeps it ready; `counted` adds one. The outcomes
are few and shared, so reading all the numbers is cheap, however many answers are kept.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from random import Random
from typing import NamedTuple

from discovery.core.metric import Histogram
from discovery.dns.message.names import Name, read, to_text
from discovery.dns.message.query import HEADER, has_reply
from discovery.dns.message.reason import Reason
from discovery.dns.message.values import Question, Rcode, Type, type_name
from discovery.dns.zones.live import LIVE_TYPES

_log = logging.getLogger("discovery.dns")

OTHER = "other"
NO_RCODE = "none"  # nothing was sent
TRANSPORTS = ("udp", "tcp", "tls", "https")
# A transport's place in `Outcome.sent`; that of its replies with TC is TC further on.
TC = 0x02
COLUMNS = dict(zip(TRANSPORTS, (0, 1, 4, 5), strict=True))
_SIZE = 8

# Types that are counted by name: those of instances, and what zones and operators have. A stranger may ask for 65,536.
_OTHER_TYPES = (Type.SOA, Type.NS, Type.CNAME, Type.MX, Type.DS, Type.IXFR, Type.AXFR, Type.ANY)
TYPES = {rtype: type_name(rtype) for rtype in sorted([*_OTHER_TYPES, *(kind.type for kind in LIVE_TYPES)])}
# Zones that are counted by name, those in DNS_DOMAIN first: each is 64 series. The others are `other`.
MAX_ZONES = 8
# One query of so many, on average, is looked at closer.
SAMPLE = 16
# Seconds: a kept answer takes microseconds, another server up to seconds. Octets: 1232 is the most over UDP.
SECONDS = (0.000005, 0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.005, 0.02, 0.1, 0.5, 2.0)
OCTETS = (64, 96, 128, 192, 256, 384, 512, 768, 1232, 4096, 16384)

_RCODES = {rcode.value: rcode.name for rcode in Rcode}


class Outcome:
    """`sent[column]`: how often. `kept`: it came from kept answers."""

    __slots__ = ("kept", "rcode", "reason", "sent", "twin", "type", "zone")

    def __init__(self, zone: str, type: str, rcode: str, reason: Reason, kept: bool) -> None:
        self.zone = zone
        self.type = type
        self.rcode = rcode
        self.reason = reason
        self.kept = kept
        self.sent = [0] * _SIZE
        self.twin: Outcome | None = None  # the same, kept


class Exchange(NamedTuple):
    """A query and its reply; None: nothing was sent. `seconds`: from one to the other."""

    packet: bytes
    reply: bytes | None
    client: str
    transport: str
    outcome: Outcome
    seconds: float


# A sample: an Exchange as a plain tuple, which takes a fifth of the time to make.
Taken = tuple[bytes, "bytes | None", str, str, Outcome, float]
See = Callable[[Exchange], None]
SeeSome = Callable[[Sequence[Taken]], None]

# Samples that are looked at together: each thing that is done for all of them at once is cheaper than done for each.
_TOGETHER = 256


class Traffic:
    """`wanted`: somebody reads these numbers, so queries are counted. `samples` see one exchange of SAMPLE, some together, `watch`ers
    each.

    `last`: the outcome of the reply that is being made. `wakes`: let the next query be looked at.
    """

    def __init__(self, random: Random | None = None) -> None:
        self.wanted = False
        self.samples: list[SeeSome] = []
        self.wakes: list[Callable[[], None]] = []
        self._seconds = {transport: Histogram(SECONDS) for transport in TRANSPORTS}
        self._octets = {transport: Histogram(OCTETS) for transport in TRANSPORTS}
        self._random = random or Random()
        self._watchers: list[See] = []
        self._taken: list[Taken] = []
        self._outcomes: dict[tuple[str, str, str, Reason, bool], Outcome] = {}
        self._zones: dict[Name, str] = {}
        self._zone_above = lru_cache(1024)(self._find_zone)  # most names are right below one of few
        self.last = self.of(None, None, Reason.OTHER)

    @property
    def outcomes(self) -> Iterable[Outcome]:
        return self._outcomes.values()

    @property
    def seconds(self) -> Mapping[str, Histogram]:
        """By transport."""
        self.hand_over()
        return self._seconds

    @property
    def octets(self) -> Mapping[str, Histogram]:
        self.hand_over()
        return self._octets

    @property
    def zones(self) -> tuple[str, ...]:
        """The labels."""
        return (*self._zones.values(), OTHER)

    def follow(self, origins: Iterable[Name]) -> None:
        """The zones that are served. One that was counted by name still is when it is there no longer."""
        for origin in origins:
            if origin not in self._zones and len(self._zones) < MAX_ZONES:
                self._zones[origin] = to_text(origin)
        self._zone_above.cache_clear()

    # -- what a reply is

    def of(self, question: Question | None, rcode: int | None, reason: Reason, kept: bool = False) -> Outcome:
        """None: there is no question; nothing is sent."""
        zone = rtype = OTHER
        if question is not None:
            name = question.name
            zone, rtype = self._zones.get(name) or self._zone_above(name[1:]), TYPES.get(question.type, OTHER)
        said = NO_RCODE if rcode is None else _RCODES.get(rcode, OTHER)
        key = (zone, rtype, said, reason, kept)
        found = self._outcomes.get(key)
        if found is None:
            found = self._outcomes[key] = Outcome(*key)
        return found

    def kept_like_last(self) -> Outcome:
        """Of a reply as the last one, when it comes from kept answers."""
        last = self.last
        if last.twin is None:
            key = (last.zone, last.type, last.rcode, last.reason, True)
            last.twin = self._outcomes.setdefault(key, Outcome(*key))
        return last.twin

    def of_error(self, rcode: int) -> Outcome:
        """Of what could not be read."""
        return self.of(None, rcode, _BY_RCODE.get(rcode, Reason.OTHER))

    def of_silence(self, packet: bytes, streams: bool) -> Outcome:
        """`streams`: the query may have been answered by a stream of messages."""
        if streams and has_reply(packet):
            return self.of(_question_in(packet), Rcode.NOERROR, Reason.STREAMED)
        return self.of(None, None, Reason.IGNORED)

    def of_octets(self, packet: bytes, reply: bytes) -> Outcome:
        """Of a reply that somebody made who did not say which outcome it has."""
        rcode = reply[3] & 0xF
        reason = Reason.ANSWER if rcode == Rcode.NOERROR else _BY_RCODE.get(rcode, Reason.OTHER)
        return self.of(_question_in(packet), rcode, reason)

    def _find_zone(self, name: Name) -> str:
        for start in range(len(name) + 1):
            zone = self._zones.get(name[start:])
            if zone is not None:
                return zone
        return OTHER

    # -- who looks closer

    def watch(self, see: See) -> None:
        """From the next query on."""
        self._watchers.append(see)
        for wake in self.wakes:
            wake()

    def unwatch(self, see: See) -> None:
        self._watchers.remove(see)

    def show(self, taken: Taken) -> int:
        """To whom it concerns. So many queries may pass until the next that is shown."""
        left = 0
        if self._watchers:
            exchange = Exchange(*taken)
            for see in list(self._watchers):
                self._guarded(partial(see, exchange))
            if self._random.random() >= 1 / SAMPLE:
                return left
        else:  # drawn anew: clients that ask in turns must not all be looked at, or never
            left = int(self._random.random() * (2 * SAMPLE - 1))
        self._taken.append(taken)
        if len(self._taken) >= _TOGETHER:
            self.hand_over()
        return left

    def hand_over(self) -> None:
        """The samples so far; called also by whoever reads what came of them."""
        taken, self._taken = self._taken, []
        for _, reply, _, transport, _, seconds in taken:
            self._seconds[transport].observe(seconds)
            if reply is not None:
                self._octets[transport].observe(len(reply))
        for see in self.samples if taken else ():
            self._guarded(partial(see, taken))

    def _guarded(self, look: Callable[[], None]) -> None:
        try:
            look()
        except Exception:  # whoever looks must not keep a client from its answer
            _log.exception("a query could not be looked at", {"event": "traffic.failed"})


_BY_RCODE: dict[int, Reason] = {
    Rcode.FORMERR: Reason.MALFORMED,
    Rcode.NOTIMP: Reason.NOT_IMPLEMENTED,
    Rcode.REFUSED: Reason.NOT_ALLOWED,
    Rcode.SERVFAIL: Reason.FAILED,
}


def _question_in(packet: bytes) -> Question | None:
    try:
        name, end = read(packet, HEADER.size)
        return Question(name, int.from_bytes(packet[end : end + 2], "big"))
    except (ValueError, IndexError):
        return None
