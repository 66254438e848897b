"""GET /dns/NAME?type=: what this server says over DNS, as `dig` prints it, and the commands that ask the same.

The question is made a message and goes the way of DNS over HTTPS, with the address of whoever asks: what that client may not be told over
DNS it is not told here. Replies are printed in a thread, one at a time: one of 64 KiB takes a tenth of a second.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import secrets
import shlex
import time
from collections.abc import Callable, Sequence
from urllib.parse import quote

from aiohttp import web

from discovery.core.errors import InvalidField
from discovery.rest.api.doh import Respond
from discovery.rest.api.query import Parameter, Table, parse
from discovery.rest.api.requests import sent

# Name, type, class, id and the client's cookie in, a message out. InvalidField.
MakeQuery = Callable[[str, str, str, int, bytes], bytes]
# A message and the client's cookie in, text out.
Printed = Callable[[bytes, bytes], str]
# An address and its port.
Place = tuple[str, int]

_COOKIE_SIZE = 8
# Characters of a type: `NSEC3PARAM` and `TYPE65535` have ten.
_MAX_WORD = 16


def _word(examples: Sequence[str], description: str) -> Parameter:
    def read(name: str, text: str) -> str:
        if not (text.isascii() and text.replace("-", "").isalnum() and len(text) <= _MAX_WORD):
            raise InvalidField(name, f"must be one word such as {examples[0]}")
        return text.upper()

    schema = {"type": "string", "pattern": "^[A-Za-z0-9-]{1,16}$", "examples": examples, "description": description}
    return Parameter(read, schema)


DIG: Table = {
    "type": _word(["A", "SRV", "TXT", "TYPE65"], "a type of records, or its number as TYPE65; A where it is not given"),
    "class": _word(["IN"], "IN, or CH for version.bind and id.server; IN where it is not given"),
}


class Dig:
    """`listening()`: where DNS is answered. `zone`: one of ours, in text."""

    def __init__(
        self, respond: Respond, make_query: MakeQuery, printed: Printed, listening: Callable[[], Sequence[Place]], zone: str
    ) -> None:  # fmt: skip
        self._respond = respond
        self._make_query = make_query
        self._printed = printed
        self._listening = listening
        self._zone = zone
        self._printing = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/dns/{domain}", self.get)]

    async def get(self, request: web.Request) -> web.Response:
        values = parse(sent(request).query, DIG)
        name, rtype, klass = request.match_info["domain"], values.get("type", "A"), values.get("class", "IN")
        cookie = os.urandom(_COOKIE_SIZE)
        message = self._make_query(name, rtype, klass, secrets.randbits(16), cookie)
        began = time.monotonic()
        reply = self._respond(message, request.remote or "")
        if reply is not None and not isinstance(reply, bytes):
            reply = await reply
        if reply is None:
            text = ";; no reply: this server says nothing to this question\n"
        else:
            took = time.monotonic() - began
            async with self._printing:
                text = await asyncio.to_thread(self._printed, reply, cookie)
            text += _end(request, len(reply), took)
        text += self._hint(name) + self._commands(request, name, rtype, klass)
        return web.Response(text=text, headers={"Cache-Control": "no-store"})

    def _hint(self, name: str) -> str:
        """Whoever leaves the zone out is used to a resolver with a search list."""
        label = name.rstrip(".")
        if not label or "." in label or not label.replace("-", "").replace("_", "").isalnum():
            return ""
        return f"\n;; {label} is a whole name here. If you mean the service, ask for {label}.{self._zone}\n"

    def _commands(self, request: web.Request, name: str, rtype: str, klass: str) -> str:
        address, port = _reachable(self._listening(), _local(request)[0])
        dig = ["dig", f"@{address}", "-p", str(port), *(["-q"] if name[0] in "-+@" else []), name, rtype]
        query = f"?type={quote(rtype)}" + (f"&class={klass}" if klass != "IN" else "")
        curl = [
            "curl",
            "-s",
            *(["--path-as-is"] if name == "." else []),
            f"{request.scheme}://{_host(request)}/dns/{quote(name, safe='')}{query}",
        ]
        token = ' -H "Authorization: Bearer $DISCOVERY_TOKEN"' if "Authorization" in request.headers else ""
        dig += [klass] if klass != "IN" else []
        return f"\n;; To ask it yourself:\n;; {shlex.join(dig)}\n;; {shlex.join(curl)}{token}\n"


def _end(request: web.Request, octets: int, seconds: float) -> str:
    address, port = _local(request)
    when = time.strftime("%a %b %d %H:%M:%S UTC %Y", time.gmtime())
    return (
        f"\n;; Query time: {round(seconds * 1000)} msec\n;; SERVER: {address}#{port}({address}) ({request.scheme.upper()})\n"
        f";; WHEN: {when}\n;; MSG SIZE  rcvd: {octets}\n"
    )


def _host(request: web.Request) -> str:
    """As the client has it."""
    address, port = _local(request)
    own = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    return request.host if "Host" in request.headers and request.host.isascii() and request.host.isprintable() else own


def _local(request: web.Request) -> Place:
    """Where this request came in."""
    assert request.transport is not None
    name = request.transport.get_extra_info("sockname")
    return name[0], name[1]


def _reachable(listening: Sequence[Place], local: str) -> Place:
    """The address that this request came to where DNS is answered there too, else the first."""
    own = ipaddress.ip_address(local.partition("%")[0])
    for address, port in listening:
        ip = ipaddress.ip_address(address)
        if ip == own or (ip.is_unspecified and ip.version == own.version):
            return local, port
    return listening[0]
