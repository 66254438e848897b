"""unbound with a stub zone, as strict as it can be set, resolves us. `test_caches` has how long it keeps what it heard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.stories.dig import Dug
from tests.stories.fleet import SRV_1, SRV_2, SRV_6, register_fleet
from tests.stories.judges.daemon import dig_through
from tests.stories.judges.relay import Relay, relay
from tests.stories.judges.unbound import unbound
from tests.stories.process import Discovery, running, until

Ask = Callable[..., Dug]


@pytest.fixture(scope="module")
def server() -> Iterator[Discovery]:
    with running(HEARTBEAT_TIMEOUT_SECONDS=600, CLEANUP_INTERVAL_SECONDS=60, MAX_INSTANCES_PER_SERVICE=100) as server:
        register_fleet(server)
        yield server


@pytest.fixture(scope="module")
def between(server: Discovery) -> Iterator[Relay]:
    """What unbound asks us, written down."""
    with relay(server) as between:
        yield between


@pytest.fixture(scope="module")
def ask(server: Discovery, between: Relay, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """`dig` with these arguments, asking unbound."""
    with unbound(between.port, tmp_path_factory.mktemp("unbound")) as port:
        yield lambda *arguments: dig_through(server, port, *arguments)


@pytest.mark.parametrize(
    ("name", "rtype", "rdata"),
    [
        pytest.param("user-service", "A", {"10.0.0.1", "10.0.0.2"}, id="A"),
        pytest.param("user-service", "AAAA", {"2001:db8::1"}, id="AAAA"),
        pytest.param("user-service", "SRV", {SRV_1, SRV_2, SRV_6}, id="SRV of the service"),
        pytest.param("_user-service._tcp", "SRV", {SRV_1, SRV_2, SRV_6}, id="SRV by RFC 2782"),
        pytest.param("blue.user-service", "A", {"10.0.0.1"}, id="a tag"),
        pytest.param("p3002.user-service", "A", {"10.0.0.2"}, id="a port"),
        pytest.param("eu-1.zone.user-service", "AAAA", {"2001:db8::1"}, id="a locality"),
        pytest.param("ip-10-0-0-1-p3001.user-service", "A", {"10.0.0.1"}, id="an SRV target"),
        pytest.param("p3001.user-service", "TXT", {'"version=1.0.0"', '""'}, id="TXT"),
    ],
)
def test_unbound_resolves(ask: Ask, name: str, rtype: str, rdata: set[str]) -> None:
    reply = ask(f"{name}.svc.local", rtype)
    assert (reply.status, reply.rdata) == ("NOERROR", rdata)
    assert "ra" in reply.flags
    assert all(record.ttl <= 5 for record in reply.answer)


def test_unbound_browses_from_the_services_down_to_a_port(ask: Ask) -> None:
    assert "_user-service._tcp.svc.local." in ask("_services._dns-sd._udp.svc.local", "PTR").rdata
    instances = ask("_user-service._tcp.svc.local", "PTR").rdata
    assert len(instances) == 3
    ports = {ask(instance, "SRV").answer[0].rdata.split()[2] for instance in instances}
    assert ports == {"3001", "3002"}


def test_with_minimised_names_unbound_walks_over_names_without_records(ask: Ask, between: Relay) -> None:
    """RFC 9156: it asks for each name on the way; an NXDOMAIN there would end the walk (RFC 8020)."""
    reply = ask("_metrics._tcp.user-service.svc.local", "SRV")
    assert reply.rdata == {"0 30 9100 ip-10-0-0-1-p3001.user-service.svc.local."}
    names = [asked.lower.name for asked in between.asked]
    assert "_tcp.user-service.svc.local" in names
    assert names.index("_tcp.user-service.svc.local") < names.index("_metrics._tcp.user-service.svc.local")


def test_unbound_takes_the_echo_of_its_random_spelling_for_ours(server: Discovery, ask: Ask, between: Relay) -> None:
    """draft-vixie-dnsext-dns0x20: a reply in another spelling than the question's would be dropped and asked again, each time; one that is
    late is, too, now and then.
    """
    number = 0

    def is_asked_once() -> bool:
        nonlocal number
        number += 1
        server.register(f"spelt-{number}", "10.0.5.1", 1)
        assert ask(f"spelt-{number}.svc.local", "A").rdata == {"10.0.5.1"}
        return between.count(f"spelt-{number}.svc.local", "A") == 1

    until(is_asked_once)
    assert any(asked.name != asked.lower.name for asked in between.asked)


def test_with_the_alias_of_host_names_in_its_cache_unbound_still_finds_their_ports(server: Discovery, ask: Ask) -> None:
    host = "ip-10-0-0-1-p3001.user-service.svc.local"
    assert (
        server.request("PUT", "/instances", {"name": "db", "ip": host, "port": 5432, "ports": {"admin": 9}}).status
        == 201
    )
    for _ in range(2):  # the second is from its cache
        for rtype, rdata in (
            ("A", {f"{host}.", "10.0.0.1"}),
            ("AAAA", {f"{host}."}),
            ("TXT", {f"{host}.", '"version=1.0.0"'}),
        ):
            reply = ask("db.svc.local", rtype)
            assert (reply.status, reply.rdata) == ("NOERROR", rdata)
        assert ask("_db._tcp.svc.local", "SRV").rdata == {f"10 100 5432 {host}."}
        assert ask("_db._tcp.svc.local", "TXT").rdata == {'""'}
        assert ask("_admin._tcp.db.svc.local", "SRV").rdata == {f"10 100 9 {host}."}, (
            "below a CNAME there are other names"
        )


def test_what_does_not_fit_a_datagram_comes_whole_over_tcp(server: Discovery, tmp_path: Path) -> None:
    for port in range(1, 61):
        server.register("many", "10.0.4.1", port)
    assert "tc" in dig_through(server, server.dns_port, "many.svc.local", "SRV", "+ignore").flags
    with unbound(server.dns_port, tmp_path) as port:
        ports = {rdata.split()[2] for rdata in dig_through(server, port, "many.svc.local", "SRV").rdata}
    assert ports == {str(port) for port in range(1, 61)}


def test_no_name_outside_is_looked_up_by_this_unbound(ask: Ask, between: Relay) -> None:
    assert ask("example.com", "A").status == "REFUSED"
    assert {asked.lower.name for asked in between.asked if not asked.lower.name.endswith("svc.local")} == set()
