"""The fast lane: heartbeats and resolves, the requests that never end, answered from the octets that came in.

aiohttp makes a task, a request and a response object for every request, which takes ten times as long as what is asked. A
request that is exactly of the usual shape is answered here by the same functions as over there; everything else, each error
among it, is left to aiohttp. The heads of requests repeat, so what was found out about one is kept.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import NamedTuple

from discovery.core.caller import Caller
from discovery.core.errors import DiscoveryError
from discovery.rest.guard.admission import Admit, anyone

# A body in octets, or a name, and who sent it, in; the JSON answer out, None when it takes more than the fast lane knows.
Answer = Callable[[bytes, Caller], "bytes | None"]

# Heads remembered: every client has one or a few. All are forgotten when they are too many.
_MAX_HEADS = 4096
# aiohttp's own limits, for a line or a field there and for all of them here.
_MAX_HEAD = 8190
_MAX_FIELDS = 100
_MAX_BODY = 4096

# Header fields that change what has to be done, with the value that does not.
_SPECIAL = {
    b"connection": b"keep-alive",
    b"content-encoding": None,
    b"content-type": b"application/json",
    b"origin": None,
    b"sec-fetch-site": None,
}
_CONNECTION = (b"keep-alive", b"close")
# Those after which the end of a request is not where Content-Length says, or a request is not all that comes.
_UNBOUNDED = frozenset((b"expect", b"transfer-encoding", b"upgrade"))


class Head(NamedTuple):
    """What the header fields of a request say. `length` None: only aiohttp can tell where the request ends."""

    length: int | None
    plain: bool
    authorization: str | None = None


_NOT_PLAIN = Head(None, False)


class Taken(NamedTuple):
    """`size` octets were answered with `reply`; None: not for the fast lane. `size` 0: more has to come in first."""

    reply: bytes | None
    size: int


_NOT_MINE = Taken(None, 1)
_MORE = Taken(None, 0)


class FastLane:
    """`is_host`: whether a Host header, in lower case, means this server."""

    def __init__(
        self,
        heartbeat: Answer,
        resolve: Answer,
        admit: Admit = anyone,
        is_host: Callable[[str], bool] = lambda host: True,
    ) -> None:
        self._heartbeat = heartbeat
        self._resolve = resolve
        self._admit = admit
        self._is_host = is_host
        self._heads: dict[bytes, Head] = {}
        self._date = (0, b"")

    def take(self, octets: bytes, address: str) -> Taken:
        """What to do with a connection's octets, from the first of a request on. `address`: the client's."""
        if octets.startswith(b"POST /heartbeat HTTP/1.1\r\n"):
            name, fields_at = b"", 24
        elif octets.startswith(b"GET /resolve/"):
            fields_at = octets.find(b"\r\n")
            line, _, version = octets[:fields_at].rpartition(b" ")
            name = line[13:]
            if version != b"HTTP/1.1" or not name:
                return _NOT_MINE
        else:
            return _NOT_MINE
        end = octets.find(b"\r\n\r\n", fields_at)
        if end < 0:
            return _MORE if len(octets) < _MAX_HEAD else _NOT_MINE
        head = self.head(octets[fields_at:end])
        size = end + 4 + (head.length or 0)
        if not head.plain or (head.length or 0) > _MAX_BODY:
            return _NOT_MINE
        if len(octets) < size:
            return _MORE
        content = self._answer(name, octets[end + 4 : size], head, address)
        return _NOT_MINE if content is None else Taken(self._response(content), size)

    def _answer(self, name: bytes, body: bytes, head: Head, address: str) -> bytes | None:
        try:
            if name:
                return self._resolve(name, self._admit("GET", "/resolve", head.authorization, address))
            return self._heartbeat(body, self._admit("POST", "/heartbeat", head.authorization, address))
        except DiscoveryError:  # aiohttp's lane says why
            return None

    def size(self, octets: bytes) -> int | None:
        """Of the request that begins here; None when its head is not whole or does not say."""
        fields_at, end = octets.find(b"\r\n"), octets.find(b"\r\n\r\n")
        length = self.head(octets[fields_at:end]).length if end >= 0 else None
        return None if length is None else end + 4 + length

    def head(self, fields: bytes) -> Head:
        known = self._heads.get(fields)
        if known is None:
            if len(fields) > _MAX_HEAD:
                return _NOT_PLAIN
            if len(self._heads) >= _MAX_HEADS:
                self._heads.clear()
            known = self._heads[fields] = _read(fields, self._is_host)
        return known

    def _response(self, content: bytes) -> bytes:
        return b"%b%d\r\n\r\n%b" % (self._fields(), len(content), content)

    def _fields(self) -> bytes:
        """As aiohttp, `cors` and `app` have them; the date counts in seconds."""
        now = int(time.time())
        if self._date[0] != now:
            date = formatdate(now, usegmt=True).encode()
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nVary: Origin\r\n"
            head += b"X-Content-Type-Options: nosniff\r\n"
            head += b"Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"
            head += b"Date: %b\r\nContent-Length: "
            self._date = (now, head % date)
        return self._date[1]


# RFC 9110 §5.1 and §5.5: a field as everybody reads it. Where readers could differ, aiohttp is the one that counts. Possessive: each
# octet is looked at once, whatever a stranger sends.
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]++):[ \t]*+([\x20-\x7e]*+)")


def _read(fields: bytes, is_host: Callable[[str], bool]) -> Head:
    """RFC 9112 §6.3, as far as it is plain."""
    matches = [_FIELD.fullmatch(line) for line in fields.split(b"\r\n")[1:]]
    pairs = [(match[1].lower(), match[2].rstrip(b" ").lower()) for match in matches if match is not None]
    values = dict(pairs)
    length = values.get(b"content-length", b"0")
    if len(pairs) < len(matches) or not re.fullmatch(rb"[0-9]{1,9}", length) or not _UNBOUNDED.isdisjoint(values):
        return _NOT_PLAIN
    for name, value in pairs:  # `values` has the last of a name that came twice
        if (name == b"content-length" and value is not length) or (name == b"connection" and value not in _CONNECTION):
            return _NOT_PLAIN
    host = values.get(b"host")
    once = len(values) == len(pairs) <= _MAX_FIELDS and host is not None and is_host(host.decode("ascii"))
    usual = all(values.get(name, value) == value for name, value in _SPECIAL.items())
    return Head(int(length), once and usual, _authorization(matches))


def _authorization(matches: list[re.Match[bytes] | None]) -> str | None:
    found = [match[2].rstrip(b" ") for match in matches if match is not None and match[1].lower() == b"authorization"]
    return found[0].decode("ascii") if found else None
