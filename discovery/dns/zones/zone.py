"""A zone as it answers: its fixed records, its live names beside them, the SOA in every negative.

Fixed records win over live names; wildcards of the file come last, for names that neither has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from discovery.dns.message.names import Name, to_text
from discovery.dns.message.values import OTHER, RR, Answer, Explanation, Question, Rcode, Type
from discovery.dns.zones import records
from discovery.dns.zones.static_zone import StaticZone

# RFC 8482 §4.2: what a name of any kind says to ANY.
_HINFO = b"\x07RFC8482\x00"
_HINFO_TTL = 3600


class LiveNames:
    """Names that come and go; `relative` is a name without the zone's origin. Here there are none.

    `ttl`: the upper bound of theirs in a transfer, seconds.
    """

    ttl: int = 0

    def lookup(self, relative: Name, qtype: int, now: float, locality: str | None = None) -> Answer | None:
        """None: not mine. `locality`: as a Transport has it."""
        return None

    def why_not(self, relative: Name, now: float) -> str:
        """What to tell the person who asked for a name that does not exist; "" for nothing more."""
        return ""

    def surely_lacks(self, label: bytes) -> bool:
        """Whether there is nothing of that name right below the origin; False when it takes more than a look."""
        return True

    def may_be_alias(self, relative: Name) -> bool:
        """Whether there may ever be a CNAME at that name."""
        return False


class Zone:
    """`serial`: the SOA's serial at the moment. `negative_ttl`: the upper bound of a negative answer's TTL, seconds.

    `others`: origins of the other zones here; those below this one make the names on the way to them exist (RFC 8020).
    """

    def __init__(
        self,
        fixed: StaticZone,
        live: LiveNames,
        serial: Callable[[], int],
        negative_ttl: int,
        others: Iterable[Name] = (),
    ) -> None:
        self.origin = fixed.origin
        self.fixed = fixed
        self.live = live
        self.serial = serial
        self._on_the_way = frozenset(_between(fixed.origin, others))
        below = (name[0] for name in self._on_the_way if len(name) == len(fixed.origin) + 1)
        self._present = None if fixed.present is None else fixed.present.union(below)
        # RFC 2308 §3: the TTL of the SOA in a negative answer is how long that may be kept.
        self._in_negatives = min(fixed.soa.ttl, records.soa_minimum(fixed.soa.rdata), negative_ttl)
        self._made: tuple[int, RR, RR] | None = None  # serial; the SOA as an answer and in negatives

    def soa(self) -> RR:
        return self._soas()[1]

    def negative_soa(self) -> tuple[int, RR]:
        """The serial, and the SOA as it stands in negative answers."""
        serial, _, soa = self._soas()
        return serial, soa

    def surely_lacks(self, label: bytes) -> bool:
        """Whether the name `label` (in lower case) right below the origin is NXDOMAIN; False when it takes more than a look."""
        present = self._present
        return present is not None and label not in present and self.live.surely_lacks(label)

    def lookup(self, question: Question, now: float, locality: str | None = None) -> Answer:
        """`question.name` is at or below the origin; an alias is answered and not followed. `locality`: as a Transport has it."""
        if question.type == Type.ANY:
            return self._any(question, now)
        return self.finished(self._find(question.name, question.type, now, locality), question.name, now)

    def finished(self, answer: Answer, name: Name, now: float) -> Answer:
        """With the SOA, if it says no to `name`."""
        if not answer.negative:
            return answer
        explanation = answer.explanation
        if explanation is None and answer.rcode == Rcode.NXDOMAIN:
            explanation = Explanation(OTHER, partial(self.why_not, name, now))
        return answer._replace(authority=(self._soas()[2],), explanation=explanation)

    def why_not(self, name: Name, now: float) -> str:
        """What to tell the person who asked for a name that does not exist."""
        return (
            self.live.why_not(self._relative(name), now) or f"{to_text(name)} is not in the zone {to_text(self.origin)}"
        )

    def _relative(self, name: Name) -> Name:
        return name[: len(name) - len(self.origin)]

    def _any(self, question: Question, now: float) -> Answer:
        """One small answer (RFC 8482), so that ANY is no amplifier."""
        found = self._find(question.name, Type.HINFO, now)
        if found.negative and found.rcode == Rcode.NOERROR:
            return Answer.of([RR(question.name, Type.HINFO, _HINFO_TTL, _HINFO)])
        return self.finished(found, question.name, now)

    def _find(self, name: Name, qtype: int, now: float, locality: str | None = None) -> Answer:
        if qtype == Type.SOA and name == self.origin:
            return Answer.of([self.soa()])
        first = self.fixed.exact(name, qtype)
        if first is not None:
            return first
        live = self.live.lookup(self._relative(name), qtype, now, locality)
        if live is None:
            return self.fixed.otherwise(name, qtype, self._known_depth(name, len(self.origin)))
        if live.rcode == Rcode.NXDOMAIN:  # the service above exists, so only what stands below it in the file counts
            fixed = self.fixed.otherwise(name, qtype, self._known_depth(name, len(self.origin) + 1))
            return live if fixed.rcode == Rcode.NXDOMAIN else fixed
        return live

    def _known_depth(self, name: Name, depth: int) -> int:
        """`depth`, or the labels of a longer name at or above `name` that other zones make exist."""
        for start in range(len(name) - depth if self._on_the_way else 0):
            if name[start:] in self._on_the_way:
                return len(name) - start
        return depth

    def _soas(self) -> tuple[int, RR, RR]:
        """Made anew when the serial has moved."""
        serial = self.serial()
        if self._made is None or self._made[0] != serial:
            rr = self.fixed.soa
            soa = rr._replace(rdata=records.soa_with_serial(rr.rdata, serial))
            self._made = (serial, soa, soa._replace(ttl=self._in_negatives))
        return self._made


def _between(origin: Name, others: Iterable[Name]) -> Iterable[Name]:
    """The names below `origin` and at or above those of `others` that are below it."""
    for other in others:
        if len(other) > len(origin) and other[len(other) - len(origin) :] == origin:
            yield from (other[start:] for start in range(len(other) - len(origin)))
