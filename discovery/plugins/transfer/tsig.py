"""TSIG (RFC 8945), whose records and MACs are dnspython's: checks whether a request is signed by one of our keys, and signs the messages
that answer it.

`check` takes a well-formed message apart: key, then MAC, then time, as §5.2 orders them. What follows it is a Signer, which
chains the messages of one reply (§5.3.1), or an Unverified, which says what to reply.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

import dns.exception
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.tsig
from dns.rdtypes.ANY.TSIG import TSIG
from dns.tsig import Key

from discovery.dns.message.query import records

TYPE, _ANY = dns.rdatatype.TSIG, dns.rdataclass.ANY
BADSIG, BADKEY, BADTIME, BADTRUNC = dns.rcode.BADSIG, dns.rcode.BADKEY, dns.rcode.BADTIME, dns.rcode.BADTRUNC

# Seconds that clocks may differ (§10 recommends 300): what we sign says so, and a request may ask for less but not for more.
FUDGE = 300
_FIXED_RR = struct.Struct("!HHIH")

# §6 without those of MD5 and SHA-1, and their truncated forms.
ALGORITHMS = frozenset((dns.tsig.HMAC_SHA224, dns.tsig.HMAC_SHA256, dns.tsig.HMAC_SHA384, dns.tsig.HMAC_SHA512))

Keys = Mapping[dns.name.Name, Key]
# dnspython has no types for these two.
_sign: Any = dns.tsig.sign
_make: Any = TSIG


class Malformed(Exception):
    """There is a TSIG record, but not as §5.1 wants it: FORMERR."""


class Tsig(NamedTuple):
    """A record as it came. `at`: where it starts in its message."""

    at: int
    key: dns.name.Name
    rdata: TSIG


def find(packet: bytes) -> Tsig | None:
    """The TSIG record of a well-formed message; Malformed when it is not the last record, or not as it has to be (§5.1, §5.2)."""
    every = records(packet)
    if all(record.type != TYPE for record in every):
        return None
    last = every[-1]
    alone = sum(record.type == TYPE for record in every) == 1
    if not alone or last.type != TYPE or packet[10:12] == b"\0\0" or (last.klass, last.ttl) != (_ANY, 0):
        raise Malformed
    try:
        rdata = dns.rdata.from_wire(_ANY, TYPE, packet, last.rdata, last.end - last.rdata)
        key, _ = dns.name.from_wire(packet, last.at)
    except (dns.exception.DNSException, ValueError):
        raise Malformed from None
    assert isinstance(rdata, TSIG)
    return Tsig(last.at, key, rdata)


class Unverified(NamedTuple):
    """`error` of §3. `signer` None: the reply must not be signed (§5.3.2), but for an empty TSIG record with `error` in it."""

    error: int
    text: str
    tsig: Tsig
    signer: Signer | None = None

    def unsigned(self, reply: bytes) -> bytes:
        id = int.from_bytes(reply[:2], "big")
        return appended(
            reply, self.tsig.key, self.tsig.rdata.replace(mac=b"", original_id=id, error=self.error, other=b"")
        )


class Signer:
    """Signs the messages of the reply to one request, in their order."""

    def __init__(self, key: Key, request_mac: bytes = b"") -> None:
        self.key = key
        self._request_mac = request_mac
        self._chain: object = None

    def sign(self, message: bytes, now: int, error: int = 0, other: bytes = b"") -> bytes:
        """`now`: seconds since the epoch."""
        id = int.from_bytes(message[:2], "big")
        rdata = _make(_ANY, TYPE, self.key.algorithm, now, FUDGE, b"", id, error, other)
        signed, self._chain = _sign(message, self.key, rdata, now, self._request_mac, self._chain, multi=True)
        return appended(message, self.key.name, signed)

    def restart(self) -> None:
        """What was signed is not sent."""
        self._chain = None


def check(packet: bytes, tsig: Tsig, keys: Keys, now: int) -> Signer | Unverified:
    """Malformed when the MAC is longer than it can be or shorter than it may be (§5.2.2.1)."""
    key, rdata = keys.get(tsig.key), tsig.rdata
    if key is None or key.algorithm != rdata.algorithm:
        return Unverified(BADKEY, "there is no such key here, or it is of another algorithm", tsig)
    mac: bytes = _sign(without(packet, tsig), key, rdata, rdata.time_signed)[0].mac
    if not max(10, len(mac) // 2) <= len(rdata.mac) <= len(mac):
        raise Malformed
    if not hmac.compare_digest(mac[: len(rdata.mac)], rdata.mac):
        return Unverified(BADSIG, f"this was not signed with the key {text(key.name)} that is here", tsig)
    signer = Signer(key, rdata.mac)
    if abs(now - rdata.time_signed) > min(rdata.fudge, FUDGE):
        why = f"signed at {rdata.time_signed}, here it is {now}: one of the clocks is wrong"
        return Unverified(BADTIME, why, tsig, signer)
    if len(rdata.mac) < len(mac):
        return Unverified(BADTRUNC, "a truncated signature is not enough here", tsig, signer)
    return signer


def text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True)


def without(packet: bytes, tsig: Tsig) -> bytes:
    """The message as it was before the record was added."""
    additionals = int.from_bytes(packet[10:12], "big") - 1
    return packet[:10] + additionals.to_bytes(2, "big") + packet[12 : tsig.at]


def appended(message: bytes, key: dns.name.Name, rdata: dns.rdata.Rdata) -> bytes:
    additionals, data = int.from_bytes(message[10:12], "big") + 1, rdata.to_wire() or b""
    record = (key.to_wire() or b"") + _FIXED_RR.pack(TYPE, _ANY, 0, len(data)) + data
    return message[:10] + additionals.to_bytes(2, "big") + message[12:] + record
