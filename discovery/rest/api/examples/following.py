"""Examples of following changes: an instance is taken out of the answers."""

from __future__ import annotations

import json

from discovery.rest.api.examples.example import ADMIN, FIRST, INDEX, NOW, SERVICE, Example, Table

_HEALTHY = {**FIRST, "status": "healthy", "registeredAt": "2026-01-31T11:00:00.000Z"}
_EVENT = {
    "index": INDEX,
    "kind": "draining",
    "service": SERVICE,
    "instance": {**_HEALTHY, "status": "draining", "draining": True},
    "before": _HEALTHY,
    "reason": "draining, asked for by admin at 10.0.0.2",
    "actor": ADMIN,
    "timestamp": "2026-01-31T11:59:00.000Z",
}
_DRAIN = ("PUT /instances/user-1/drain",)

EXAMPLES: Table = {
    ("GET", "/events"): (
        Example(f":\n\nid: {INDEX}\ndata: {json.dumps(_EVENT)}\n\n", query={"since": str(INDEX - 1)}, after=_DRAIN),
    ),
    ("GET", "/changes"): (
        Example(
            {"changes": [_EVENT], "index": INDEX, "oldest": INDEX - 500, "timestamp": NOW},
            query={"since": str(INDEX - 1)},
            after=_DRAIN,
        ),
    ),
    ("GET", "/history"): (
        Example(
            {
                "events": [_EVENT],
                "next": "1.1838731724800",
                "complete": True,
                "missing": None,
                "since": "2026-01-24T12:00:00.000Z",
                "timestamp": NOW,
            },
            query={"limit": "1"},
            after=_DRAIN,
        ),
    ),
}
