"""The same truth by four clients: kdig (Knot), drill (ldns), host and dig (BIND), over UDP and TCP."""

from __future__ import annotations

import pytest

from tests.stories.dig import dig
from tests.stories.process import Discovery
from tests.stories.standards.clients import drill, host, kdig, rcode, rdata, section

SHOP = "shop.svc.local"
AT_1 = "ip-10-0-0-1-p8080.shop.svc.local."
AT_2 = "ip-10-0-0-2-p8080.shop.svc.local."
AT_6 = "ip-2001-db8--1-p8080.shop.svc.local."
ROWS: dict[str, tuple[str, str, set[str]]] = {
    "A": (SHOP, "A", {"10.0.0.1", "10.0.0.2"}),
    "AAAA": (SHOP, "AAAA", {"2001:db8::1"}),
    "SRV": (SHOP, "SRV", {f"10 100 8080 {target}" for target in (AT_1, AT_2, AT_6)}),
    "SRV, RFC 2782": ("_shop._tcp.svc.local", "SRV", {f"10 100 8080 {target}" for target in (AT_1, AT_2, AT_6)}),
    "named port": ("_metrics._tcp.shop.svc.local", "SRV", {f"10 100 9100 {AT_1}"}),
    "tag": ("green.shop.svc.local", "A", {"10.0.0.2"}),
    "TXT": (SHOP, "TXT", {'"version=1.0" "equals=a=b"', '"version=2.0"', '""'}),
    "PTR": ("_shop._tcp.svc.local", "PTR", {
        "ip-10-0-0-1-p8080._shop._tcp.svc.local.",
        "ip-10-0-0-2-p8080._shop._tcp.svc.local.",
        "ip-2001-db8--1-p8080._shop._tcp.svc.local.",
    }),
    "NS": ("svc.local", "NS", {"ns.svc.local."}),
}  # fmt: skip


@pytest.mark.parametrize("tcp", [False, True], ids=["UDP", "TCP"])
@pytest.mark.parametrize("row", ROWS)
def test_kdig_drill_and_dig_see_the_same_records(shops: Discovery, row: str, tcp: bool) -> None:
    name, rtype, expected = ROWS[row]
    by_kdig = kdig(shops, name, rtype, *(["+tcp"] if tcp else []))
    by_drill = drill(shops, "-t" if tcp else "-a", name, rtype)
    by_dig = dig(shops, name, rtype, "+tcp" if tcp else "+notcp")
    assert (rdata(by_kdig), rdata(by_drill), by_dig.rdata) == (expected, expected, expected)
    assert by_dig.transport == ("TCP" if tcp else "UDP")
    assert ("(TCP)" if tcp else "(UDP)") in by_kdig


def test_host_prints_every_kind_of_address(shops: Discovery) -> None:
    assert host(shops, SHOP) >= {
        f"{SHOP} has address 10.0.0.1",
        f"{SHOP} has address 10.0.0.2",
        f"{SHOP} has IPv6 address 2001:db8::1",
    }
    assert f"{SHOP} has SRV record 10 100 8080 {AT_6}" in host(shops, "-t", "SRV", SHOP)
    assert f"{SHOP} has SRV record 10 100 8080 {AT_6}" in host(shops, "-T", "-t", "SRV", SHOP)
    assert host(shops, "nobody.svc.local", status=1) == {"Host nobody.svc.local not found: 3(NXDOMAIN)"}
    assert host(shops, "www.example.com", status=1) == {"Host www.example.com not found: 5(REFUSED)"}
    assert host(shops, "-t", "AAAA", "only4.svc.local") == {"only4.svc.local has no AAAA record"}


def test_the_targets_address_stands_in_additional(shops: Discovery) -> None:
    expected = {(AT_1, "A", "10.0.0.1"), (AT_2, "A", "10.0.0.2"), (AT_6, "AAAA", "2001:db8::1")}
    assert section(kdig(shops, SHOP, "SRV"), "ADDITIONAL") == expected
    assert section(drill(shops, SHOP, "SRV"), "ADDITIONAL") == expected


@pytest.mark.parametrize("name", ["version.bind", "version.server", "id.server", "hostname.bind"])
def test_rfc4892_the_server_says_what_and_who_it_is_in_class_chaos(shops: Discovery, name: str) -> None:
    answers = [
        rdata(kdig(shops, name, "CH", "TXT")),
        rdata(drill(shops, name, "CH", "TXT")),
        dig(shops, name, "CH", "TXT").rdata,
    ]
    [text] = answers[0]
    assert answers == [{text}] * 3
    assert text == '"node-7"' if name in ("id.server", "hostname.bind") else "discovery" in text
    assert host(shops, "-c", "CH", "-t", "TXT", name) == {f"{name} descriptive text {text}"}


@pytest.mark.parametrize("name", ["nobody.svc.local", "a.b.c.svc.local", "nobody.legacy.example"])
def test_each_says_nxdomain(shops: Discovery, name: str) -> None:
    assert rcode(kdig(shops, name)) == rcode(drill(shops, name)) == dig(shops, name).status == "NXDOMAIN"


@pytest.mark.parametrize("rtype", ["TYPE65280", "TYPE1234", "MX", "NAPTR", "DNSKEY", "DS"])
def test_rfc3597_a_type_that_a_service_does_not_have_is_nodata(shops: Discovery, rtype: str) -> None:
    for printed in (kdig(shops, SHOP, rtype), drill(shops, SHOP, rtype)):
        assert (rcode(printed), rdata(printed)) == ("NOERROR", set())
        assert [(owner, rtype) for owner, rtype, _ in section(printed, "AUTHORITY")] == [("svc.local.", "SOA")]
    dug = dig(shops, SHOP, rtype)
    assert (dug.status, dug.answer, len(dug.authority)) == ("NOERROR", [], 1)
