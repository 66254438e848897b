"""Which zone of instances a query comes from (CLIENT_ZONES): that of the client's address; of a trusted forwarder that says for whom it
asks (RFC 7871), that of the subnet it names. Nobody else's subnet is read or echoed.

In front of everything: whoever answers finds the zone in the `Transport`, and kept answers are one a zone.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, NamedTuple

from discovery.core.client_zones import NOWHERE
from discovery.core.network import Networks
from discovery.dns.message.client_subnet import Subnet
from discovery.dns.message.edns import Option
from discovery.dns.message.query import UDP, Malformed, Transport, has_reply, parse
from discovery.dns.message.reason import Reason
from discovery.dns.message.values import Rcode
from discovery.dns.message.wire import error
from discovery.dns.server.kept_answers import MAX_CLIENTS, KeptAnswers, key_of
from discovery.dns.server.responder import Respond
from discovery.dns.server.traffic import Traffic
from discovery.store.nearness import Preference

# Subnets that forwarders name whose zone is remembered, at 1 KB each.
MAX_SUBNETS = 4096


class _Asking(NamedTuple):
    """For whom a forwarder asks. `udp`: the transport of its queries. `kept`: what the keys of kept answers end with."""

    zone: str | None
    udp: Transport
    kept: bytes


class Localities:
    """In front of `kept`, with its contract. `rest` answers clients that are not `is_usual`."""

    def __init__(
        self,
        preference: Preference,
        forwarders: Networks,
        kept: KeptAnswers,
        rest: Respond,
        is_usual: Callable[[str], bool],
        traffic: Traffic,
    ) -> None:
        self._preference = preference
        self._forwarders = forwarders
        self._kept = kept
        self._rest = rest
        self._is_usual = is_usual
        self._traffic = traffic
        self._route_of = lru_cache(MAX_CLIENTS)(self._find_route)
        self._asking = lru_cache(MAX_SUBNETS)(self._read_subnet)
        preference.on_change.append(self._changed)

    def respond(
        self, packet: bytes, now: float, client: str, transport: Transport
    ) -> bytes | Coroutine[Any, Any, bytes] | None:
        return self._route_of(client)(packet, now, client, transport)

    def _changed(self) -> None:
        self._route_of.cache_clear()
        self._asking.cache_clear()
        self._kept.forget_all()

    def _find_route(self, client: str) -> Respond:
        zone, is_usual = self._preference.zone_of(client), self._is_usual(client)
        own = self._kept.respond if is_usual else self._rest
        if zone is not None:
            own = partial(self._of_zone, _Asking(zone, replace(UDP, locality=zone), key_of(zone)), is_usual)
        return partial(self._of_forwarder, own, is_usual) if client in self._forwarders else own

    def _read_subnet(self, data: bytes) -> _Asking:
        """Of an option's data. ValueError."""
        subnet = Subnet.parse(data)
        place = self._preference.zones.place_of(subnet.network) if subnet.network.prefixlen else NOWHERE
        if place.zone is not None:
            self._preference.note(place.zone, str(subnet.network))
        udp = replace(UDP, locality=place.zone or "", subnet=subnet._replace(scope=place.prefix))
        return _Asking(place.zone, udp, key_of(udp.locality))

    def _of_zone(
        self, asking: _Asking, is_usual: bool, packet: bytes, now: float, client: str, transport: Transport
    ) -> bytes | Coroutine[Any, Any, bytes] | None:
        zone, udp, kept = asking
        way = udp if transport is UDP else replace(transport, locality=udp.locality, subnet=udp.subnet)
        reply = self._kept.respond(packet, now, client, way, kept) if is_usual else self._rest(packet, now, client, way)
        return reply if zone is None else self._counted(zone, reply)

    def _of_forwarder(
        self, own: Respond, is_usual: bool, packet: bytes, now: float, client: str, transport: Transport
    ) -> bytes | Coroutine[Any, Any, bytes] | None:
        """`own`: of its own zone, where it does not say for whom it asks."""
        try:
            request = parse(packet, client, transport) if has_reply(packet) else None
        except Malformed:
            request = None
        data = None if request is None or request.edns is None else request.edns.options.get(Option.CLIENT_SUBNET)
        if request is None or data is None:
            return own(packet, now, client, transport)
        try:
            asking = self._asking(data)
        except ValueError:  # §7.1.1
            self._traffic.last = self._traffic.of_error(Rcode.FORMERR)
            return error(packet, Malformed(Rcode.FORMERR, request.flags))
        return self._of_zone(asking, is_usual, packet, now, client, transport)

    def _counted(
        self, zone: str, reply: bytes | Coroutine[Any, Any, bytes] | None
    ) -> bytes | Coroutine[Any, Any, bytes] | None:
        """Answers of services that a zone may prefer."""
        reason = self._traffic.last.reason
        if isinstance(reply, bytes):
            self._preference.answers[zone, "dns", reason is Reason.CROSSED] += reason in _COUNTED
        return reply


_COUNTED = (Reason.NEAR, Reason.CROSSED)
