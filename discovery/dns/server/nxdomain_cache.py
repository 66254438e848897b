"""NXDOMAIN for names one label below a zone that nothing and nobody has, as typing errors and floods ask for them.

Such names never repeat, so no answer is kept for a name. One template does for all labels of one length: nothing in it but the
place of the zone's name depends on the question. The explanation, which has the name in it, is made for each reply.
"""

from __future__ import annotations

from collections.abc import Iterable

from discovery.dns.message.edns import explanation_option
from discovery.dns.message.names import MAX_LABEL, Name, from_wire, to_wire
from discovery.dns.message.reason import Reason
from discovery.dns.message.values import OTHER, Answer, Class, Question, Rcode, Type
from discovery.dns.message.wire import Template
from discovery.dns.server.traffic import Outcome, Traffic
from discovery.dns.zones.zone import Zone

# Types that ask for operations, or for anything at all (RFC 6895 §3.1); and OPT is no question.
_META = range(128, 256)
# What HTTPS, 65, becomes in lower case. TYPE97, which is nobody's, is counted as HTTPS, too.
_LOWERED_HTTPS = 97
_IN = Class.IN.to_bytes(2, "big")
# Zones, times types: a stranger may ask for 65,000 of these.
_MAX_KNOWN = 1024


class _Templates:
    """Of a zone, by length of the label; all with the SOA of that `serial`."""

    __slots__ = ("by_length", "origin", "serial", "zone")

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.origin = zone.origin
        self.serial = -1
        self.by_length: dict[int, Template] = {}

    def make(self, length: int, question: bytes) -> Template:
        _, soa = self.zone.negative_soa()
        answer = Answer.nxdomain()._replace(authority=(soa,))
        self.by_length[length] = template = Template(Question(from_wire(question), Type.A), answer)
        return template


class NxdomainCache:
    """Follows `zones`, which it is given anew whenever they change. Questions are in lower case, as on the wire.

    `traffic` is told which outcome a reply has: one made from the template that was given last.
    """

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._zones: dict[bytes, _Templates] = {}
        # By what stands behind the label: what replies are counted as beside it.
        self._known: dict[bytes, tuple[_Templates, Outcome]] = {}
        self._last: tuple[Zone, bytes]  # and a label that it lacks

    def follow(self, zones: Iterable[Zone]) -> None:
        self._zones = {to_wire(zone.origin): _Templates(zone) for zone in zones}
        self._known = {}

    def zone_at(self, origin: Name) -> Zone | None:
        templates = self._zones.get(to_wire(origin))
        return None if templates is None else templates.zone

    def template(self, question: bytes) -> Template | None:
        """None when it takes more than a look to know that the name does not exist."""
        at = question[0] + 1
        known = self._known.get(question[at:]) or self._learn(question[at:])
        if known is None or at > MAX_LABEL + 1:  # no label
            return None
        templates, outcome = known
        zone, label = templates.zone, question[1:at]
        if not zone.surely_lacks(label):
            return None
        self._last = zone, label
        self._traffic.last = outcome
        serial = zone.serial()
        if templates.serial != serial:
            templates.serial, templates.by_length = serial, {}
        return templates.by_length.get(at) or templates.make(at, question)

    def asked(self, question: bytes, rtype: int) -> tuple[Zone, Question] | None:
        """The same with its type, where the name is right below a zone."""
        at = question[0] + 1
        known = self._zones.get(question[at:-4])
        if known is None or not 1 < at <= MAX_LABEL + 1:
            return None
        return known.zone, Question((question[1:at], *known.origin), rtype)

    def explained(self, now: float) -> bytes:
        """The EDE option for the question whose template was given last."""
        zone, label = self._last
        return explanation_option(OTHER, zone.live.why_not((label,), now) or zone.why_not((label, *zone.origin), now))

    def _learn(self, tail: bytes) -> tuple[_Templates, Outcome] | None:
        """`tail`: a zone's name, a type and a class."""
        templates, rtype = self._zones.get(tail[:-4]), int.from_bytes(tail[-4:-2], "big")
        if rtype == _LOWERED_HTTPS:
            rtype = Type.HTTPS
        if templates is None or tail[-2:] != _IN or rtype in _META or rtype == Type.OPT:
            return None
        asked = Question(from_wire(tail), rtype)
        outcome = self._traffic.of(asked, Rcode.NXDOMAIN, Reason.UNKNOWN_NAME, kept=True)
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        self._known[tail] = found = templates, outcome
        return found
