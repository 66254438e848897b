"""CLIENT_ZONES in a running server: dig from addresses in zones, dig and unbound with client subnets, and the file of the zones."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.live import discovery
from tests.stories.dig import Dug, dig
from tests.stories.judges.daemon import dig_through
from tests.stories.judges.unbound import unbound
from tests.stories.liveness.starting import refused
from tests.stories.process import Discovery, running, until
from tests.stories.standards.clients import failing_start

ZONES = "# the machines' networks\n127.0.1.0/24=eu-a\n127.0.2.0/24=eu-b\n127.0.2.128/25=eu-c\n"
NAME = "web.svc.local"


@pytest.fixture(name="file", scope="module")
def _file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("zones") / "client-zones"
    file.write_text(ZONES)
    return file


@pytest.fixture(scope="module")
def server(file: Path) -> Iterator[Discovery]:
    """The forwarder is at 127.0.0.1."""
    with running(
        CLIENT_ZONES=str(file), TRUSTED_FORWARDERS="127.0.0.1/32", HEARTBEAT_TIMEOUT_SECONDS=600, MAX_INSTANCES_PER_SERVICE=100
    ) as server:  # fmt: skip
        for number, zone in enumerate(("eu-a", "eu-b", "eu-c"), 1):
            for last in range(1, 4):
                server.register("web", f"10.{number}.0.{last}", 80, zone=zone)
        yield server


def zones(dug: Dug) -> set[str]:
    return {record.rdata.split(".")[1] for record in dug.answer}


def subnet(dug: Dug) -> str:
    [found] = [line for line in dug.edns or () if "CLIENT-SUBNET" in line]
    return found.partition(": ")[2].removeprefix("CLIENT-SUBNET: ")


def warnings(server: Discovery) -> list[str]:
    found = server.request("GET", "/ready").body["warnings"]
    return [each["text"] for each in found if each["code"] == "client_zones_failed"]


def test_addresses_are_those_of_the_askers_zone(server: Discovery) -> None:
    for source, zone in (("127.0.1.1", "1"), ("127.0.2.1", "2"), ("127.0.2.200", "3")):
        dug = dig(server, "-b", source, NAME)
        assert (zones(dug), len(dug.answer)) == ({zone}, 3)
        assert f"from eu-{'abc'[int(zone) - 1]}: 3 of 3 are healthy here, so none is from elsewhere" in dug.text
        assert "CLIENT-SUBNET" not in dig(server, "-b", source, "+subnet=127.0.2.0/25", NAME).text
        assert {text.split()[0] for text in dig(server, "-b", source, "+tcp", "SRV", NAME).rdata} == {"10", "11"}
    assert len(dig(server, NAME).answer) == 9


@pytest.mark.parametrize(
    ("asked", "scope", "found"),
    [
        ("127.0.1.0/24", "127.0.1.0/24/24", {"1"}),
        ("127.0.2.0/25", "127.0.2.0/25/25", {"2"}),
        ("127.0.2.192/26", "127.0.2.192/26/25", {"3"}),
        ("127.0.2.0/24", "127.0.2.0/24/25", {"1", "2", "3"}),
        ("127.0.9.0/24", "127.0.9.0/24/21", {"1", "2", "3"}),
        ("0", "0.0.0.0/0/0", {"1", "2", "3"}),
        ("2001:db8::/56", "2001:db8::/56/0", {"1", "2", "3"}),
    ],
)
def test_dig_reads_the_scope(server: Discovery, asked: str, scope: str, found: set[str]) -> None:
    dug = dig(server, f"+subnet={asked}", NAME)
    assert (subnet(dug), zones(dug)) == (scope, found)


def test_unbound_keeps_an_answer_for_each_zone(server: Discovery, tmp_path: Path) -> None:
    with unbound(server.dns_port, tmp_path, sends_subnets=True) as port:
        for _ in range(3):
            for source, zone in (("127.0.1.1", {"1"}), ("127.0.2.1", {"1", "2", "3"}), ("127.0.1.99", {"1"})):
                # A /24 is all that unbound tells, and 127.0.2.0/24 is in two zones.
                assert zones(dig_through(server, port, "-b", source, NAME)) == zone
            assert zones(dig_through(server, port, "-b", "127.0.9.1", NAME)) == {"1", "2", "3"}


def test_the_file_is_read_again_and_a_broken_one_is_named_and_changes_nothing(server: Discovery, file: Path) -> None:
    def first() -> set[str]:
        return zones(dig(server, "-b", "127.0.1.1", NAME))

    file.write_text("127.0.1.0/24=eu-b\n127.0.1.0/24=eu-b\nnonsense\n")
    until(lambda: len(warnings(server)) == 2)
    assert any(f"{file}:2: 127.0.1.0/24 is there twice" in text for text in warnings(server))
    assert any(f"{file}:3: 'nonsense' has no zone" in text for text in warnings(server))
    assert first() == {"1"}
    file.write_text("127.0.1.0/24=eu-b\n")
    server.process.send_signal(signal.SIGHUP)
    until(lambda: first() == {"2"})
    until(lambda: not warnings(server))
    file.write_text(ZONES)
    until(lambda: first() == {"1"})


@pytest.mark.parametrize(
    ("value", "says", "start"),
    [
        ("10.1.0.0/16=eu-a,10.1.0.0/16=eu-b", "10.1.0.0/16 is there twice, as eu-a and as eu-b", failing_start),
        ("10.1.0.0=", "'' is no zone", failing_start),
        ("/no/such/file", "CLIENT_ZONES: /no/such/file cannot be read", refused),
        ("{file}", ":1: 'nonsense' has no zone; write NETWORK=ZONE", refused),
    ],
)
def test_a_server_does_not_start_with_what_it_cannot_use_and_doctor_says_so(
    tmp_path: Path, value: str, says: str, start: Callable[..., str]
) -> None:
    (tmp_path / "zones.conf").write_text("nonsense\n")
    given = {"CLIENT_ZONES": value.format(file=tmp_path / "zones.conf"), "PORT": "0", "DNS_PORT": "0"}
    assert says in start(**given)
    done = discovery("doctor", **given)
    assert done.status != 0
    assert says in re.sub(r"\s+", " ", done.out + done.err)
