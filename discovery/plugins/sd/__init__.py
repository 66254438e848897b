"""GET /sd/prometheus: instances as targets of Prometheus (`http_sd_configs`). README.md beside this file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import orjson

from discovery.core import metadata
from discovery.core.address import authority
from discovery.core.instance import Instance
from discovery.core.schema import TEXT, by_name, list_of
from discovery.core.status import Status
from discovery.plugins import Plugin, Seams
from discovery.rest.api import parameters
from discovery.rest.api.answers import Answer, Pieces
from discovery.rest.api.errors import HttpError
from discovery.rest.api.example import Example
from discovery.rest.api.following.filters import FILTERS, Filter
from discovery.rest.api.query import Table, values_of
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Kind, Right, Route, without_query
from discovery.rest.api.services.listing import HEADING, PARAMETERS, Wanted
from discovery.rest.api.shapes import Shape, like
from discovery.store.registry import Registry
from discovery.store.service import Entry

# Before the name of each label: of those that are gone after relabelling.
PREFIX = "__meta_discovery_"
_QUERY: Table = {
    **FILTERS,
    "service": parameters.names("the instances of these services"),
    "status": PARAMETERS["status"],
}
# What a label's name may not have (Prometheus' data model).
_NO_LABEL = re.compile("[^A-Za-z0-9_]")


_LABELS = {
    f"{PREFIX}{name}": text
    for name, text in {
        "service": "user-service",
        "id": "536f1391-87bb-40b9-ad9b-5ab1ac7dd939",
        "address": "10.0.0.7",
        "port": "3001",
        "status": "healthy",
        "health": "passing",
        "zone": "",
        "tags": "",
    }.items()
}


# One instance each.
_REPLY = list_of(
    Shape(
        "TargetGroup",
        {"targets": like({**list_of(TEXT, 1), "minItems": 1}, ["10.0.0.7:3001"]), "labels": like(by_name(TEXT), _LABELS)},
    )
)  # fmt: skip


class PrometheusTargets(Plugin):
    """`clock`: monotonic seconds, the registry's."""

    def __init__(self, registry: Registry, clock: Callable[[], float]) -> None:
        self._registry = registry
        self._clock = clock

    def install(self, seams: Seams) -> None:
        seams.routes.append(
            Route(
                "GET", "/sd/prometheus", self.targets, Right.READ, Kind.QUESTION, "Instances as targets of Prometheus", HEADING,
                _REPLY, codes=("NOT_READY",), query=_QUERY, kept=without_query,
                examples=(Example(title="All"), Example(query={"service": "user-service"}, title="Of a service")),
            )
        )  # fmt: skip

    def targets(self, request: Request) -> Answer:
        """Prometheus keeps what it has while it is answered with an error."""
        asked = values_of(request)
        if not self._registry.loaded:
            raise HttpError("NOT_READY", "Not ready: the registry is still being filled")
        return Answer(200, self._pieces(asked.get("service"), Wanted(Filter.of(asked), asked.get("status"))))

    def _pieces(self, services: frozenset[str] | None, wanted: Wanted) -> Pieces:
        before = b"["
        for some in self._parts(services):
            now = self._clock()
            listed = [(entry.instance, entry.status_at(now)) for entry in some if wanted.has(entry, now)]
            groups = [
                {"targets": [authority(each.spec.ip, each.spec.port)], "labels": labels(each, status)}
                for each, status in listed
                if status is not Status.UNHEALTHY and each.spec.port
            ]
            yield before + orjson.dumps(groups)[1:-1] if groups else b""
            before = b"," if groups else before
        yield b"[]" if before == b"[" else b"]"

    def _parts(self, services: frozenset[str] | None) -> Iterator[list[Entry]]:
        if services is None:
            yield from self._registry.in_parts(_AT_ONCE)
            return
        for name in services:
            service = self._registry.service(name)
            entries = [] if service is None else list(service.entries.values())
            yield from (entries[start : start + _AT_ONCE] for start in range(0, len(entries), _AT_ONCE))


# Instances of one piece, 10 µs each.
_AT_ONCE = 50


def labels(instance: Instance, status: Status) -> dict[str, str]:
    """All that it says of itself. Values are texts; what is no letter, digit or `_` in a name is `_`."""
    spec = instance.spec
    said = {
        "service": spec.name,
        "id": instance.id,
        "address": spec.ip,
        "port": str(spec.port),
        "status": status.value,
        "health": instance.own.health.value,
        "zone": spec.zone or "",
        "tags": f",{','.join(spec.tags)}," if spec.tags else "",  # as of Consul: `.*,blue,.*` finds one
    }
    said |= {f"port_{name}": str(port) for name, port in spec.ports}
    if spec.metadata != metadata.EMPTY:
        said |= {f"metadata_{key}": text for key, text in metadata.texts(metadata.unpack(spec.metadata)).items()}
    return {PREFIX + _NO_LABEL.sub("_", name): text for name, text in said.items()}


def make(registry: Registry, clock: Callable[[], float]) -> PrometheusTargets:
    return PrometheusTargets(registry, clock)
