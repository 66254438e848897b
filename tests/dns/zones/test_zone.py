"""A zone as it answers: aliases followed (RFC 1034 §3.6.2), the SOA in every negative (RFC 2308), and zones that are made up."""

from __future__ import annotations

import dns.flags
import pytest

from tests.dns.world import INDEX, World, data, outcome, records

RECORDS = """
host     A     192.0.2.1
alias    CNAME host
second   CNAME alias
live     CNAME web
instance CNAME ip-10-0-0-1-p3001.web
out      CNAME www.example.com.
out2     CNAME out
dangling CNAME nope
todel    CNAME host.sub
loop     CNAME pool
pool     CNAME loop
self     CNAME self
toloop   CNAME loop
*.wild   CNAME host
mx       MX    5 alias
sub      NS    ns.example.com.
""" + "".join(f"c{number} CNAME c{number - 1}\n" for number in range(1, 40))  # fmt: skip
RECORDS += "c0 A 192.0.2.7\n"

CNAMES = {
    "RFC1034-3.6.2-followed": ("alias", "A", "ANSWER", ["host.svc.local.", "192.0.2.1"]),
    "RFC1034-3.6.2-two-in-a-row": ("second", "A", "ANSWER", ["alias.svc.local.", "host.svc.local.", "192.0.2.1"]),
    "RFC1034-3.6.2-asked-for-itself": ("second", "CNAME", "ANSWER", ["alias.svc.local."]),
    "RFC1034-4.3.2-to-a-service": ("live", "A", "ANSWER", ["web.svc.local.", "10.0.0.1"]),
    "RFC1034-4.3.2-to-a-service-SRV": (
        "live", "SRV", "ANSWER", ["web.svc.local.", "10 100 3001 ip-10-0-0-1-p3001.web.svc.local."],
    ),
    "RFC1034-4.3.2-to-an-instance": ("instance", "A", "ANSWER", ["ip-10-0-0-1-p3001.web.svc.local.", "10.0.0.1"]),
    "RFC1034-4.3.2-out-of-the-zone": ("out", "A", "ANSWER", ["www.example.com."]),
    "RFC1034-4.3.2-and-then-out-of-the-zone": ("out2", "A", "ANSWER", ["out.svc.local.", "www.example.com."]),
    "RFC2308-2.2.1-to-nodata": ("alias", "AAAA", "ANSWER", ["host.svc.local."]),
    "RFC2308-2.2.1-to-nodata-of-a-service": ("live", "AAAA", "ANSWER", ["web.svc.local."]),
    "RFC6604-3-to-a-name-that-does-not-exist": ("dangling", "A", "NXDOMAIN", ["nope.svc.local."]),
    "RFC4592-3.3.3-from-a-wildcard": ("x.wild", "A", "ANSWER", ["host.svc.local.", "192.0.2.1"]),
    "RFC1034-4.3.2-to-a-delegation": ("todel", "A", "ANSWER", ["host.sub.svc.local."]),
    "RFC1034-3.6.2-loop": ("loop", "A", "SERVFAIL", []),
    "RFC1034-3.6.2-loop-of-one": ("self", "A", "SERVFAIL", []),
    "RFC1034-3.6.2-into-a-loop": ("toloop", "A", "SERVFAIL", []),
    "eight-in-a-row": ("c8", "A", "ANSWER", [*(f"c{number}.svc.local." for number in range(7, -1, -1)), "192.0.2.7"]),
    "nine-in-a-row-are-too-many": ("c9", "A", "SERVFAIL", []),
    "forty-in-a-row-are-too-many": ("c39", "A", "SERVFAIL", []),
    "RFC1034-3.6.2-loop-asked-for-itself": ("loop", "CNAME", "ANSWER", ["pool.svc.local."]),
}  # fmt: skip


@pytest.fixture(name="world", scope="module")
def _world() -> World:
    world = World(RECORDS, lease=100.0)
    world.add("web", "10.0.0.1")
    return world


@pytest.mark.parametrize(("name", "rtype", "what", "answer"), CNAMES.values(), ids=CNAMES)
def test_aliases_are_followed_as_far_as_the_zone_goes(
    world: World, name: str, rtype: str, what: str, answer: list[str]
) -> None:
    reply = world.ask(f"{name}.svc.local", rtype, udp=False)
    assert (outcome(reply), data(reply.answer)) == (what, answer)
    owners = [record.name for record in records(reply.answer)]
    assert owners == [f"{name}.svc.local", *(text.rstrip(".") for text in data(reply.answer)[:-1])][: len(owners)]


@pytest.mark.parametrize("name", ["alias", "live", "dangling", "out", "todel"])
def test_rfc1035_4_1_1_aa_is_about_the_first_name_of_the_answer(world: World, name: str) -> None:
    assert world.ask(f"{name}.svc.local").flags & dns.flags.AA


def test_an_alias_to_a_delegation_brings_its_name_servers(world: World) -> None:
    assert data(world.ask("todel.svc.local").authority) == ["ns.example.com."]


def test_an_alias_to_a_service_brings_the_targets_addresses_and_the_services_ttl(world: World) -> None:
    reply = world.ask("live.svc.local", "SRV", now=97.5)
    assert [(record.type, record.ttl) for record in records(reply.answer)] == [("CNAME", 60), ("SRV", 2)]
    assert data(reply.additional) == ["10.0.0.1"]


NEGATIVES = {
    "RFC2308-2.1-nxdomain": ("nope.svc.local", "A"),
    "RFC2308-2.1-nxdomain-below-a-service": ("nope.web.svc.local", "A"),
    "RFC2308-2.1-nxdomain-at-the-end-of-an-alias": ("dangling.svc.local", "A"),
    "RFC2308-2.2-nodata-fixed": ("host.svc.local", "AAAA"),
    "RFC2308-2.2-nodata-live": ("web.svc.local", "AAAA"),
    "RFC2308-2.2-nodata-apex": ("svc.local", "A"),
    "RFC2308-2.2-nodata-unhealthy": ("web.svc.local", "A"),
    "RFC2308-2.2-nodata-branch": ("_tcp.web.svc.local", "A"),
    "RFC2308-2.2-nodata-at-the-end-of-an-alias": ("alias.svc.local", "AAAA"),
    "RFC2308-2.2-nodata-live-at-the-end-of-an-alias": ("live.svc.local", "AAAA"),
    "RFC2308-2.2-nodata-unhealthy-at-the-end-of-an-alias": ("live.svc.local", "A"),
}


@pytest.mark.parametrize("negative_ttl", [0, 1, 2])
def test_rfc2308_3_every_negative_has_the_soa_and_its_ttl_is_the_negative_ttl(negative_ttl: int) -> None:
    world = World(RECORDS, negative_ttl=negative_ttl)
    world.add("web", "10.0.0.1")
    for case, question in NEGATIVES.items():
        reply = world.ask(*question, now=10.0)
        (soa,) = records(reply.authority)
        assert (soa.name, soa.type, soa.ttl) == ("svc.local", "SOA", negative_ttl), case
        assert soa.data == f"ns.svc.local. hostmaster.svc.local. {INDEX + 1} 60 10 604800 2"
        assert reply.flags & dns.flags.AA


def test_the_negative_ttl_is_never_above_the_zone_files_minimum_nor_its_soas_ttl() -> None:
    assert records(World(negative_ttl=3600).ask("nope.svc.local").authority)[0].ttl == 2


def test_the_soa_of_the_apex_has_its_own_ttl_and_the_index_as_serial() -> None:
    (soa,) = records(World().ask("svc.local", "SOA").answer)
    assert (soa.ttl, soa.data.split()[2]) == (60, str(INDEX))


def test_a_positive_answer_has_no_soa(world: World) -> None:
    for name, rtype in (("web", "A"), ("web", "SRV"), ("host", "A"), ("alias", "A"), ("out", "A")):
        assert not world.ask(f"{name}.svc.local", rtype).authority


@pytest.mark.parametrize("origin", ["svc.local", "consul", "a.b.c.d.example"])
def test_a_zone_without_a_file_has_an_soa_and_an_ns_whose_address_is_known(origin: str) -> None:
    world = World(origin=origin, file=False, negative_ttl=3)
    world.add("web", "10.0.0.1")
    soa = world.ask(origin, "SOA")
    assert outcome(soa) == "ANSWER"
    assert data(soa.answer)[0].split()[2] == str(INDEX + 1)
    name_server = world.ask(origin, "NS")
    host = data(name_server.answer)[0].rstrip(".")
    assert host.endswith(f".{origin}")
    assert data(name_server.additional) == data(world.ask(host).answer) == ["192.0.2.53"], "and not the unspecified one"
    assert outcome(world.ask(host, "AAAA")) == "NODATA"
    negative = world.ask(f"nope.{origin}")
    assert outcome(negative) == "NXDOMAIN"
    assert records(negative.authority)[0].ttl == 3
    assert data(world.ask(f"web.{origin}").answer) == ["10.0.0.1"]


def test_rfc1035_3_3_13_without_us_a_secondary_keeps_a_made_up_zone_for_a_minute() -> None:
    soa = World(file=False).ask("svc.local", "SOA").answer[0][0]
    assert (soa.refresh, soa.retry, soa.expire) == (20, 5, 60)
    assert soa.refresh + soa.retry < soa.expire, "RFC 1912 2.2: a missed refresh is no loss yet"


def test_two_zones_keep_their_serials_in_step_with_the_registry() -> None:
    world = World(fixed={"example": ""})
    world.add("web", "10.0.0.1")
    for origin in ("svc.local", "example"):
        assert data(world.ask(origin, "SOA").answer)[0].split()[2] == str(world.registry.index)
