"""What GET /stats/history answers, as /openapi.json describes it. Plugin `rates` answers it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from discovery.rest.api.shapes import Described, Reply, Time

_Numbers = Annotated[list[float | None], Field(min_length=60, max_length=60)]
_Counts = Annotated[list[int | None], Field(min_length=60, max_length=60)]


class Series(Described):
    """60 values in each list, oldest first, `step` seconds apart, from `from` on. null: not measured, or nothing to measure. What is not
    `PerSecond` is a number in the whole step.
    """

    from_: Time = Field(alias="from")
    step: int
    measured: _Counts = Field(description="seconds of the step that were measured")
    dns_queries_per_second: _Numbers = Field(alias="dnsQueriesPerSecond")
    dns_p50_ms: _Numbers = Field(alias="dnsP50Ms")
    dns_p99_ms: _Numbers = Field(alias="dnsP99Ms")
    nxdomain_share: _Numbers = Field(alias="nxdomainShare", description="of the queries, 0 to 1")
    http_requests_per_second: _Numbers = Field(alias="httpRequestsPerSecond")
    http_p50_ms: _Numbers = Field(alias="httpP50Ms")
    http_p99_ms: _Numbers = Field(alias="httpP99Ms")
    heartbeats_per_second: _Numbers = Field(alias="heartbeatsPerSecond")
    registrations: _Counts
    expiries: _Counts = Field(description="leases that ran out")
    changes: _Counts = Field(description="events: registrations, changes of status, windows, …")
    instances: _Counts = Field(description="at the end of the step")


class StatsHistoryReply(Reply):
    """Of the node that is asked: seconds of the last minute, whole minutes of the last hour."""

    seconds: Series
    minutes: Series
