"""Optional features, one folder each with its README; `app.PLUGINS` lists them in order and none knows another.

A plugin reaches the server through the seams below and nowhere else: it appends to the lists that it needs, so that a feature that is
off costs nothing and asks nothing of anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from discovery.core.metric import Metric
from discovery.core.network import Networks
from discovery.core.warning import Concern
from discovery.dns.message.names import Name
from discovery.dns.server.responder import Respond
from discovery.dns.server.traffic import Traffic as DnsTraffic
from discovery.dns.zones.catalog import Lookup
from discovery.dns.zones.zone import LiveNames, Zone
from discovery.rest.api.following.waiting import LongPolls
from discovery.rest.api.handlers import ImportedAs
from discovery.rest.api.route import Route
from discovery.rest.guard.admission import Admit, RegisterRate
from discovery.rest.http.traffic import Traffic as HttpTraffic
from discovery.store.engine import Engine, WriteSeams
from discovery.store.registry import Registry
from discovery.store.state import CheckResult, Follower, IndexFollower
from discovery.system.files import Reloaded


def nobody(client: str) -> bool:
    """For `cacheable_for`: its answers are never kept ready."""
    return False


def everybody(client: str) -> bool:
    """For `cacheable_for`: it answers all clients alike."""
    return True


class LookupSeam(NamedTuple):
    """`wrap`: the look-up with a feature in front of it. `cacheable_for(client)`: whether this client always gets the answer that nearly
    all get about names in our zones, so that it may be given a kept one. Asked once for a client, and remembered.
    """

    wrap: Callable[[Lookup], Lookup]
    cacheable_for: Callable[[str], bool] = nobody


@dataclass(frozen=True)
class Seams(WriteSeams):
    """Lists to append to, in the order of the plugins: the first is outermost and sees a request or a question before the others.

    `followers`: each commit, once the table has it; never blocks, never raises, never writes. `index_followers`: likewise, when the index
    has moved, so that readers see it. `last_checks`: what the last probes of an instance came to, by its id: by the
    checks' ids. `responders`: what is done with DNS messages that are no plain queries. `zones`: the zones that are served, before `open`
    and whenever they are read anew. `recurses`: whether
    names outside our zones are answered for a client, so that its replies have RA set. `admits`: who is let in over HTTP. `routes`: of the
    API. `long_polls`: are given what lets requests wait, before any comes. `http_ports`: where HTTP is answered besides PORT. `metrics`:
    numbers for whoever shows them; those of the rooms are there before `open`. `concerns`: what is warned of. `files`: those that are read
    again while the server runs, when they change and when SIGHUP asks for it; their metrics and warnings follow.
    `live_names`: of zones that are a plugin's own, by their origins; nobody else has names there. `dns_ttl`: the upper bound of a live
    answer's TTL.
    `count_registration`: is told of each by address and time (the registry's clock), and refuses one too many. `dns_traffic`,
    `http_traffic`: what is asked and answered. `dns_addresses`: where DNS listens. `proxies`: those whose X-Forwarded-For is
    believed. `is_public`: other machines reach the REST API. `imported_as`: by the name of a plugin that speaks another registry's
    language, what it remembers of an instance of which an import has that registry's own words.
    """

    followers: list[Follower] = field(default_factory=list)
    index_followers: list[IndexFollower] = field(default_factory=list)
    last_checks: list[Callable[[str], Mapping[str, CheckResult]]] = field(default_factory=list)
    lookups: list[LookupSeam] = field(default_factory=list)
    responders: list[Callable[[Respond], Respond]] = field(default_factory=list)
    zones: list[Callable[[Sequence[Zone]], None]] = field(default_factory=list)
    recurses: list[Callable[[str], bool]] = field(default_factory=list)
    admits: list[Callable[[Admit], Admit]] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)
    long_polls: list[Callable[[LongPolls], None]] = field(default_factory=list)
    http_ports: list[int] = field(default_factory=list)
    metrics: list[Metric] = field(default_factory=list)
    concerns: list[Concern] = field(default_factory=list)
    files: list[Reloaded[Any]] = field(default_factory=list)
    count_registration: Callable[[str, float], None] = RegisterRate(0).take
    dns_traffic: DnsTraffic = field(default_factory=DnsTraffic)
    http_traffic: HttpTraffic = field(default_factory=HttpTraffic)
    dns_addresses: Sequence[str] = ()
    dns_ttl: int = 5
    live_names: dict[Name, LiveNames] = field(default_factory=dict)
    proxies: Networks = Networks(())  # noqa: RUF009 it is immutable
    is_public: bool = False
    imported_as: dict[str, ImportedAs] = field(default_factory=dict)


class Plugin:
    """The null plugin: a feature overrides what it needs."""

    def install(self, seams: Seams) -> None:
        """Adds itself to what it needs. Nothing is open yet."""

    async def open(self, engine: Engine) -> None:
        """Before anything is restored, and before any socket opens. `engine`: for its writes."""

    async def close(self) -> None:
        """After every socket has closed."""

    def stats(self) -> Mapping[str, Any]:
        """What it adds to GET /stats, each under a name of its own, as plain JSON."""
        return {}


# Reads its own settings; None when the feature is off. The clock is the registry's (monotonic seconds).
Factory = Callable[[Registry, Callable[[], float]], "Plugin | None"]
