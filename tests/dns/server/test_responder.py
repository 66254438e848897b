"""The header and the question of a reply, and the queries that a whole class of names gets one answer to; one row a rule."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.rcode
import pytest

from tests.dns.world import INDEX, World, data, make_query, outcome, parsed, records

NAMES = {
    "answer": ("web.svc.local", "A", "NOERROR"),
    "nodata": ("web.svc.local", "AAAA", "NOERROR"),
    "nxdomain": ("nope.svc.local", "A", "NXDOMAIN"),
    "referral": ("host.sub.svc.local", "A", "NOERROR"),
    "refused": ("example.com", "A", "REFUSED"),
}


@pytest.fixture(name="world")
def _world() -> World:
    world = World("sub NS ns.sub\nns.sub A 192.0.2.54\nalias CNAME web\nhost A 192.0.2.1\n")
    world.add("web", "10.0.0.1")
    return world


@pytest.mark.parametrize(("name", "rtype", "rcode"), NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("flags", [0, dns.flags.RD, dns.flags.AD | dns.flags.CD | 0x40, 0x07F0], ids=hex)
def test_rfc1035_4_1_1_the_header_of_a_reply(world: World, name: str, rtype: str, rcode: str, flags: int) -> None:
    query = make_query(name, rtype, id=0xBEEF)
    query.flags = dns.flags.Flag(flags)
    reply = parsed(world.send(query.to_wire()))
    assert reply.id == 0xBEEF
    assert reply.flags & dns.flags.QR
    assert reply.opcode() == query.opcode()
    assert dns.rcode.to_text(reply.rcode()) == rcode
    assert bool(reply.flags & dns.flags.RD) == bool(flags & dns.flags.RD), "RD is echoed"
    assert not reply.flags & dns.flags.RA, "nobody recurses here"
    assert not reply.flags & (dns.flags.AD | dns.flags.CD | 0x40), "AD, CD and Z are clear"
    assert not reply.flags & dns.flags.TC


@pytest.mark.parametrize(
    ("case", "authoritative"),
    [("answer", True), ("nodata", True), ("nxdomain", True), ("referral", False), ("refused", False)],
)
def test_rfc1035_4_1_1_aa_is_set_where_this_server_is_the_authority(
    world: World, case: str, authoritative: bool
) -> None:
    name, rtype, _ = NAMES[case]
    assert bool(world.ask(name, rtype).flags & dns.flags.AA) == authoritative


@pytest.mark.parametrize("name", ["WEB.svc.LOCAL", "wEb.SvC.lOcAl", "Nope.SVC.local", "SVC.local", "EXAMPLE.com"])
@pytest.mark.parametrize("edns", [None, 1232], ids=["plain", "edns"])
def test_rfc5452_the_question_is_echoed_in_the_clients_spelling(world: World, name: str, edns: int | None) -> None:
    query = make_query(name, edns=edns).to_wire()
    end = 12 + len(name) + 2 + 4
    reply = world.send(query) or b""
    assert reply[12:end] == query[12:end]
    assert reply[4:6] == b"\0\1"


@pytest.mark.parametrize("name", ["web.svc.local", "WEB.SVC.LOCAL", "wEB.svC.loCAL"])
def test_rfc4343_names_are_compared_without_case(world: World, name: str) -> None:
    reply = world.ask(name)
    assert data(reply.answer) == ["10.0.0.1"]
    assert [record.name.lower() for record in records(reply.answer)] == ["web.svc.local"]


def test_rfc4343_a_service_registered_with_capitals_answers_to_any_spelling(world: World) -> None:
    world.add("User-Service", "10.0.0.5")
    assert data(world.ask("user-SERVICE.svc.local").answer) == ["10.0.0.5"]
    target = data(world.ask("user-service.svc.local", "SRV").answer)[0].split()[-1]
    assert data(world.ask(target).answer) == ["10.0.0.5"]


@pytest.mark.parametrize("klass", ["CH", "HS", "ANY", "NONE", "CLASS4711"])
def test_rfc1035_3_2_4_other_classes_are_not_served(world: World, klass: str) -> None:
    reply = world.ask("web.svc.local", rdclass=klass)
    assert reply.rcode() == dns.rcode.REFUSED
    assert not reply.answer
    assert not reply.flags & dns.flags.AA


@pytest.mark.parametrize("name", [".", "local", "com", "example.com", "xsvc.local", "svc.local.com", "web.svc.localx"])
def test_a_name_outside_the_zones_is_refused_and_gets_no_soa(world: World, name: str) -> None:
    reply = world.ask(name)
    assert reply.rcode() == dns.rcode.REFUSED
    assert not [*reply.answer, *reply.authority]


@pytest.mark.parametrize("name", ["web.svc.local", "alias.svc.local", "host.svc.local", "svc.local"])
@pytest.mark.parametrize("udp", [True, False], ids=["udp", "tcp"])
def test_rfc8482_any_gets_one_small_answer(world: World, name: str, udp: bool) -> None:
    for number in range(2, 40):
        world.add("web", f"10.0.0.{number}")
    reply = world.ask(name, "ANY", udp=udp)
    assert outcome(reply) == "ANSWER"
    assert len(reply.answer) == 1
    kind = "CNAME" if name.startswith("alias") else "HINFO"
    assert records(reply.answer)[0].type in (kind, "HINFO")
    assert not reply.flags & dns.flags.TC


def test_rfc8482_any_of_a_name_that_does_not_exist_is_nxdomain(world: World) -> None:
    assert outcome(world.ask("nope.svc.local", "ANY")) == "NXDOMAIN"


@pytest.mark.parametrize("rtype", ["AXFR", "IXFR"])
@pytest.mark.parametrize("udp", [True, False], ids=["udp", "tcp"])
def test_rfc5936_zone_transfers_are_refused(world: World, rtype: str, udp: bool) -> None:
    reply = parsed(world.send(make_query("svc.local", rtype).to_wire(), udp=udp))
    assert reply.rcode() == dns.rcode.REFUSED
    assert not [*reply.answer, *reply.authority]


@pytest.mark.parametrize("name", ["web.svc.local", "host.svc.local", "svc.local"])
def test_rfc3597_a_type_that_is_not_there_or_unknown_is_nodata(world: World, name: str) -> None:
    for rtype in ("TYPE0", "TYPE99", "TYPE4711", "TYPE65280", "TYPE65535", "CAA", "DNSKEY", "NAPTR", "MX"):
        reply = world.ask(name, rtype)
        assert outcome(reply) == "NODATA", rtype
        assert [record.type for record in records(reply.authority)] == ["SOA"], rtype


def test_before_the_registry_is_loaded_a_live_name_is_servfail_and_a_fixed_one_answered(world: World) -> None:
    world.registry.loaded = False
    for name in ("nope.svc.local", "web.svc.local"):
        reply = world.ask(name)
        assert reply.rcode() == dns.rcode.SERVFAIL
        assert not [*reply.answer, *reply.authority]
    assert data(world.ask("host.svc.local").answer) == ["192.0.2.1"]


def test_the_soa_serial_is_the_index_and_moves_with_every_visible_change(world: World) -> None:
    def serial(name: str = "svc.local") -> int:
        reply = world.ask(name, "SOA")
        return int(data(reply.answer or reply.authority)[0].split()[2])

    first = serial()
    assert first == INDEX + 1 == world.registry.index
    world.add("web", "10.0.0.2")
    assert serial() == serial("nope.svc.local") == first + 1
    world.remove("web", "10.0.0.2")
    assert serial() == first + 2 == world.registry.index
    world.add("web", "10.0.0.1")  # a heartbeat in other words
    assert serial() == first + 2
