"""Resolvers that are not ours, each asked the way its users do: from a name to the address and port that were registered.

dnspython, Node's own (c-ares inside), and c-ares by pycares, whose getaddrinfo does what glibc's does.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterator
from typing import Any

import dns.resolver
import pycares
import pytest

from tests.stories.node_js import node
from tests.stories.process import LIMIT, Discovery, running

Endpoint = tuple[str, int]

SERVICES: dict[str, set[Endpoint]] = {
    "shop": {("10.1.2.3", 8080)},
    "shop6": {("2001:db8::7", 9090)},
    "both": {("10.1.2.4", 80), ("10.1.2.5", 81), ("2001:db8::8", 82)},
}


@pytest.fixture(scope="module")
def shops() -> Iterator[Discovery]:
    with running(HEARTBEAT_TIMEOUT_SECONDS=600) as server:
        for name, endpoints in SERVICES.items():
            for ip, port in endpoints:
                server.register(name, ip, port, metadata={"version": "1.0.0", "equals": "a=b"})
        yield server


def by_dnspython(server: Discovery, name: str) -> set[Endpoint]:
    """SRV, then both kinds of addresses of each target."""
    resolver = _dnspython(server)
    return {
        (address.to_text(), srv.port)
        for srv in resolver.resolve(name, "SRV")
        for address in _addresses(resolver, srv.target)
    }


def by_node(server: Discovery, name: str) -> set[Endpoint]:
    [targets] = _node(server, "resolveSrv", name)
    calls = [text for target in targets for kind in ("4", "6") for text in (f"resolve{kind}", target["name"])]
    found = _node(server, *calls)
    return {
        (ip, target["port"])
        for index, target in enumerate(targets)
        for ips in found[2 * index : 2 * index + 2]
        if ips != {"code": "ENODATA"}
        for ip in ips
    }


def by_cares(server: Discovery, name: str) -> set[Endpoint]:
    endpoints = set()
    targets, error = _cares(server, name, pycares.QUERY_TYPE_SRV)
    assert error is None
    for srv in targets:
        for rtype in (pycares.QUERY_TYPE_A, pycares.QUERY_TYPE_AAAA):
            found, error = _cares(server, srv.target, rtype)
            assert error in (None, pycares.errno.ARES_ENODATA)
            endpoints |= {(address.addr, srv.port) for address in found}
    return endpoints


@pytest.mark.parametrize("name", SERVICES)
@pytest.mark.parametrize("resolve", [by_dnspython, by_node, by_cares])
@pytest.mark.parametrize("form", ["{}.svc.local", "_{}._tcp.svc.local"])
def test_srv_leads_to_the_registered_addresses_and_ports(
    shops: Discovery, resolve: Callable[[Discovery, str], set[Endpoint]], name: str, form: str
) -> None:
    assert resolve(shops, form.format(name)) == SERVICES[name]


@pytest.mark.parametrize("name", SERVICES)
def test_getaddrinfo_of_cares_gives_the_addresses_of_both_families(shops: Discovery, name: str) -> None:
    result: list[Any] = []
    channel = _channel(shops)
    channel.getaddrinfo(
        f"{name}.svc.local", 3001, family=socket.AF_UNSPEC, type=socket.SOCK_STREAM,
        callback=lambda found, error: result.append((found, error)),
    )  # fmt: skip
    assert channel.wait(LIMIT)
    channel.close()
    [(found, error)] = result
    assert error is None
    assert {(node.addr[0].decode(), node.addr[1]) for node in found.nodes} == {(ip, 3001) for ip, _ in SERVICES[name]}
    assert all(0 < node.ttl <= 5 for node in found.nodes)


def test_dnspythons_resolve_name_gives_the_addresses_of_both_families(shops: Discovery) -> None:
    found = _dnspython(shops).resolve_name("both.svc.local", family=socket.AF_UNSPEC)
    assert set(found.addresses()) == {ip for ip, _ in SERVICES["both"]}


@pytest.mark.parametrize("name", SERVICES)
def test_nodes_resolve4_and_resolve6_give_the_addresses_of_their_family(shops: Discovery, name: str) -> None:
    for version in (4, 6):
        [found] = _node(shops, f"resolve{version}", f"{name}.svc.local")
        expected = {ip for ip, _ in SERVICES[name] if ipaddress.ip_address(ip).version == version}
        assert (set(found) == expected) if expected else (found == {"code": "ENODATA"})


def test_dnspython_and_node_follow_the_alias_of_host_names(shops: Discovery) -> None:
    host = "ip-10-1-2-3-p8080.shop.svc.local"
    assert shops.request("PUT", "/instances", {"name": "db", "ip": host, "port": 5432}).status == 201
    found = _dnspython(shops).resolve("db.svc.local", "A")
    assert (found.canonical_name.to_text(True), [address.to_text() for address in found]) == (host, ["10.1.2.3"])
    assert _node(shops, "resolve4", "db.svc.local") == [["10.1.2.3"]]
    assert by_dnspython(shops, "_db._tcp.svc.local") == {("10.1.2.3", 5432)}


def test_txt_is_the_metadata_as_key_value_strings(shops: Discovery) -> None:
    assert _node(shops, "resolveTxt", "shop.svc.local") == [[["version=1.0.0", "equals=a=b"]]]
    [record] = _dnspython(shops).resolve("shop.svc.local", "TXT")
    assert record.strings == (b"version=1.0.0", b"equals=a=b")


def test_each_tells_an_unknown_service_from_one_without_such_an_address(shops: Discovery) -> None:
    with pytest.raises(dns.resolver.NXDOMAIN):
        _dnspython(shops).resolve("nobody.svc.local", "A")
    with pytest.raises(dns.resolver.NoAnswer):
        _dnspython(shops).resolve("shop.svc.local", "AAAA")
    assert _node(shops, "resolve4", "nobody.svc.local", "resolve6", "shop.svc.local") == [
        {"code": "ENOTFOUND"},
        {"code": "ENODATA"},
    ]
    assert _cares(shops, "nobody.svc.local", pycares.QUERY_TYPE_A) == ([], pycares.errno.ARES_ENOTFOUND)
    assert _cares(shops, "shop.svc.local", pycares.QUERY_TYPE_AAAA) == ([], pycares.errno.ARES_ENODATA)


def _dnspython(server: Discovery) -> dns.resolver.Resolver:
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = ["127.0.0.1"]
    resolver.port = server.dns_port
    resolver.lifetime = LIMIT
    return resolver


def _addresses(resolver: dns.resolver.Resolver, target: Any) -> Iterator[Any]:
    for rtype in ("A", "AAAA"):
        yield from resolver.resolve(target, rtype, raise_on_no_answer=False)


def _node(server: Discovery, *calls: str) -> Any:
    return node("lookup.js", f"127.0.0.1:{server.dns_port}", *calls)


def _channel(server: Discovery) -> pycares.Channel:
    """Neither /etc/hosts nor search domains; the server with its port, for UDP and TCP."""
    return pycares.Channel(servers=[f"127.0.0.1:{server.dns_port}"], lookups="b", domains=[], timeout=LIMIT, tries=1)


def _cares(server: Discovery, name: str, rtype: int) -> tuple[list[Any], int | None]:
    """The records' data, and the c-ares error."""
    result: list[tuple[Any, int | None]] = []
    channel = _channel(server)
    channel.query(name, rtype, callback=lambda found, error: result.append((found, error)))
    assert channel.wait(LIMIT)
    channel.close()
    [(found, error)] = result
    return [record.data for record in found.answer] if error is None else [], error
