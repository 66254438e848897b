"""Which zone answers: the one with the longest origin at or above the name. Whoever reloads zones puts whole zones here.

Aliases are followed here and nowhere else, from zone to zone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import TypeGuard

from discovery.dns.message.names import ROOT, Name, from_wire
from discovery.dns.message.query import Request
from discovery.dns.message.values import OTHER, Answer, Class, Deferred, Explanation, Question, Type
from discovery.dns.zones.zone import Zone

# The Lookup seam: a request that has a question, and the time (monotonic seconds); what is true out, or where it is known, or
# None: "not mine", which is not "no". A feature may wrap one Lookup in another.
Lookup = Callable[[Request, float], "Answer | Deferred | None"]

# Aliases in one answer. Resolvers follow 11 (unbound, BIND 9.20) to 16 by themselves, of which others' aliases need some.
MAX_CHAIN = 8


def first_of(*lookups: Lookup) -> Lookup:
    """Asks one after the other."""

    def lookup(request: Request, now: float) -> Answer | Deferred | None:
        for one in lookups:
            if (answer := one(request, now)) is not None:
                return answer
        return None

    return lookup


def following(inner: Lookup, is_ours: Callable[[Name], bool], random: Random) -> Lookup:
    """`inner` answers about one name; aliases are followed as long as it knows where they lead (RFC 1034 §4.3.2, step 3a).

    Of alternative aliases one is drawn (`random`), unless none leads into a zone that `is_ours`: then each reply draws its own.
    """

    def lookup(request: Request, now: float) -> Answer | Deferred | None:
        answer, question = inner(request, now), request.question
        if not ends_with_alias(answer, question):
            return answer
        if answer.ranks and not any(is_ours(from_wire(rr.rdata)) for rr in answer.answer):
            return answer
        return follow(request, now, answer.drawn(random))

    def follow(request: Request, now: float, chain: Answer) -> Answer | Deferred:
        """`chain`: a CNAME, with the DNAME that it comes from before it."""
        for _ in range(MAX_CHAIN):
            target = from_wire(chain.answer[-1].rdata)
            if any(rr.type == Type.CNAME and rr.name == target for rr in chain.answer):
                break
            question = request.question._replace(name=target)
            answer = inner(request._replace(question=question), now)
            if not isinstance(answer, Answer):
                return chain
            if not ends_with_alias(answer, question):
                return answer.after(chain)
            chain = answer.drawn(random).after(chain)
        return Answer.failed(Explanation(OTHER, f"more than {MAX_CHAIN} aliases in a row, or a circle of them"))

    return lookup


def ends_with_alias(answer: Answer | Deferred | None, question: Question) -> TypeGuard[Answer]:
    """Unless the question was about the alias itself."""
    if not isinstance(answer, Answer) or not answer.answer or answer.answer[-1].type != Type.CNAME:
        return False
    return question.type not in (Type.CNAME, Type.ANY)


class Catalog:
    def __init__(self, zones: Iterable[Zone]) -> None:
        self.replace(zones)

    def replace(self, zones: Iterable[Zone]) -> None:
        """All at once: a reader sees the old set or the new one."""
        self._zones = {zone.origin: zone for zone in zones}
        self._depths = sorted({len(origin) for origin in self._zones}, reverse=True)  # labels; the longest first

    @property
    def zones(self) -> tuple[Zone, ...]:
        return tuple(self._zones.values())

    def zone_of(self, name: Name) -> Zone | None:
        for depth in self._depths:
            if zone := self._zones.get(name[-depth:] if depth else ROOT):
                return zone
        return None

    def is_ours(self, name: Name) -> bool:
        return self.zone_of(name) is not None

    def lookup(self, request: Request, now: float) -> Answer | None:
        question = request.question
        zone = self.zone_of(question.name) if question.klass == Class.IN else None
        if zone is None:
            return None
        if question.type == Type.DS and question.name == zone.origin:
            zone = self.zone_of(question.name[1:]) or zone  # the parent's side of the cut (RFC 4035 §3.1.4.1)
        return zone.lookup(question, now, request.transport.locality)
