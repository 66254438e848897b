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


class NxdomainCache:
    """Follows `zones`, which it is given anew whenever they change. Questions are in lower case, as on the wire."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._outcomes: dict[bytes, Outcome] = {}  # by origin and type; a template's type is one of 128
        self._zones: dict[bytes, Zone] = {}
        self._templates: dict[tuple[bytes, int], tuple[int, Template]] = {}  # by origin and length; with the serial

    def follow(self, zones: Iterable[Zone]) -> None:
        self._zones = {to_wire(zone.origin): zone for zone in zones}
        self._templates = {}
        self._outcomes = {}

    def zone_at(self, origin: Name) -> Zone | None:
        return self._zones.get(to_wire(origin))

    def template(self, question: bytes) -> Template | None:
        """None when it takes more than a look to know that the name does not exist."""
        at = question[0] + 1
        origin = question[at:-4]
        zone = self._zones.get(origin)
        rtype = int.from_bytes(question[-4:-2], "big")
        if zone is None or question[-2:] != _IN or rtype >= _FIRST_META or rtype == Type.OPT:
            return None
        if at > MAX_LABEL + 1 or question[:-4] in self._zones:  # no label; or a zone of its own
            return None
        return self._of(zone, origin, at, question) if zone.surely_lacks(question[1:at]) else None

    def explained(self, question: bytes, now: float) -> bytes:
        """The EDE option for a question that has a template."""
        at = question[0] + 1
        zone = self._zones[question[at:-4]]
        return explanation_option(Explanation(OTHER, zone.why_not((question[1:at], *zone.origin), now)))

    def outcome(self, question: bytes) -> Outcome:
        """What a reply to a question that has a template is counted as."""
        of = question[question[0] + 1 : -2]
        found = self._outcomes.get(of)
        if found is None:
            asked = Question(from_wire(of), int.from_bytes(of[-2:], "big"))
            found = self._outcomes[of] = self._traffic.of(asked, Rcode.NXDOMAIN, Reason.UNKNOWN_NAME, kept=True)
        return found

    def _of(self, zone: Zone, origin: bytes, at: int, question: bytes) -> Template:
        serial, soa = zone.negative_soa()
        known = self._templates.get((origin, at))
        if known is None or known[0] != serial:
            answer = Answer.nxdomain()._replace(authority=(soa,))
            known = self._templates[origin, at] = (serial, Template(Question(from_wire(question), Type.A), answer))
        return known[1]
