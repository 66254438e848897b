"""A world of two zones with services, one of fixed names and one below the first, behind Allow as in the server: two lanes."""

from __future__ import annotations

from random import Random
from typing import Any, NamedTuple

import dns.edns
import dns.rcode

from discovery.dns.message.names import from_text
from discovery.dns.message.query import UDP, Request, Transport
from discovery.dns.message.values import Answer, Deferred
from discovery.dns.server.cookies import Cookies
from discovery.dns.server.kept_answers import KeptAnswers, routed
from discovery.dns.server.replies import Replies
from discovery.dns.server.responder import Respond, Responder
from discovery.dns.zones.catalog import Catalog, first_of, following
from discovery.dns.zones.chaos import ServerNames
from discovery.dns.zones.reverse import ReverseNames
from discovery.dns.zones.service_zone import ServiceZone
from discovery.dns.zones.static_zone import StaticZone
from discovery.dns.zones.zone import LiveNames, Zone
from discovery.plugins.allow import Allow, AllowSettings
from tests.dns.world import World, forget, load, make_query, parsed

INSIDE, OUTSIDE = "10.1.2.3", "192.0.2.1"


class Said(NamedTuple):
    """`ede`: code and text of the Extended DNS Error; None without one."""

    rcode: str
    data: set[str]
    ede: tuple[int, str] | None


class Asked:
    """`rules` as DNS_ALLOW has them, None for a world without the feature. `looked_up` counts what reached the zones."""

    def __init__(self, rules: str | None, **zones: str) -> None:
        world = World()
        self.registry = world.registry
        self.add = world.add
        self.looked_up = 0
        files: dict[str, StaticZone] = {
            zone.origin[0].decode(): zone
            for zone in load(
                {
                    "svc.local": "inward IN CNAME secret.corp.example.\nhere IN CNAME web\n",
                    "legacy.local": "",
                    "corp.example": "secret IN A 192.0.2.77\noutward IN CNAME web.svc.local.\n",
                    "deep.svc.local": "host IN A 192.0.2.78\n",
                }
                | zones
            )
        }
        live = ("svc", "legacy")
        origins = [file.origin for file in files.values()]
        self.zones = [
            Zone(
                file,
                ServiceZone(file.origin, self.registry, 5) if name in live else LiveNames(),
                lambda: self.registry.index,
                2,
                origins,
            )
            for name, file in files.items()
        ]
        catalog = Catalog(self.zones)
        reverse = ReverseNames(self.registry, from_text("svc.local"), 5, 2)
        self.registry.followers.append(reverse.follow_commit)
        first = first_of(self._count, catalog.lookup, reverse.lookup, ServerNames("v", "me").lookup)
        inner = following(first, catalog.is_ours, Random(1))
        self.allow = None if rules is None else Allow(AllowSettings.model_validate({"dns_allow": rules}).dns_allow)
        lookup = self.allow.lookup(inner) if self.allow else inner
        cookies = Cookies(bytes(16))
        replies = Replies(cookies, b"me", None)
        responder = Responder(lookup, replies, Random(1))
        hot = KeptAnswers(responder, replies, lambda: self.registry.index, Random(1))
        hot.follow(self.zones)
        self.registry.followers.append(lambda commit: forget(hot, commit))
        self.respond: Respond = hot.respond
        if self.allow:
            self.allow.follow(self.zones)
            self.respond = routed(self.allow.cacheable_for, hot.respond, responder.respond)

    def _count(self, request: Request, now: float) -> Answer | Deferred | None:
        self.looked_up += 1
        return None

    def raw(self, packet: bytes, client: str, transport: Transport = UDP) -> bytes | None:
        reply = self.respond(packet, 0.0, client, transport)
        assert reply is None or isinstance(reply, bytes)
        return reply

    def ask(
        self, name: str, rtype: str = "A", client: str = INSIDE, transport: Transport = UDP, **options: Any
    ) -> Said:
        query = make_query(name, rtype, **({"edns": 1232} | options))
        reply = parsed(self.raw(query.to_wire(), client, transport))
        errors = [option for option in reply.options if isinstance(option, dns.edns.EDEOption)]
        ede = (int(errors[0].code), errors[0].text or "") if errors else None
        return Said(
            dns.rcode.to_text(reply.rcode()), {rdata.to_text() for rrset in reply.answer for rdata in rrset}, ede
        )


def is_refused(said: Said, zone: str = "svc.local") -> bool:
    """As the README has it, by whom and for whom."""
    return (
        said.rcode == "REFUSED" and not said.data and said.ede is not None and said.ede[0] == 18
        and zone in said.ede[1] and "DNS_ALLOW" in said.ede[1]
    )  # fmt: skip
