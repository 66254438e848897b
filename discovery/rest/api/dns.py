"""What the server says over DNS, asked over HTTP.

/dns-query is DNS over HTTPS (RFC 8484): GET with ?dns= in base64url, POST with the message as the body. HTTP carries the message; what it
says, errors included, is the DNS side's. How long a reply may be kept is the shortest TTL in it (§5.1).

GET /dns/NAME?type= says it in text or as JSON, with the commands that ask the same. The question is made a message and goes the same way,
with the address of whoever asks: what that client may not be told over DNS it is not told here. Replies are read in a thread, one at a
time: one of 64 KiB takes a tenth of a second.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import ipaddress
import secrets
import shlex
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson

from discovery.core.address import authority
from discovery.core.errors import InvalidField
from discovery.rest.api.answers import JSON, Answer
from discovery.rest.api.errors import HttpError
from discovery.rest.api.example import Example
from discovery.rest.api.query import Parameter, Table, Values, values_of
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Kind, Right, Route
from discovery.rest.api.services.listing import HEADING

# A message and the client's address in, the reply out: at once, later, or never.
Respond = Callable[[bytes, str], "bytes | Coroutine[Any, Any, bytes] | None"]
FreshFor = Callable[[bytes], int]

MEDIA_TYPE = "application/dns-message"
# RFC 1035 §4.2.2: no DNS message is longer.
MAX_MESSAGE = 65535


def _message(name: str, text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise InvalidField(name, "must be a DNS message in base64url") from None


_SCHEMA = {
    "type": "string", "pattern": "^[A-Za-z0-9_-]*$", "description": "a DNS message in base64url",
    "examples": ["AAABAAABAAAAAAAADHVzZXItc2VydmljZQNzdmMFbG9jYWwAAAEAAQ"],  # user-service.svc.local A
}  # fmt: skip


class DnsOverHttps:
    """`fresh_for(reply)`: seconds that the reply may be kept."""

    def __init__(self, respond: Respond, fresh_for: FreshFor) -> None:
        self._respond = respond
        self._fresh_for = fresh_for

    def routes(self) -> list[Route]:
        right, kind, summary = Right.READ, Kind.QUESTION, "DNS over HTTPS (RFC 8484)"
        return [
            Route(
                "GET", "/dns-query", self.get, right, kind, summary, HEADING, codes=("NO_QUERY",), media=MEDIA_TYPE,
                query={"dns": Parameter(_message, _SCHEMA, required=True)}, lenient=True,
            ),
            Route(
                "POST", "/dns-query", self.post, right, kind, summary, HEADING, codes=("NO_QUERY", "NOT_DNS"), media=MEDIA_TYPE,
                max_body=MAX_MESSAGE,
            ),
        ]  # fmt: skip

    async def get(self, request: Request) -> Answer:
        return await self._reply(values_of(request)["dns"], request)

    async def post(self, request: Request) -> Answer:
        media = (request.header(b"content-type") or "application/octet-stream").partition(";")[0].strip().lower()
        if media != MEDIA_TYPE:
            raise HttpError("NOT_DNS", f"Content-Type is {media}; send a DNS message as {MEDIA_TYPE}")
        return await self._reply(request.body, request)

    async def _reply(self, message: bytes, request: Request) -> Answer:
        if len(message) > MAX_MESSAGE:
            raise HttpError("BODY_TOO_LARGE", f"A DNS message has at most {MAX_MESSAGE} octets")
        reply = self._respond(message, request.address)
        if reply is None:
            raise HttpError.usual("NO_QUERY")
        if not isinstance(reply, bytes):
            reply = await reply
        return Answer(200, reply, {"Cache-Control": f"max-age={self._fresh_for(reply)}"}, media=MEDIA_TYPE)


# -- the same for people

# Name, type, class and id in, a message out. InvalidField.
MakeQuery = Callable[[str, str, str, int], bytes]
# A message in (None: there is none), what it says out, with its `text`.
Read = Callable[[bytes | None], dict[str, Any]]
# An address and its port.
Place = tuple[str, int]

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


_EXAMPLE = """\
;; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 25872
;; flags: qr aa rd; QUESTION: 1, ANSWER: 2, AUTHORITY: 0, ADDITIONAL: 2

;; QUESTION SECTION:
;user-service.svc.local. IN SRV

;; ANSWER SECTION:
user-service.svc.local. 5 IN SRV 10 100 3001 ip-10-0-0-7-p3001.user-service.svc.local.
user-service.svc.local. 5 IN SRV 10 100 3001 ip-10-0-0-8-p3001.user-service.svc.local.
"""


@dataclass(eq=False)
class Dig:
    """`listening()`: where DNS is answered. `zone`: one of ours, in text."""

    respond: Respond
    make_query: MakeQuery
    read: Read
    listening: Callable[[], Sequence[Place]]
    zone: str

    def __post_init__(self) -> None:
        self._reading = asyncio.Lock()

    def routes(self) -> list[Route]:
        return [
            Route(
                "GET", "/dns/{domain}", self.get, Right.READ, Kind.OPERATION,
                "What this server says over DNS, in text, or as JSON to who accepts that", HEADING,
                media="text/plain", also=JSON, query=DIG, examples=(Example(query={"type": "SRV"}, text=_EXAMPLE),),
            )
        ]  # fmt: skip

    def get(self, request: Request) -> Awaitable[Answer]:
        return self._answer(values_of(request), request)

    async def _answer(self, values: Values, request: Request) -> Answer:
        name, rtype, klass = request.names["domain"], values.get("type", "A"), values.get("class", "IN")
        message = self.make_query(name, rtype, klass, secrets.randbits(16))
        began = time.monotonic()
        reply = self.respond(message, request.address)
        if reply is not None and not isinstance(reply, bytes):
            reply = await reply
        took = time.monotonic() - began
        async with self._reading:
            content = await asyncio.to_thread(self.read, reply)
        content |= {
            "octets": len(reply or b""),
            "seconds": round(took, 6),
            "wholeName": self._whole_name(name),
            "commands": self._commands(request, name, rtype, klass),
        }
        if JSON in (request.header(b"accept") or ""):
            return Answer(200, orjson.dumps(content), _HEADERS)
        return Answer(200, _text(content).encode(), _HEADERS, media="text/plain; charset=utf-8")

    def _whole_name(self, name: str) -> str | None:
        """What is probably meant by a label alone: whoever leaves the zone out is used to a resolver with a search list."""
        label = name.rstrip(".")
        return f"{label}.{self.zone}" if label.replace("-", "").replace("_", "").isalnum() else None

    def _commands(self, request: Request, name: str, rtype: str, klass: str) -> dict[str, str]:
        address, port = _reachable(self.listening(), request.arrival.ip)
        dig = ["dig", f"@{address}", "-p", str(port), *(["-q"] if name[0] in "-+@" else []), name, rtype]
        dig += [klass] if klass != "IN" else []
        query = f"?type={quote(rtype)}" + (f"&class={klass}" if klass != "IN" else "")
        url = f"{request.arrival.scheme}://{_host(request)}/dns/{quote(name, safe='')}{query}"
        curl = shlex.join(["curl", "-s", *(["--path-as-is"] if name == "." else []), url])
        token = ' -H "Authorization: Bearer $DISCOVERY_TOKEN"' if b"authorization" in request.headers else ""
        return {"dig": shlex.join(dig), "curl": curl + token}


_HEADERS = {"Cache-Control": "no-store", "Vary": "Origin, Accept"}


def _text(content: Mapping[str, Any]) -> str:
    lines = [content["text"], f";; {content['octets']} octets, {content['seconds'] * 1000:.1f} ms"]
    if content["wholeName"]:
        lines.append(f";; That is a whole name here. If you mean the service, ask for {content['wholeName']}")
    return "\n".join(
        [*lines, "", ";; To ask it yourself:", *(f";; {each}" for each in content["commands"].values()), ""]
    )


def _host(request: Request) -> str:
    """As the client has it."""
    address, port, _ = request.arrival
    host = request.header(b"host")
    return host if host and host.isascii() and host.isprintable() else authority(address, port)


def _reachable(listening: Sequence[Place], local: str) -> Place:
    """The address that this request came to where DNS is answered there too, else the first."""
    own = ipaddress.ip_address(local.partition("%")[0])
    for address, port in listening:
        ip = ipaddress.ip_address(address)
        if ip == own or (ip.is_unspecified and ip.version == own.version):
            return local, port
    return listening[0]
