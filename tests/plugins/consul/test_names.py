"""Consul's names in DNS. The registrations and the questions are those of a recording of Consul 1.8.7 (dns.jsonl): every answer about
addresses and ports is the same, but for what is listed here; where Consul only errs, with CONSUL_DNS_COMPAT alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest

from discovery.plugins.consul.names import ADDR, NODE, SERVICE, Asked, asked_for
from tests.dns.world import data, records
from tests.stories.process import LIMIT, Discovery, running

DNS = [json.loads(line) for line in (Path(__file__).parent / "dns.jsonl").read_text().splitlines()]
# Why ours is another one: how the name ends, or the whole of it.
DIFFERS = {
    "consul.service.consul": "nobody registered Consul itself",
    "consul.service.dc1.consul": "nobody registered Consul itself",
    "mesh.connect.consul": "there is no mesh",
    "with\\032space.service.consul": "a name with a blank is found here, if somebody asks for it",
    "four.service.consul": "Consul gives three answers to who has no EDNS",
    "twohosts.service.consul": "one of the two, drawn",
    "0a000001.addr.nowhere.consul": "there is one data center",
    "d8b4d1fc-c30b-457b-d345-21d78823227c.node.consul": "a node is found by its name alone",
    "nothex.addr.dc1.consul": "no address, so no name",
    "0a0000.addr.dc1.consul": "no address, so no name",
}
# Names on the way to others exist (RFC 8020), and the zone's own.
EXIST = {
    "consul",
    "service.consul",
    "node.consul",
    "addr.consul",
    "dc1.consul",
    "service.dc1.consul",
    "ns.consul",
    "_web.service.consul",
}
# Nothing healthy, or a port of 0: what DNS says, unless CONSUL_DNS_COMPAT is set.
ERRS = {"dead.service.consul", "_dead._tcp.service.consul", "maint.service.consul"}
NO_PORT = {"noport.service.consul", "nothing.service.consul"}


def consul(server: Discovery, method: str, path: str, body: Any = None) -> None:
    reply = server.request(method, f"/v1{path}", body)
    assert reply.status == 200, reply


def told(server: Discovery) -> None:
    """The registrations of the recording."""

    def register(id: str, name: str, address: str | None = None, port: int | None = None, **more: Any) -> None:
        said = {"ID": id, "Name": name, "Address": address, "Port": port, **more}
        check = {"TTL": "24h", "Status": said.pop("status", "passing")}
        consul(server, "PUT", "/agent/service/register", {"Check": check, **said})

    register("web-1", "web", "10.0.0.1", 8080, Tags=["v1", "Primary"], Weights={"Passing": 10, "Warning": 2})
    register("web-2", "web", "10.0.0.2", 8081, Tags=["v2"])
    register("web-3", "web", "10.0.0.3", 8080, status="critical", Tags=["v1"])
    register("warn-1", "warned", "10.0.0.11", 80, status="warning", Weights={"Passing": 10, "Warning": 2})
    register("noport-1", "noport", "10.0.0.4")
    register("noaddr-1", "noaddr", None, 81)
    register("bare-1", "nothing")
    register("host-1", "hosted", "db.example.com", 5432)
    register("hostin-1", "inside", "node-1.node.consul", 5432)
    register("two-h1", "twohosts", "a.example.com", 1)
    register("two-h2", "twohosts", "b.example.com", 2)
    register("six-1", "six", "2001:db8::1", 80)
    register("mix-4", "mixed", "10.0.0.21", 80)
    register("mix-6", "mixed", "2001:db8::21", 80)
    register("dead-1", "dead", "10.0.0.5", 80, status="critical")
    register("same-1", "same", "10.0.0.7", 80)
    register("same-2", "same", "10.0.0.7", 81)
    register("same-3", "same", "10.0.0.7", 80)
    for name, number in (("odd_name", 8), ("a.b", 9), ("UPPER", 10), ("with space", 12), ("über", 13), ("l" * 64, 14)):
        register(f"odd-{number}", name, f"10.0.0.{number}", 80)
    register("tag-1", "tagged", "10.0.0.15", 80, Tags=["traefik.enable=true", "under_score", "UP", "tcp"])
    register("wan-1", "wan", "10.0.0.16", 80)
    register("meta-1", "meta", "10.0.0.17", 80, Meta={"version": "1.2.3"})
    register("maint-1", "maint", "10.0.0.18", 80)
    consul(server, "PUT", "/agent/service/maintenance/maint-1?enable=true&reason=disk")
    register("nocheck-1", "nocheck", "10.0.0.19", 80, Check=None)
    register("mesh-1", "mesh", "10.0.0.20", 80)
    for number in range(1, 61):
        register(f"many-{number}", "many", f"10.1.0.{number}", 9000 + number)
    for number in range(1, 5):
        register(f"four-{number}", "four", f"10.2.0.{number}", 80)
    for node, address in (
        ("bare", "192.0.2.10"), ("host-node", "www.example.com"), ("six-node", "2001:db8::9"), ("under_node", "192.0.2.12"),
        ("dot.node", "192.0.2.13"),
    ):  # fmt: skip
        consul(server, "PUT", "/catalog/register", {"Node": node, "Address": address})
    service = {"ID": "ext-1", "Service": "extdb", "Port": 5432}
    consul(server, "PUT", "/catalog/register", {"Node": "ext", "Address": "192.0.2.9", "Service": service})


class Asker(NamedTuple):
    server: Discovery
    compat: bool

    def __call__(self, name: str, rtype: str = "A", **options: Any) -> dns.message.Message:
        query = dns.message.make_query(name, rtype, **options)
        return dns.message.from_wire(
            dns.query.udp(query, "127.0.0.1", LIMIT, self.server.dns_port).to_wire(), one_rr_per_rrset=True
        )


@pytest.fixture(scope="module", params=[False, True], ids=["DNS", "compat"])
def ask(request: Any) -> Iterator[Asker]:
    with running(
        CONSUL="true", CONSUL_DNS_COMPAT=str(request.param).lower(), DNS_DOMAIN="svc.local,consul",
        CONSUL_NODES="127.0.0.1=node-1", CONSUL_ADVERTISE="127.0.0.1",
    ) as server:  # fmt: skip
        told(server)
        yield Asker(server, request.param)
        assert "Traceback" not in "\n".join(server.log)


def expected(name: str, rtype: str, rcode: str, answer: list[str], compat: bool) -> tuple[str, list[str]]:
    """What we say where Consul says that."""
    name = name.lower()
    kind = "ADDR" if ".addr." in name else ""
    if name in EXIST or (not compat and name in ERRS):
        return "NOERROR", []
    if not compat and name in NO_PORT and rtype == "SRV":
        return "NOERROR", []
    if kind and not any(each.startswith(f"{rtype} ") for each in answer):
        return "NOERROR", []  # it has an address of one family
    if name.startswith("nobody.node") or ".nowhere." in name:
        return "NXDOMAIN", []
    if name == "inside.service.consul" and rtype == "AAAA":
        return rcode, answer[-1:]
    return rcode, answer


def test_every_recorded_answer_is_the_same_but_for_what_is_listed(ask: Asker) -> None:
    wrong = []
    for name, rtype, rcode, answer in DNS:
        if name.lower() in DIFFERS:
            continue
        reply = ask(name, rtype)
        said = dns.rcode.to_text(reply.rcode()), sorted(f"{each.type} {each.data}" for each in records(reply.answer))
        if name != "ns.consul" and said != expected(name, rtype, rcode, sorted(answer), ask.compat):
            wrong.append((name, rtype, said, rcode, answer))
    assert wrong == []
    assert sum(row[0].lower() not in DIFFERS for row in DNS) > 0.8 * len(DNS)


def test_what_is_beside_srv_is_the_targets_addresses_alone(ask: Asker) -> None:
    """Consul's TXT there makes HAProxy stop reading."""
    reply = ask("_web._tcp.service.consul", "SRV")
    beside = {(each.name, each.type, each.data) for each in records(reply.additional)}
    assert beside == {(f"0a00000{number}.addr.dc1.consul", "A", f"10.0.0.{number}") for number in (1, 2)}
    assert data(ask("extdb.service.consul", "SRV").answer) == ["1 1 5432 ext.node.dc1.consul."]
    assert data(ask("hosted.service.consul", "SRV").additional) == []
    assert data(ask("same.service.consul", "SRV").additional) == ["10.0.0.7"], "two have this target"


def test_what_is_cut_has_no_tc_and_is_the_same_each_time_until_something_changes(ask: Asker) -> None:
    whole = data(ask("many.service.consul", "SRV", use_edns=0, payload=8192).answer)
    assert len(whole) == 60
    orders, cut = set(), set()
    for _ in range(20):
        reply = ask("many.service.consul", "SRV", use_edns=0, payload=1232)
        assert not reply.flags & dns.flags.TC
        orders.add(tuple(data(reply.answer)))
        cut.add(frozenset(data(reply.answer)))
    [part] = cut
    assert len(orders) > 1
    assert 19 <= len(part) < 60
    gone = next(iter(part))
    consul(ask.server, "PUT", f"/agent/service/deregister/many-{int(gone.split()[2]) - 9000}")
    after = set(data(ask("many.service.consul", "SRV", use_edns=0, payload=1232).answer))
    assert len(part & after) == len(part) - 1, "one is gone, another has its place"
    number = int(gone.split()[2]) - 9000
    again = {"ID": f"many-{number}", "Name": "many", "Address": f"10.1.0.{number}", "Port": 9000 + number}
    consul(ask.server, "PUT", "/agent/service/register", again)


def test_no_empty_answer_is_without_its_reason(ask: Asker) -> None:
    for name, rtype, said in (
        ("dead.service.consul", "A", "dead is known, 0 of 1 healthy"),
        ("nobody.service.consul", "A", "no service nobody"),
        ("v9.web.service.consul", "A", "none of its 3 instances has the tag v9"),
        ("web.service.elsewhere.consul", "A", "the data center dc1"),
        ("web.service.consul", "AAAA", "web exists, no IPv6 instance"),
        ("nobody.node.consul", "A", "no host"),
    ):
        [option] = ask(name, rtype, use_edns=0).options
        assert said in option.text
    assert "DNS_DOMAIN" in "\n".join(ask.server.log)


@pytest.mark.parametrize("address", ["a..b", "ü.example", "x" * 300, "-", "a" * 64 + ".example"])
def test_a_node_whose_address_or_name_is_no_name_of_dns_harms_nobody(ask: Asker, address: str) -> None:
    ask.server.request("PUT", "/v1/catalog/register", {"Node": "odd", "Address": address})
    assert dns.rcode.to_text(ask("odd.node.consul").rcode()) in ("NOERROR", "NXDOMAIN")
    service = {"ID": "odd", "Service": "oddly", "Port": 1}
    ask.server.request("PUT", "/v1/catalog/register", {"Node": address, "Address": "192.0.2.99", "Service": service})
    for rtype in ("A", "SRV"):
        assert len(ask("oddly.service.consul", rtype, use_edns=0).answer) <= 1


def test_a_services_name_is_no_host_name_of_an_instance(ask: Asker) -> None:
    for host, status in (("web.service.consul", 400), ("v1.web.service.dc1.consul", 400), ("node-1.node.consul", 201)):
        put = {"name": "loop", "ip": host, "port": 1}
        assert ask.server.request("PUT", "/instances", put).status == status


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("web.service", Asked(SERVICE, "web")),
        ("web.service.dc1", Asked(SERVICE, "web")),
        ("web.service.dc2", False),
        ("a.b.web.service", Asked(SERVICE, "web", "a.b")),
        ("_web._tcp.service", Asked(SERVICE, "web", None, True)),
        ("_web._v1.service", Asked(SERVICE, "web", "v1", True)),
        ("_web.service", True),
        ("_web.v1.service", False),
        ("dot.host.node.dc1", Asked(NODE, "dot.host")),
        ("0a000001.addr", Asked(ADDR, "0a000001")),
        ("a.b.addr", False),
        ("service", True),
        ("dc1", True),
        ("dc1.dc1", False),
        ("query", False),
        ("web.query", False),
        ("\xff.service", False),
    ],
)
def test_what_a_name_asks_for(name: str, asked: Asked | bool) -> None:
    assert asked_for(tuple(label.encode("latin-1") for label in name.split(".")), "dc1") == asked
