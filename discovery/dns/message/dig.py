"""A message as `dig` prints it, and the query that `dig` sends. Pure: octets ↔ text.

dnspython reads the records and spells their data; what is dig's own (the header, the columns, the pseudosection) is written here. Left out
is what dig says of itself: its command line, and its warning about names in .local. Beyond that two things differ: no change of
direction or the like in a text reaches the terminal, and base64 is grouped in dnspython's way.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence

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

# Octets of a client's cookie (RFC 7873 §4).
COOKIE_SIZE = 8

# The columns at which dig begins the TTL, the class, the type and the data, and the width of its tabs.
_TTL, _CLASS, _TYPE, _DATA = 24, 32, 40, 48
_TAB = 8
_FLAGS = ("QR", "AA", "TC", "RD", "RA", "AD", "CD")
_TYPE_NUMBER = re.compile(r"TYPE([0-9]{1,5})")
# What asks for no records, and what dig would ask for in another way.
_TRANSFERS = (dns.rdatatype.AXFR, dns.rdatatype.IXFR)
_NO_QUESTIONS = (dns.rdatatype.NONE, dns.rdatatype.OPT)
# What a terminal may take as an order: C0, delete, C1, line separators, changes of direction.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def query(name: str, rtype: str, klass: str, id: int, cookie: bytes) -> bytes:
    """What `dig NAME TYPE CLASS` sends, but for the AD bit. `name` is absolute, with escapes as in a zone file. InvalidField says which of
    the three is none (`name`, `type`, `class`).
    """
    message = dns.message.make_query(
        _name(name), _type(rtype), _class(klass), use_edns=0, payload=MAX_UDP, id=id, options=[dns.edns.CookieOption(cookie, b"")]
    )  # fmt: skip
    return message.to_wire()


def printed(reply: bytes, cookie: bytes) -> str:
    """From `;; Got answer:` to the last record; each line ends. `cookie`: that of the query."""
    try:
        message = dns.message.from_wire(reply, one_rr_per_rrset=True)
    except (
        dns.exception.DNSException,
        ValueError,
    ) as error:  # of a server that was asked for us; our own codec writes no such
        return f";; Got bad packet: {_safe(str(error))}\n{len(reply)} bytes\n{reply.hex(' ', -2)}\n"
    lines = [";; Got answer:", *_head(message, reply), ""]
    pseudo = list(_options(message, cookie))
    if pseudo:
        lines += [";; OPT PSEUDOSECTION:", *pseudo]
    if message.question:
        lines += [";; QUESTION SECTION:", *map(_question, message.question), ""]
    for title, records in (
        ("ANSWER", message.answer),
        ("AUTHORITY", message.authority),
        ("ADDITIONAL", message.additional),
    ):
        if records:
            lines += [f";; {title} SECTION:", *map(_record, records), ""]
    return "\n".join([*lines[:-1], ""])


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
        known = "A, AAAA, SRV, TXT, PTR, HTTPS, SVCB, SOA, NS, ANY, …, or by its number as TYPE65"
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


def _head(message: dns.message.Message, reply: bytes) -> list[str]:
    flags = "".join(f" {name.lower()}" for name in _FLAGS if message.flags & dns.flags.Flag[name])
    sections = ("QUERY", "ANSWER", "AUTHORITY", "ADDITIONAL")
    counts = ", ".join(
        f"{name}: {count}" for name, count in zip(sections, struct.unpack_from("!4H", reply, 4), strict=True)
    )
    opcode, rcode = dns.opcode.to_text(message.opcode()), dns.rcode.to_text(message.rcode())
    lines = [f";; ->>HEADER<<- opcode: {opcode}, status: {rcode}, id: {message.id}", f";; flags:{flags}; {counts}"]
    if message.flags & dns.flags.RD and not message.flags & dns.flags.RA:
        lines.append(";; WARNING: recursion requested but not available")
    return lines


def _options(message: dns.message.Message, cookie: bytes) -> Iterator[str]:
    if message.edns < 0:
        return
    flags = " do" if message.ednsflags & dns.flags.DO else ""
    yield f"; EDNS: version: {message.edns}, flags:{flags}; udp: {message.payload}"
    for option in message.options:
        match option:
            case dns.edns.CookieOption():
                fate = (
                    "good"
                    if option.client == cookie and option.server
                    else "echoed"
                    if option.client == cookie
                    else "bad"
                )
                yield f"; COOKIE: {(option.client + option.server).hex()} ({fate})"
            case dns.edns.EDEOption():
                meaning = dns.edns.EDEOption(option.code).to_text().removeprefix("EDE ")
                yield f"; EDE: {meaning}" + (f": ({_safe(option.text)})" if option.text else "")
            case _:
                octets = option.to_wire() or b""
                yield f'; OPT={int(option.otype)}: {octets.hex(" ")} ("{_printable(octets)}")'


def _question(rrset: dns.rrset.RRset) -> str:
    return ";" + _columns(
        [rrset.name.to_text(), _class_name(rrset), dns.rdatatype.to_text(rrset.rdtype)], (_CLASS, _TYPE)
    )


def _record(rrset: dns.rrset.RRset) -> str:
    rtype = dns.rdatatype.to_text(rrset.rdtype)
    words = [
        rrset.name.to_text(),
        str(rrset.ttl),
        _class_name(rrset),
        rtype,
        "".join(rdata.to_text() for rdata in rrset),
    ]
    return _columns(words, (_TTL, _CLASS, _TYPE, _DATA))


def _class_name(rrset: dns.rrset.RRset) -> str:
    return dns.rdataclass.to_text(rrset.rdclass)


def _columns(words: Sequence[str], columns: Sequence[int]) -> str:
    """Each word but the first begins at its column, or one blank behind the word before; with tabs, as far as there is one between."""
    line, at = words[0], len(words[0])
    for word, column in zip(words[1:], columns, strict=True):
        to = max(column, at + 1)
        tabs = to // _TAB - at // _TAB
        line += "\t" * tabs + " " * (to % _TAB if tabs else to - at) + word
        at = to + len(word)
    return line


def _printable(octets: bytes) -> str:
    return "".join(chr(octet) if 32 <= octet < 127 else "." for octet in octets)


def _safe(text: str) -> str:
    return _UNSAFE.sub(lambda match: "." if match[0].isascii() else f"\\x{ord(match[0]):02x}", text)
