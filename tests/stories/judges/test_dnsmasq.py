"""dnsmasq with `--server=/svc.local/…`: it resolves us, and keeps our answers, by its own statistics.

Measured with dnsmasq 2.91: it caches our answers although RA is clear in them (it sets RA in a reply before it looks at it),
and as well when we set it. Users of older ones (2.7x, in front of Consul) reported that it cached only with RA set; for them
there is `FORWARD_TO`, which sets RA for its clients.
Positive A, AAAA and SRV answers and negative ones are cached; TXT never is, whoever the server (`--cache-rr` would).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.stories.dig import Dug
from tests.stories.fleet import SRV_1, SRV_2, SRV_6, register_fleet
from tests.stories.judges.daemon import dig_through
from tests.stories.judges.dnsmasq import dnsmasq
from tests.stories.judges.relay import Relay, relay
from tests.stories.process import Discovery, running

# Nobody is there; it only has to be set.
NOWHERE = "127.0.0.1:9"


class Dnsmasq:
    def __init__(self, server: Discovery, port: int, between: Relay) -> None:
        self.server = server
        self.between = between
        self._port = port

    def ask(self, *arguments: str) -> Dug:
        return dig_through(self.server, self._port, *arguments)

    def statistic(self, name: str) -> int:
        [text] = self.ask("CH", "TXT", f"{name}.bind").rdata
        return int(text.strip('"'))

    def sent(self) -> int:
        """How many queries it sent to us; none of them failed."""
        [text] = self.ask("CH", "TXT", "servers.bind").rdata
        counted = re.fullmatch(rf'"127\.0\.0\.1#{self.between.port} (\d+) 0"', text)
        assert counted, text
        return int(counted[1])


@pytest.fixture(
    scope="module",
    params=[pytest.param({}, id="RA clear"), pytest.param({"FORWARD_TO": NOWHERE}, id="RA set")],
)
def asked(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dnsmasq]:
    folder: Path = tmp_path_factory.mktemp("dnsmasq")
    with running(HEARTBEAT_TIMEOUT_SECONDS=600, **request.param) as server, relay(server) as between:
        assert ("ra" in dig_through(server, server.dns_port, "svc.local", "SOA").flags) == bool(request.param)
        register_fleet(server)
        with dnsmasq(between.port, folder) as port:
            yield Dnsmasq(server, port, between)


@pytest.mark.parametrize(
    ("name", "rtype", "status", "rdata"),
    [
        pytest.param("user-service", "A", "NOERROR", {"10.0.0.1", "10.0.0.2"}, id="A"),
        pytest.param("user-service", "AAAA", "NOERROR", {"2001:db8::1"}, id="AAAA"),
        pytest.param("user-service", "SRV", "NOERROR", {SRV_1, SRV_2, SRV_6}, id="SRV"),
        pytest.param("_user-service._tcp", "SRV", "NOERROR", {SRV_1, SRV_2, SRV_6}, id="SRV by RFC 2782"),
        pytest.param("syslog", "AAAA", "NOERROR", set(), id="NODATA"),
        pytest.param("nobody", "A", "NXDOMAIN", set(), id="NXDOMAIN"),
    ],
)
def test_dnsmasq_answers_the_second_query_itself(
    asked: Dnsmasq, name: str, rtype: str, status: str, rdata: set[str]
) -> None:
    name += ".svc.local"
    insertions, misses, sent = asked.statistic("insertions"), asked.statistic("misses"), asked.sent()

    def reply() -> tuple[str, set[str]]:
        dug = asked.ask(name, rtype)
        return dug.status, dug.rdata

    assert reply() == (status, rdata)
    assert asked.statistic("insertions") > insertions
    hits = asked.statistic("hits")
    assert [reply(), reply()] == [(status, rdata)] * 2
    assert asked.statistic("hits") - hits == 3, "two, and the question for the statistic, which counts itself"
    assert asked.statistic("misses") - misses == 1
    assert asked.sent() - sent == 1
    assert asked.between.count(name, rtype) == 1, "as we have seen it"


def test_dnsmasq_passes_txt_on_each_time(asked: Dnsmasq) -> None:
    for times in (1, 2):
        assert asked.ask("p3001.user-service.svc.local", "TXT").rdata == {'"version=1.0.0"', '""'}
        assert asked.between.count("p3001.user-service.svc.local", "TXT") == times


def test_names_outside_are_refused_by_this_dnsmasq(asked: Dnsmasq) -> None:
    assert asked.ask("example.com", "A").status == "REFUSED"
    assert {asked.name for asked in asked.between.asked if not asked.lower.name.endswith("svc.local")} == set()
