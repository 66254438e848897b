"""NOTIFY (RFC 1996) to one secondary: told of changes soon, but not of each, and asked again while it does not answer."""

from __future__ import annotations

import asyncio
import contextlib
import random
import struct
from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address
from typing import Any

from dns.rcode import Rcode
from dns.rcode import to_text as rcode_text
from dns.tsig import Key

from discovery.dns.message.names import to_wire
from discovery.dns.message.query import HEADER, OPCODE_NOTIFY
from discovery.dns.message.values import Question, Type
from discovery.dns.message.wire import Packer
from discovery.dns.zones.zone import Zone
from discovery.plugins.transfer.settings import Secondary
from discovery.plugins.transfer.tsig import Signer
from discovery.rest.api.times import iso

# Changes of so many seconds are told together, so that a secondary has at most two transfers a second.
GATHER_SECONDS = 0.5
# RFC 1996 §3.6 wants retries; its 60 seconds are for primaries that change once a day. A secondary that misses all asks by itself.
TRIES, RETRY_SECONDS = 3, 2.0

_AA = 0x0400


class Notifier:
    """`key` gives the one to sign with; `sources` our addresses, of which secondaries know one; `wall` seconds since the epoch."""

    def __init__(
        self,
        secondary: Secondary,
        key: Callable[[], Key],
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
        loop = asyncio.get_running_loop()
        source = source_for(self._secondary.ip, self._sources())
        transport, replies = await loop.create_datagram_endpoint(
            _Replies,
            local_addr=None if source is None else (source, 0),
            remote_addr=(self._secondary.ip, self._secondary.port),
        )
        try:
            messages = {id: self._message(zone, id) for id, zone in _numbered(self._zones)}
            replies.missing = set(messages)
            for _ in range(TRIES):
                for id in tuple(replies.missing):
                    transport.sendto(messages[id])
                # Not wait_for: it loses a cancellation that comes with the last reply (CPython issue 86296), and `close` waits for ever.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(RETRY_SECONDS):
                        await replies.complete.wait()
                if not replies.missing:
                    return replies.refused
            return "no reply"
        finally:
            transport.close()

    def _message(self, zone: Zone, id: int) -> bytes:
        """§3.7: with the SOA as a hint."""
        soa = zone.soa()
        head = HEADER.pack(id, OPCODE_NOTIFY << 11 | _AA, 1, 1, 0, 0)
        question = Question(zone.origin, Type.SOA)
        section = to_wire(question.name) + struct.pack("!HH", question.type, question.klass)
        return Signer(self._key()).sign(head + section + Packer(question)(soa), int(self._wall()))


def source_for(secondary: str, addresses: Iterable[str]) -> str | None:
    """The first address that a packet to `secondary` can leave from; None where the kernel has to choose."""
    to = ip_address(secondary)
    for address in addresses:
        ip = ip_address(address)
        if ip.version == to.version and not ip.is_unspecified and (to.is_loopback or not ip.is_loopback):
            return address
    return None


class _Replies(asyncio.DatagramProtocol):
    """`missing`: the ids that were not answered yet. `refused`: what one was answered with that is not NOERROR."""

    def __init__(self) -> None:
        self.missing: set[int] = set()
        self.refused: str | None = None
        self.complete = asyncio.Event()

    def datagram_received(self, data: bytes, addr: object) -> None:
        if len(data) >= HEADER.size and data[2] & 0x80:
            id = int.from_bytes(data[:2], "big")
            if id in self.missing and (rcode := data[3] & 0x0F):
                self.refused = f"it answers {rcode_text(Rcode(rcode))}"
            self.missing.discard(id)
            if not self.missing:
                self.complete.set()


def _numbered(zones: Sequence[Zone]) -> list[tuple[int, Zone]]:
    """With an id each, not to be guessed from outside."""
    return list(zip(random.SystemRandom().sample(range(65536), len(zones)), zones, strict=True))
