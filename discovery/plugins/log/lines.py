"""The lines of the query log and the access log, as text and as fields."""

from __future__ import annotations

import logging
import struct

from discovery.dns.dig import as_text
from discovery.dns.message.edns import parse as parse_edns
from discovery.dns.message.names import Name, read, to_text
from discovery.dns.message.query import HEADER, records
from discovery.dns.message.values import Type, type_name
from discovery.dns.server.traffic import Exchange
from discovery.rest.http import access_log

# With a level of their own: they are asked for, whatever the log's level is.
_log = logging.getLogger("discovery.queries")
_log.setLevel(logging.INFO)

_FLAGS = ((0x0100, "rd"), (0x0020, "ad"), (0x0010, "cd"))
_CLASSES = {1: "", 3: " CH"}


def name_in(packet: bytes) -> Name | None:
    """Of the question; None where there is none that can be read."""
    try:
        return read(packet, HEADER.size)[0] if packet[4:6] != b"\0\0" else None
    except (ValueError, IndexError):
        return None


def query(exchange: Exchange, name: Name | None, with_answer: bool) -> None:
    asked, rtype, flags = "-" if name is None else to_text(name), "-", ""
    if name is not None:
        rtype, flags = _type_in(exchange.packet), _flags_in(exchange.packet)
    reply, outcome = exchange.reply, exchange.outcome
    octets = 0 if reply is None else len(reply)
    answer = as_text(reply) if with_answer and reply is not None else ""
    _log.info(
        "%(client)s %(transport)s %(name)s %(type)s %(_flags)s-> %(rcode)s %(reason)s, %(octets)d octets, %(_ms).3f ms%(_answer)s",
        {
            "event": "query.answered", "client": exchange.client, "transport": exchange.transport, "name": asked, "type": rtype,
            "flags": flags, "rcode": outcome.rcode, "reason": outcome.reason.value, "octets": octets,
            "seconds": round(exchange.seconds, 6), "answer": answer,
            "_flags": f"{flags} " if flags else "", "_ms": exchange.seconds * 1000, "_answer": f": {answer}" if answer else "",
        },
    )  # fmt: skip


def queries_held_back(count: int) -> None:
    _log.info("%(count)d more queries were held back", {"event": "query.held_back", "count": count})


def requests_held_back(count: int) -> None:
    logger = access_log.watched
    logger.info("%(count)d more requests were held back", {"event": "request.held_back", "count": count})


def _type_in(packet: bytes) -> str:
    try:
        at = read(packet, HEADER.size)[1]
        rtype, klass = struct.unpack_from("!HH", packet, at)
    except (ValueError, IndexError, struct.error):
        return "-"
    return type_name(rtype) + _CLASSES.get(klass, f" CLASS{klass}")


def _flags_in(packet: bytes) -> str:
    flags = HEADER.unpack_from(packet)[1]
    found = [name for bit, name in _FLAGS if flags & bit]
    try:
        opts = [record for record in records(packet) if record.type == Type.OPT]
        if opts:
            edns = parse_edns(packet[opts[0].at : opts[0].end])
            found += ["edns", *(["do"] if edns.dnssec_ok else [])]
    except (ValueError, IndexError, struct.error):
        found.append("broken")
    return " ".join(found)
