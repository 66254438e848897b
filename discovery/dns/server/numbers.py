"""The DNS side's numbers as metrics: what `Traffic` has counted, added up when somebody reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from discovery.core.metric import Histogram, Metric, Readings, counter, gauge
from discovery.dns.message.reason import Reason
from discovery.dns.message.values import Rcode
from discovery.dns.server.traffic import COLUMNS, NO_RCODE, OTHER, TC, TRANSPORTS, TYPES, Traffic

# What there is from the start, with 0: by zone, and of names in no zone of ours.
_IN_ZONE = (
    (Rcode.NOERROR, Reason.ANSWER),
    (Rcode.NOERROR, Reason.STALE),
    (Rcode.NOERROR, Reason.TRUNCATED),
    (Rcode.NOERROR, Reason.NO_SUCH_TYPE),
    (Rcode.NOERROR, Reason.NONE_HEALTHY),
    (Rcode.NOERROR, Reason.RATE_LIMITED),
    (Rcode.NXDOMAIN, Reason.UNKNOWN_NAME),
    (Rcode.NXDOMAIN, Reason.NO_SUCH_INSTANCE),
    (Rcode.REFUSED, Reason.NOT_ALLOWED),
    (Rcode.SERVFAIL, Reason.NOT_LOADED),
    (Rcode.SERVFAIL, Reason.FAILED),
    (None, Reason.RATE_LIMITED),
)
_ELSEWHERE = (
    (Rcode.NOERROR, Reason.COOKIE),
    (Rcode.REFUSED, Reason.NOT_OUR_ZONE),
    (Rcode.FORMERR, Reason.MALFORMED),
    (Rcode.NOTIMP, Reason.NOT_IMPLEMENTED),
    (Rcode.BADVERS, Reason.BAD_VERSION),
    (Rcode.BADCOOKIE, Reason.BAD_COOKIE),
    (None, Reason.RATE_LIMITED),
    (None, Reason.SHED),
    (None, Reason.IGNORED),
)


def metrics(traffic: Traffic, shed: Callable[[], int], tcp_connections: Callable[[], int]) -> list[Metric]:
    """`shed`: queries that nobody got to read, over UDP."""

    def queries() -> Readings:
        found = Counter[tuple[str, ...]]()
        types = [*sorted(TYPES.values()), OTHER]
        found.update({(zone, rtype, way): 0 for zone in traffic.zones for rtype in types for way in TRANSPORTS})
        for outcome in traffic.outcomes:
            for way, column in COLUMNS.items():
                found[outcome.zone, outcome.type, way] += outcome.sent[column] + outcome.sent[column | TC]
        found[OTHER, OTHER, "udp"] += shed()
        return found

    def responses() -> Readings:
        found = Counter[tuple[str, ...]]()
        for zone in traffic.zones:
            pairs = _ELSEWHERE if zone == OTHER else _IN_ZONE
            found.update(
                {(zone, NO_RCODE if rcode is None else rcode.name, reason.value): 0 for rcode, reason in pairs}
            )
        for outcome in traffic.outcomes:
            cut = sum(outcome.sent[column | TC] for column in COLUMNS.values())
            whole = sum(outcome.sent) - cut
            limited = outcome.reason is Reason.RATE_LIMITED
            if whole or not cut:
                found[outcome.zone, outcome.rcode, outcome.reason.value] += whole
            if cut:
                found[outcome.zone, outcome.rcode, (outcome.reason if limited else Reason.TRUNCATED).value] += cut
        found[OTHER, NO_RCODE, Reason.SHED.value] += shed()
        return found

    def kept() -> int:
        return sum(sum(outcome.sent) for outcome in traffic.outcomes if outcome.kept)

    def by_transport(histograms: Mapping[str, Histogram]) -> Readings:
        return {(way,): each for way, each in histograms.items()}

    return [
        Metric("counter", "discovery_dns_queries", "DNS queries.", queries, ("zone", "type", "transport")),
        Metric(
            "counter", "discovery_dns_responses", "DNS queries by what was replied.", responses, ("zone", "rcode", "reason")
        ),
        counter("discovery_dns_kept_answers", "DNS queries that were answered from kept answers.", kept),
        Metric(
            "histogram", "discovery_dns_duration_seconds", "From a DNS query to its reply, sampled.",
            lambda: by_transport(traffic.seconds), ("transport",),
        ),
        Metric(
            "histogram", "discovery_dns_response_size_bytes", "Octets of DNS replies, sampled.",
            lambda: by_transport(traffic.octets), ("transport",),
        ),
        gauge("discovery_dns_tcp_connections", "DNS connections over TCP and TLS.", tcp_connections),
    ]  # fmt: skip
