"""DNS cookies (RFC 7873) in the interoperable format of RFC 9018: a client that shows a valid one really has its address.

A server cookie is version 1, three zero octets, a time in seconds and SipHash-2-4 over all that, the client's cookie and its
address. It says nothing but "I answered this client at this address not long ago", so no state is kept.
"""

from __future__ import annotations

import struct
from functools import lru_cache

from siphashc import siphash

from discovery.dns.server.rate_limit import packed

CLIENT_SIZE = 8
SERVER_SIZE = 16
# What a client shows that knows its server, and what it is given.
COOKIE_SIZE = CLIENT_SIZE + SERVER_SIZE
# RFC 7873 §5.2.2: what a client may send besides its own part; other servers' cookies can be longer than ours.
_SIZES = range(CLIENT_SIZE + 8, CLIENT_SIZE + 33)
SECRET_SIZE = 16

# Of the last ones, what was found within this second: a resolver shows the same cookie with each of its queries.
_MAX_CHECKED = 1024

# RFC 9018 §4.3, seconds: valid for an hour, tolerated five minutes into the future, made anew after half an hour.
_VALID, _AHEAD, _RENEW = 3600, 300, 1800
_HEAD = struct.Struct("!B3xI")


class Cookies:
    """`secret`: 16 octets. Times are whole seconds of any clock that never goes back while the secret is used."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._head = (-1, b"")  # the last second's, for most cookies are made in the same one
        self._checked = lru_cache(_MAX_CHECKED)(self._check)

    def check(self, data: bytes, client: str, now: int) -> tuple[bytes, bool]:
        """The option's data to send back, empty when `data` is malformed; and whether the client proved its address."""
        if len(data) == CLIENT_SIZE:  # of who asks for the first time: seldom the same again
            return self.make(data, client, now), False
        if len(data) not in _SIZES:  # not remembered: over TCP it may have 64 KiB
            return b"", False
        return self._checked(data, client, now)

    def _check(self, data: bytes, client: str, now: int) -> tuple[bytes, bool]:
        nonce, shown = data[:CLIENT_SIZE], data[CLIENT_SIZE:]
        age = self._age(nonce, shown, client, now)
        if age is not None and age < _RENEW:
            return data, True
        return self.make(nonce, client, now), age is not None

    def _age(self, nonce: bytes, shown: bytes, client: str, now: int) -> int | None:
        """Seconds since it was made; None when it is not ours, or too old."""
        if len(shown) != SERVER_SIZE:
            return None
        made_at: int = _HEAD.unpack_from(shown)[1]
        age = (now - made_at + 0x80000000) % 0x100000000 - 0x80000000  # serial arithmetic, RFC 1982
        if not -_AHEAD <= age <= _VALID or nonce + shown != self.make(nonce, client, made_at):
            return None
        return age

    def make(self, nonce: bytes, client: str, made_at: int) -> bytes:
        """A client's cookie, and the server's for it behind."""
        second, head = self._head
        if made_at != second:
            head = _HEAD.pack(1, made_at & 0xFFFFFFFF)
            self._head = made_at, head
        signed = nonce + head
        return signed + siphash(self._secret, signed + _packed(client)).to_bytes(8, "little")


_packed = lru_cache(maxsize=1024)(packed)  # the same clients come back
