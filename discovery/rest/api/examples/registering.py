"""Examples of registering, renewing and deregistering."""

from __future__ import annotations

from discovery.rest.api.examples.example import AT, FIRST, IDENTITY, INDEX, LEAST, NOW, SERVICE, Example, Table

_REGISTERED = {**IDENTITY, "status": "healthy", "registeredAt": NOW}
_NEW = "95e72b35-24a1-49b3-9e8a-4774ecead3aa"
_ADVICE = {"heartbeatIntervalMs": 3189, "index": INDEX, "timestamp": NOW}
_DEREGISTERED = {"message": "Instance deregistered successfully", "removedInstance": IDENTITY, "timestamp": NOW}

EXAMPLES: Table = {
    ("POST", "/register"): (
        Example(
            {"message": "Service registered successfully", "instance": _REGISTERED, **_ADVICE},
            LEAST,
            status=201,
            title="The least",
        ),
        Example(
            {"message": "Service registered successfully", "instance": _REGISTERED, **_ADVICE},
            {
                **FIRST,
                "ports": {"admin": 9001},
                "protocol": "tcp",
                "weight": 50,
                "priority": 10,
                "maxAnswers": 3,
                "check": {"http": "/health", "interval": 5},
                "replace": True,
            },
            status=201,
            title="All that there is",
        ),
    ),
    ("PUT", "/instances"): (
        Example(
            {"message": "Heartbeat updated", "instance": {**_REGISTERED, "lastHeartbeat": NOW}, **_ADVICE},
            FIRST,
            title="It is known",
        ),
        Example(
            {
                "message": "Service registered successfully",
                "instance": {**_REGISTERED, "id": _NEW, "port": 3003, "lastHeartbeat": NOW},
                **_ADVICE,
            },
            {**LEAST, "port": 3003},
            status=201,
            title="It is new",
        ),
    ),
    ("POST", "/heartbeat"): (
        Example(
            {
                "message": "Heartbeat updated",
                "instance": {**IDENTITY, "status": "healthy", "lastHeartbeat": NOW},
                **_ADVICE,
            },
            LEAST,
            title="It is known",
        ),
        Example(
            {
                "message": "Service registered successfully",
                "instance": {**_REGISTERED, "id": _NEW, "port": 3004, "lastHeartbeat": NOW},
                **_ADVICE,
            },
            {**LEAST, "port": 3004, "register": True},
            status=201,
            title="The server had forgotten it",
        ),
    ),
    ("POST", "/registrations"): (
        Example(
            {
                "registered": 2,
                "results": [
                    {"status": 201, "id": "user-1"},
                    {"status": 201, "id": _NEW},
                    {
                        "status": 400,
                        "code": "INVALID_FIELD",
                        "message": "port: is out of range, ports go from 1 to 65535",
                    },
                ],
                **_ADVICE,
            },
            {"instances": [FIRST, {**LEAST, "ip": "10.0.0.9"}, {**LEAST, "port": 0}]},
        ),
    ),
    ("POST", "/heartbeats"): (
        Example(
            {
                "updated": 2,
                "unknown": [
                    {
                        **LEAST,
                        "ip": "10.0.0.99",
                        "message": "No instance 10.0.0.99 port 3001 of service user-service is registered",
                    }
                ],
                **_ADVICE,
            },
            {"instances": [LEAST, {"id": "user-2"}, {**LEAST, "ip": "10.0.0.99"}]},
        ),
    ),
    ("DELETE", "/instances/{id}"): (Example(_DEREGISTERED),),
    ("DELETE", "/services/{name}/instances"): (Example(_DEREGISTERED, query=AT),),
    ("DELETE", "/services/{name}"): (
        Example(
            {
                "message": "Service deregistered successfully",
                "serviceName": SERVICE,
                "instancesRemoved": 2,
                "timestamp": NOW,
            }
        ),
    ),
    ("POST", "/admin/clear"): (
        Example({"message": "Registry cleared", "servicesRemoved": 1, "instancesRemoved": 2, "timestamp": NOW}),
    ),
}
