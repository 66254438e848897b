"""A browser's way by DNS-SD (RFC 6763): domain → types → instances → SRV, TXT and address; with dnspython, then by dig and kdig."""

from __future__ import annotations

import dns.message
import dns.name
import dns.query
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest
from dns.rdtypes.ANY.PTR import PTR
from dns.rdtypes.ANY.TXT import TXT
from dns.rdtypes.IN.SRV import SRV

from tests.stories.dig import dig
from tests.stories.process import LIMIT, Discovery
from tests.stories.standards.clients import kdig, rdata, section

ZONES = ["svc.local", "legacy.example", "consul"]
INSTANCES = {"10.0.0.1 8080", "10.0.0.2 8080", "2001:db8::1 8080"}


def ask(server: Discovery, name: str, rtype: str) -> dns.message.Message:
    """Over UDP, and over TCP what is cut there."""
    query = dns.message.make_query(name, rtype, use_edns=0, payload=1232)
    return dns.query.udp_with_fallback(query, "127.0.0.1", LIMIT, server.dns_port)[0]


def pointers(server: Discovery, name: str) -> list[dns.name.Name]:
    [rrset] = ask(server, name, "PTR").answer
    return [record.target for record in rrset if isinstance(record, PTR)]


def browse(server: Discovery, domain: str, service_type: str) -> dict[str, TXT]:
    """`ADDRESS PORT` of each instance of the type and its TXT, every step by a query of its own."""
    found = {}
    for instance in pointers(server, f"{service_type}.{domain}"):
        [srv] = ask(server, str(instance), "SRV").answer[0]
        [txt] = ask(server, str(instance), "TXT").answer[0]
        assert isinstance(srv, SRV)
        assert isinstance(txt, TXT)
        answers = [ask(server, str(srv.target), rtype).answer for rtype in ("A", "AAAA")]
        [address] = [record for answer in answers for rrset in answer for record in rrset]
        found[f"{address} {srv.port}"] = txt
    return found


@pytest.mark.parametrize("zone", ZONES)
def test_from_the_domain_to_the_address_each_step_leads_to_the_next(shops: Discovery, zone: str) -> None:
    assert pointers(shops, f"b._dns-sd._udp.{zone}") == [dns.name.from_text(zone)]
    types = pointers(shops, f"_services._dns-sd._udp.{zone}")
    expected = {"_shop._tcp", "_admin._tcp", "_syslog._udp", "_web._tcp", "_only4._tcp", "_only6._tcp"}
    assert set(map(str, types)) == {f"{one}.{zone}." for one in expected}, (
        "a service without a healthy instance is no choice"
    )
    assert len(types) == len(expected)
    found = browse(shops, zone, "_shop._tcp")
    assert set(found) == INSTANCES
    for txt in found.values():
        assert next(iter(txt.strings)) == b"txtvers=1", "RFC 6763 §6.7: first"
    assert list(found["10.0.0.1 8080"].strings) == [b"txtvers=1", b"version=1.0", b"equals=a=b"]
    assert set(browse(shops, zone, "_syslog._udp")) == {"10.0.0.9 514"}


@pytest.mark.parametrize("name", ["b", "lb", "db"])
def test_rfc6763_11_the_domains_to_browse_are_the_zone_itself(shops: Discovery, name: str) -> None:
    assert dig(shops, f"{name}._dns-sd._udp.svc.local", "PTR").rdata == {"svc.local."}


def additional(reply: dns.message.Message) -> set[tuple[str, str]]:
    return {(str(rrset.name), dns.rdatatype.to_text(rrset.rdtype)) for rrset in reply.additional}


def test_rfc6763_12_1_a_ptr_brings_srv_txt_and_address(shops: Discovery) -> None:
    reply = ask(shops, "_shop._tcp.svc.local", "PTR")
    for instance in pointers(shops, "_shop._tcp.svc.local"):
        [srv] = reply.find_rrset(reply.additional, instance, rdtype=dns.rdatatype.SRV, rdclass=dns.rdataclass.IN)
        assert isinstance(srv, SRV)
        kind = "AAAA" if "2001" in str(instance) else "A"
        assert {(str(instance), "SRV"), (str(instance), "TXT"), (str(srv.target), kind)} <= additional(reply)
    assert len(additional(reply)) == 3 * len(INSTANCES)


def test_rfc6763_12_2_an_srv_brings_the_address(shops: Discovery) -> None:
    printed = kdig(shops, "ip-10-0-0-1-p8080._shop._tcp.svc.local", "SRV")
    assert rdata(printed) == {"10 100 8080 ip-10-0-0-1-p8080.shop.svc.local."}
    assert section(printed, "ADDITIONAL") == {("ip-10-0-0-1-p8080.shop.svc.local.", "A", "10.0.0.1")}


@pytest.mark.parametrize(
    ("tag", "ports"), [("blue", {"10.0.0.1 8080", "2001:db8::1 8080"}), ("green", {"10.0.0.2 8080"})]
)
@pytest.mark.parametrize("zone", ZONES)
def test_rfc6763_7_1_a_subtype_lists_the_instances_with_that_tag(
    shops: Discovery, zone: str, tag: str, ports: set[str]
) -> None:
    assert set(browse(shops, zone, f"_{tag}._sub._shop._tcp")) == ports
    targets = pointers(shops, f"_{tag}._sub._shop._tcp.{zone}")
    assert {tuple(target.labels)[1:3] for target in targets} == {(b"_shop", b"_tcp")}, (
        "the instances' names are the type's own"
    )


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("_sub._shop._tcp", "NOERROR"),
        ("_tcp", "NOERROR"),
        ("_udp", "NOERROR"),
        ("_dns-sd._udp", "NOERROR"),
        ("_gone._tcp", "NOERROR"),
        ("_nobody._tcp", "NXDOMAIN"),
        ("_red._sub._shop._tcp", "NXDOMAIN"),
        ("_shop._udp", "NXDOMAIN"),
        ("ip-10-0-0-9-p1._shop._tcp", "NXDOMAIN"),
        ("x._dns-sd._udp", "NXDOMAIN"),
    ],
)
def test_what_is_not_there_to_browse_is_said_truly(shops: Discovery, name: str, status: str) -> None:
    dug = dig(shops, f"{name}.svc.local", "PTR")
    assert (dug.status, dug.answer, len(dug.authority)) == (status, [], 1)
