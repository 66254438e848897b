"""Instances as JSON: which fields each answer shows, in the original's camelCase."""

from __future__ import annotations

from typing import Any

import orjson

from discovery.core.instance import Instance, Registration
from discovery.rest.times import Times, iso
from discovery.store.service import Entry, Service

Json = dict[str, Any]


def status(entry: Entry, now: float) -> str:
    return "healthy" if entry.lease.alive(now) else "unhealthy"


def identity(instance: Instance) -> Json:
    return {"id": instance.id, "name": instance.spec.name, "ip": instance.spec.ip, "port": instance.spec.port}


def registered(entry: Entry, now: float) -> Json:
    return identity(entry.instance) | {
        "status": status(entry, now),
        "registeredAt": iso(entry.instance.registered_at),
    }


def renewed(entry: Entry, now: float, times: Times) -> Json:
    return identity(entry.instance) | {
        "status": status(entry, now),
        "lastHeartbeat": times.of(entry.lease.renewed_at),
    }


def resolved(entry: Entry, now: float, times: Times) -> Json:
    """What a client needs to choose and connect; the optional fields only where a registration set them."""
    instance = entry.instance
    return {
        "id": instance.id,
        "ip": instance.spec.ip,
        "port": instance.spec.port,
        "status": status(entry, now),
        "lastHeartbeat": times.of(entry.lease.renewed_at),
        "registeredAt": iso(instance.registered_at),
        "metadata": orjson.Fragment(instance.spec.metadata),
    } | _options(instance.spec)


def listed(entry: Entry, now: float, times: Times) -> Json:
    """What an operator wants to see."""
    return resolved(entry, now, times) | {
        "name": entry.instance.spec.name,
        "isHealthy": entry.lease.alive(now),
        "timeSinceHeartbeat": f"{max(0.0, now - entry.lease.renewed_at):.0f}s",
    }


def service(service: Service, now: float, times: Times) -> Json:
    return {
        "instanceCount": len(service.entries),
        "healthyCount": len(service.healthy(now)),
        "instances": [listed(entry, now, times) for entry in service.entries.values()],
    }


_PLAIN = Registration(name="", ip="", port=0)
_OPTIONAL = ("protocol", "weight", "priority", "zone", "ttl")


def _options(spec: Registration) -> Json:
    options: Json = {field: value for field in _OPTIONAL if (value := getattr(spec, field)) != getattr(_PLAIN, field)}
    if spec.max_answers is not None:
        options["maxAnswers"] = spec.max_answers
    if spec.tags:
        options["tags"] = spec.tags
    if spec.ports:
        options["ports"] = dict(spec.ports)
    return options
