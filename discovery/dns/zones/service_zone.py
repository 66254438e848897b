"""The live names of a zone: services and their instances, read from the registry at the moment of the question.

A name is turned into a selector, the selector into the instances it means, those that belong into answers at `now` into records.
The TTL is never longer than what is left of the shortest lease in the answer, so no cache keeps a dead instance. An answer that
is not made of healthy instances alone says so.
"""

from __future__ import annotations

import math
from functools import cache, partial

from discovery.core.instance import Instance
from discovery.core.lease import Lease, Term
from discovery.core.suggest import Suggester
from discovery.dns.message.names import Name, to_text, to_wire
from discovery.dns.message.reason import Reason
from discovery.dns.message.values import NOT_READY, OTHER, Answer, Explanation, Lifetime, type_name
from discovery.dns.zones import browse
from discovery.dns.zones.live import ALIAS, OF_FORM, Live, LiveType, Others, aliased
from discovery.dns.zones.offered import after, as_many_as_fit, as_offered, candidates_of
from discovery.dns.zones.selector import (
    PROTOCOL_LABELS,
    Form,
    Match,
    Selector,
    every,
    is_instance,
    select,
    service_below,
)
from discovery.dns.zones.spellings import BRANCHES, is_consul, ours
from discovery.dns.zones.staleness import longest_ttl, staleness
from discovery.dns.zones.zone import LiveNames
from discovery.store.absent import absent, why_none
from discovery.store.nearness import Near, Preference
from discovery.store.registry import Registry
from discovery.store.service import Entry, Service, served

_NOT_LOADED = Explanation(
    NOT_READY, "not loaded yet: the registry is still being filled, ask again in a moment", Reason.NOT_LOADED
)


_ALL = Selector(None, Form.HOST)  # instances of the service whose name is asked

# Octets on the wire. The longest name of ours, ip-ADDRESS-pPORT._SERVICE._tcp, has 119 and a domain name ends at 255.
MAX_ORIGIN = 136


class ServiceZone(LiveNames):
    """`origin`: at most MAX_ORIGIN octets, else ValueError. `ttl`: the upper bound of a live answer's TTL, seconds.

    `most`: answers in one reply, None is all. `preference`: of clients for instances of their zone; None: there is none.
    """

    def __init__(
        self, origin: Name, registry: Registry, ttl: int, most: int | None = None, preference: Preference | None = None
    ) -> None:
        if len(to_wire(origin)) > MAX_ORIGIN:
            raise ValueError(f"{to_text(origin)} is too long for a zone of services, {MAX_ORIGIN} octets is the limit")
        self._origin = origin
        self._registry = registry
        self.ttl = ttl
        self._most = most
        self._preference = preference
        self._consul = is_consul(origin)
        self._suggester = Suggester(lambda: self._registry.services)

    def lookup(self, relative: Name, qtype: int, now: float, locality: str | None = None) -> Answer | None:
        """None when the name belongs to no service, so that fixed records may have it. `relative` has no origin."""
        if not self._registry.loaded:
            return Answer.failed(_NOT_LOADED)
        if len(relative) == 1 and _is_plain(relative[0]):  # nearly always, and there is no more that it may mean
            service = self._service(relative[0].decode("ascii", "replace"))
            return None if service is None else self._answer(relative, _ALL, service, qtype, now, locality)
        meant = ours(relative, self._consul, self._is_service)
        if meant is None:
            return Answer.nodata()
        if relative[-1:] == (b"_udp",):
            services = self._registry.services.values()
            browsed = browse.lookup(self._origin, relative, qtype, services, self.ttl, now)
            if browsed is not None:
                return browsed
        return self._select(relative, meant, qtype, now, locality)

    def may_be_alias(self, relative: Name) -> bool:
        """All may, but for those of one instance, whose address is in the name."""
        return not is_instance(ours(relative, self._consul, self._is_service) or ())

    def surely_lacks(self, label: bytes) -> bool:
        """Only for plain names: those of branches have their own answers."""
        return not self._is_service(label) and _is_plain(label) and self._registry.loaded

    def why_not(self, relative: Name, now: float) -> str:
        """Why a name of this zone does not exist; "" for the zone's own name."""
        name = relative[0].decode("ascii", "replace") if len(relative) == 1 and _is_plain(relative[0]) else None
        if name is None:  # nearly never: names that nobody has are asked for by the thousand
            meant = ours(relative, self._consul, self._is_service)
            selector = select(meant) if meant else None
            name = selector.service if selector and selector.service else service_below(meant or ())
        if name is None:
            return ""
        service = self._service(name)
        if service is None:
            if known := absent(self._registry, name, now):
                return f"no service {name}; {known}"
            near = self._suggester.suggest(name, now)
            return f"no service {name}" + (f"; did you mean {near}?" if near else "")
        return f"{service.name} is known, but {to_text(relative)} means none of its {len(service.entries)} instances"

    def _select(self, relative: Name, meant: Name, qtype: int, now: float, locality: str | None) -> Answer | None:
        selector = select(meant)
        if selector is None:
            below = service_below(meant)
            exists = (meant[-1:] and meant[-1] in PROTOCOL_LABELS) or (below and self._service(below))
            return Answer.nxdomain() if exists else None
        if selector.service is None:
            return Answer.nodata()
        if (service := self._service(selector.service)) is not None:
            return self._answer(relative, selector, service, qtype, now, locality)
        # `_tcp` and `_udp` exist, so a wildcard above them stays above (RFC 4592 §3.3.1).
        return Answer.nxdomain() if meant[-1] in PROTOCOL_LABELS else None

    def _answer(
        self, relative: Name, selector: Selector, service: Service, qtype: int, now: float, locality: str | None
    ) -> Answer:
        if selector.form is Form.BRANCH:
            return Answer.nodata()
        match, meant = selector.match, list(service.entries.values())
        if match is not every:
            meant = [entry for entry in meant if match(entry.instance) is not None]
        if not meant:
            return Answer.nxdomain(Explanation(OTHER, partial(self.why_not, relative, now), Reason.NO_SUCH_INSTANCE))
        entries = served(meant, now)
        if not entries:
            why_none_is = partial(self._none_healthy, _meant(relative, match, service), service, meant, now)
            return Answer.nodata(Explanation(OTHER, why_none_is, Reason.NONE_HEALTHY))
        return self._of_type(relative, selector, service, meant, entries, None, qtype, now, locality)

    def _of_type(
        self,
        relative: Name,
        selector: Selector,
        service: Service,
        meant: list[Entry],
        entries: list[Entry],
        lifetime: Lifetime | None,
        qtype: int,
        now: float,
        locality: str | None = None,
    ) -> Answer:
        """`entries`: those of `meant` that are served. `lifetime`: of an answer about all of these, which are healthy; None: who knows."""
        match, kind = selector.match, OF_FORM[selector.form].get(qtype)
        if entries[0].instance.spec.is_host_name:  # one look where it has an address, as nearly always
            kind, entries = _aliased(selector.form, kind, entries, now)
        candidates = candidates_of(entries, kind)
        near, by_locality = None, False
        if (
            locality is not None
            and self._preference is not None
            and kind is not None
            and kind.others is not Others.ALIKE
        ):
            near, by_locality = self._near(self._preference, service, kind, match, meant, candidates, now, locality)
        behind: frozenset[int] = frozenset()  # identities
        if near is not None and kind is not None:
            behind = near.identities
            candidates = near.front if kind.others is Others.LEFT_OUT else near.front + near.behind
        chosen = as_many_as_fit(candidates, kind, behind, now)
        whole = len(chosen) == len(candidates)
        about = chosen or entries  # a negative is about all
        stale = None if lifetime else staleness(self._registry, _meant(relative, match, service), about, now)
        if stale:
            leases = [entry.effective_lease(now) for entry in about]
            instances = [as_offered(entry, now) for entry in chosen]
        else:
            leases = [entry.lease for entry in about]
            instances = [entry.instance for entry in chosen]
        if near is not None and near.until < math.inf:
            leases.append(Lease(Term(near.until - now), now))
        if behind:
            instances = _put_behind(behind, chosen, instances)
        is_all = len(about) == len(entries)
        if lifetime is None or not is_all:
            lifetime = Lifetime(service.folded, leases, longest_ttl(self.ttl, stale), now)
        others = None
        if is_all and selector is _ALL and stale is None and locality is None and kind is not ALIAS:
            others = partial(self._of_type, relative, selector, service, entries, entries, lifetime)
        kept = lifetime if whole else None  # a part is not kept: the next question is answered from another one
        live = Live(selector.form, self._origin, (*relative, *self._origin), service, instances, match, lifetime.ttl)
        made = kind.make(live, kind.type) if kind else None
        if made is None or not made.answer:  # always complete: over TCP there would be no more
            why = _no_such_type(service.name, selector.form, kind)
            if not whole:
                why = _none_so_far(service.name, chosen, candidates)
            return Answer(explanation=why, lifetime=kept, others=others)
        most = 1 if kind is ALIAS else self._most_of(entries)
        explanation = stale
        if near is not None and not stale:
            explanation = Explanation(OTHER, near.text, Reason.CROSSED if near.crosses else Reason.NEAR)
        elif kind is ALIAS and not stale:
            explanation = self._why_alias(service, qtype)
        return Answer(
            answer=made.answer,
            companions=made.companions,
            complete=whole or most is not None,
            ranks=made.ranks,
            most=most,
            lifetime=kept,
            by_locality=by_locality,
            explanation=explanation,
            others=others,
        )

    def _near(
        self,
        preference: Preference,
        service: Service,
        kind: LiveType,
        match: Match,
        meant: list[Entry],
        candidates: list[Entry],
        now: float,
        locality: str,
    ) -> tuple[Near | None, bool]:
        """And whether clients elsewhere get another answer."""

        def means(instance: Instance) -> bool:
            return match(instance) is not None and kind.candidate(instance)

        could = candidates_of(meant, kind)
        near = preference.near(service, locality, could, candidates, means, now) if locality else None
        return near, preference.differs(service, could, candidates, now)

    def _none_healthy(self, name: str, service: Service, meant: list[Entry], now: float) -> str:
        return f"{name} is known, 0 of {len(meant)} healthy{why_none(self._registry, service, meant, now)}"

    def _why_alias(self, service: Service, qtype: int) -> Explanation | None:
        """Where the records are that were asked for at a name that has none but an alias."""
        if not (qtype in OF_FORM[Form.HOST] and qtype in OF_FORM[Form.SERVICE_TYPE]):
            return None
        there = f"{type_name(qtype)} is at _{service.folded}._tcp.{to_text(self._origin)}"
        return Explanation(OTHER, f"only host names of {service.name} are healthy, so its name is an alias; {there}")

    def _most_of(self, entries: list[Entry]) -> int | None:
        """The fewest that the zone or any instance asks for."""
        asked = [most for entry in entries if (most := entry.instance.spec.max_answers) is not None]
        return min(asked if self._most is None else [*asked, self._most], default=None)

    def _is_service(self, key: bytes) -> bool:
        service = self._registry.services.get(key.decode("ascii", "replace"))
        return service is not None and service.key == key

    def _service(self, name: str) -> Service | None:
        """By its folded name; None as well where that is no label, whatever octets were asked for."""
        service = self._registry.services.get(name)
        return service if service is not None and service.key else None


def _meant(relative: Name, match: Match, service: Service) -> str:
    """For people: the service, or the name that means some of its instances."""
    return service.name if match is every else to_text(relative)


def _is_plain(label: bytes) -> bool:
    """Whether it means a service of that name, right below the origin."""
    return label not in BRANCHES and label[0] != _UNDERSCORE


_UNDERSCORE = b"_"[0]


def _aliased(
    form: Form, kind: LiveType | None, entries: list[Entry], now: float
) -> tuple[LiveType | None, list[Entry]]:
    """Which records answer, `kind` or the alias, and those of the `served` entries that they are of. Suspects keep no name from having
    one.
    """
    preferred = [entry for entry in entries if not entry.suspect(now)] or entries
    found = aliased(form, [as_offered(entry, now) for entry in preferred])
    return (ALIAS, [preferred[index] for index in found]) if found else (kind, entries)


def _put_behind(behind: frozenset[int], entries: list[Entry], instances: list[Instance]) -> list[Instance]:
    return [after(each) if id(one) in behind else each for one, each in zip(entries, instances, strict=True)]


def _none_so_far(name: str, chosen: list[Entry], candidates: list[Entry]) -> Explanation:
    text = f"{len(chosen)} of {len(candidates)} instances of {name} that may have such a record were looked at, none has one"
    return Explanation(OTHER, f"{text}; ask again, and others are looked at")


def _no_such_type(name: str, form: Form, kind: LiveType | None) -> Explanation:
    lacks = kind.missing_text if kind else f"names of this form have only {_names_of(form)}"
    return Explanation(OTHER, f"{name} exists, {lacks}")


@cache
def _names_of(form: Form) -> str:
    return ", ".join(kind.name for kind in OF_FORM[form].values())
