"""The JDK's own DNS client, JNDI's `dns://` provider. It sends no EDNS: what does not fit 512 octets it asks again over TCP."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.programs import program
from tests.stories.fleet import SRV_1, SRV_2, SRV_6, register_fleet
from tests.stories.process import Discovery, running, until

PROGRAM = Path(__file__).parent / "java" / "Ask.java"
MANY = range(1, 31)
# Seconds; the compiler runs first.
LIMIT_OF_JAVA = 180

FOUND: dict[str, set[str]] = {
    "A:user-service.svc.local": {"10.0.0.1", "10.0.0.2"},
    "AAAA:user-service.svc.local": {"2001:db8::1"},
    "SRV:user-service.svc.local": {SRV_1, SRV_2, SRV_6},
    "SRV:_user-service._tcp.svc.local": {SRV_1, SRV_2, SRV_6},
    "SRV:_syslog._udp.svc.local": {"0 30 514 ip-10-0-0-9-p514.syslog.svc.local."},
    "A:ip-10-0-0-2-p3002.user-service.svc.local": {"10.0.0.2"},
    "TXT:ip-10-0-0-1-p3001.user-service.svc.local": {"version=1.0.0"},
    "PTR:1.0.0.10.in-addr.arpa": {"ip-10-0-0-1-p3001.user-service.svc.local."},
    "NS:svc.local": {"ns.svc.local."},
    "SRV:many.svc.local": {f"10 100 {port} ip-10-0-9-1-p{port}.many.svc.local." for port in MANY},
}
# Known names without such a record: attributes, but none of that type.
NODATA = ["AAAA:syslog.svc.local", "SRV:registry.svc.local", "A:_tcp.svc.local", "A:dead.svc.local"]
REFUSALS = {
    "A:nobody.svc.local": "NameNotFoundException",
    "SRV:_nobody._tcp.svc.local": "NameNotFoundException",
    "A:outside.example": "OperationNotSupportedException",
}


@pytest.fixture(scope="module")
def answers() -> Iterator[dict[str, list[str]]]:
    """Of one run for all questions: how each ended, then its values."""
    with running(HEARTBEAT_TIMEOUT_SECONDS=600, CLEANUP_INTERVAL_SECONDS=600, MAX_INSTANCES_PER_SERVICE=100) as server:
        register_fleet(server)
        for port in MANY:
            server.register("many", "10.0.9.1", port)
        _let_die(server)
        command = [program("java"), str(PROGRAM), f"dns://127.0.0.1:{server.dns_port}", *FOUND, *NODATA, *REFUSALS]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_OF_JAVA, check=False)
        assert done.returncode == 0, done
        yield {line.split("\t")[0]: line.split("\t")[1:] for line in done.stdout.splitlines()}


def _let_die(server: Discovery) -> None:
    """`dead`, which stays listed."""
    server.register("dead", "10.0.0.66", 1, ttl=1)
    until(lambda: server.request("GET", "/resolve/dead").status == 404)


@pytest.mark.parametrize("question", FOUND)
def test_jndi_finds(answers: dict[str, list[str]], question: str) -> None:
    status, *values = answers[question]
    assert (status, set(values)) == ("found", FOUND[question])
    assert len(values) == len(FOUND[question])


@pytest.mark.parametrize("question", NODATA)
def test_jndi_finds_a_known_name_without_such_a_record(answers: dict[str, list[str]], question: str) -> None:
    assert answers[question] == ["found"]


@pytest.mark.parametrize("question", REFUSALS)
def test_jndi_throws(answers: dict[str, list[str]], question: str) -> None:
    assert answers[question] == [REFUSALS[question]]
