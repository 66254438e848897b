"""Instances whose address is a host name, and those without a port: their records beside the others', and the alias that stands alone
where nothing but host names is left.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import dns.flags
import pytest

from discovery.core.instance import Registration
from discovery.dns.zones.live import LIVE_TYPES
from tests.dns.world import World, data, outcome, records

EVERY_TYPE = [*(kind.name for kind in LIVE_TYPES), "CNAME", "MX", "ANY", "HINFO"]
OTHERS = {"example.com": "host A 192.0.2.9\nalias CNAME host\nfar CNAME ip-10-0-0-1-p80.web.svc.local.\n"}


def a_world(**options: Any) -> World:
    """`web` at addresses, `mixed` with one host name, `db` with nothing else, `bare` without a port, `named` with named ports alone."""
    world = World("fixed A 192.0.2.8\n", fixed=OTHERS, **options)
    world.add("web", "10.0.0.1", 80)
    world.add("web", "2001:db8::1", 80)
    world.add("mixed", "10.0.0.2", 80, metadata={"at": "ip", "scheme": "http"})
    world.add("mixed", "Old.Example.NET.", 81, metadata={"at": "name", "scheme": "https"}, ports={"admin": 9})
    world.add("db", "db-1.example.net", 5432, tags=["blue"], zone="eu", metadata={"a": "1", "scheme": "sql"})
    world.add("db", "db-2.example.net", 5433, weight=300, metadata={"a": "2"}, ports={"admin": 9000})
    world.add("bare", "10.0.0.3", None)
    world.add("named", "10.0.0.4", None, ports={"http": 8080})
    return world


WEB_1 = "ip-10-0-0-1-p80.web.svc.local."
# Section, name below svc.local, type, outcome, the answer's data in any order, and what stands in Additional.
ROWS: list[tuple[str, str, str, str, list[str], list[str]]] = [
    # Beside others: addresses answer, and SRV has both sorts of targets (RFC 2782: no additional records that are not ours).
    ("host names beside addresses", "mixed", "A", "ANSWER", ["10.0.0.2"], []),
    ("host names beside addresses", "mixed", "AAAA", "NODATA", [], []),
    ("RFC 2782", "mixed", "SRV", "ANSWER", ["10 100 80 ip-10-0-0-2-p80.mixed.svc.local.", "10 100 81 old.example.net."], ["10.0.0.2"]),
    ("RFC 2782", "_admin._tcp.mixed", "SRV", "ANSWER", ["10 100 9 old.example.net."], []),
    ("RFC 1035 3.3.14", "mixed", "TXT", "ANSWER", ['"at=ip" "scheme=http"', '"at=name" "scheme=https"'], []),
    ("RFC 9460", "mixed", "HTTPS", "NODATA", [], []),
    ("RFC 9460", "mixed", "SVCB", "ANSWER", ['10 ip-10-0-0-2-p80.mixed.svc.local. port="80" ipv4hint="10.0.0.2"'], ["10.0.0.2"]),
    ("RFC 7553", "mixed", "URI", "ANSWER",
     ['10 100 "http://ip-10-0-0-2-p80.mixed.svc.local:80/"', '10 100 "https://old.example.net:81/"'], ["10.0.0.2"]),
    ("RFC 6763 4", "_mixed._tcp", "PTR", "ANSWER", ["ip-10-0-0-2-p80._mixed._tcp.svc.local."],
     ["10 100 80 ip-10-0-0-2-p80.mixed.svc.local.", '"txtvers=1" "at=ip" "scheme=http"', "10.0.0.2"]),
    ("the ports of host names", "p81.mixed", "A", "ANSWER", ["old.example.net."], []),
    # Host names alone: one alias for every type.
    *(("RFC 1034 3.6.2", "p5432.db", rtype, "ANSWER", ["db-1.example.net."], []) for rtype in EVERY_TYPE),
    ("RFC 1034 3.6.2", "blue.db", "SRV", "ANSWER", ["db-1.example.net."], []),
    ("RFC 1034 3.6.2", "eu.zone.db", "A", "ANSWER", ["db-1.example.net."], []),
    ("Kubernetes' spelling", "blue.db.default", "A", "ANSWER", ["db-1.example.net."], []),
    ("RFC 2782", "_db._tcp", "SRV", "ANSWER", ["10 100 5432 db-1.example.net.", "10 300 5433 db-2.example.net."], []),
    ("RFC 2782", "_admin._tcp.db", "SRV", "ANSWER", ["10 300 9000 db-2.example.net."], []),
    ("TXT has a place", "_db._tcp", "TXT", "ANSWER", ['"a=1" "scheme=sql"', '"a=2"'], []),
    ("RFC 7553", "_db._tcp", "URI", "ANSWER", ['10 100 "sql://db-1.example.net:5432/"'], []),
    ("RFC 6763 4", "_db._tcp", "PTR", "NODATA", [], []),
    ("RFC 2181 10.1", "_db._tcp", "A", "NODATA", [], []),
    ("RFC 8020", "_tcp.db", "A", "NODATA", [], []),
    ("RFC 8020", "ip-1-2-3-4-p1.db", "A", "NXDOMAIN", [], []),
    # No port.
    ("no port", "bare", "A", "ANSWER", ["10.0.0.3"], []),
    ("no port", "ip-10-0-0-3.bare", "A", "ANSWER", ["10.0.0.3"], []),
    ("no port", "bare", "SRV", "NODATA", [], []),
    ("no port", "_bare._tcp", "SRV", "NODATA", [], []),
    ("no port", "_bare._tcp", "PTR", "NODATA", [], []),
    ("no port", "bare", "TXT", "ANSWER", ['""'], []),
    ("no port", "named", "SRV", "NODATA", [], []),
    ("no port", "_http._tcp.named", "SRV", "ANSWER", ["10 100 8080 ip-10-0-0-4.named.svc.local."], ["10.0.0.4"]),
    ("no port", "p8080.named", "A", "NXDOMAIN", [], []),
    ("RFC 6763 9", "_services._dns-sd._udp", "PTR", "ANSWER", ["_web._tcp.svc.local.", "_mixed._tcp.svc.local."], []),
]  # fmt: skip


@pytest.fixture(name="world", scope="module")
def _world() -> World:
    return a_world(lease=100.0)


@pytest.mark.parametrize(("section", "name", "rtype", "what", "answer", "beside"), ROWS)
def test_what_a_name_says(
    world: World, section: str, name: str, rtype: str, what: str, answer: list[str], beside: list[str]
) -> None:
    reply = world.ask(f"{name}.svc.local", rtype)
    assert (outcome(reply), sorted(data(reply.answer))) == (what, sorted(answer))
    assert sorted(data(reply.additional)) == sorted(beside)
    assert bool(reply.authority) == (what != "ANSWER")
    assert reply.flags & dns.flags.AA


def test_a_reverse_name_points_at_one_without_a_port_and_never_at_a_host_name(world: World) -> None:
    assert data(world.ask("3.0.0.10.in-addr.arpa", "PTR").answer) == ["ip-10-0-0-3.bare.svc.local."]
    assert outcome(world.ask("db-1.example.net", "PTR")) == "REFUSED"


@pytest.mark.parametrize(
    ("name", "rtype", "text"),
    [
        ("bare", "SRV", "bare exists, no instance with a port"),
        ("_db._tcp", "PTR", "db exists, no instance with an address and a port"),
        ("mixed", "AAAA", "mixed exists, no IPv6 instance"),
        ("db", "SRV", "only host names of db are healthy, so its name is an alias; SRV is at _db._tcp.svc.local"),
        ("_db._tcp", "A", "db exists, names of this form have only SRV, TXT, PTR, URI"),
    ],
)
def test_rfc8914_an_answer_without_what_was_asked_for_says_why(world: World, name: str, rtype: str, text: str) -> None:
    [option] = world.ask(f"{name}.svc.local", rtype, edns=1232).options
    assert option.text == text


@pytest.mark.parametrize("hot", [False, True])
@pytest.mark.parametrize("rtype", ["A", "TXT", "CNAME"])
def test_rfc2181_10_1_each_reply_has_one_alias_drawn_by_weight(hot: bool, rtype: str) -> None:
    world = a_world(hot=hot)
    world.add("db", "last.example.net", 1, priority=11, weight=65535)
    found = Counter(tuple(data(world.ask("db.svc.local", rtype).answer)) for _ in range(400))
    assert set(found) == {("db-1.example.net.",), ("db-2.example.net.",)}, "the lower priority comes first"
    assert 250 < found["db-2.example.net.",] < 350, "three times the weight"
    if hot and rtype != "CNAME":
        assert world.asked == 1, "the choice is kept, and not what was chosen"


@pytest.mark.parametrize("hot", [False, True])
def test_the_alias_lives_no_longer_than_the_shortest_lease_of_those_it_is_drawn_from(hot: bool) -> None:
    world = a_world(hot=hot, lease=10.0)
    assert {rr.ttl for rr in records(world.ask("db.svc.local").answer)} == {5}
    world.beat("db", "db-1.example.net", 5432, now=7.0)
    assert {rr.ttl for rr in records(world.ask("db.svc.local", now=7.5).answer)} == {2}
    late = {data(world.ask("db.svc.local", now=10.5).answer)[0] for _ in range(20)}
    assert late == {"db-1.example.net."}, "the other's lease is over"
    assert outcome(world.ask("db.svc.local", now=17.5)) == "NODATA"


def test_the_name_has_addresses_again_as_soon_as_one_with_an_address_is_healthy() -> None:
    world = a_world(hot=True)
    assert data(world.ask("p5432.db.svc.local").answer) == ["db-1.example.net."]
    world.add("db", "10.0.0.9", 5432)
    assert data(world.ask("p5432.db.svc.local").answer) == ["10.0.0.9"]
    assert len(data(world.ask("db.svc.local", "SRV").answer)) == 3
    world.drain("db", "10.0.0.9", 5432)
    assert data(world.ask("p5432.db.svc.local").answer) == ["db-1.example.net."]


def test_suspects_with_addresses_do_not_keep_a_name_from_its_alias() -> None:
    world = World(brake_percent=20)
    world.add("db", "db-1.example.net", 5432, ttl=100)
    for number in range(1, 4):
        world.add("db", f"10.0.0.{number}", 5432)
    world.settle(10.0)
    assert {instance.instance.status.value for instance in world.registry} == {"healthy", "suspect"}
    assert data(world.ask("db.svc.local", now=10.0).answer) == ["db-1.example.net."]
    assert len(data(world.ask("_db._tcp.svc.local", "SRV", now=10.0).answer)) == 4


@pytest.mark.parametrize(
    ("host", "rtype", "what", "answer"),
    [
        ("host.example.com", "A", "ANSWER", ["host.example.com.", "192.0.2.9"]),
        ("host.example.com", "TXT", "ANSWER", ["host.example.com."]),
        ("host.example.com", "CNAME", "ANSWER", ["host.example.com."]),
        ("nobody.example.com", "A", "NXDOMAIN", ["nobody.example.com."]),
        ("ip-10-0-0-1-p80.web.svc.local", "A", "ANSWER", [WEB_1, "10.0.0.1"]),
        ("ip-10-0-0-1-p80.web.svc.local", "AAAA", "ANSWER", [WEB_1]),
        ("fixed.svc.local", "A", "ANSWER", ["fixed.svc.local.", "192.0.2.8"]),
        ("far.example.com", "A", "ANSWER", ["far.example.com.", WEB_1, "10.0.0.1"]),
    ],
)
def test_rfc1034_4_3_2_an_alias_into_a_zone_of_ours_is_followed(
    host: str, rtype: str, what: str, answer: list[str]
) -> None:
    for hot in (False, True):
        world = a_world(hot=hot, lease=100.0)
        world.add("inward", host, 80)
        for _ in range(3):
            reply = world.ask("inward.svc.local", rtype)
            assert (outcome(reply), data(reply.answer)) == (what, answer)
        assert bool(reply.authority) == (len(answer) == 1 and rtype != "CNAME")


def test_where_the_records_are_is_told_too_where_the_alias_is_followed() -> None:
    world = a_world(hot=True)
    world.add("inward", "host.example.com", 80)
    for _ in range(2):
        [option] = world.ask("inward.svc.local", "SRV", edns=1232).options
        assert option.text.endswith("SRV is at _inward._tcp.svc.local")


def test_of_aliases_that_lead_inward_and_outward_each_is_answered_as_it_is() -> None:
    world = a_world(hot=True)
    world.add("both", "host.example.com", 80)
    world.add("both", "www.example.net", 80)
    found = Counter(tuple(data(world.ask("both.svc.local").answer)) for _ in range(200))
    assert set(found) == {("host.example.com.", "192.0.2.9"), ("www.example.net.",)}
    assert min(found.values()) > 60


def test_what_an_alias_leads_to_is_as_fresh_as_itself() -> None:
    world = a_world(hot=True)
    world.add("inward", "ip-10-0-0-1-p80.web.svc.local", 80)
    world.ask("inward.svc.local")
    world.drain("web", "10.0.0.1", 80)
    reply = world.ask("inward.svc.local", edns=1232)
    assert data(reply.answer) == [WEB_1]
    assert "0 of 1 healthy" in str(reply.options[0])


def test_a_circle_that_a_zone_file_closes_later_is_servfail_that_says_so() -> None:
    world = World(fixed={"example.com": "a CNAME db.svc.local.\n"})
    world.add("db", "a.example.com", 1)
    reply = world.ask("db.svc.local", edns=1232)
    assert outcome(reply) == "SERVFAIL"
    assert "circle" in str(reply.options[0])


def test_all_of_many_host_names_have_their_turn() -> None:
    world = World(hot=True)
    for number in range(40):
        world.add("many", f"host-{number}.example.net", 1)
    assert len({data(world.ask("many.svc.local", now=n / 400).answer)[0] for n in range(400)}) == 40


def test_a_registration_of_the_longest_host_name_has_records() -> None:
    longest = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])
    assert Registration.of("long", longest, 1).is_host_name
    world = World()
    world.add("long", longest, 1)
    assert data(world.ask("long.svc.local").answer) == [f"{longest}."]
    assert data(world.ask("_long._tcp.svc.local", "SRV").answer) == [f"10 100 1 {longest}."]
