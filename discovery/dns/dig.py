"""What GET /dns/NAME asks and shows: a query as `dig` sends it; a reply in dnspython's text below dig's header, and as JSON. Pure."""

from __future__ import annotations

import re
from typing import Any

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from discovery.core.errors import InvalidField
from discovery.dns.message.edns import MAX_UDP
from discovery.dns.zones.live import LIVE_TYPES

# Octets of a message that is shown in one line: more would take longer than a turn of the event loop.
_MAX_SHOWN = 4096
_TYPE_NUMBER = re.compile(r"TYPE([0-9]{1,5})")
# Types that a person asks this server for, the most usual first; `CH` types are asked for as TXT.
TYPES = (*(kind.name for kind in LIVE_TYPES), "SOA", "NS", "ANY")
# What asks for no records, and what dig would ask for in another way.
_TRANSFERS = (dns.rdatatype.AXFR, dns.rdatatype.IXFR)
_NO_QUESTIONS = (dns.rdatatype.NONE, dns.rdatatype.OPT)
# What a terminal may take as an order: C0, delete, C1, line separators, changes of direction.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def query(name: str, rtype: str, klass: str, id: int) -> bytes:
    """What `dig +noadflag +nocookie NAME TYPE CLASS` sends. `name` is absolute, with escapes as in a zone file. InvalidField says which of
    the three is none (`name`, `type`, `class`).
    """
    message = dns.message.make_query(_name(name), _type(rtype), _class(klass), use_edns=0, payload=MAX_UDP, id=id)
    return message.to_wire()


def read(reply: bytes | None) -> dict[str, Any]:
    """As JSON has it, and `text`: the same for people. `status` is null where there is no reply, or none that can be read."""
    if reply is None:
        return _UNREAD | {"text": ";; no reply: this server says nothing to this question\n"}
    try:
        message = dns.message.from_wire(reply, one_rr_per_rrset=True)
    except (dns.exception.DNSException, ValueError) as error:  # of a server that was asked for us
        return _UNREAD | {"text": f";; Got bad packet: {_safe(str(error))}\n{reply.hex(' ', -2)}\n"}
    return {
        "status": dns.rcode.to_text(message.rcode()),
        "flags": dns.flags.to_text(message.flags).lower().split(),
        "explained": [_explained(option) for option in message.options if isinstance(option, dns.edns.EDEOption)],
        "answer": list(map(_record, message.answer)),
        "authority": list(map(_record, message.authority)),
        "additional": list(map(_record, message.additional)),
        "text": _text(message),
    }


_UNREAD: dict[str, Any] = {
    "status": None,
    "flags": [],
    "explained": [],
    "answer": [],
    "authority": [],
    "additional": [],
}


def as_text(reply: bytes) -> str:
    """The records of a well-formed message as zone files have them, in one line; of a long one, only how long it is."""
    if len(reply) > _MAX_SHOWN:
        return f"{len(reply)} octets are too many to be shown"
    try:
        message = dns.message.from_wire(reply, one_rr_per_rrset=True)
    except (dns.exception.DNSException, ValueError):
        return "it cannot be shown"
    return "; ".join(rrset.to_text() for rrset in (*message.answer, *message.authority, *message.additional))


def _text(message: dns.message.Message) -> str:
    sections = {
        "QUESTION": message.question,
        "ANSWER": message.answer,
        "AUTHORITY": message.authority,
        "ADDITIONAL": message.additional,
    }
    flags = dns.flags.to_text(message.flags).lower()
    opcode, rcode = dns.opcode.to_text(message.opcode()), dns.rcode.to_text(message.rcode())
    lines = [
        f";; ->>HEADER<<- opcode: {opcode}, status: {rcode}, id: {message.id}",
        f";; flags: {flags}; {', '.join(f'{title}: {len(records)}' for title, records in sections.items())}",
    ]
    if message.edns >= 0:
        lines.append(f"; EDNS: version: {message.edns}, udp: {message.payload}")
        lines += map(_option, message.options)
    for title, records in sections.items():
        if records:
            mark = ";" if title == "QUESTION" else ""
            lines += ["", f";; {title} SECTION:", *(mark + record.to_text() for record in records)]
    return "\n".join([*lines, ""])


def _record(rrset: dns.rrset.RRset) -> dict[str, Any]:
    """`target`: the name in its data that can be asked for next."""
    [rdata] = rrset
    target = getattr(rdata, "target", None)
    return {
        "name": rrset.name.to_text(),
        "ttl": rrset.ttl,
        "class": dns.rdataclass.to_text(rrset.rdclass),
        "type": dns.rdatatype.to_text(rrset.rdtype),
        "data": rdata.to_text(),
        "target": target.to_text() if isinstance(target, dns.name.Name) else None,
    }


def _explained(option: dns.edns.EDEOption) -> dict[str, Any]:
    """`meaning`: of its code (RFC 8914 §4), "" where it is not known."""
    meaning = dns.edns.EDEOption(option.code).to_text().partition("(")[2].removesuffix(")")
    return {"code": int(option.code), "meaning": meaning, "text": _safe(option.text or "")}


def _option(option: dns.edns.Option) -> str:
    if not isinstance(option, dns.edns.EDEOption):
        return f"; {_safe(option.to_text())}"
    code, meaning, text = _explained(option).values()
    return f"; EDE: {code} ({meaning}): ({text})"


def _name(text: str) -> dns.name.Name:
    if not text.isascii():
        raise InvalidField("name", f"{text[:63]!r} is not ASCII: write its xn-- form (RFC 5891)")
    if not text.isprintable() or " " in text:
        raise InvalidField(
            "name", f"{text[:63]!r} has octets that must be written as \\DDD, a blank as \\032 (RFC 1035 §5.1)"
        )
    try:
        return dns.name.from_text(text)
    except (dns.exception.DNSException, ValueError) as error:
        raise InvalidField("name", f"{text[:63]!r} is no domain name: {error}") from None


def _type(text: str) -> dns.rdatatype.RdataType:
    number = _TYPE_NUMBER.fullmatch(text.upper())
    try:
        found = dns.rdatatype.RdataType.make(int(number[1]) if number else text.upper())
    except (dns.exception.DNSException, ValueError):
        known = f"{', '.join(TYPES)}, …, or by its number as TYPE65"
        raise InvalidField("type", f"{text!r} is no type of records; there are {known}") from None
    if found in _TRANSFERS:
        raise InvalidField(
            "type", f"{text} is a zone transfer and no single answer; ask with dig, from a host in TRANSFER_ALLOW"
        )
    if found in _NO_QUESTIONS:
        raise InvalidField("type", f"{text} is no type that can be asked for")
    return found


def _class(text: str) -> dns.rdataclass.RdataClass:
    if text.upper() not in ("IN", "CH"):
        raise InvalidField("class", "must be IN, or CH for version.bind and id.server")
    return dns.rdataclass.RdataClass.make(text.upper())


def _safe(text: str) -> str:
    return _UNSAFE.sub(lambda match: "." if match[0].isascii() else f"\\x{ord(match[0]):02x}", text)
