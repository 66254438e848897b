"""GET /zones: instances and askers by zone, how many of the answers crossed, and which services a zone has too few healthy ones of. Its
metrics too, for the zones of CLIENT_ZONES.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field

from discovery.core.metric import Metric
from discovery.core.name import fold
from discovery.core.schema import TEXT, WHOLE, described, list_of, or_null
from discovery.core.status import Status
from discovery.rest.api.answers import Json
from discovery.rest.api.example import Example
from discovery.rest.api.handlers import Handlers
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Kind, Right, Route, without_query
from discovery.rest.api.services.listing import HEADING
from discovery.rest.api.shapes import Shape, like, reply
from discovery.store.service import Service
from discovery.system.turns import turns

# Zones that are listed and not in CLIENT_ZONES: whoever registers may invent one. The others are added up.
MAX_OTHERS = 256
# Of a zone: networks and services that are named.
_NAMED = 8
# Services at a time; the clock of turns is looked at after each.
_PAGE = 100


_LIMPING = Shape(
    "Limping", {"service": TEXT, "healthy": WHOLE, "known": WHOLE}, "`known` in the zone, `healthy` of them."
)
_ZONE = Shape(
    "ZoneView",
    {
        "zone": like(TEXT, "eu-a"),
        "networks": described(like(list_of(TEXT), ["10.1.0.0/16"]), "of CLIENT_ZONES, the first of them"),
        "networkCount": WHOLE,
        "services": WHOLE,
        "instances": WHOLE,
        "healthy": WHOLE,
        "missing": described(WHOLE, "fell silent within the hour, and nobody has come in their place"),
        "askers": described(WHOLE, "addresses and subnets that asked since the start, up to 1,000"),
        "answers": described(WHOLE, "with a preference, over DNS and HTTP"),
        "crossed": described(WHOLE, "of them, those in which some or all are from elsewhere"),
        "limping": described(list_of(_LIMPING), "the worst of the services with fewer healthy ones than ZONE_MIN_HEALTHY"),
    },
)  # fmt: skip
_REPLY = reply(
    "ZonesReply",
    {
        "minHealthy": described(or_null(WHOLE), "ZONE_MIN_HEALTHY; null without CLIENT_ZONES"),
        "zones": list_of(_ZONE),
        "others": described(WHOLE, "instances in no zone, or in one of more than are listed"),
    },
)


@dataclass(slots=True)
class _Total:
    services: int = 0
    instances: int = 0
    healthy: int = 0
    missing: int = 0
    limping: list[tuple[float, Json]] = field(default_factory=list)

    def limps(self, service: str, healthy: int, known: int) -> None:
        self.limping.append((healthy / known, {"service": service, "healthy": healthy, "known": known}))
        if len(self.limping) > 2 * _NAMED:
            self.worst()

    def worst(self) -> list[Json]:
        self.limping = sorted(self.limping, key=lambda pair: pair[0])[:_NAMED]
        return [each for _, each in self.limping]


class Zones(Handlers):
    def routes(self) -> list[Route]:
        return [
            Route(
                "GET", "/zones", self.zones, Right.READ, Kind.QUESTION, "Instances and askers by zone", HEADING, _REPLY,
                kept=without_query, examples=(Example(more={"zones": [], "others": 2}),),
            )
        ]  # fmt: skip

    def metrics(self) -> list[Metric]:
        preference = self.preference
        if preference is None:
            return []

        async def instances() -> Mapping[tuple[str, ...], float]:
            totals = (await self._totals())[0]
            of = {zone: totals[zone] for zone in preference.zones.zones}
            found: dict[tuple[str, ...], float] = {(zone, "true"): total.healthy for zone, total in of.items()}
            return found | {(zone, "false"): total.instances - total.healthy for zone, total in of.items()}

        def answers() -> Mapping[tuple[str, ...], float]:
            pairs = (
                (zone, way, crossed)
                for zone in preference.zones.zones
                for way in ("dns", "http")
                for crossed in (False, True)
            )
            return {
                (zone, way, str(crossed).lower()): preference.answers[zone, way, crossed]
                for zone, way, crossed in pairs
            }

        return [
            Metric("gauge", "discovery_zone_instances", "Instances of the zones of CLIENT_ZONES.", instances, ("zone", "healthy")),
            Metric(
                "gauge", "discovery_zone_askers", "Addresses and subnets that asked, up to 1,000.",
                lambda: {(zone,): len(askers) for zone, askers in preference.askers.items()}, ("zone",),
            ),
            Metric(
                "counter", "discovery_zone_answers", "Answers with a preference; crossed: some or all are from elsewhere.",
                answers, ("zone", "over", "crossed"),
            ),
        ]  # fmt: skip

    def zones(self, request: Request) -> Awaitable[Json]:
        return self._zones()

    async def _zones(self) -> Json:
        totals, others = await self._totals()
        preference = self.preference
        networks: defaultdict[str, list[str]] = defaultdict(list)
        answers = Counter[tuple[str, bool]]()
        if preference is not None:
            for network, zone in preference.zones.networks.items():
                networks[zone].append(str(network))
            for (zone, _, crossed), count in preference.answers.items():
                answers[zone, crossed] += count
        found = [
            {
                "zone": zone,
                "networks": networks[zone][:_NAMED],
                "networkCount": len(networks[zone]),
                "services": total.services,
                "instances": total.instances,
                "healthy": total.healthy,
                "missing": total.missing,
                "askers": len(preference.askers.get(zone, ())) if preference is not None else 0,
                "answers": answers[zone, False] + answers[zone, True],
                "crossed": answers[zone, True],
                "limping": total.worst(),
            }
            for zone, total in sorted(totals.items())
        ]
        least = None if preference is None else round(100 * preference.least)
        return {"minHealthy": least, "zones": found, "others": others}

    async def _totals(self) -> tuple[dict[str, _Total], int]:
        """Those of CLIENT_ZONES and others; and how many instances are in none of them. In several turns."""
        ours = () if self.preference is None else self.preference.zones.zones
        totals, others, after = {zone: _Total() for zone in ours}, 0, ""
        while services := self.registry.page(after, _PAGE):
            for service in services:
                others += self._add(service, totals, len(ours) + MAX_OTHERS)
                if turns().is_over():
                    await turns().over()
            after = fold(services[-1].name)
        return totals, others

    def _add(self, service: Service, totals: dict[str, _Total], most: int) -> int:
        """How many of it are in none."""
        now, others = self.clock(), 0
        known, healthy = Counter[str](), Counter[str]()
        for entry in service.entries.values():
            if entry.instance.lapsed_at is None:
                zone = entry.instance.spec.locality
                known[zone] += 1
                healthy[zone] += entry.status_at(now) is Status.HEALTHY
        for zone, count in known.items():
            if not zone or (zone not in totals and len(totals) >= most):
                others += count
                continue
            total = totals.setdefault(zone, _Total())
            missing = len(self.registry.missing.of(service.folded, zone, now))
            total.services += 1
            total.instances += count
            total.healthy += healthy[zone]
            total.missing += missing
            if self.preference is not None and healthy[zone] < (count + missing) * self.preference.least:
                total.limps(service.name, healthy[zone], count + missing)
        return others
