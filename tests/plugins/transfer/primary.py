"""A world behind the plugin, as in the server, and dnspython as the secondary: it signs, verifies and puts the zone together."""

from __future__ import annotations

import base64
import inspect
import time
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.tsig

from discovery.dns.message.query import Transport
from discovery.dns.message.values import RR
from discovery.plugins.transfer import Transfer
from tests.dns.world import ORIGIN, World

INSIDE, OUTSIDE = "10.1.2.3", "192.0.2.1"
SECRET = b"thirty-two octets, not a secret!"
FILE = f'key "sec-1" {{ algorithm hmac-sha256; secret "{base64.b64encode(SECRET).decode()}"; }};\n'


def key(name: str = "sec-1", secret: bytes = SECRET, algorithm: str = "hmac-sha256") -> dns.tsig.Key:
    return dns.tsig.Key(dns.name.from_text(name), secret, dns.name.from_text(algorithm))


class Primary:
    """`ahead`: seconds that its clock is. `streamed`: the replies of several messages that were begun."""

    def __init__(self, folder: Path, world: World | None = None, file: str = FILE) -> None:
        self.world = world or World()
        path = folder / "keys.conf"
        path.write_text(file)
        self.ahead = 0.0
        networks = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
        self.plugin = Transfer(
            path, networks, (), (), self.world.registry, lambda: 0.0, lambda: time.time() + self.ahead
        )
        self.plugin.follow(self.world.catalog.zones)
        self.world.registry.followers.append(self.plugin.follow_commit)
        self.world.registry.index_followers.append(self.plugin.follow_index)
        self.respond = self.plugin.respond(self.world.plain.respond)
        self.streamed: list[AsyncGenerator[bytes]] = []
        self.tcp = Transport(keepalive=10.0, stream=self.streamed.append)

    async def send(
        self, packet: bytes, client: str = INSIDE, transport: Transport | None = None, now: float = 0.0
    ) -> list[bytes]:
        """All messages of the reply; none for silence."""
        self.streamed.clear()
        reply = self.respond(packet, now, client, transport or self.tcp)
        if self.streamed:
            assert reply is None
            async with aclosing(self.streamed.pop()) as messages:
                return [message async for message in messages]
        if inspect.iscoroutine(reply):
            later: Coroutine[Any, Any, bytes] = reply
            return [await later]
        assert reply is None or isinstance(reply, bytes)
        return [] if reply is None else [reply]

    async def axfr(self, origin: str = ORIGIN, client: str = INSIDE) -> list[RR]:
        """Every record in its order, each message verified."""
        query = signed(request(origin))
        return [rr for message in verified(await self.send(query.to_wire(), client), query) for rr in rrs(message)]


def request(origin: str = ORIGIN, rtype: str = "AXFR", serial: int = 1, **options: Any) -> dns.message.QueryMessage:
    """`serial`: the client's, for IXFR."""
    query = dns.message.make_query(origin, rtype, **({"use_edns": 0, "payload": 1232, "flags": 0} | options))
    if rtype == "IXFR":
        soa = f"ns.{origin}. hostmaster.{origin}. {serial} 60 10 604800 2"
        query.authority.append(dns.rrset.from_text(origin + ".", 0, "IN", "SOA", soa))
    return query


def signed(query: dns.message.QueryMessage, by: dns.tsig.Key | None = None) -> dns.message.QueryMessage:
    """The query, whose `to_wire`, once, is signed at this moment."""
    query.use_tsig(by or key())
    return query


def verified(messages: list[bytes], query: dns.message.QueryMessage) -> list[dns.message.Message]:
    """dnspython reads and verifies them as one reply (RFC 8945 §5.3.1)."""
    found = []
    context = None
    for wire in messages:
        message = dns.message.from_wire(
            wire, keyring=query.keyring, request_mac=query.mac, xfr=True, tsig_ctx=context,
            multi=len(messages) > 1, one_rr_per_rrset=True,
        )  # fmt: skip
        assert message.had_tsig
        context = message.tsig_ctx
        found.append(message)
    return found


def rrs(message: dns.message.Message) -> list[RR]:
    found = []
    for rrset in message.answer:
        owner = tuple(label.lower() for label in rrset.name.labels[:-1])
        found += [RR(owner, int(rrset.rdtype), rrset.ttl, rdata.to_wire() or b"") for rdata in rrset]
    return found


def numbers(primary: Primary) -> dict[str, int]:
    """Of /stats."""
    counted = primary.plugin.stats()["transfers"]
    return {name: counted[name] for name in ("sent", "cutShort", "underWay")}
