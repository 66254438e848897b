"""systemd-resolved finds our services with the lines that `discovery doctor` prints, and does not ask for them without `Domains=`."""

from __future__ import annotations

import re
from pathlib import Path

from tests.cli.live import discovery
from tests.stories.judges.namespace import Namespace
from tests.stories.judges.resolved import ELSEWHERE, STUB, resolved
from tests.stories.process import until

LINES = discovery("doctor", "--resolver", "systemd-resolved").out
ASK = ("dig", f"@{STUB}", "+tries=1", "+time=10")


def queries(host: Namespace, rcode: str = "") -> float:
    """That our server has answered so far; with `rcode`, so."""
    metrics = host.run("curl", "-sSf", f"{host.server.http}/metrics").stdout
    lines = re.findall(r"^discovery_dns_responses_total(\S*) (\S+)$", metrics, re.M)
    return sum(float(value) for labels, value in lines if rcode in labels.lower())


def test_programs_find_services_and_other_names_are_answered_by_the_network_s_own_server(tmp_path: Path) -> None:
    with resolved(tmp_path, LINES) as host:
        host.register("user-service", "10.0.0.9", 3001, ttl=600)
        found = host.run("getent", "hosts", "user-service.svc.local").stdout
        assert found.split() == ["10.0.0.9", "user-service.svc.local"]
        answer = host.run(*ASK, "+short", "SRV", "_user-service._tcp.svc.local").stdout
        assert answer.split()[2:] == ["3001", "ip-10-0-0-9-p3001.user-service.svc.local."]
        assert host.run("getent", "hosts", "nothing.svc.local", check=False).returncode == 2
        assert queries(host, "refused") == 0
        # It asks both; ours is the one that refuses, and the other's answer counts.
        assert host.run(*ASK, "+short", "www.example.com").stdout == f"{ELSEWHERE}\n"
        # The page of metrics is kept for a second; and where ours is late it is asked again.
        until(lambda: queries(host, "refused") >= 1)


def test_without_domains_it_takes_the_zone_for_multicast_and_asks_nobody_else(tmp_path: Path) -> None:
    lines = "".join(line for line in LINES.splitlines(keepends=True) if not line.startswith("Domains="))
    assert lines != LINES
    with resolved(tmp_path, lines) as host:
        host.register("user-service", "10.0.0.9", 3001, ttl=600)
        found = host.run("dig", f"@{STUB}", "+tries=1", "+time=2", "user-service.svc.local", check=False).stdout
        assert "10.0.0.9" not in found, "252 says that there is none, newer ones say nothing"
        assert queries(host) == 0
