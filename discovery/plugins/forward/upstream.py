"""One question to upstream resolvers: UDP, TCP when truncated, the next one when that fails. dnspython is the client."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset
from dns.rdataclass import RdataClass
from dns.rdatatype import RdataType

from discovery.dns.message.edns import MAX_UDP
from discovery.dns.message.names import from_wire, to_text, to_wire
from discovery.dns.message.values import RR, Answer, Explanation, Question
from discovery.plugins.forward.order import Order
from discovery.plugins.forward.settings import Upstream

_log = logging.getLogger("discovery.forward")

# RFC 8914 §4.23.
_NO_REACHABLE_AUTHORITY = 22
# An upstream that says one of these may know less than the next.
_TRY_NEXT = (dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NOTIMP, dns.rcode.FORMERR)
# Higher ones (BADVERS, …) are about EDNS between the upstream and us, and no client without EDNS could be told.
_MAX_RCODE = 15
_FAILURES = (OSError, EOFError, asyncio.TimeoutError, dns.exception.DNSException)


async def ask_first(order: Order, question: Question, seconds: float, clock: Callable[[], float]) -> Answer:
    """The first useful reply, else the last useless one, else SERVFAIL that names who was silent; `seconds` for each.

    Never raises.
    """
    answer: Answer | None = None
    upstreams = order.asked(clock())
    for upstream in upstreams:
        asked_at = clock()
        try:
            reply = await _ask(upstream, question, seconds)
        except _FAILURES as error:
            reason = str(error) or type(error).__name__
            order.failed(upstream, clock(), clock() - asked_at, reason)
            _log.debug(  # a line for each query would drown all others
                "%(upstream)s did not answer for %(name)s: %(reason)s",
                {
                    "event": "forward.failed",
                    "upstream": str(upstream),
                    "name": to_text(question.name),
                    "reason": reason,
                },
            )
            continue
        order.answered(upstream, clock(), clock() - asked_at)
        if reply.rcode() > _MAX_RCODE:
            continue
        answer = _answer(reply)
        if reply.rcode() not in _TRY_NEXT:
            break
    return answer or _nobody_answered(upstreams)


async def _ask(upstream: Upstream, question: Question, seconds: float) -> dns.message.Message:
    name, _ = dns.name.from_wire(to_wire(question.name), 0)
    query = dns.message.make_query(name, RdataType.make(question.type), RdataClass.IN, use_edns=0, payload=MAX_UDP)
    async with asyncio.timeout(seconds):
        # Packets that do not match the query are somebody else's: the right one may still come.
        reply, _ = await dns.asyncquery.udp_with_fallback(
            query, upstream.ip, seconds, upstream.port, ignore_unexpected=True, ignore_errors=True
        )
    return reply


def _answer(reply: dns.message.Message) -> Answer:
    return Answer(
        rcode=int(reply.rcode()),
        answer=_records(reply.answer),
        authority=_records(reply.authority),
        glue=_records(reply.additional),
        authoritative=False,
    )


def _records(rrsets: Iterable[dns.rrset.RRset]) -> tuple[RR, ...]:
    return tuple(
        RR(from_wire(rrset.name.to_digestable()), int(rrset.rdtype), rrset.ttl, rdata.to_wire() or b"")
        for rrset in rrsets
        for rdata in rrset
    )


def _nobody_answered(upstreams: Sequence[Upstream]) -> Answer:
    text = f"no upstream answered: {', '.join(map(str, upstreams))}"
    return Answer.failed(Explanation(_NO_REACHABLE_AUTHORITY, text))
