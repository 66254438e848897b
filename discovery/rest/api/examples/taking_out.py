"""Examples of taking instances out of the answers, and back."""

from __future__ import annotations

from discovery.rest.api.examples.example import AT, DRAINING, LISTED, NOW, SERVICE, WINDOW, Example, Table

_DRAINS = {
    "message": "Instance is draining",
    "instance": DRAINING,
    "safeAfter": "2026-01-31T12:00:05.000Z",
    "timestamp": NOW,
}
_UNDRAINED = {"message": "Instance is no longer draining", "instance": LISTED, "timestamp": NOW}
_OF = {"serviceName": SERVICE, "ip": "10.0.0.7", "port": 3001}
_WINDOW = {"reason": "a new disk", "until": "2026-01-31T13:00:00.000Z"}
_BEGINS = {"message": "Maintenance begins", **_OF, **_WINDOW, "timestamp": NOW}
_ENDS = {"message": "Maintenance has ended", **_OF, "timestamp": NOW}
_DRAIN = ("PUT /instances/user-1/drain",)
_MAINTAIN = ("PUT /instances/user-1/maintenance",)
_MAINTAIN_ALL = ("PUT /services/user-service/maintenance",)

EXAMPLES: Table = {
    ("PUT", "/instances/{id}/drain"): (Example(_DRAINS),),
    ("DELETE", "/instances/{id}/drain"): (Example(_UNDRAINED, after=_DRAIN),),
    ("PUT", "/services/{name}/instances/drain"): (Example(_DRAINS, query=AT),),
    ("DELETE", "/services/{name}/instances/drain"): (Example(_UNDRAINED, query=AT, after=_DRAIN),),
    ("PUT", "/instances/{id}/maintenance"): (Example(_BEGINS, WINDOW),),
    ("DELETE", "/instances/{id}/maintenance"): (Example(_ENDS, after=_MAINTAIN),),
    ("PUT", "/services/{name}/instances/maintenance"): (Example(_BEGINS, WINDOW, AT),),
    ("DELETE", "/services/{name}/instances/maintenance"): (Example(_ENDS, query=AT, after=_MAINTAIN),),
    ("PUT", "/services/{name}/maintenance"): (
        Example({"message": "Maintenance begins", "serviceName": SERVICE, **_WINDOW, "timestamp": NOW}, WINDOW),
    ),
    ("DELETE", "/services/{name}/maintenance"): (
        Example(
            {"message": "Maintenance has ended", "serviceName": SERVICE, "timestamp": NOW},
            after=_MAINTAIN_ALL,
        ),
    ),
    ("GET", "/maintenance"): (
        Example(
            {"windows": [{"serviceName": SERVICE, **_WINDOW}, {**_OF, **_WINDOW}], "timestamp": NOW},
            after=(*_MAINTAIN_ALL, *_MAINTAIN),
        ),
    ),
}
