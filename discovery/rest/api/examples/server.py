"""Examples of what the server says of itself, and of what its operators ask and switch."""

from __future__ import annotations

from discovery.rest.api.examples.example import ADMIN, FIRST, INDEX, NOW, PLACES, SERVICE, Example, Table

_WAS = {
    **{name: FIRST[name] for name in ("name", "metadata", "tags", "zone", "ttl")},
    "status": "healthy",
    "draining": False,
    "registeredAt": "2026-01-31T11:00:00.000Z",
}
_DRAINED = {
    "time": "2026-01-31T11:59:00.000Z",
    "by": ADMIN,
    "action": "drain",
    "outcome": "done",
    "index": INDEX,
    "service": SERVICE,
    "instance": {"id": "user-1", "ip": "10.0.0.7", "port": 3001},
    "before": _WAS,
    "after": {**_WAS, "status": "draining", "draining": True},
    "reason": "draining, asked for by admin at 10.0.0.2",
}
_REVOKED = {
    "name": "deploy",
    "sha256": PLACES["sha256"],
    "revokedAt": NOW,
    "revokedBy": "admin at 10.0.0.2",
    "expires": None,
}
_TOKEN = {"source": "TOKENS_FILE", "read": False, "expires": None, "expired": False, "revoked": False}
_LOG = {
    "queries": False,
    "accesses": False,
    "level": "info",
    "perSecond": 100,
    "name": None,
    "client": None,
    "answer": False,
    "until": None,
    "written": 0,
    "heldBack": 0,
    "timestamp": NOW,
}
_METRICS = """\
# HELP discovery_instances Instances.
# TYPE discovery_instances gauge
discovery_instances{status="healthy"} 2.0
"""


def _series(step: int, since: str) -> dict[str, object]:
    """Of a server that was started a little ago."""

    def late(*values: float) -> list[float | None]:
        return [*[None] * (60 - len(values)), *values]

    return {
        "from": since, "step": step, "measured": [0] * 58 + [step] * 2,
        "dnsQueriesPerSecond": late(812, 830.5), "dnsP50Ms": late(0.02, 0.02), "dnsP99Ms": late(0.11, 0.12),
        "nxdomainShare": late(0.01, 0.01), "httpRequestsPerSecond": late(4.2, 4.5), "httpP50Ms": late(0.1, 0.1),
        "httpP99Ms": late(0.4, 0.5), "heartbeatsPerSecond": late(0.6, 0.6), "registrations": late(2, 0), "expiries": late(0, 0),
        "changes": late(2, 0), "instances": late(2, 2),
    }  # fmt: skip


EXAMPLES: Table = {
    ("GET", "/health"): (
        Example(
            {
                "status": "healthy",
                "service": "service-registry",
                "version": "1.0.0",
                "uptime": 3600,
                "timestamp": NOW,
            }
        ),
    ),
    ("GET", "/ready"): (Example({"ready": True, "notReady": {}, "warnings": [], "timestamp": NOW}),),
    ("GET", "/stats"): (
        Example(
            {
                "totalRegistrations": 2,
                "totalHeartbeats": 2160,
                "totalCleanups": 0,
                "activeServices": 1,
                "activeInstances": 2,
                "services": [SERVICE],
                "uptime": 3600,
                "heartbeatTimeout": "10s",
                "cleanupInterval": "5s",
                "instancesByStatus": {
                    "healthy": 2,
                    "unhealthy": 0,
                    "suspect": 0,
                    "maintenance": 0,
                    "draining": 0,
                    "failing": 0,
                    "flapping": 0,
                },
                "servicesHeldByTheBrake": [],
                "brakeHolds": [],
                "timestamp": NOW,
            },
            excerpt=True,
        ),
    ),
    ("GET", "/stats/history"): (
        Example(
            {
                "seconds": _series(1, "2026-01-31T11:59:00.000Z"),
                "minutes": _series(60, "2026-01-31T11:00:00.000Z"),
                "timestamp": NOW,
            }
        ),
    ),
    ("GET", "/metrics"): (Example(_METRICS, excerpt=True),),
    ("GET", "/top"): (
        Example(
            {
                "minutes": 10,
                "clients": [{"client": "10.0.0.9", "queries": 48160, "error": 0}],
                "httpClients": [{"client": "10.0.0.7", "requests": 320, "error": 0}],
                "names": [{"name": "user-service.svc.local", "queries": 40992, "error": 0}],
                "unknownNames": [{"name": "usr-service.svc.local", "queries": 7168, "error": 0}],
                "services": [{"service": SERVICE, "changes": 4, "error": 0}],
                "timestamp": NOW,
            },
            query={"limit": "1"},
        ),
    ),
    ("GET", "/admin/log"): (Example(_LOG),),
    ("PUT", "/admin/log"): (
        Example(
            {**_LOG, "queries": True, "name": PLACES["domain"], "until": "2026-01-31T12:01:00.000Z"},
            {"queries": True, "name": PLACES["domain"], "seconds": 60},
        ),
    ),
    ("GET", "/admin/audit"): (
        Example(
            {"lines": [_DRAINED], "next": "11256258.89943", "broken": 0, "timestamp": NOW},
            query={"limit": "1"},
            after=("PUT /instances/user-1/drain",),
        ),
    ),
    ("GET", "/admin/tokens"): (
        Example(
            {
                "tokens": [
                    {"name": "admin", "register": [], "admin": True, **_TOKEN},
                    {"name": "deploy", "register": ["user-*"], "admin": False, **_TOKEN},
                ],
                "revoked": [],
                "readsNeedToken": False,
                "file": "/etc/discovery/tokens.toml",
                "fileFailure": None,
                "timestamp": NOW,
            }
        ),
    ),
    ("DELETE", "/admin/tokens/{token}"): (
        Example({"message": "Token revoked on all nodes", "token": _REVOKED, "timestamp": NOW}),
    ),
    ("DELETE", "/admin/revocations/{sha256}"): (
        Example(
            {
                "message": "Token no longer revoked: whoever has it in a file takes it",
                "token": _REVOKED,
                "timestamp": NOW,
            },
            after=("DELETE /admin/tokens/deploy",),
        ),
    ),
    ("GET", "/openapi.json"): (
        Example(
            {
                "openapi": "3.1.0",
                "info": {"title": "discovery", "version": "1.0.0"},
                "paths": {"/health": {"get": {"summary": "Whether the process lives"}}},
            },
            excerpt=True,
        ),
    ),
}
