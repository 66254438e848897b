"""NXDOMAIN for names one label below a zone that nothing and nobody has, as typing errors and floods ask for them.

Such names never repeat, so no answer is kept for a name. One template does for all labels of one length: nothing in it but the
place of the zone's name depends on the question. The explanation, which has the name in it, is made for each reply.
"""

from __future__ import annotations

from collections.abc import Iterable

from discovery.dns.message.edns import explanation_option
from discovery.dns.message.names import MAX_LABEL, Name, from_wire, to_wire
from discovery.dns.message.reason import Reason
from discovery.dns.message.values import OTHER, Answer, Class, Explanation, Question, Rcode, Type
from discovery.dns.message.wire import Template
from discovery.dns.server.traffic import Outcome, Traffic
from discovery.dns.zones.zone import Zone

# Types from here on ask for operations, or for anything at all (RFC 6895 §3.1); and OPT is no question.
_FIRST_META = 128
_IN = Class.IN.to_bytes(2, "big")

# A zone, and by type what a reply without a name is counted as: a template's type is one of 128.
_Known = tuple[Zone, dict[int, Outcome]]


class NxdomainCache:
    """Follows `zones`, which it is given anew whenever they change. Questions are in lower case, as on the wire.

    `traffic` is told which outcome a reply has: one made from the template that was given last.
    """

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._zones: dict[bytes, _Known] = {}
        self._templates: dict[tuple[bytes, int], tuple[int, Template]] = {}  # by origin and length; with the serial

    def follow(self, zones: Iterable[Zone]) -> None:
        self._zones = {to_wire(zone.origin): (zone, {}) for zone in zones}
        self._templates = {}

    def zone_at(self, origin: Name) -> Zone | None:
        known = self._zones.get(to_wire(origin))
        return None if known is None else known[0]

    def template(self, question: bytes) -> Template | None:
        """None when it takes more than a look to know that the name does not exist."""
        at = question[0] + 1
        origin = question[at:-4]
        known = self._zones.get(origin)
        rtype = int.from_bytes(question[-4:-2], "big")
        if known is None or question[-2:] != _IN or rtype >= _FIRST_META or rtype == Type.OPT:
            return None
        if at > MAX_LABEL + 1 or question[:-4] in self._zones:  # no label; or a zone of its own
            return None
        zone, outcomes = known
        if not zone.surely_lacks(question[1:at]):
            return None
        self._traffic.last = outcomes.get(rtype) or self._outcome(outcomes, origin, rtype)
        return self._of(zone, origin, at, question)

    def explained(self, question: bytes, now: float) -> bytes:
        """The EDE option for a question that has a template."""
        at = question[0] + 1
        zone, _ = self._zones[question[at:-4]]
        return explanation_option(Explanation(OTHER, zone.why_not((question[1:at], *zone.origin), now)))

    def _outcome(self, outcomes: dict[int, Outcome], origin: bytes, rtype: int) -> Outcome:
        asked = Question(from_wire(origin), rtype)
        outcomes[rtype] = found = self._traffic.of(asked, Rcode.NXDOMAIN, Reason.UNKNOWN_NAME, kept=True)
        return found

    def _of(self, zone: Zone, origin: bytes, at: int, question: bytes) -> Template:
        serial, soa = zone.negative_soa()
        known = self._templates.get((origin, at))
        if known is None or known[0] != serial:
            answer = Answer.nxdomain()._replace(authority=(soa,))
            known = self._templates[origin, at] = (serial, Template(Question(from_wire(question), Type.A), answer))
        return known[1]
