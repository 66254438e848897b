"""Who may ask about which zone: networks by zone, REFUSED for everybody else. README.md beside this file.

A rule is about its zone and all names below it. Clients that no rule keeps out of anything are answered as if this feature were not
there, from kept answers too; every look-up of the others goes through here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_network
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from discovery.core.network import Network, ip_of, unmapped
from discovery.dns.message.names import ROOT, Name, from_text, from_wire, to_text
from discovery.dns.message.query import Request
from discovery.dns.message.reason import Reason
from discovery.dns.message.values import PROHIBITED, Answer, Class, Deferred, Explanation, Type
from discovery.dns.zones.catalog import Lookup
from discovery.dns.zones.service_zone import ServiceZone
from discovery.dns.zones.zone import Zone
from discovery.plugins import LookupSeam, Plugin, Seams
from discovery.store.engine import Engine
from discovery.store.registry import Registry
from discovery.system.env import EnvSettings, SettingsError

# Clients of restricted zones whose rules are remembered, at 0.3 KB each.
MAX_CLIENTS = 4096

_log = logging.getLogger("discovery.allow")

_ARPA = (b"arpa",)


class Allow(Plugin):
    """`rules`: the networks that may ask about each name and what is below it. The rule of the longest name counts; ROOT is for all."""

    def __init__(self, rules: Mapping[Name, Sequence[Network]]) -> None:
        self._rules = rules
        self._closed_to = lru_cache(maxsize=MAX_CLIENTS)(self._find_closed_to)
        self._origins: frozenset[Name] = frozenset()
        self._live: list[Name] = []  # of zones with services

    def install(self, seams: Seams) -> None:
        seams.lookups.append(LookupSeam(self.lookup, self.cacheable_for))
        seams.zones.append(self.follow)

    def follow(self, zones: Sequence[Zone]) -> None:
        self._origins = frozenset(zone.origin for zone in zones)
        self._live = [zone.origin for zone in zones if isinstance(zone.live, ServiceZone)]

    async def open(self, engine: Engine) -> None:
        """SettingsError when a rule is about no zone: with a misspelt one, the zone that was meant would be open."""
        for name in self._rules:
            if name != ROOT and name not in self._origins:
                served = ", ".join(sorted(map(to_text, self._origins)))
                raise SettingsError(f"DNS_ALLOW: {to_text(name)} is no zone of this server, which has {served}")
        live = [origin for origin in self._live if self._rule_of(origin) is None]
        if live and len(live) < len(self._live):
            names = [*map(to_text, live)]
            _log.warning(
                "DNS_ALLOW: all zones of services show the same services, and %(_names)s has no rule: it is open",
                {"event": "allow.zone_is_open", "zones": names, "_names": ", ".join(names)},
            )

    def cacheable_for(self, client: str) -> bool:
        return not self._find_closed_to(client)

    def lookup(self, inner: Lookup) -> Lookup:
        def lookup(request: Request, now: float) -> Answer | Deferred | None:
            closed, question = self._closed_to(request.client), request.question
            if question.klass != Class.IN or not closed:
                return inner(request, now)
            rule = self._rule_of(question.name)
            if rule in closed:
                return _refused(rule, request.client)
            if rule is None and question.name[-1:] == _ARPA:
                return self._without_closed(self._reversed(inner, request, now), closed)
            return self._without_closed(inner(request, now), closed)

        return lookup

    def _without_closed(self, answer: Answer | Deferred | None, closed: frozenset[Name]) -> Answer | Deferred | None:
        """Aliases as far as the first that leads into a closed zone, and nothing that they lead to."""
        known = answer.unasked if isinstance(answer, Deferred) else answer
        for number, rr in enumerate(known.answer if known else ()):
            if rr.type == Type.CNAME and self._rule_of(from_wire(rr.rdata)) in closed:
                return Answer.of(known.answer[: number + 1]) if known else None
        return answer

    def _reversed(self, inner: Lookup, request: Request, now: float) -> Answer | Deferred | None:
        """A reverse name tells of names, so it is for those who may ask about these."""
        closed = self._closed_to(request.client)
        for asked in {request.question._replace(type=Type.PTR), request.question}:
            answer = inner(request._replace(question=asked), now)
            for name in _names_in(answer) if isinstance(answer, Answer) else ():
                if (rule := self._rule_of(name)) is not None and rule in closed:
                    return _refused(rule, request.client)
        return inner(request, now)

    def _rule_of(self, name: Name) -> Name | None:
        for start in range(len(name) + 1):
            if name[start:] in self._rules:
                return name[start:]
        return None

    def _find_closed_to(self, client: str) -> frozenset[Name]:
        """The names of the rules that keep this client out."""
        ip = ip_of(client)
        return frozenset(name for name, nets in self._rules.items() if ip is None or not any(ip in net for net in nets))


def _names_in(answer: Answer) -> list[Name]:
    """What the records of a reverse name point to; in a negative one, the zone that its SOA names."""
    return [from_wire(rr.rdata) for rr in (*answer.answer, *answer.authority) if rr.type in (Type.PTR, Type.SOA)]


def _refused(rule: Name, client: str) -> Answer:
    what = to_text(rule) if rule else "this server"
    return Answer.refused(
        Explanation(
            PROHIBITED, f"{what} does not answer {client}: it is in no network of DNS_ALLOW", Reason.NOT_ALLOWED
        )
    )


def _rules(value: object) -> object:
    """`NETWORK|NETWORK,ZONE=NETWORK|NETWORK`: for all zones that are not named, and by zone."""
    if not isinstance(value, str):
        return value
    rules: dict[Name, tuple[Network, ...]] = {}
    for part in filter(None, map(str.strip, value.split(","))):
        zone, has_zone, networks = part.rpartition("=")
        name = _zone(zone.strip()) if has_zone else ROOT
        if has_zone and name in rules:
            raise ValueError(f"{zone} is there twice; write all its networks in one, with | between them")
        rules[name] = (*rules.get(name, ()), *map(_network, networks.split("|")))
    return rules


def _zone(text: str) -> Name:
    try:
        name = from_text(text)
    except ValueError:
        raise ValueError(f"{text!r} is no zone; write ZONE=NETWORK|NETWORK, or NETWORK for all zones") from None
    if name == ROOT:
        raise ValueError("there is no zone before the =; write ZONE=NETWORK|NETWORK, or NETWORK for all zones")
    return name


def _network(text: str) -> Network:
    try:
        return unmapped(ip_network(text.strip()))
    except ValueError as error:
        raise ValueError(f"{text.strip()!r} is no network such as 10.0.0.0/8, 127.0.0.1 or fd00::/8: {error}") from None


class AllowSettings(EnvSettings):
    # By zone, ROOT for all others.
    dns_allow: Annotated[dict[Name, tuple[Network, ...]], NoDecode, BeforeValidator(_rules)] = Field({})
    """Networks whose clients may ask, for all zones (10.0.0.0/8,127.0.0.1) or by zone
    (svc.local=10.0.0.0/8|192.168.0.0/16,legacy.local=127.0.0.0/8); others get REFUSED. Empty: everybody may ask."""


def make(registry: Registry, clock: Callable[[], float]) -> Allow | None:
    settings = AllowSettings.read()
    return Allow(settings.dns_allow) if settings.dns_allow else None
