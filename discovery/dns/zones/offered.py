"""The instances of a service as answers offer them: suspects last, those beyond a client's zone behind its own, and as many as fit."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Container
from dataclasses import replace
from itertools import accumulate, groupby
from typing import NamedTuple

from discovery.core import metadata
from discovery.core.instance import Instance
from discovery.core.status import Status
from discovery.dns.zones.live import LiveType
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


# Octets of metadata that are parsed for one answer, which takes 5 ms at the most: the metadata of 16 instances always fits.
_MAX_METADATA = 16 * metadata.MAX_BYTES


def candidates_of(entries: list[Entry], kind: LiveType | None) -> list[Entry]:
    """Without those that surely have no such record. Often few of a service speak HTTP."""
    if kind is None:
        return []
    may_have = kind.may_have
    return entries if may_have is None else [entry for entry in entries if may_have(entry.instance)]


def as_many_as_fit(entries: list[Entry], kind: LiveType | None, behind: Container[int], now: float) -> list[Entry]:
    """All, or a part of a very large service: another part every millisecond, and those that are `behind` or suspects only where there is
    room left.
    """
    if kind is None:
        return entries
    if len(entries) <= kind.most and not (kind.parses_metadata and sum(map(_metadata_size, entries)) > _MAX_METADATA):
        return entries
    groups = groupby(entries, lambda entry: (id(entry) in behind, entry.rank(now)))  # they stand in this order
    chosen = [entry for _, group in groups for entry in _rotated([*group], now)][: kind.most]
    if not kind.parses_metadata:
        return chosen
    return chosen[: bisect_right(list(accumulate(map(_metadata_size, chosen))), _MAX_METADATA)]


def _metadata_size(entry: Entry) -> int:
    return len(entry.instance.spec.metadata)


def _rotated(entries: list[Entry], now: float) -> list[Entry]:
    start = int(now * 1000) % len(entries)
    return entries[start:] + entries[:start]
