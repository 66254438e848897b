"""HAProxy with `server-template` and `resolvers`: the backend follows registrations and deaths, and requests go where it says."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.stories.judges.backends import backend, get
from tests.stories.judges.haproxy import TCP, UDP, HAProxy, haproxy
from tests.stories.process import Discovery, running

IP = "127.0.0.1"


@pytest.fixture
def server() -> Iterator[Discovery]:
    with running(HEARTBEAT_TIMEOUT_SECONDS=600, CLEANUP_INTERVAL_SECONDS=5, MAX_INSTANCES_PER_SERVICE=100) as server:
        yield server


@pytest.fixture
def proxy(server: Discovery, tmp_path: Path) -> Iterator[HAProxy]:
    with haproxy(server.dns_port, server.port, tmp_path) as proxy:
        yield proxy


@pytest.fixture
def ports() -> Iterator[list[int]]:
    """Of three services that answer."""
    with ExitStack() as stack:
        yield [stack.enter_context(backend()) for _ in range(3)]


def follows(proxy: HAProxy, *ports: int) -> None:
    """HAProxy comes to know exactly these, and each of them, no other, gets requests."""
    expected = {f"{IP}:{port}" for port in ports}
    proxy.running.until(lambda: proxy.up() == expected)
    replies = [get(proxy.url) for _ in range(8)]
    assert set(replies) == ({(200, address) for address in expected} or {(503, "")})


def test_the_backend_follows_registrations_and_deregistrations(
    server: Discovery, proxy: HAProxy, ports: list[int]
) -> None:
    first, second, third = ports
    follows(proxy)
    server.register("web", IP, first)
    server.register("web", IP, second)
    follows(proxy, first, second)
    assert server.request("DELETE", f"/services/web/instances?ip={IP}&port={first}").status == 200
    follows(proxy, second)
    server.register("web", IP, third)
    follows(proxy, second, third)


def test_what_sends_no_heartbeats_leaves_the_backend(server: Discovery, proxy: HAProxy, ports: list[int]) -> None:
    first, second, _ = ports
    server.register("web", IP, first)
    server.register("web", IP, second)
    follows(proxy, first, second)
    server.register("web", IP, second, ttl=1)
    follows(proxy, first)


def test_when_the_last_one_dies_nobody_gets_requests(server: Discovery, proxy: HAProxy, ports: list[int]) -> None:
    """The service is still listed, so the answer is NODATA and not NXDOMAIN."""
    server.register("web", IP, ports[0])
    follows(proxy, ports[0])
    server.register("web", IP, ports[0], ttl=1)
    follows(proxy)
    server.register("web", IP, ports[1])
    follows(proxy, ports[1])


@pytest.mark.parametrize(("way", "instances"), [(TCP, 100), (UDP, 20)])
def test_of_many_instances_none_is_ever_down(server: Discovery, tmp_path: Path, way: str, instances: int) -> None:
    """It takes TC for an error. 20 SRV records fit a datagram of 1232 octets without their addresses, for which it asks then."""
    expected = {f"{IP}:{20000 + number}" for number in range(instances)}
    for number in range(instances):
        server.register("web", IP, 20000 + number)
    with haproxy(server.dns_port, server.port, tmp_path, way) as proxy:
        proxy.running.until(lambda: proxy.up() == expected)
        until = time.monotonic() + 3  # it asks every second
        while time.monotonic() < until:
            assert proxy.up() == expected
            time.sleep(0.1)


@pytest.mark.parametrize("size", [4096, 1232])
def test_of_60_consul_instances_none_is_ever_down_over_udp(tmp_path: Path, size: int) -> None:
    """Consul's names say nothing of what was left out, and always the same is: it takes TC for an error, and what is missing for gone."""
    with running(CONSUL="true", CONSUL_ADVERTISE=IP, FACE_MAX_INSTANCES=60) as server:
        for number in range(60):
            body = {"ID": f"web-{number}", "Name": "web", "Address": f"10.1.0.{number + 1}", "Port": 20000 + number}
            assert server.request("PUT", "/v1/agent/service/register", body).status == 200
        with haproxy(server.dns_port, server.port, tmp_path, UDP, "._tcp.service.consul", size) as proxy:
            first = proxy.running.until(lambda: len(up := proxy.up()) >= (60 if size == 4096 else 19) and up)
            until = time.monotonic() + 4  # it asks every second
            while time.monotonic() < until:
                assert proxy.up() == first
                time.sleep(0.1)
            gone = min(first)
            number = int(gone.rpartition(":")[2]) - 20000
            assert server.request("PUT", f"/v1/agent/service/deregister/web-{number}").status == 200
            proxy.running.until(lambda: gone not in proxy.up())
            assert len(proxy.up() & first) == len(first) - 1


def test_its_default_health_check_of_the_registry_passes(proxy: HAProxy) -> None:
    """`option httpchk` without more asks `OPTIONS / HTTP/1.0`, without a Host."""
    proxy.running.until(lambda: proxy.checked() == "L7OK 200")
