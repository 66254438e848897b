"""The instances of a service as answers offer them: suspects last, and those beyond a client's zone behind its own."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from discovery.core.instance import Instance
from discovery.core.status import Status
from discovery.dns.zones.staleness import ttl_about
from discovery.store.service import Entry, Service, served


class Offered(NamedTuple):
    """Those that are in answers at a moment. `ttls[i]`: of an answer about `instances[i]` alone, seconds."""

    service: bytes
    instances: tuple[Instance, ...]
    ttls: tuple[int, ...]


def offered(service: Service, max_ttl: int, now: float) -> Offered | None:
    """None when that is nothing, or its name is no label."""
    entries = served(service.entries.values(), now) if service.key else []
    if not entries:
        return None
    ttls = tuple(ttl_about(entry, max_ttl, now) for entry in entries)
    return Offered(service.key, tuple(_as_decided(entry, now) for entry in entries), ttls)


def as_offered(entry: Entry, now: float) -> Instance:
    """A suspect behind all others."""
    return _last(entry.instance, entry.rank(now)) if entry.suspect(now) else entry.instance


def _as_decided(entry: Entry, now: float) -> Instance:
    """As `as_offered`, but for this node's own doubts: a zone of one serial is the same wherever it is transferred from."""
    instance = entry.instance
    return _last(instance, entry.rank(now)) if instance.status is Status.SUSPECT else instance


def after(instance: Instance) -> Instance:
    """Behind those of the client's zone; a suspect is already."""
    priority = instance.spec.priority
    return instance if priority >= _LAST[1] else instance._replace(spec=replace(instance.spec, priority=priority + 1))


def _last(instance: Instance, rank: int) -> Instance:
    return instance._replace(spec=replace(instance.spec, priority=_LAST[rank]))


# SRV's least preferred (RFC 2782), by rank.
_LAST = {1: 65534, 2: 65535}
