"""TSIG (RFC 8945): checks whether a request is signed by one of our keys, and signs the messages that answer it.

`check` takes a well-formed message apart: key, then MAC, then time, as §5.2 orders them. What follows it is a Signer, which
chains the messages of one reply (§5.3.1), or an Unverified, which says what to reply.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Mapping
from typing import NamedTuple

from discovery.dns.message import names
from discovery.dns.message.names import Name, to_text, to_wire
from discovery.dns.message.query import Record, records

TYPE, _ANY_CLASS = 250, 255
BADSIG, BADKEY, BADTIME, BADTRUNC = 16, 17, 18, 22

# Seconds that clocks may differ (§10 recommends 300): what we sign says so, and a request may ask for less but not for more.
FUDGE = 300
_FIXED_RR = struct.Struct("!HHIH")
_FIXED_VARIABLES = struct.Struct("!HI")  # class and ttl
_LENGTH = struct.Struct("!H")
_AFTER_MAC = struct.Struct("!HHH")  # original id, error, length of other data

# §6 without those of MD5 and SHA-1, and their truncated forms.
ALGORITHMS: Mapping[Name, str] = {
    (b"hmac-sha224",): "sha224",
    (b"hmac-sha256",): "sha256",
    (b"hmac-sha384",): "sha384",
    (b"hmac-sha512",): "sha512",
}


class Key(NamedTuple):
    """`algorithm` is one of ALGORITHMS."""

    name: Name
    algorithm: Name
    secret: bytes

    def mac(self, data: bytes) -> bytes:
        return hmac.digest(self.secret, data, ALGORITHMS[self.algorithm])


class Malformed(Exception):
    """There is a TSIG record, but not as §5.1 wants it: FORMERR."""


class Tsig(NamedTuple):
    """A record as it came. `at`: where it starts in its message. Times in seconds since the epoch."""

    at: int
    key: Name
    algorithm: Name
    time: int
    fudge: int
    mac: bytes
    original_id: bytes
    error: int
    other: bytes

    def variables(self) -> bytes:
        """§4.3.3."""
        names = to_wire(self.key) + _FIXED_VARIABLES.pack(_ANY_CLASS, 0) + to_wire(self.algorithm)
        return names + self.timers() + struct.pack("!HH", self.error, len(self.other)) + self.other

    def timers(self) -> bytes:
        return self.time.to_bytes(6, "big") + _LENGTH.pack(self.fudge)

    def to_wire(self) -> bytes:
        after = self.original_id + struct.pack("!HH", self.error, len(self.other)) + self.other
        rdata = to_wire(self.algorithm) + self.timers() + _LENGTH.pack(len(self.mac)) + self.mac + after
        return to_wire(self.key) + _FIXED_RR.pack(TYPE, _ANY_CLASS, 0, len(rdata)) + rdata


def find(packet: bytes) -> Tsig | None:
    """The TSIG record of a well-formed message; Malformed when it is not the last record, or not as it has to be (§5.1, §5.2)."""
    every = records(packet)
    if all(record.type != TYPE for record in every):
        return None
    last = every[-1]
    alone = sum(record.type == TYPE for record in every) == 1
    if not alone or last.type != TYPE or packet[10:12] == b"\0\0" or (last.klass, last.ttl) != (_ANY_CLASS, 0):
        raise Malformed
    try:
        return _read(packet, last)
    except (IndexError, struct.error, ValueError):
        raise Malformed from None


def _read(packet: bytes, record: Record) -> Tsig:
    key, _ = names.read(packet, record.at)
    algorithm, at = names.read(packet, record.rdata)
    time, fudge = int.from_bytes(packet[at : at + 6], "big"), *_LENGTH.unpack_from(packet, at + 6)
    (size,) = _LENGTH.unpack_from(packet, at + 8)
    mac = packet[at + 10 : at + 10 + size]
    at += 10 + size
    _, error, length = _AFTER_MAC.unpack_from(packet, at)
    end = at + _AFTER_MAC.size + length
    if end != record.end or len(packet) != end:
        raise ValueError
    return Tsig(record.at, key, algorithm, time, fudge, mac, packet[at : at + 2], error, packet[end - length : end])


class Unverified(NamedTuple):
    """`error` of §3. `signer` None: the reply must not be signed (§5.3.2), but for an empty TSIG record with `error` in it."""

    error: int
    text: str
    tsig: Tsig
    signer: Signer | None = None

    def unsigned(self, reply: bytes) -> bytes:
        empty = self.tsig._replace(mac=b"", original_id=reply[:2], error=self.error, other=b"")
        return appended(reply, empty)


class Signer:
    """Signs the messages of the reply to one request, in their order. `now`: seconds since the epoch."""

    def __init__(self, key: Key, request_mac: bytes = b"") -> None:
        self.key = key
        self._mac = request_mac
        self._first = True

    def sign(self, message: bytes, now: int, error: int = 0, other: bytes = b"") -> bytes:
        tsig = Tsig(0, self.key.name, self.key.algorithm, now, FUDGE, b"", message[:2], error, other)
        before = _LENGTH.pack(len(self._mac)) + self._mac if self._mac else b""
        self._mac = self.key.mac(before + message + (tsig.variables() if self._first else tsig.timers()))
        self._first = False
        return appended(message, tsig._replace(mac=self._mac))

    def restart(self, request: Tsig) -> None:
        """What was signed is not sent."""
        self._mac, self._first = request.mac, True


def check(packet: bytes, tsig: Tsig, keys: Mapping[Name, Key], now: int) -> Signer | Unverified:
    """Malformed when the MAC is longer than it can be or shorter than it may be (§5.2.2.1)."""
    key = keys.get(tsig.key)
    if key is None or key.algorithm != tsig.algorithm:
        return Unverified(BADKEY, "there is no such key here, or it is of another algorithm", tsig)
    mac = key.mac(without(packet, tsig, tsig.original_id) + tsig.variables())
    if not max(10, len(mac) // 2) <= len(tsig.mac) <= len(mac):
        raise Malformed
    if not hmac.compare_digest(mac[: len(tsig.mac)], tsig.mac):
        return Unverified(BADSIG, f"this was not signed with the key {to_text(key.name)} that is here", tsig)
    signer = Signer(key, tsig.mac)
    if abs(now - tsig.time) > min(tsig.fudge, FUDGE):
        return Unverified(BADTIME, f"signed at {tsig.time}, here it is {now}: one of the clocks is wrong", tsig, signer)
    if len(tsig.mac) < len(mac):
        return Unverified(BADTRUNC, "a truncated signature is not enough here", tsig, signer)
    return signer


def without(packet: bytes, tsig: Tsig, id: bytes) -> bytes:
    """The message as it was before the record was added."""
    additionals = int.from_bytes(packet[10:12], "big") - 1
    return id + packet[2:10] + additionals.to_bytes(2, "big") + packet[12 : tsig.at]


def appended(message: bytes, tsig: Tsig) -> bytes:
    additionals = int.from_bytes(message[10:12], "big") + 1
    return message[:10] + additionals.to_bytes(2, "big") + message[12:] + tsig.to_wire()
