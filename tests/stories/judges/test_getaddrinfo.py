"""glibc's resolver, as every program that calls getaddrinfo has it, with our server as its only name server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stories.judges.namespace import Namespace, namespace

NOT_FOUND = 2  # getent's exit status


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Namespace]:
    with namespace(tmp_path_factory.mktemp("glibc"), HEARTBEAT_TIMEOUT_SECONDS=600) as inside:
        inside.register("user-service", "10.0.0.1", 3001, tags=["blue"])
        inside.register("user-service", "10.0.0.2", 3002)
        inside.register("user-service", "2001:db8::1", 3001, tags=["blue"])
        inside.register("syslog", "10.0.0.9", 514, protocol="udp")
        yield inside


@pytest.mark.parametrize(
    ("database", "name", "expected"),
    [
        pytest.param("ahosts", "user-service.svc.local", {"10.0.0.1", "10.0.0.2", "2001:db8::1"}, id="both families"),
        pytest.param("ahostsv4", "user-service.svc.local", {"10.0.0.1", "10.0.0.2"}, id="IPv4"),
        pytest.param("ahostsv6", "blue.user-service.svc.local", {"2001:db8::1"}, id="IPv6"),
        pytest.param(
            "ahosts", "syslog.svc.local", {"10.0.0.9"}, id="a service without IPv6: half the question is NODATA"
        ),
        pytest.param(
            "ahosts", "USER-Service.SVC.local.", {"10.0.0.1", "10.0.0.2", "2001:db8::1"}, id="any case, a dot"
        ),
        pytest.param("ahosts", "user-service", {"10.0.0.1", "10.0.0.2", "2001:db8::1"}, id="by the search list"),
        pytest.param("ahosts", "p3002.user-service", {"10.0.0.2"}, id="with a dot, by the search list after REFUSED"),
        pytest.param("ahosts", "registry.svc.local", {"127.0.0.1"}, id="a fixed record"),
    ],
)
def test_getaddrinfo_gives(inside: Namespace, database: str, name: str, expected: set[str]) -> None:
    lines = inside.run("getent", database, name).stdout.splitlines()
    found = {line.split()[0] for line in lines}
    assert {ip.removeprefix("::ffff:") for ip in found} == expected


@pytest.mark.parametrize(
    ("database", "name"),
    [
        pytest.param("ahosts", "nobody.svc.local", id="NXDOMAIN"),
        pytest.param("ahosts", "_tcp.svc.local", id="NODATA"),
        pytest.param("ahosts", "example.com.", id="REFUSED"),
    ],
)
def test_getaddrinfo_finds_nothing(inside: Namespace, database: str, name: str) -> None:
    done = inside.run("getent", database, name, check=False)
    assert (done.returncode, done.stdout) == (NOT_FOUND, "")


def test_a_reverse_lookup_gives_the_instance(inside: Namespace) -> None:
    assert inside.run("getent", "hosts", "10.0.0.2").stdout.split() == [
        "10.0.0.2",
        "ip-10-0-0-2-p3002.user-service.svc.local",
    ]


def test_curl_reaches_a_service_by_its_name(inside: Namespace) -> None:
    """The registry itself, registered as a service. It answers to its own names alone: a service's is none of them."""
    port = inside.server.port
    inside.register("itself", "127.0.0.1", port)
    assert inside.fetch(f"http://itself.svc.local:{port}/health", "-H", "Host: localhost")["status"] == "healthy"
