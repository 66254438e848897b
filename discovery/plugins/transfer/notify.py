"""NOTIFY (RFC 1996) to one secondary: told of changes soon, but not of each, and asked again while it does not answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address
from typing import Any

import dns.exception
import dns.name
import dns.tsig
from dns.asyncquery import udp
from dns.flags import Flag
from dns.message import Message, make_query
from dns.opcode import NOTIFY
from dns.rcode import NOERROR
from dns.rcode import to_text as rcode_text
from dns.rdata import from_wire
from dns.rdataclass import IN
from dns.rdatatype import SOA
from dns.rrset import from_rdata

from discovery.dns.message.names import to_wire
from discovery.dns.zones.zone import Zone
from discovery.plugins.transfer.settings import Secondary
from discovery.rest.api.times import iso

# Changes of so many seconds are told together, so that a secondary has at most two transfers a second.
GATHER_SECONDS = 0.5
# RFC 1996 §3.6 wants retries; its 60 seconds are for primaries that change once a day. A secondary that misses all asks by itself.
TRIES, RETRY_SECONDS = 3, 2.0
# Zones of which it is told at a time, a socket each.
_AT_ONCE = 16


class Notifier:
    """`key` gives the one to sign with; `sources` our addresses, of which secondaries know one; `wall` seconds since the epoch."""

    def __init__(
        self,
        secondary: Secondary,
        key: Callable[[], dns.tsig.Key],
        sources: Callable[[], Sequence[str]],
        wall: Callable[[], float],
    ) -> None:
        self._secondary = secondary
        self._key = key
        self._sources = sources
        self._wall = wall
        self._zones: Sequence[Zone] = ()
        self._moved = asyncio.Event()
        self._failure: str | None = None  # why it is not known to have heard
        self._told: float | None = None
        self._task: asyncio.Task[None] | None = None

    def follow(self, zones: Sequence[Zone]) -> None:
        self._zones = zones
        self._moved.set()

    def moved(self) -> None:
        """A zone has changed, so all serials have."""
        self._moved.set()

    def shown(self) -> dict[str, Any]:
        """`answers`: null before anything was told. `toldAt`: when it has answered last."""
        known = self._told is not None or self._failure is not None
        return {
            "secondary": str(self._secondary),
            "answers": self._failure is None if known else None,
            "toldAt": None if self._told is None else iso(self._told),
        }

    def warning(self) -> str | None:
        if self._failure is None:
            return None
        return f"the secondary {self._secondary} does not take NOTIFY ({self._failure}): it learns of changes at its refresh time only"

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            await self._moved.wait()
            await asyncio.sleep(GATHER_SECONDS)
            self._moved.clear()
            try:
                self._failure = await self._tell()
            except OSError as error:
                self._failure = str(error)
            if self._failure is None:
                self._told = self._wall()

    async def _tell(self) -> str | None:
        """None: all was answered; else why not."""
        source, room = source_for(self._secondary.ip, self._sources()), asyncio.Semaphore(_AT_ONCE)

        async def one(zone: Zone) -> str | None:
            async with room:
                return await self._tell_of(zone, source)

        return next(filter(None, await asyncio.gather(*map(one, self._zones))), None)

    async def _tell_of(self, zone: Zone, source: str | None) -> str | None:
        message = self._message(zone)
        for _ in range(TRIES):
            try:
                reply = await udp(
                    message, self._secondary.ip, RETRY_SECONDS, self._secondary.port, source, ignore_unexpected=True
                )
            except dns.exception.Timeout:
                continue
            except dns.tsig.PeerError as error:  # RFC 8945 §5.3.2
                return f"it answers NOTAUTH: {error}"
            except dns.exception.DNSException as error:
                return f"its answer cannot be used: {error}"
            return None if reply.rcode() == NOERROR else f"it answers {rcode_text(reply.rcode())}"
        return "no reply"

    def _message(self, zone: Zone) -> Message:
        """§3.7: with the SOA as a hint."""
        origin, soa = dns.name.from_wire(to_wire(zone.origin), 0)[0], zone.soa()
        message = make_query(origin, SOA, flags=Flag.AA)
        message.set_opcode(NOTIFY)
        message.answer.append(from_rdata(origin, soa.ttl, from_wire(IN, SOA, soa.rdata, 0, len(soa.rdata))))
        message.use_tsig(self._key())
        return message


def source_for(secondary: str, addresses: Iterable[str]) -> str | None:
    """The first address that a packet to `secondary` can leave from; None where the kernel has to choose."""
    to = ip_address(secondary)
    for address in addresses:
        ip = ip_address(address)
        if ip.version == to.version and not ip.is_unspecified and (to.is_loopback or not ip.is_loopback):
            return address
    return None
