"""Examples of finding instances, over HTTP and over DNS. A message of DNS over HTTPS is octets, of which JSON can show no example."""

from __future__ import annotations

from discovery.rest.api.examples.example import (
    ADMIN,
    INDEX,
    LISTED,
    LISTED_SECOND,
    NOW,
    RESOLVED,
    RESOLVED_SECOND,
    SECOND,
    SERVICE,
    Example,
    Table,
)

_TWO = {"user-service": {"instances": [LISTED, LISTED_SECOND], "instanceCount": 2, "healthyCount": 2}}
_ONE = {"user-service": {"instances": [LISTED], "instanceCount": 1, "healthyCount": 1}}
_SERVED = {
    "id": "user-1",
    "ip": "10.0.0.7",
    "port": 3001,
    "status": "healthy",
    "served": True,
    "why": "its lease runs",
    "since": "2026-01-31T11:00:00.000Z",
    "until": "2026-01-31T12:00:28.000Z",
    "lastHeartbeat": "2026-01-31T11:59:58.000Z",
}
_DRAINING = {
    "id": "user-2",
    "ip": "10.0.0.8",
    "port": 3001,
    "status": "draining",
    "served": False,
    "why": "it is draining, admin at 10.0.0.2 asked for it",
    "since": "2026-01-31T11:50:00.000Z",
    "until": None,
    "lastHeartbeat": "2026-01-31T11:59:58.000Z",
}
_ANSWER = """\
;; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 25872
;; flags: qr aa rd; QUESTION: 1, ANSWER: 2, AUTHORITY: 0, ADDITIONAL: 2

;; QUESTION SECTION:
;user-service.svc.local. IN SRV

;; ANSWER SECTION:
user-service.svc.local. 5 IN SRV 10 100 3001 ip-10-0-0-7-p3001.user-service.svc.local.
user-service.svc.local. 5 IN SRV 10 100 3001 ip-10-0-0-8-p3001.user-service.svc.local.
"""

EXAMPLES: Table = {
    ("GET", "/resolve/{name}"): (
        Example(
            {
                "serviceName": SERVICE,
                "instanceCount": 2,
                "instances": [RESOLVED, RESOLVED_SECOND],
                "timestamp": NOW,
            },
            title="The healthy",
        ),
        Example(
            {
                "serviceName": SERVICE,
                "instanceCount": 1,
                "instances": [RESOLVED],
                "timestamp": NOW,
                "explained": [_SERVED, _DRAINING],
            },
            query={"explain": "1"},
            title="Why each is in the answer or not",
            after=("PUT /instances/user-2/drain",),
        ),
    ),
    ("GET", "/instances/{id}"): (Example({**LISTED, "timestamp": NOW}),),
    ("GET", "/services"): (
        Example(
            {
                "services": _TWO,
                "totalServices": 1,
                "totalInstances": 2,
                "totalHealthyInstances": 2,
                "timestamp": NOW,
            },
            title="All",
        ),
        Example(
            {
                "services": _TWO,
                "totalServices": 1,
                "totalInstances": 2,
                "totalHealthyInstances": 2,
                "next": None,
                "timestamp": NOW,
            },
            query={"limit": "10"},
            title="A page",
        ),
        Example(
            {
                "services": _ONE,
                "totalServices": 1,
                "totalInstances": 1,
                "totalHealthyInstances": 1,
                "gone": [
                    {
                        **SECOND,
                        "kind": "deregistered",
                        "reason": "asked for by admin at 10.0.0.2",
                        "actor": ADMIN,
                        "index": INDEX,
                        "timestamp": "2026-01-31T11:50:00.000Z",
                    }
                ],
                "timestamp": NOW,
            },
            query={"gone": "1"},
            title="With those that have gone lately",
            after=("DELETE /instances/user-2",),
        ),
    ),
    ("GET", "/services/{name}/explain"): (
        Example(
            {
                "serviceName": SERVICE,
                "at": NOW,
                "served": 1,
                "down": None,
                "explained": [{**_SERVED, "until": None, "lastHeartbeat": None}],
                "gone": [
                    {
                        "index": INDEX,
                        "kind": "deregistered",
                        "service": SERVICE,
                        "instance": None,
                        "before": {
                            **SECOND,
                            "status": "healthy",
                            "registeredAt": "2026-01-31T11:00:00.000Z",
                            "metadata": {},
                        },
                        "reason": "asked for by admin at 10.0.0.2",
                        "actor": ADMIN,
                        "timestamp": "2026-01-31T11:50:00.000Z",
                    }
                ],
                "complete": True,
                "since": "2026-01-24T12:00:00.000Z",
                "timestamp": NOW,
            },
            after=("DELETE /instances/user-2",),
        ),
    ),
    ("GET", "/dns/{domain}"): (Example(_ANSWER, query={"type": "SRV"}, excerpt=True),),
    ("GET", "/dns-query"): (),
    ("POST", "/dns-query"): (),
}
