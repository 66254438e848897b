"""The live names of a zone: rows 1 to 4 of DESIGN section 6 as a table, name form by type, judged record by record."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from tests.dns.world import World, data, outcome, records

V4A, V4B, V6 = "ip-10-0-0-1-p3001", "ip-10-0-0-2-p3002", "ip-2001-db8--1-p3001"
NOW = 5.0  # the instance at 10.0.0.66 asked for a lease of 1 s and is dead by now


@pytest.fixture(name="world", scope="module")
def _world() -> World:
    world = World("fixed A 192.0.2.1\n")
    world.add(
        "web", "10.0.0.1", 3001, weight=10, priority=1, tags=["canary", "V2"], zone="eu-1",
        ports={"http": 8080, "metrics": 9090}, metadata={"version": "1.0", "replicas": 3},
    )  # fmt: skip
    world.add("web", "10.0.0.2", 3002, weight=20, priority=2, tags=["v2"], zone="us-1", ports={"metrics": 9091})
    world.add("web", "2001:db8::1", 3001, weight=30, priority=3, zone="EU-1", ports={"http": 8081})
    world.add(
        "web", "10.0.0.66", 3001, ttl=1, weight=40, priority=0, tags=["canary", "v2", "dead"], zone="eu-1",
        ports={"http": 8066, "metrics": 9066, "dead": 1},
    )  # fmt: skip
    world.add("dns", "10.0.0.9", 53, protocol="udp", ports={"dns": 53})
    world.add("kerberos", "10.0.0.8", 88, protocol=["tcp", "udp"], ports={"admin": 749})
    world.add("six", "2001:db8::6", 80)
    world.add("dead", "10.0.0.67", 80, ttl=1)
    world.add("twin", "10.0.1.1", 81)
    world.add("twin", "10.0.1.1", 82)
    return world


def srv(priority: int, weight: int, port: int, label: str, service: str = "web") -> str:
    return f"{priority} {weight} {port} {label}.{service}.svc.local."


class Row(NamedTuple):
    name: str
    type: str
    answer: set[str]
    additional: set[tuple[str, str, str]] = set()  # noqa: RUF012  never changed


A1 = (f"{V4A}.web.svc.local", "A", "10.0.0.1")
A2 = (f"{V4B}.web.svc.local", "A", "10.0.0.2")
A6 = (f"{V6}.web.svc.local", "AAAA", "2001:db8::1")
A9 = ("ip-10-0-0-9-p53.dns.svc.local", "A", "10.0.0.9")
S1, S2, S6 = srv(1, 10, 3001, V4A), srv(2, 20, 3002, V4B), srv(3, 30, 3001, V6)
A8 = ("ip-10-0-0-8-p88.kerberos.svc.local", "A", "10.0.0.8")
S8 = srv(10, 100, 88, "ip-10-0-0-8-p88", "kerberos")
S9 = srv(10, 100, 53, "ip-10-0-0-9-p53", "dns")

ROWS = [
    # SERVICE
    Row("web", "A", {"10.0.0.1", "10.0.0.2"}),
    Row("web", "AAAA", {"2001:db8::1"}),
    Row("web", "SRV", {S1, S2, S6}, {A1, A2, A6}),
    Row("web", "TXT", {'"version=1.0" "replicas=3"', '""'}),
    Row("six", "A", set()),
    Row("six", "AAAA", {"2001:db8::6"}),
    Row("twin", "A", {"10.0.1.1"}),
    # RFC 2782, and named ports
    Row("_web._tcp", "SRV", {S1, S2, S6}, {A1, A2, A6}),
    Row("_dns._udp", "SRV", {S9}, {A9}),
    *(Row(f"_kerberos.{protocol}", "SRV", {S8}, {A8}) for protocol in ("_tcp", "_udp")),
    *(Row(f"_admin.{protocol}.kerberos", "SRV", {S8.replace(" 88 ", " 749 ")}, {A8}) for protocol in ("_tcp", "_udp")),
    *(
        Row(
            f"_kerberos.{protocol}",
            "PTR",
            {f"ip-10-0-0-8-p88._kerberos.{protocol}.svc.local."},
            {
                (f"ip-10-0-0-8-p88._kerberos.{protocol}.svc.local", "SRV", S8),
                (f"ip-10-0-0-8-p88._kerberos.{protocol}.svc.local", "TXT", '"txtvers=1"'),
                A8,
            },
        )
        for protocol in ("_tcp", "_udp")
    ),
    Row("_web._tcp", "A", set()),
    Row("_http._tcp.web", "SRV", {srv(1, 10, 8080, V4A), srv(3, 30, 8081, V6)}, {A1, A6}),
    Row("_metrics._tcp.web", "SRV", {srv(1, 10, 9090, V4A), srv(2, 20, 9091, V4B)}, {A1, A2}),
    Row("_dns._udp.dns", "SRV", {S9}, {A9}),
    Row("_http._tcp.web", "A", set()),
    # tag, port, locality
    Row("canary.web", "A", {"10.0.0.1"}),
    Row("canary.web", "AAAA", set()),
    Row("canary.web", "SRV", {S1}, {A1}),
    Row("v2.web", "A", {"10.0.0.1", "10.0.0.2"}),
    Row("v2.web", "SRV", {S1, S2}, {A1, A2}),
    Row("p3001.web", "A", {"10.0.0.1"}),
    Row("p3001.web", "AAAA", {"2001:db8::1"}),
    Row("p3001.web", "SRV", {S1, S6}, {A1, A6}),
    Row("p3002.web", "SRV", {S2}, {A2}),
    Row("eu-1.zone.web", "A", {"10.0.0.1"}),
    Row("eu-1.zone.web", "AAAA", {"2001:db8::1"}),
    Row("eu-1.zone.web", "SRV", {S1, S6}, {A1, A6}),
    Row("us-1.zone.web", "A", {"10.0.0.2"}),
    # one instance
    Row(f"{V4A}.web", "A", {"10.0.0.1"}),
    Row(f"{V4A}.web", "AAAA", set()),
    Row(f"{V4A}.web", "SRV", {S1}, {A1}),
    Row(f"{V4A}.web", "TXT", {'"version=1.0" "replicas=3"'}),
    Row(f"{V6}.web", "AAAA", {"2001:db8::1"}),
    Row(f"{V6}.web", "A", set()),
    Row(f"{V6}.web", "SRV", {S6}, {A6}),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.name}-{row.type}")
def test_each_name_form_and_type_has_its_records(world: World, row: Row) -> None:
    reply = world.ask(f"{row.name}.svc.local", row.type, now=NOW, edns=1232)
    assert outcome(reply) == ("ANSWER" if row.answer else "NODATA")
    assert len(reply.answer) == len(row.answer), "each once"
    assert set(data(reply.answer)) == row.answer
    assert {(record.name, record.type) for record in records(reply.answer)} <= {(f"{row.name}.svc.local", row.type)}
    additional = [(record.name, record.type, record.data) for record in records(reply.additional)]
    assert len(additional) == len(row.additional)
    assert set(additional) == row.additional
    assert [record.type for record in records(reply.authority)] == ([] if row.answer else ["SOA"])


NEVER_HEARD_OF = [
    "nope", "_nope._tcp", "_web._udp", "_dns._tcp", "nope.web", "p3003.web", "mars.zone.web", "_nope._tcp.web",
    "_http._udp.web", "ip-10-0-0-3-p3001.web", "ip-10-0-0-1-p3002.web", "ip-2001-db8--2-p3001.web", "_web",
    "a.b.c.web", "canary.v2.web", "canary.nope", "p3001.nope", "_http._tcp.nope", f"{V4A}.six", f"x.{V4A}.web", "p03001.web",
]  # fmt: skip


def outcomes(world: World, names: list[str], types: str) -> dict[str, str]:
    return {
        f"{name} {rtype}": outcome(world.ask(f"{name}.svc.local", rtype, now=NOW))
        for name in names
        for rtype in types.split()
    }


def test_a_name_that_was_never_heard_of_is_nxdomain(world: World) -> None:
    found = outcomes(world, NEVER_HEARD_OF, "A SRV TXT")
    assert found == dict.fromkeys(found, "NXDOMAIN")


ALL_DEAD = [
    "dead",
    "_dead._tcp",
    "p80.dead",
    "ip-10-0-0-67-p80.dead",
    "dead.web",
    "_dead._tcp.web",
    "ip-10-0-0-66-p3001.web",
]


def test_what_is_known_but_not_healthy_and_rfc8020_a_name_with_names_below_it_is_nodata(world: World) -> None:
    found = outcomes(world, ALL_DEAD, "A AAAA SRV TXT") | outcomes(
        world, ["_tcp", "_udp", "_tcp.web", "zone.web"], "A SRV TXT PTR"
    )
    assert found == dict.fromkeys(found, "NODATA")


def test_each_srv_target_resolves_on_its_own(world: World) -> None:
    for name in (row.name for row in ROWS if row.type == "SRV" and row.answer):
        for answer in data(world.ask(f"{name}.svc.local", "SRV", now=NOW, udp=False).answer):
            target = answer.split()[-1]
            found = [data(world.ask(target, rtype, now=NOW).answer) for rtype in ("A", "AAAA")]
            assert sorted(map(len, found)) == [0, 1], name


IPS = ["0.0.0.1", "10.0.0.1", "255.0.255.254", "::1", "1::", "2001:db8::", "fd00::1:2:3", "1:2:3:4:5:6:7:8", "::1:2",
       "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "64:ff9b::a00:1", "1::2:3:4"]  # fmt: skip


def test_an_instance_at_any_address_has_a_name_that_resolves() -> None:
    world = World()
    for number, ip in enumerate(IPS):
        for port in (1, 65535):
            name = f"any-{number}-{port}"
            world.add(name, ip, port)
            reply = world.ask(f"{name}.svc.local", "SRV")
            (answer,), (beside,) = records(reply.answer), records(reply.additional)
            assert answer.data.split()[2:] == [str(port), f"{beside.name}."]
            assert records(world.ask(beside.name, beside.type).answer) == [beside]
            assert outcome(world.ask(beside.name.upper(), beside.type)) == "ANSWER"


@pytest.mark.parametrize("length", [40, 100, 134])
def test_a_service_in_a_zone_with_a_long_name_is_answered_whole(length: int) -> None:
    """RFC 1035 §2.3.4: no record may have a name above 255 octets, whatever the zone's name."""
    origin = ".".join(["z" * 60] * (length // 61) + ["y" * max(1, length % 61)])
    world, service = World(origin=origin, file=False), "s" * 63
    world.add(service, "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", 65535)
    for rtype in ("A", "AAAA", "SRV", "TXT", "ANY", "NS"):
        reply = world.ask(f"{service}.{origin}", rtype, udp=False)
        assert outcome(reply) in ("ANSWER", "NODATA")


def test_a_service_with_the_longest_name_spoils_no_answer_about_all_services() -> None:
    """RFC 6763 §9. `_` and 63 letters are no label, so such a service cannot be in the list of types."""
    world = World()
    world.add("s" * 63, "10.0.0.1")
    world.add("web", "10.0.0.2")
    assert data(world.ask("_services._dns-sd._udp.svc.local", "PTR").answer) == ["_web._tcp.svc.local."]


def test_a_deregistered_instance_is_gone_at_once_and_its_service_with_the_last() -> None:
    world = World()
    world.add("web", "10.0.0.1")
    world.add("web", "10.0.0.2")
    world.remove("web", "10.0.0.1")
    assert data(world.ask("web.svc.local").answer) == ["10.0.0.2"]
    world.remove("web", "10.0.0.2")
    assert outcome(world.ask("web.svc.local")) == "NXDOMAIN"


def test_txt_keeps_what_fits_a_string_and_leaves_out_the_rest() -> None:
    """RFC 6763 §6: key=value, the key printable ASCII without `=`, at most 255 octets each."""
    world = World()
    fits, too_long = "v" * (255 - len("key=")), "v" * (256 - len("big="))
    world.add("web", "10.0.0.1", metadata={"key": fits, "big": too_long, "a=b": "x", "": "x", "ü": "x", "yes": True})
    (text,) = world.ask("web.svc.local", "TXT").answer[0]
    assert [string.decode() for string in text.strings] == [f"key={fits}", "yes=true"]
