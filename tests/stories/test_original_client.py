"""The original registry's Node.js client, unchanged: register, beat, resolve, deregister, and what happens when it dies."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from typing import IO

import dns.rcode
import pytest

from tests.stories.node_js import node, node_running
from tests.stories.process import LIMIT, Discovery, running, until

BEAT_MS = "100"


@pytest.fixture
def registry(request: pytest.FixtureRequest) -> Iterator[Discovery]:
    """A test's parameter is the timeout in seconds. Six of cleanup interval, so that nobody misses the state between."""
    with running(HEARTBEAT_TIMEOUT_SECONDS=getattr(request, "param", 600), CLEANUP_INTERVAL_SECONDS=6) as server:
        yield server


@pytest.fixture
def client(registry: Discovery) -> Iterator[subprocess.Popen[str]]:
    """The seed's client as user-service at 127.0.0.1:3001; it has registered."""
    with node_running("service.js", registry.http, "user-service", "3001", BEAT_MS) as process:
        assert _output(process).readline() == "registered\n"
        yield process


@pytest.mark.usefixtures("client")
def test_a_registered_service_resolves_to_its_ip_and_port(registry: Discovery) -> None:
    assert node("resolve.js", registry.http, "user-service") == {"ip": "127.0.0.1", "port": 3001}
    assert node("resolve.js", registry.http, "order-service") == {"status": 404}
    [instance] = registry.request("GET", "/resolve/user-service").body["instances"]
    assert instance["metadata"]["version"] == "1.0.0"
    assert set(instance["metadata"]) == {"version", "startTime"}
    assert [str(record) for record in _a(registry)] == ["127.0.0.1"]


@pytest.mark.parametrize("registry", [6], indirect=True)
@pytest.mark.usefixtures("client")
def test_heartbeats_keep_it_alive_past_the_timeout(registry: Discovery) -> None:
    def heartbeats() -> int:
        assert registry.request("GET", "/resolve/user-service").status == 200
        assert len(_a(registry)) == 1
        return int(registry.request("GET", "/stats").body["totalHeartbeats"])

    until(lambda: heartbeats() * int(BEAT_MS) > 6500)
    assert not [line for line in registry.log if "unhealthy" in line]


def test_sigint_deregisters_it_at_once(registry: Discovery, client: subprocess.Popen[str]) -> None:
    client.send_signal(signal.SIGINT)
    assert client.wait(LIMIT) == 0
    assert "deregistered" in _output(client).read().split()
    assert registry.request("GET", "/resolve/user-service").status == 404
    assert registry.ask("user-service.svc.local").rcode() == dns.rcode.NXDOMAIN
    assert registry.request("GET", "/services").body["services"] == {}


@pytest.mark.parametrize("registry", [2], indirect=True)
def test_killed_it_turns_unhealthy_and_is_removed_later(registry: Discovery, client: subprocess.Popen[str]) -> None:
    client.kill()
    client.wait(LIMIT)

    until(lambda: registry.request("GET", "/resolve/user-service").status == 404)
    reply = registry.ask("user-service.svc.local")
    assert (reply.rcode(), reply.answer) == (dns.rcode.NOERROR, []), "known, nothing healthy"
    assert [rrset.ttl for rrset in reply.authority] == [2]
    listed = registry.request("GET", "/services").body["services"]["user-service"]
    assert (listed["instanceCount"], listed["healthyCount"]) == (1, 0)
    assert (listed["instances"][0]["isHealthy"], listed["instances"][0]["status"]) == (False, "unhealthy")

    until(lambda: registry.ask("user-service.svc.local").rcode() == dns.rcode.NXDOMAIN)
    assert registry.request("GET", "/services").body["services"] == {}
    assert registry.request("GET", "/resolve/user-service").status == 404
    assert registry.heartbeat("user-service").status == 404
    assert registry.request("GET", "/stats").body["totalCleanups"] == 1


def test_two_clients_are_two_instances_and_one_that_leaves_leaves_the_other(
    registry: Discovery, client: subprocess.Popen[str]
) -> None:
    with node_running("service.js", registry.http, "user-service", "3002", BEAT_MS) as other:
        assert _output(other).readline() == "registered\n"
        assert registry.request("GET", "/resolve/user-service").body["instanceCount"] == 2
        client.send_signal(signal.SIGINT)
        assert client.wait(LIMIT) == 0
        assert node("resolve.js", registry.http, "user-service") == {"ip": "127.0.0.1", "port": 3002}


def _output(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdout is not None
    return process.stdout


def _a(registry: Discovery) -> list[object]:
    return [record for rrset in registry.ask("user-service.svc.local").answer for record in rrset]
