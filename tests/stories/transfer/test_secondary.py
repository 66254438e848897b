"""Real secondaries, in a network without a way out: they transfer, answer with the same records, and follow what changes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from discovery.dns.zones.live import LIVE_TYPES
from tests.stories.judges.daemon import Daemon
from tests.stories.judges.namespace import Namespace, namespace
from tests.stories.transfer import keys
from tests.stories.transfer.secondaries import PORT, PRIMARY, bind, knot

ZONE = """$TTL 60
@ IN SOA ns hostmaster 0 {refresh} 1 604800 2
@ IN NS ns
ns IN A 127.0.0.1
printer IN A 192.0.2.9
lpd IN CNAME printer
*.wild IN TXT "anything"
"""
# Name below svc.local, type: what a primary and a secondary are asked.
QUESTIONS = [
    ("", "SOA"), ("", "NS"), ("printer", "A"), ("lpd", "CNAME"), ("x.wild", "TXT"),
    *(("web", kind.name) for kind in LIVE_TYPES), ("web", "MX"),
    ("_web._tcp", "SRV"), ("_web._tcp", "PTR"), ("_metrics._tcp.web", "SRV"), ("_tcp.web", "A"),
    ("ip-10-0-0-1-p80.web", "A"), ("ip-10-0-0-1-p80.web", "SRV"), ("ip-2001-db8--1-p80.web", "AAAA"),
    ("ip-10-0-0-1-p80._web._tcp", "TXT"), ("_services._dns-sd._udp", "PTR"), ("b._dns-sd._udp", "PTR"),
    ("_syslog._udp", "SRV"), ("nobody", "A"), ("nobody.web", "A"),
    # Host names alone, and no port.
    ("db", "A"), ("db", "SRV"), ("db", "CNAME"), ("_db._tcp", "SRV"), ("_db._tcp", "TXT"), ("_admin._tcp.db", "SRV"), ("_tcp.db", "A"),
    ("bare", "A"), ("bare", "SRV"), ("ip-10-0-0-8.bare", "A"),
]  # fmt: skip

Start = Callable[[Namespace, Path], AbstractContextManager[Daemon]]


class Reply(NamedTuple):
    status: str
    authoritative: bool
    answer: frozenset[str]


class Pair(NamedTuple):
    """A primary, and its secondary, which has the zone."""

    place: Namespace
    secondary: Daemon

    def ask(self, name: str, rtype: str, port: int = PORT) -> Reply:
        asked = f"{name}.svc.local" if name else "svc.local"
        options = ("+norecurse", "+noall", "+comments", "+answer", "+nocookie", "+tries=1", "+time=5")
        at = PRIMARY if port == 53 else "127.0.0.1"
        text = self.place.run("dig", "-r", f"@{at}", "-p", str(port), *options, asked, rtype).stdout
        [header] = [line for line in text.splitlines() if "HEADER" in line]
        [flags] = [line for line in text.splitlines() if line.startswith(";; flags:")]
        records = (" ".join(line.split()) for line in text.splitlines() if line and not line.startswith(";"))
        status = header.partition("status: ")[2].partition(",")[0]
        return Reply(status, " aa" in flags.partition(";; flags:")[2].partition(";")[0], frozenset(records))

    def serial(self, port: int = PORT) -> int:
        [soa] = self.ask("", "SOA", port).answer
        return int(soa.split()[6])

    def in_step(self) -> bool:
        return self.serial() == self.serial(53)


def register(place: Namespace) -> None:
    place.register(
        "web", "10.0.0.1", 80, ports={"metrics": 9100, "https": 443}, metadata={"version": "1.0", "scheme": "https"}
    )
    place.register("web", "10.0.0.2", 80, tags=["blue"])
    place.register("web", "2001:db8::1", 80)
    place.register("syslog", "10.0.0.9", 514, protocol="udp")
    for body in (
        {"name": "db", "ip": "db.example.com", "port": 5432, "ports": {"admin": 9}, "metadata": {"a": "b"}},
        {"name": "bare", "ip": "10.0.0.8"},
    ):
        place.fetch(
            f"{place.server.http}/instances",
            "-X",
            "PUT",
            "-H",
            "Content-Type: application/json",
            "-d",
            json.dumps(body),
        )


@pytest.fixture(params=["bind", pytest.param("knot", marks=pytest.mark.with_all)])
def start(request: Any) -> Start:
    return {"knot": knot, "bind": bind}[request.param]


@pytest.fixture
def told(start: Start, tmp_path: Path) -> Iterator[Pair]:
    """The zone's refresh time is an hour: what it learns sooner, it was told by NOTIFY."""
    yield from _pair(start, tmp_path, refresh=3600, TRANSFER_NOTIFY=f"127.0.0.1:{PORT}")


@pytest.fixture
def asking(start: Start, tmp_path: Path) -> Iterator[Pair]:
    """Nobody tells it anything."""
    yield from _pair(start, tmp_path, refresh=2)


def _pair(start: Start, folder: Path, refresh: int, **others: Any) -> Iterator[Pair]:
    zones = folder / "zones"
    zones.mkdir()
    (zones / "svc.local.zone").write_text(ZONE.format(refresh=refresh))
    settings = keys.settings(folder, ZONES_DIR=str(zones), DNS_HOST=PRIMARY, **others)
    with namespace(folder, **settings) as place:
        register(place)
        with start(place, folder) as secondary:
            pair = Pair(place, secondary)
            secondary.until(lambda: answers(pair) and pair.in_step())
            yield pair
        assert "Traceback" not in "\n".join(place.server.log)


def answers(pair: Pair) -> bool:
    options = ("+tries=1", "+time=1", "+short")
    run = pair.place.run("dig", "-r", "@127.0.0.1", "-p", str(PORT), *options, "svc.local", "SOA", check=False)
    return any(not line.startswith(";") for line in run.stdout.splitlines())  # dig prints its troubles there too


def test_a_secondary_answers_with_the_same_records_and_follows_what_it_is_told(told: Pair) -> None:
    for name, rtype in QUESTIONS:
        ours = told.ask(name, rtype, 53)
        assert ours.status == ("NXDOMAIN" if name.startswith("nobody") else "NOERROR")
        assert told.ask(name, rtype) == ours, (name, rtype)
    assert told.ask("web", "A").answer
    told.place.register("cart", "10.0.0.77", 8080)
    told.secondary.until(lambda: told.ask("cart", "A").answer)
    assert told.ask("cart", "SRV") == told.ask("cart", "SRV", 53)
    told.place.deregister("web", "10.0.0.1", 80)
    told.secondary.until(lambda: len(told.ask("web", "A").answer) == 1)
    assert told.ask("ip-10-0-0-1-p80.web", "A").status == "NXDOMAIN"
    told.secondary.until(told.in_step)


def test_a_secondary_that_is_not_told_asks_when_the_refresh_time_comes(asking: Pair) -> None:
    asking.place.register("cart", "10.0.0.77", 8080)
    asking.secondary.until(lambda: asking.ask("cart", "A").answer)
    assert asking.ask("cart", "SRV") == asking.ask("cart", "SRV", 53)


def test_a_burst_of_changes_is_told_a_few_times_and_ends_in_step(told: Pair) -> None:
    for number in range(1, 40):
        told.place.register("many", f"10.0.1.{number % 9 + 1}", 1000 + number % 9)
    told.secondary.until(told.in_step)
    assert told.ask("many", "A") == told.ask("many", "A", 53)
    went = [line for line in told.place.server.log if " went to 127.0.0.1 (key secondary-1): " in line]
    assert 1 <= len(went) < 40
