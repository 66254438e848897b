"""Transfers on their way: few at a time, each of one consistent state of its zone, in pieces that hold nobody up."""

from __future__ import annotations

import logging
import struct
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing
from itertools import chain
from typing import Any, NamedTuple

from discovery.dns.message.edns import opt_heads
from discovery.dns.message.names import Name, to_text
from discovery.dns.message.query import HEADER, QR, CutShort, Request
from discovery.dns.message.values import OTHER, RR, Answer, Explanation, Question
from discovery.dns.message.wire import Packer
from discovery.dns.zones.zone import Zone
from discovery.plugins.transfer.contents import contents
from discovery.plugins.transfer.snapshot import Snapshot
from discovery.plugins.transfer.tsig import Signer
from discovery.plugins.transfer.tsig import text as name_text
from discovery.rest.api.times import iso
from discovery.store.registry import Registry
from discovery.system.turns import turns

# Pairs of secondary and zone that are remembered, the latest. Only who has a key of ours gets here.
MAX_TAKEN = 256


# Seconds with an old serial: as long as made-up zones live on at a secondary (SOA EXPIRE). One that has not come for a day has left.
_BEHIND_SECONDS, _LEFT_SECONDS = 60.0, 86400.0


class _Transfer(NamedTuple):
    serial: int
    wall: float


class Taken:
    """Which secondary has which serial of which zone, as far as its transfers tell. `wall`: epoch seconds."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._latest: dict[tuple[str, Name], _Transfer] = {}
        self._behind: dict[tuple[str, Name, int], float] = {}  # since when it is another than ours

    def note(self, client: str, zone: Name, serial: int) -> None:
        """A whole transfer has gone there."""
        self._latest.pop((client, zone), None)
        self._latest[client, zone] = _Transfer(serial, self._wall())
        if len(self._latest) > MAX_TAKEN:
            del self._latest[next(iter(self._latest))]

    def behind(self, zones: Mapping[Name, Zone], wall: float) -> dict[str, str]:
        """Those that have had an old serial for too long; not those that have not come for a day."""
        late = {
            (client, zone, taken.serial): taken.wall
            for (client, zone), taken in self._latest.items()
            if zone in zones and zones[zone].negative_soa()[0] != taken.serial and taken.wall > wall - _LEFT_SECONDS
        }
        self._behind = {which: self._behind.get(which, wall) for which in late}
        return {
            f"{client} {zone!r}": f"the secondary {client} has serial {serial} of {to_text(zone)} since {iso(late[client, zone, serial])}, "
            "and there are later ones; can it reach DNS_PORT over TCP, and what does its log say?"
            for (client, zone, serial), since in self._behind.items()
            if wall - since > _BEHIND_SECONDS
        }

    def shown(self, zones: Mapping[Name, Zone]) -> list[dict[str, Any]]:
        """`behind`: changes of the registry since then; null where the zone is served no longer. Serials wrap (RFC 1982)."""
        return [
            {
                "client": client,
                "zone": to_text(zone),
                "serial": taken.serial,
                "behind": (zones[zone].negative_soa()[0] - taken.serial) % 2**32 if zone in zones else None,
                "takenAt": iso(taken.wall),
            }
            for (client, zone), taken in sorted(self._latest.items())
        ]


_log = logging.getLogger("discovery.transfer")

# At a time. Each takes half of the processor's time, and holds what the services offered when it began.
MAX_TRANSFERS = 2
# A secondary that reads so slowly holds up the others; the whole of 10,000 instances takes a second.
MAX_SECONDS = 300.0


class Sending:
    """`clock`: monotonic seconds; `wall`: seconds since the epoch."""

    def __init__(self, registry: Registry, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        self._registry = registry
        self._clock = clock
        self._wall = wall
        self._snapshots: set[Snapshot] = set()  # being taken
        self.zones: dict[Name, Zone] = {}
        self.taken = Taken(wall)
        self.under_way = 0
        self.sent = 0
        self.cut_short = 0
        self.busy = Answer.failed(Explanation(OTHER, f"{MAX_TRANSFERS} transfers are under way; ask again later"))

    @property
    def loaded(self) -> bool:
        return self._registry.loaded

    def follow(self, zones: Iterable[Zone]) -> None:
        self.zones = {zone.origin: zone for zone in zones}

    def changed(self, service: str) -> None:
        for snapshot in self._snapshots:
            snapshot.changed(service)

    def published(self) -> None:
        for snapshot in self._snapshots:
            snapshot.published()

    async def messages(self, query: Request, signer: Signer, client: str, busy: bytes) -> AsyncGenerator[bytes]:
        """The reply to a query for a zone that is here. `busy`: what to say when too many are under way. CutShort."""
        if self.under_way >= MAX_TRANSFERS:
            yield signer.sign(busy, int(self._wall()))
            return
        self.under_way += 1
        whole = False
        try:
            started = self._clock()
            totals = Totals()
            async with aclosing(self._zone(query, signer, totals)) as parts:
                async for message in parts:
                    if self._clock() - started > MAX_SECONDS:
                        raise CutShort
                    yield message
            whole = True
            self.taken.note(client, query.question.name, totals.serial)
            _tell(query, signer, client, totals, self._clock() - started)
        finally:
            self.under_way -= 1
            self.sent += whole
            self.cut_short += not whole

    async def _zone(self, query: Request, signer: Signer, totals: Totals) -> AsyncGenerator[bytes]:
        question = query.question
        snapshot = Snapshot(self._registry, self.zones[question.name].live.ttl)
        self._snapshots.add(snapshot)
        try:
            await snapshot.take(self._clock)
        finally:
            self._snapshots.discard(snapshot)
        zone = self.zones.get(question.name)  # it may have been replaced meanwhile; all that follows is of this moment
        if zone is None:
            raise CutShort
        totals.serial, _ = zone.negative_soa()
        rest = contents(zone, tuple(self.zones), snapshot.offered.values(), totals.serial)
        parts = messages(query, question, zone.soa(), rest, signer, self._wall, totals)
        async with aclosing(parts):
            async for message in parts:
                yield message


def _tell(query: Request, signer: Signer, client: str, totals: Totals, seconds: float) -> None:
    _log.info(
        "%(zone)s went to %(client)s (key %(actor)s): %(records)d records in %(messages)d messages, %(octets)d octets, %(seconds).2f s",
        {
            "event": "transfer.sent", "zone": to_text(query.question.name), "client": client, "actor": name_text(signer.key.name),
            "records": totals.records, "messages": totals.messages, "octets": totals.octets, "seconds": seconds,
        },
    )  # fmt: skip


# Octets of a message, if its records let it be so short. Longer ones save signatures, shorter ones are sooner on their way.
MESSAGE = 32768
# RFC 1035 §4.2.2, less what a TSIG record may take: two names, the longest MAC, 26 octets.
_MAX_MESSAGE = 65535 - 2 * 255 - 64 - 26
_AA = 0x0400
# Records between two looks at the clock.
_AT_ONCE = 16


# -- the messages (RFC 5936 §2.2): the SOA, all other records, the SOA again; each signed, none made before it is wanted


class Totals:
    serial = 0
    records = 0
    messages = 0
    octets = 0


async def messages(
    query: Request,
    question: Question,
    soa: RR,
    rest: Iterator[RR | None],
    signer: Signer,
    wall: Callable[[], float],
    totals: Totals,
) -> AsyncGenerator[bytes]:
    """`question.name` is the zone's origin, at or above all records' names. `rest`: None is a place for a pause.

    CutShort when a record does not fit any message.
    """
    message, pack = _Message(query), Packer(question)

    def finished() -> bytes:
        signed = signer.sign(message.octets(), int(wall()))
        totals.messages += 1
        totals.octets += len(signed)
        totals.records += message.count
        message.clear()
        return signed

    for number, rr in enumerate(chain((soa,), rest, (soa,))):
        if rr is None or number % _AT_ONCE == 0:
            await turns().over()
        if rr is None:
            continue
        packed = pack(rr)
        if message.count and message.size + len(packed) > MESSAGE:
            yield finished()
        message.add(packed)
    yield finished()


class _Message:
    """The reply to `query` that is being filled. Owners are compressed against the question, which every message repeats."""

    def __init__(self, query: Request) -> None:
        flags = QR | _AA | query.flags
        self._before = query.id + flags.to_bytes(2, "big") + b"\0\1"
        self._question = query.question_wire
        self._opt = b"" if query.edns is None else opt_heads(0)[query.edns.dnssec_ok] + b"\0\0"
        self._after = struct.pack("!HH", 0, 1 if self._opt else 0)
        self._empty = HEADER.size + len(self._question) + len(self._opt)
        self.clear()

    def clear(self) -> None:
        self._records: list[bytes] = []
        self.size = self._empty

    @property
    def count(self) -> int:
        return len(self._records)

    def add(self, packed: bytes) -> None:
        self._records.append(packed)
        self.size += len(packed)
        if self.size > _MAX_MESSAGE:
            raise CutShort

    def octets(self) -> bytes:
        count = len(self._records).to_bytes(2, "big")
        return b"".join((self._before, count, self._after, self._question, *self._records, self._opt))
