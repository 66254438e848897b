"""What is in a transfer: everything that it has is what a question is told, and everything that has a finite name is in it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from discovery.dns.message.names import Name, from_text, to_text, to_wire
from discovery.dns.message.values import RR, Question, Rcode, Type
from discovery.dns.zones import browse
from discovery.dns.zones.live import LIVE_TYPES
from discovery.dns.zones.reverse import ReverseNames, ReverseZoneNames
from discovery.dns.zones.service_zone import ServiceZone
from discovery.dns.zones.zone import LiveNames, Zone
from discovery.plugins.transfer import contents
from tests.dns.world import INDEX, World, load, request
from tests.plugins.transfer.primary import Primary

FILE = """
printer IN A 192.0.2.9
lpd IN CNAME printer
*.wild IN TXT "anything"
a.b.c IN A 192.0.2.10
sub IN NS ns.sub
ns.sub IN A 192.0.2.54
moved IN DNAME example.com.
taken IN A 192.0.2.11
"""


def a_world(**options: Any) -> World:
    world = World(FILE, **options)
    common: dict[str, Any] = {"ports": {"metrics": 9100, "https": 443}, "metadata": {"version": "1.0"}}
    world.add("web", "10.0.0.1", 80, tags=["blue"], zone="eu-1", **common)
    world.add("web", "10.0.0.1", 81, priority=5)
    world.add("web", "2001:db8::1", 80, weight=7)
    world.add("Syslog", "10.0.0.9", 514, protocol="udp", metadata={"version": "1.0"})
    world.add("sip", "10.0.0.10", 5060, protocol=["tcp", "udp"], ports={"admin": 5070})
    world.add("gone", "10.0.0.20")
    world.add("db", "db.example.net", 5432, ports={"admin": 9}, metadata={"a": "b"})
    world.add("db", "10.0.0.21", 5433, priority=0, ttl=3)
    world.add("away", "www.example.net", None, protocol=["tcp", "udp"])
    world.add("bare", "10.0.0.22", None, ports={"admin": 9})
    # Of one family and port the lease is shorter, by its heartbeats or by reports of a check.
    world.add("dual", "10.0.0.23", 80, ttl=7, ports={"admin": 9}, metadata={"scheme": "https"})
    world.add("dual", "2001:db8::2", 80, protocol="udp", ttl=3600, checks=[{"ttl": 8, "status": "passing"}])
    return world


async def transferred(folder: Path, world: World, origin: str = "svc.local", now: float = 0.0) -> list[RR]:
    primary = Primary(folder, world)
    primary.plugin.sending._clock = lambda: now
    return await primary.axfr(origin)


def rrsets(rrs: list[RR]) -> dict[tuple[Name, int], set[tuple[int, bytes]]]:
    found: dict[tuple[Name, int], set[tuple[int, bytes]]] = {}
    for rr in rrs:
        rrset = found.setdefault((rr.name, rr.type), set())
        assert (rr.ttl, rr.rdata) not in rrset, f"{rr} is there twice"
        rrset.add((rr.ttl, rr.rdata))
    return found


def asked(world: World, name: Name, rtype: int, now: float = 0.0) -> set[tuple[int, bytes]]:
    answer = world.catalog.lookup(request(Question(name, rtype)), now)
    assert answer is not None
    return {(rr.ttl, rr.rdata) for rr in answer.answer}


@pytest.mark.parametrize("now", [0.0, 6.5, 9.9])
async def test_what_it_has_is_what_an_answer_has_ttls_included(tmp_path: Path, now: float) -> None:
    world = a_world()
    found = await transferred(tmp_path, world, now=now)
    assert found[0] == found[-1]
    assert found[0].type == Type.SOA
    delegated = from_text("sub.svc.local")
    for (name, rtype), rrset in rrsets(found[:-1]).items():
        if name[-3:] == delegated or name[:1] == (b"*",):
            continue  # a question there is a referral; and a wildcard is not asked for
        assert rrset == asked(world, name, rtype, now), (to_text(name), rtype)


async def test_every_name_that_is_in_it_is_there_whole(tmp_path: Path) -> None:
    world = a_world()
    found = rrsets((await transferred(tmp_path, world))[:-1])
    for name in {name for name, _ in found}:
        for rtype in (*(kind.type for kind in LIVE_TYPES), Type.MX, Type.CNAME):
            answer = world.catalog.lookup(request(Question(name, rtype)), 0.0)
            assert answer is not None
            if answer.authoritative and name[:1] != (b"*",):
                own = {(rr.ttl, rr.rdata) for rr in answer.answer if rr.name == name and rr.type == rtype}
                assert found.get((name, rtype), set()) == own, (to_text(name), rtype)


async def test_the_names_that_the_readme_lists_are_in_it_and_the_others_are_not(tmp_path: Path) -> None:
    world = a_world()
    names = {to_text(rr.name).removesuffix("svc.local").removesuffix(".") for rr in await transferred(tmp_path, world)}
    assert names == {
        "", "ns", "printer", "lpd", "*.wild", "a.b.c", "sub", "ns.sub", "moved", "taken",
        "web", "ip-10-0-0-1-p80.web", "ip-10-0-0-1-p81.web", "ip-2001-db8--1-p80.web",
        "_web._tcp", "ip-10-0-0-1-p80._web._tcp", "ip-10-0-0-1-p81._web._tcp", "ip-2001-db8--1-p80._web._tcp",
        "_metrics._tcp.web", "_https._tcp.web",
        "syslog", "ip-10-0-0-9-p514.syslog", "_syslog._udp", "ip-10-0-0-9-p514._syslog._udp",
        "sip", "ip-10-0-0-10-p5060.sip", "_sip._tcp", "_sip._udp", "_admin._tcp.sip", "_admin._udp.sip",
        "ip-10-0-0-10-p5060._sip._tcp", "ip-10-0-0-10-p5060._sip._udp",
        "gone", "ip-10-0-0-20-p3001.gone", "_gone._tcp", "ip-10-0-0-20-p3001._gone._tcp",
        "db", "ip-10-0-0-21-p5433.db", "_db._tcp", "_admin._tcp.db", "ip-10-0-0-21-p5433._db._tcp",
        "away", "_away._tcp", "_away._udp",
        "bare", "ip-10-0-0-22.bare", "_bare._tcp", "_admin._tcp.bare",
        "dual", "ip-10-0-0-23-p80.dual", "ip-2001-db8--2-p80.dual", "_dual._tcp", "_dual._udp", "_admin._tcp.dual",
        "ip-10-0-0-23-p80._dual._tcp", "ip-2001-db8--2-p80._dual._udp",
        "_services._dns-sd._udp", "b._dns-sd._udp", "db._dns-sd._udp", "lb._dns-sd._udp",
    }  # fmt: skip


async def test_rfc2181_10_1_of_several_host_names_a_serial_has_one_wherever_it_is_taken_from(tmp_path: Path) -> None:
    hosts = {f"db-{number}.example.net": number * 10 for number in range(4)}
    seen: Counter[bytes] = Counter()
    one, other = World(), World()
    for world, order in ((one, list(hosts)), (other, list(reversed(hosts)))):
        for host in order:
            world.add("db", host, 5432, weight=hosts[host])
        world.add("db", "later.example.net", 5432, priority=11, weight=65535)
    for _ in range(60):
        found, again = [rrsets((await transferred(tmp_path, world))[:-1]) for world in (one, other)]
        name = from_text("db.svc.local")
        assert found == again
        assert [rtype for owner, rtype in found if owner == name] == [Type.CNAME]
        [(ttl, target)] = found[name, Type.CNAME]
        assert ttl == 5
        seen[target] += 1
        for world in (one, other):  # another serial
            world.add("other", "10.0.0.1", metadata={"n": len(seen), "t": seen.total()})
    assert set(seen) == {to_wire(from_text(host)) for host, weight in hosts.items() if weight}
    assert seen[to_wire(from_text("db-3.example.net"))] > seen[to_wire(from_text("db-1.example.net"))]


async def test_who_is_not_in_answers_is_not_in_it(tmp_path: Path) -> None:
    world = a_world()
    for entry in list(world.registry):
        if entry.instance.spec.name == "web" and entry.instance.spec.port == 80:
            world.registry.drain(entry.instance.id, True, "test", 0.0)
    names = {to_text(rr.name) for rr in await transferred(tmp_path, world)}
    assert "ip-10-0-0-1-p81.web.svc.local" in names
    assert "ip-10-0-0-1-p80.web.svc.local" not in names
    assert "_metrics._tcp.web.svc.local" not in names
    assert not any("web" in name or "gone" in name for name in
                   {to_text(rr.name) for rr in await transferred(tmp_path, world, now=10.0)})  # fmt: skip


async def test_fixed_records_win_over_a_service_of_their_name(tmp_path: Path) -> None:
    world = a_world()
    world.add("later", "10.0.0.50")
    world.reload(load({"svc.local": "later IN A 192.0.2.99\nunder.web IN A 192.0.2.98\n"})[0])
    found = rrsets((await transferred(tmp_path, world))[:-1])
    assert {rdata for _, rdata in found[from_text("later.svc.local"), Type.A]} == {bytes((192, 0, 2, 99))}
    assert (from_text("later.svc.local"), Type.SRV) not in found
    assert {rdata for _, rdata in found[from_text("under.web.svc.local"), Type.A]} == {bytes((192, 0, 2, 98))}
    assert (from_text("web.svc.local"), Type.A) in found


async def test_names_that_mean_something_else_are_left_out(tmp_path: Path) -> None:
    for origin, odd in (("svc.local", ["zone", "default"]), ("consul", ["service", "dc1", "default"])):
        world = World(origin=origin, fixed={f"deep.{origin}": "host IN A 192.0.2.1\n"})
        for service in [*odd, "deep", "fine", "x" * 63]:
            world.add(service, "10.0.0.1")
        found = rrsets((await transferred(tmp_path, world, origin))[:-1])
        for (name, rtype), rrset in found.items():
            assert rrset == asked(world, name, rtype), to_text(name)
        assert (from_text(f"fine.{origin}"), Type.A) in found
        assert not any(name[-len(from_text(f"deep.{origin}")) :] == from_text(f"deep.{origin}") for name, _ in found)


async def test_the_serial_is_the_registrys_index_in_every_zone(tmp_path: Path) -> None:
    world = World(fixed={"legacy.example": "host IN A 192.0.2.1\n"})
    world.add("web", "10.0.0.1")
    for origin in ("svc.local", "legacy.example"):
        records = await transferred(tmp_path, world, origin)
        assert [int.from_bytes(rr.rdata[-20:-16], "big") for rr in (records[0], records[-1])] == [INDEX + 1] * 2


async def test_a_zone_without_a_file_is_transferred_as_it_was_made_up(tmp_path: Path) -> None:
    records = await transferred(tmp_path, World(file=False))
    assert [(to_text(rr.name), rr.type) for rr in records if b"_dns-sd" not in rr.name] == [
        ("svc.local", Type.SOA), ("svc.local", Type.NS), ("ns.svc.local", Type.A), ("svc.local", Type.SOA),
    ]  # fmt: skip


async def test_a_reverse_zone_has_its_live_pointers(tmp_path: Path) -> None:
    world = World()
    reverse = ReverseNames(world.registry, from_text("svc.local"), 5, 2)
    world.registry.followers.append(reverse.follow_commit)
    for name, ip, port in (("a", "10.0.0.1", 1), ("b", "10.0.0.1", 2), ("c", "10.0.1.1", 1), ("d", "192.0.2.1", 1)):
        world.add(name, ip, port)
    world.add("e", "10.0.0.7")
    [fixed] = load({"0.0.10.in-addr.arpa": "7 IN PTR fixed.example.\n"})
    zone = Zone(fixed, ReverseZoneNames(fixed.origin, reverse), lambda: world.registry.index, 2)
    world.catalog.replace([zone])
    found = rrsets((await transferred(tmp_path, world, "0.0.10.in-addr.arpa"))[:-1])
    pointers = {to_text(name): rrset for (name, rtype), rrset in found.items() if rtype == Type.PTR}
    assert set(pointers) == {"1.0.0.10.in-addr.arpa", "7.0.0.10.in-addr.arpa"}
    for name, rrset in pointers.items():
        assert rrset == asked(world, from_text(name), Type.PTR)
    assert pointers["7.0.0.10.in-addr.arpa"] == {(60, to_wire(from_text("fixed.example")))}


async def test_an_rrset_has_as_much_as_fits_a_message(tmp_path: Path) -> None:
    world = World()
    for number in range(1000):
        world.add("m" * 60, f"10.1.{number >> 8}.{number & 255}", 80, metadata={"number": number})
    found = rrsets((await transferred(tmp_path, world))[:-1])
    for (name, rtype), rrset in found.items():
        assert sum(12 + len(rdata) for _, rdata in rrset) <= contents.MAX_RRSET, (to_text(name), rtype)
    assert len(found[from_text("m" * 60 + ".svc.local"), Type.A]) == 1000
    assert 500 < len(found[from_text("m" * 60 + ".svc.local"), Type.SRV]) < 1000


async def test_browsing_has_as_many_types_as_an_answer(tmp_path: Path) -> None:
    world = World()
    for number in range(browse.MAX_TYPES + 100):
        world.add(f"s-{number}", "10.0.0.1")
    found = rrsets((await transferred(tmp_path, world))[:-1])
    types = from_text("_services._dns-sd._udp.svc.local")
    assert len(found[types, Type.PTR]) == browse.MAX_TYPES
    assert found[types, Type.PTR] == asked(world, types, Type.PTR)


def test_other_live_names_than_these_have_none() -> None:
    [fixed] = load({"legacy.example": ""})
    zone = Zone(fixed, LiveNames(), lambda: 1, 2)
    assert {rr.type for rr in contents.contents(zone, (), (), 1) if rr} == {Type.NS, Type.A}
    assert zone.lookup(Question(zone.origin, Type.AXFR), 0.0).rcode == Rcode.NOERROR
    assert not isinstance(zone.live, ServiceZone)
