"""Fixed records of a zone file as dig sees them: aliases, referrals, wildcards (RFC 4592), DNAME (RFC 6672), types of every kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.stories.dig import dig
from tests.stories.process import Discovery, running
from tests.stories.standards.clients import drill, kdig, rdata
from tests.stories.standards.conftest import ZONE

RECORDS = """
www        IN A     192.0.2.1
           IN AAAA  2001:db8::53
one        IN CNAME two
two        IN CNAME www
live       IN CNAME shop
deadlive   IN CNAME nobody
away       IN CNAME www.example.com.
circle     IN CNAME circled
circled    IN CNAME circle
@          IN MX    10 mx
mx         IN A     192.0.2.25
           IN AAAA  2001:db8::25
_ldap._tcp IN SRV   1 2 389 www
@          IN CAA   0 issue "ca.example"
odd        IN TYPE12345 \\# 4 01020304
text       IN TXT   "two" "strings; with \\"quotes\\""
place      IN LOC   52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000.00m 10.00m
key        IN SSHFP 4 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
_443._tcp.www IN TLSA 3 1 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971
enum       IN NAPTR 100 10 "u" "E2U+sip" "!^.*$!sip:info@example.com!" .
machine    IN HINFO "PDP-11" "UNIX"
person     IN RP    admin.svc.local. text
bound      IN HTTPS 1 . alpn=h2,h3 port=8443
lower      IN NS    ns.lower
lower      IN NS    ns.elsewhere.example.
ns.lower   IN A     192.0.2.53
           IN AAAA  2001:db8::5353
lower      IN DS    12345 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
*.wild     IN A     192.0.2.99
*.wild     IN MX    5 www
fixed.wild IN TXT   "x"
below.ent.wild IN TXT "x"
*.aliases  IN CNAME www
old        IN DNAME new
old        IN TXT   "itself"
host.new   IN A     192.0.2.77
"""


@pytest.fixture(scope="module")
def zone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Discovery]:
    folder = tmp_path_factory.mktemp("zones")
    (folder / "svc.local.zone").write_text(ZONE + RECORDS)
    (folder / "everything.example.zone").write_text(ZONE + "* IN A 192.0.2.98\n")
    settings: dict[str, Any] = {"DNS_DOMAIN": "svc.local,everything.example", "HEARTBEAT_TIMEOUT_SECONDS": 3600}
    with running(ZONES_DIR=str(folder), **settings) as server:
        server.register("shop", "10.0.0.1", tags=["blue"])
        yield server
        assert "Traceback" not in "\n".join(server.log)


TYPES: dict[str, tuple[str, str]] = {
    "MX": ("svc.local", "10 mx.svc.local."),
    "CAA": ("svc.local", '0 issue "ca.example"'),
    "SRV": ("_ldap._tcp.svc.local", "1 2 389 www.svc.local."),
    "TYPE12345": ("odd.svc.local", "\\# 4 01020304"),
    "TXT": ("text.svc.local", '"two" "strings; with \\"quotes\\""'),
    "SSHFP": ("key.svc.local", "4 2 0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF01234567 89ABCDEF"),
    "TLSA": ("_443._tcp.www.svc.local", "3 1 1 D2ABDE240D7CD3EE6B4B28C54DF034B97983A1D16E8A410E4561CB10 6618E971"),
    "NAPTR": ("enum.svc.local", '100 10 "u" "E2U+sip" "!^.*$!sip:info@example.com!" .'),
    "HINFO": ("machine.svc.local", '"PDP-11" "UNIX"'),
    "RP": ("person.svc.local", "admin.svc.local. text.svc.local."),
    "HTTPS": ("bound.svc.local", '1 . alpn="h2,h3" port=8443'),
    "LOC": ("place.svc.local", "52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m"),
}


@pytest.mark.parametrize("rtype", TYPES)
def test_every_type_comes_out_as_it_was_written(zone: Discovery, rtype: str) -> None:
    name, text = TYPES[rtype]
    dug = dig(zone, name, rtype)
    assert (dug.rdata, [record.type for record in dug.answer]) == ({text}, [rtype])
    assert "aa" in dug.flags
    assert {record.ttl for record in dug.answer} == {60}
    assert len(rdata(kdig(zone, name, rtype))) == 1
    assert dig(zone, name, rtype, "+tcp").rdata == {text}


@pytest.mark.parametrize(
    ("name", "rtype", "host"),
    [("svc.local", "MX", "mx"), ("_ldap._tcp.svc.local", "SRV", "www"), ("svc.local", "NS", "ns")],
)
def test_rfc1035_3_3_a_hosts_addresses_stand_beside_its_name(zone: Discovery, name: str, rtype: str, host: str) -> None:
    addresses = {
        f"{host}.svc.local. {ip}"
        for ip in dig(zone, f"{host}.svc.local").rdata | dig(zone, f"{host}.svc.local", "AAAA").rdata
    }
    assert dig(zone, name, rtype).additional_addresses == addresses
    assert addresses


@pytest.mark.parametrize(
    ("name", "rtype", "chain"),
    [
        ("one", "A", ["CNAME two.svc.local.", "CNAME www.svc.local.", "A 192.0.2.1"]),
        ("two", "AAAA", ["CNAME www.svc.local.", "AAAA 2001:db8::53"]),
        ("one", "CNAME", ["CNAME two.svc.local."]),
        ("live", "A", ["CNAME shop.svc.local.", "A 10.0.0.1"]),
        ("away", "A", ["CNAME www.example.com."]),
        ("x.aliases", "A", ["CNAME www.svc.local.", "A 192.0.2.1"]),
        ("host.old", "A", ["DNAME new.svc.local.", "CNAME host.new.svc.local.", "A 192.0.2.77"]),
        ("host.old", "CNAME", ["DNAME new.svc.local.", "CNAME host.new.svc.local."]),
        ("old", "DNAME", ["DNAME new.svc.local."]),
        ("old", "TXT", ['TXT "itself"']),
    ],
)
def test_rfc1034_3_6_2_and_rfc6672_aliases_are_followed_inside_the_zone(
    zone: Discovery, name: str, rtype: str, chain: list[str]
) -> None:
    dug = dig(zone, f"{name}.svc.local", rtype)
    assert [f"{record.type} {record.rdata}" for record in dug.answer] == chain
    assert (dug.status, "aa" in dug.flags, dug.authority) == ("NOERROR", True, [])


def test_a_srv_query_through_an_alias_finds_the_service(zone: Discovery) -> None:
    dug = dig(zone, "live.svc.local", "SRV")
    assert [record.type for record in dug.answer] == ["CNAME", "SRV"]
    assert dug.additional_addresses == {"ip-10-0-0-1-p3001.shop.svc.local. 10.0.0.1"}


@pytest.mark.parametrize(
    ("name", "rtype", "status"),
    [
        ("one", "MX", "NOERROR"),
        ("deadlive", "A", "NXDOMAIN"),
        ("nothing.old", "A", "NXDOMAIN"),
        ("live", "AAAA", "NOERROR"),
    ],
)
def test_rfc2308_2_the_negative_at_the_end_of_a_chain_is_that_of_the_last_name(
    zone: Discovery, name: str, rtype: str, status: str
) -> None:
    dug = dig(zone, f"{name}.svc.local", rtype)
    assert (dug.status, [record.type for record in dug.authority]) == (status, ["SOA"])
    assert dug.answer[-1].type == "CNAME"


def test_a_circle_of_aliases_ends(zone: Discovery) -> None:
    dug = dig(zone, "circle.svc.local")
    assert dug.status == "SERVFAIL"
    assert dig(zone, "circle.svc.local", "CNAME").rdata == {"circled.svc.local."}


@pytest.mark.parametrize("name", ["lower", "deep.er.lower", "ns.lower"])
def test_rfc1034_4_3_2_below_a_cut_comes_a_referral_with_glue(zone: Discovery, name: str) -> None:
    dug = dig(zone, f"{name}.svc.local")
    assert (dug.status, dug.answer, "aa" in dug.flags) == ("NOERROR", [], False)
    servers = {(record.name, record.type, record.rdata) for record in dug.authority if record.type != "DS"}
    assert servers == {
        ("lower.svc.local.", "NS", target) for target in ("ns.lower.svc.local.", "ns.elsewhere.example.")
    }
    assert dug.additional_addresses == {"ns.lower.svc.local. 192.0.2.53", "ns.lower.svc.local. 2001:db8::5353"}
    assert "NS" in drill(zone, f"{name}.svc.local")


def test_rfc4035_3_1_4_1_ds_is_the_parents(zone: Discovery) -> None:
    dug = dig(zone, "lower.svc.local", "DS")
    assert ([record.type for record in dug.answer], "aa" in dug.flags) == (["DS"], True)


@pytest.mark.parametrize(
    ("name", "rtype", "status", "answer"),
    [
        ("x.wild", "A", "NOERROR", {"192.0.2.99"}),
        ("x.y.wild", "A", "NOERROR", {"192.0.2.99"}),
        ("x.wild", "MX", "NOERROR", {"5 www.svc.local."}),
        ("x.wild", "TXT", "NOERROR", set()),
        ("*.wild", "A", "NOERROR", {"192.0.2.99"}),
        ("fixed.wild", "A", "NOERROR", set()),
        ("x.fixed.wild", "A", "NXDOMAIN", set()),
        ("ent.wild", "A", "NOERROR", set()),
        ("x.ent.wild", "A", "NXDOMAIN", set()),
        ("wild", "A", "NOERROR", set()),
    ],
)
def test_rfc4592_wildcards(zone: Discovery, name: str, rtype: str, status: str, answer: set[str]) -> None:
    dug = dig(zone, f"{name}.svc.local", rtype)
    assert (dug.status, dug.rdata) == (status, answer)
    assert {record.name for record in dug.answer} <= {f"{name}.svc.local."}


@pytest.mark.parametrize(
    ("name", "status", "answer"),
    [
        ("anything", "NOERROR", {"192.0.2.98"}),
        ("any.thing", "NOERROR", {"192.0.2.98"}),
        ("shop", "NOERROR", {"10.0.0.1"}),
        ("blue.shop", "NOERROR", {"10.0.0.1"}),
        ("red.shop", "NXDOMAIN", set()),
        ("a.b.c.shop", "NXDOMAIN", set()),
        ("_tcp", "NOERROR", set()),
        ("_nobody._tcp", "NXDOMAIN", set()),
        ("nobody._tcp", "NXDOMAIN", set()),
        ("x.y._udp", "NXDOMAIN", set()),
        ("_dns-sd._udp", "NOERROR", set()),
        ("x._dns-sd._udp", "NXDOMAIN", set()),
    ],
)
def test_rfc4592_3_3_1_a_wildcard_gives_nothing_below_names_that_exist(
    zone: Discovery, name: str, status: str, answer: set[str]
) -> None:
    """Live names exist as much as fixed ones: the wildcard of the apex is for what neither has."""
    dug = dig(zone, f"{name}.everything.example")
    assert (dug.status, dug.rdata) == (status, answer)
