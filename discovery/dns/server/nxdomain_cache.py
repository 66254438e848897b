"""The short no: names one label below a zone that nothing and nobody has, as typing errors and floods ask for them.

Such names never repeat, so there is nothing to keep but the SOA. The full way to the same answer takes 16 µs, this one 3.
"""

from __future__ import annotations

from collections.abc import Iterable

from discovery.dns.message.names import MAX_LABEL, to_wire
from discovery.dns.message.values import Type
from discovery.dns.message.wire import Section, packed_soa
from discovery.dns.zones.zone import Zone

# Types from here on ask for operations, or for anything at all (RFC 6895 §3.1); and OPT is no question.
_FIRST_META = 128
_IN = b"\0\1"


class Absences:
    """Follows `zones`, which it is given anew whenever they change."""

    def __init__(self) -> None:
        self._zones: dict[bytes, Zone] = {}
        self._packed: dict[tuple[bytes, int], tuple[int, Section]] = {}

    def follow(self, zones: Iterable[Zone]) -> None:
        self._zones = {to_wire(zone.origin): zone for zone in zones}
        self._packed = {}

    def authority(self, question: bytes) -> Section | None:
        """The authority section of the NXDOMAIN that `question` (in lower case, as on the wire) surely deserves; else None."""
        at = question[0] + 1
        origin = question[at:-4]
        zone = self._zones.get(origin)
        if zone is None or question[-2:] != _IN or not self._is_for_records(question[-4:-2]):
            return None
        if at > MAX_LABEL + 1 or question[:-4] in self._zones:  # no label; or a zone of its own
            return None
        return self._soa(zone, origin, at) if zone.surely_lacks(question[1:at]) else None

    @staticmethod
    def _is_for_records(rtype: bytes) -> bool:
        return rtype[0] == 0 and rtype[1] < _FIRST_META and rtype[1] != Type.OPT

    def _soa(self, zone: Zone, origin: bytes, at: int) -> Section:
        serial, soa = zone.negative_soa()
        known = self._packed.get((origin, at))
        if known is None or known[0] != serial:
            known = self._packed[origin, at] = (serial, packed_soa(soa, at))
        return known[1]
