"""The hot path is never stale: whatever happens to the table, time and the zones, it says what a responder without it says.

Times are multiples of 1/8 s, and time is often moved to the very instant at which a lease ends or a TTL has to shrink. The brake and
the damping are on, with short times, so that suspects and flapping instances come and go.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import dns.edns
import dns.message
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from discovery.core.errors import DiscoveryError
from discovery.core.health import Health
from discovery.core.status import Status
from discovery.dns.message.names import from_text, to_text
from discovery.dns.message.query import UDP
from discovery.dns.message.values import Answer, Question
from discovery.dns.zones.live import LIVE_TYPES
from discovery.store.damping import Damping
from discovery.store.errors import NoWindow
from discovery.store.service import Entry
from tests.dns import compared
from tests.dns.world import CLIENT, World, load, parsed, request
from tests.examples import examples

LEASE, CAP = 4.0, 3
# In no zone, and in two.
CLIENTS = [CLIENT, "10.1.0.1", "10.2.0.1"]
SERVICES = ["web", "Web", "api", "default", "blue", "other"]
# What stands below the origin. Where services are spelt, all forms of names (DESIGN §6), and what only zone files have.
NAMES = [
    *("web", "WeB", "api", "default", "blue", "other", "", "blue.web", "web.default", "blue.web.default", "p80.web"),
    *("api.default", "east.zone.web", "ip-10-0-0-1-p80.web", "_web._tcp", "_udp", "_http._tcp.web", "_443._https.web"),
    *(
        "_api._udp",
        "_other._tcp",
        "blue.other",
        "_blue._sub._web._tcp",
        "ip-10-0-0-1-p80._web._tcp",
        "_tcp.web",
        "_services._dns-sd._udp",
    ),
    *("alias", "second", "web.old", "x.wild", "nope.web", "nope", "ns", "web.service", "_web._blue.service"),
]
USUAL = ["web", "api", "default", "other", "blue", "blue.web", "web.default", "x.wild", "second", "web.old", "nope"]
TYPES = ["A", "SRV", *(kind.name for kind in LIVE_TYPES), "TYPE97", "SOA", "MX", "ANY"]
FILES = [
    "",
    "alias CNAME web\nsecond CNAME alias\n*.wild CNAME blue.web\n",
    "* CNAME web\n",
    "*.web CNAME api\nold DNAME @\n",
    "alias A 192.0.2.1\n*.wild TXT wild\n",
]
ORIGINS = ["svc.local", "consul"]
ZONES = {origin: [load({origin: text})[0] for text in FILES] for origin in ORIGINS}

EIGHTHS = st.integers(1, 40).map(lambda number: number / 8)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "tags": st.sampled_from([[], ["blue"], ["Blue", "green"]]),
        "weight": st.sampled_from([0, 1, 100]),
        "priority": st.sampled_from([1, 10]),
        "protocol": st.sampled_from(["tcp", "udp"]),
        "ports": st.sampled_from([{"http": 8080}, {"https": 443}]),
        "zone": st.sampled_from(["east", "west"]),
        "metadata": st.sampled_from([{"a": "b"}, {"scheme": "https", "path": "x"}]),
        "ttl": st.sampled_from([1, 1.5, 2.5, 3, 10]),
        "max_answers": st.integers(1, 3),
        "checks": st.sampled_from([[{"ttl": 1.5, "status": "passing"}], [{"ttl": 2, "status": "passing"}]]),
    },
)
CLIENT_COOKIE = dns.edns.CookieOption(b"8 octets", b"")
OPTIONS: list[list[dns.edns.Option]] = [
    [CLIENT_COOKIE],
    [dns.edns.CookieOption(b"8 octets", b"x" * 16)],
    [dns.edns.CookieOption(b"8 octets", b"x" * 8)],
    [dns.edns.GenericOption(dns.edns.OptionType.COOKIE, b"short")],
    [dns.edns.GenericOption(dns.edns.OptionType.make(65001), b"unknown")],
    [dns.edns.GenericOption(dns.edns.OptionType.NSID, b"")],
    [CLIENT_COOKIE, dns.edns.GenericOption(dns.edns.OptionType.make(65001), b"")],
]
SHAPES = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {"use_edns": st.sampled_from([0, 0, 0, 1]), "payload": st.sampled_from([0, 512, 700, 1232, 4096])},
        optional={"want_dnssec": st.booleans(), "options": st.sampled_from(OPTIONS)},
    ),
)


class KeptAnswersBesideResponder(RuleBasedStateMachine):
    @initialize(origin=st.sampled_from(ORIGINS), file=st.integers(0, len(FILES) - 1))
    def start(self, origin: str, file: int) -> None:
        self.world = World(
            origin=origin, ttl=CAP, lease=LEASE, hot=True, brake_percent=30, brake_max_seconds=6, damping=Damping(2, 8),
            client_zones="10.1.0.0/16=east 10.2.0.0/16=west",
        )  # fmt: skip
        self.world.reload(ZONES[origin][file])
        self.origin = origin
        self.now = 0.0
        self.renewed_at = 0.0
        self.cookies: list[dns.edns.Option] = []
        self.world.add("web", "10.0.0.1", 80, tags=["blue"], zone="east")
        self.world.add("web", "10.0.0.2", 80, ttl=2.5, zone="east")
        self.world.add("web", "2001:db8::1", 80, ttl=10)
        self.world.add("api", "10.0.0.2", 80, ttl=6)
        shapes: list[dict[str, Any]] = [{}, {"use_edns": 0, "payload": 1232}]
        queries = [
            dns.message.make_query(f"{name}.{origin}", rtype, id=7, **shape)
            for name in USUAL
            for rtype in ("A", "SRV")
            for shape in shapes[: 2 if name in ("web", "api") else 1]
        ]
        self.usual = [
            (query.to_wire(), question_of(query), client)
            for query in queries
            for client in (CLIENTS if query is queries[0] else CLIENTS[:1])
        ]

    def entries(self) -> list[Entry]:
        return list(self.world.registry)

    def suspects(self) -> list[Entry]:
        return [entry for entry in self.entries() if entry.status is Status.SUSPECT]

    def an_entry(self, data: st.DataObject) -> Entry:
        entries = self.entries()
        return entries[data.draw(st.integers(0, len(entries) - 1))]

    @rule(
        name=st.sampled_from(SERVICES),
        ip=st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.3", "2001:db8::1", "2001:db8::2"]),
        port=st.sampled_from([80, 81]),
        fields=FIELDS,
    )
    def register(self, name: str, ip: str, port: int, fields: dict[str, Any]) -> None:
        self.world.add(name, ip, port, now=self.now, **fields)
        self.renewed_at = self.now

    @rule(name=st.sampled_from(SERVICES))
    def register_one(self, name: str) -> None:
        self.world.add(name, "10.0.0.9", 80, now=self.now)
        self.renewed_at = self.now

    @rule(host=st.sampled_from(["db.example.net", "www.example.net"]), port=st.sampled_from([80, None]), fields=FIELDS)
    def register_a_host_name(self, host: str, port: int | None, fields: dict[str, Any]) -> None:
        """Of a service that no alias leads to: which of several host names such an alias ends at is drawn for each question."""
        self.world.add("other", host, port, now=self.now, **fields)
        self.renewed_at = self.now

    @rule(name=st.sampled_from(["web", "api"]), count=st.integers(5, 30), six=st.booleans(), text=st.integers(0, 9))
    def register_many(self, name: str, count: int, six: bool, text: int) -> None:
        for number in range(count):
            ip = f"2001:db8::1:{number:x}" if six else f"10.0.1.{number}"
            self.world.add(name, ip, 80, now=self.now, metadata={"text": "x" * (text * 7)})
        self.renewed_at = self.now

    @precondition(lambda self: self.entries())
    @rule(data=st.data())
    def heartbeat(self, data: st.DataObject) -> None:
        self.world.registry.renew(self.an_entry(data).instance.id, self.now)
        self.renewed_at = self.now

    @precondition(lambda self: self.entries())
    @rule()
    def everybody_beats(self) -> None:
        for entry in self.entries():
            self.world.registry.renew(entry.instance.spec.key, self.now)
        self.renewed_at = self.now

    @precondition(lambda self: self.entries())
    @rule(data=st.data())
    def deregister(self, data: st.DataObject) -> None:
        self.world.registry.deregister(self.an_entry(data).instance.spec.key, "test", self.now)

    @rule(name=st.sampled_from(SERVICES))
    def deregister_service(self, name: str) -> None:
        try:
            self.world.registry.deregister_service(name, "test", self.now)
        except DiscoveryError:
            assert self.world.registry.service(name) is None

    @precondition(lambda self: self.entries())
    @rule(data=st.data())
    def drain(self, data: st.DataObject) -> None:
        """Or back."""
        instance = self.an_entry(data).instance
        self.world.registry.drain(instance.id, not instance.draining, "test", self.now)

    @precondition(lambda self: self.entries())
    @rule(data=st.data(), failing=st.sampled_from(["refused", "refused", None]))
    def checks_say(self, data: st.DataObject, failing: str | None) -> None:
        self.world.registry.checked(self.an_entry(data).instance.id, failing, self.now)

    @precondition(lambda self: self.entries())
    @rule(data=st.data())
    def a_check_is_reported(self, data: st.DataObject) -> None:
        """That it passes still, as a beat is."""
        entry = self.an_entry(data)
        for check in entry.instance.spec.checks:
            if entry.says(check.id, Health.PASSING, self.now):
                entry.report(check.id, self.now)
        self.renewed_at = self.now

    @precondition(lambda self: self.entries())
    @rule(data=st.data())
    def one_flaps(self, data: st.DataObject) -> None:
        entry = self.an_entry(data)
        for failing in ("refused", None) * 2:
            self.world.registry.checked(entry.instance.id, failing, self.now)

    @precondition(lambda self: self.entries())
    @rule(data=st.data(), whole=st.booleans(), seconds=EIGHTHS)
    def maintain(self, data: st.DataObject, whole: bool, seconds: float) -> None:
        name, ip, port = self.an_entry(data).instance.spec.key
        self.world.maintain(name, None if whole else ip, port, seconds=seconds, now=self.now)

    @precondition(lambda self: self.entries())
    @rule(data=st.data(), whole=st.booleans())
    def end_maintenance(self, data: st.DataObject, whole: bool) -> None:
        key = self.an_entry(data).instance.spec.key
        try:
            self.world.end_maintenance(key.service, None if whole else key.ip, key.port, now=self.now)
        except NoWindow:
            assert not any(
                scope.service == key.service
                and (scope.ip is None) == whole
                and scope.ip in (None, key.ip)
                and scope.port in (None, key.port)
                for scope in self.world.registry.windows
            )

    @rule(name=st.sampled_from(["web", "api"]), healthy=st.integers(0, 2), late=st.sampled_from([0, 0, 2.5]))
    def a_crowd_falls_silent(self, name: str, healthy: int, late: float) -> None:
        """All of a service but some, in one lease; the reaper notices, a while later perhaps."""
        for number in range(4):
            self.world.add(name, f"10.0.2.{number}", 80, now=self.now, tags=["blue"])
        service = self.world.registry.service(name)
        assert service is not None
        for entry in list(service.entries.values())[:healthy]:
            self.world.registry.renew(entry.instance.id, self.now + LEASE - 1)
        self.now += LEASE + late
        self.renewed_at = self.now - 1
        self.world.settle(self.now)

    @precondition(lambda self: self.suspects())
    @rule(data=st.data())
    def a_suspect_beats(self, data: st.DataObject) -> None:
        suspects = self.suspects()
        entry = suspects[data.draw(st.integers(0, len(suspects) - 1))]
        self.world.registry.renew(entry.instance.id, self.now)
        self.renewed_at = self.now
        assert entry.status is not Status.SUSPECT or entry.missing(self.now), "a report of its check has to come too"

    @precondition(lambda self: self.suspects())
    @rule(seconds=st.sampled_from([5.875, 6.0, 6.125, 11.0, 16.0]))
    def the_brake_lets_go_of_some(self, seconds: float) -> None:
        self.now += seconds
        self.world.settle(self.now)

    @rule(seconds=st.sampled_from([0.125, 0.5, 0.875, 1.0]))
    def a_moment_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(seconds=EIGHTHS)
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.entries())
    @rule(data=st.data(), before=st.integers(0, 4), aside=st.sampled_from([-0.125, 0.0, 0.0, 0.125]))
    def time_comes_to_the_step_of_a_ttl(self, data: st.DataObject, before: int, aside: float) -> None:
        self.now = max(self.now, self.an_entry(data).lease.expires_at - before + aside)

    @rule(limit=st.sampled_from([1, 1_000_000]))
    def the_reaper_comes(self, limit: int) -> None:
        self.world.registry.advance(self.now, limit)

    @rule(file=st.integers(0, len(FILES) - 1))
    def zones_are_read_anew(self, file: int) -> None:
        self.world.reload(ZONES[self.origin][file])

    @rule(
        name=st.sampled_from(NAMES), rtype=st.sampled_from(TYPES), shape=SHAPES, upper=st.integers(0), udp=st.booleans(),
        client=st.sampled_from(CLIENTS),
    )  # fmt: skip
    def somebody_asks(
        self, name: str, rtype: str, shape: dict[str, Any] | None, upper: int, udp: bool, client: str
    ) -> None:
        """Three times: what is kept by the first is used by the second, and by the third, spelt otherwise."""
        full = f"{name}.{self.origin}".lstrip(".")
        spelt = "".join(c.upper() if upper >> at & 1 else c for at, c in enumerate(full))
        for spelling in (full, full, spelt):
            query = dns.message.make_query(spelling, rtype, **(shape or {}))
            self.compare(query, udp, client)

    @invariant()
    def the_kept_answers_are_those_of_now(self) -> None:
        """Asked after every step, so that each change finds answers kept about what it changes."""
        for packet, question, client in self.usual:
            first, second = (
                self.world.send(packet, now=self.now, plain=plain, client=client) for plain in (True, False)
            )
            if first != second:
                self.judge(first, second, question, client)

    @rule(name=st.sampled_from(NAMES[:3]), size=st.sampled_from([512, 1232]))
    def somebody_shows_the_cookie_it_was_given(self, name: str, size: int) -> None:
        query = dns.message.make_query(
            f"{name}.{self.origin}", "A", use_edns=0, payload=size, options=self.cookies or [CLIENT_COOKIE]
        )
        self.compare(query, True)
        reply = self.world.send(query.to_wire(), now=self.now)
        self.cookies = list(dns.message.from_wire(reply or b"").options)

    def compare(self, query: dns.message.QueryMessage, udp: bool, client: str = CLIENT) -> None:
        packet = query.to_wire()
        first = self.world.send(packet, now=self.now, udp=udp, plain=True, client=client)
        second = self.world.send(packet, now=self.now, udp=udp, client=client)
        self.judge(first, second, question_of(query), client)

    def judge(self, first: bytes | None, second: bytes | None, question: Question, client: str) -> None:
        way = replace(UDP, locality=self.world.preference.zone_of(client))
        answer = self.world.lookup(request(question, client, way), self.now)
        universe = compared.of(answer.answer) if isinstance(answer, Answer) else set()
        compared.assert_same(first, second, universe, self.now >= self.renewed_at + 1)
        if isinstance(answer, Answer):
            for reply in (first, second):
                assert_best_first(reply, answer)


def assert_best_first(reply: bytes | None, answer: Answer) -> None:
    """Lower priorities before higher ones, so suspects behind all others."""
    alternatives = answer.answer[answer.aliases :]
    ranks = {
        compared.Said(to_text(rr.name), int(rr.type), rr.rdata): rank[0]
        for rr, rank in zip(alternatives, answer.ranks, strict=bool(answer.ranks))
    }
    laid = [ranks[said] for said in compared.said(parsed(reply).answer) if said in ranks]
    assert laid == sorted(laid)


def question_of(query: dns.message.QueryMessage) -> Question:
    (question,) = query.question
    return Question(from_text(question.name.to_text(True).lower()), int(question.rdtype))


KeptAnswersBesideResponder.TestCase.settings = settings(
    max_examples=examples(25), stateful_step_count=25, phases=[Phase.reuse, Phase.generate]
)
TestKeptAnswersBesideResponder = KeptAnswersBesideResponder.TestCase
