"""The real thing: the HTTP API, the DNS responder with kept answers and without, and transfers, over one registry.

All that these tests know of how the server is put together stands here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import dns.flags
import dns.message
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from discovery.dns.message.names import to_text
from discovery.store.engine import Engine
from tests.differential.names import MAX_TTL, ZONES
from tests.dns.world import World, load, make_query, outcome, parsed
from tests.driven import Checked, DrivenRegistry
from tests.plugins.transfer.primary import Primary
from tests.rest.harness import Api, Reply, serving


class Said(NamedTuple):
    """A reply: one word, the records of the answer in text, their TTLs, what stands beside them by owner, whether it is cut, the serial
    of the SOA in a no.
    """

    outcome: str
    data: list[str]
    ttls: set[int]
    beside: dict[str, str]
    cut: bool
    serial: int | None


class Record(NamedTuple):
    """Of a transfer."""

    name: str
    type: str
    ttl: int
    data: str


class House:
    def __init__(self, api: Api, engine: Engine, folder: Path) -> None:
        self.api = api
        self._engine = engine
        self._world = World(registry=api.registry, also=ZONES[1:], ttl=MAX_TTL, hot=True)
        self._primary = Primary(folder, self._world)
        self._primary.plugin.sending._clock = api.clock
        self.reload({})

    @property
    def now(self) -> float:
        return self.api.clock.now

    def ask(self, name: str, rtype: str, *, warm: bool, udp: bool = False, edns: int | None = None) -> Said:
        """`warm`: where answers are kept."""
        packet = make_query(name, rtype, edns=edns).to_wire()
        return _said(parsed(self._world.send(packet, now=self.now, udp=udp, plain=not warm)))

    async def transfer(self, zone: str) -> list[Record]:
        records = []
        for rr in await self._primary.axfr(zone):
            rtype = dns.rdatatype.RdataType(rr.type)
            rdata = dns.rdata.from_wire(dns.rdataclass.IN, rtype, rr.rdata, 0, len(rr.rdata))
            records.append(Record(to_text(rr.name), dns.rdatatype.to_text(rtype), rr.ttl, rdata.to_text()))
        return records

    async def http(self, method: str, path: str, body: object = None) -> Reply:
        return await self.api.request(method, path, body)

    async def checked(self, id: str, failing: str | None) -> None:
        """What active checks say of an instance; there is no route for that."""
        await self._engine.submit(Checked(id, failing))

    def forward(self, seconds: float) -> None:
        self.api.forward(seconds)

    def settle(self) -> None:
        """The registry is told the time."""
        self.api.settle()

    def reload(self, fixed: dict[str, str]) -> None:
        """The zone file of the first zone has these A records from now on, by label."""
        [zone] = load({ZONES[0]: "".join(f"{label} A {ip}\n" for label, ip in fixed.items())})
        self._world.reload(zone)
        self._primary.plugin.follow(self._world.catalog.zones)


@asynccontextmanager
async def standing(folder: Path) -> AsyncIterator[House]:
    engines: list[Engine] = []

    def keep(inner: Engine, registry: DrivenRegistry) -> Engine:
        engines.append(inner)
        return inner

    async with serving(engine=keep) as api:
        yield House(api, engines[0], folder)


def _said(reply: dns.message.Message) -> Said:
    serial = next(
        (rdata.serial for rrset in reply.authority for rdata in rrset if rrset.rdtype == dns.rdatatype.SOA), None
    )
    beside = {
        f"{rrset.name.to_text(True).lower()}.": rdata.to_text()
        for rrset in reply.additional
        for rdata in rrset
        if rrset.rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA)
    }
    data = [rdata.to_text() for rrset in reply.answer for rdata in rrset]
    ttls = {rrset.ttl for rrset in reply.answer}
    return Said(outcome(reply), data, ttls, beside, bool(reply.flags & dns.flags.TC), serial)
