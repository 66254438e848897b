"""What becomes of instances in answers: at most so many, whatever the type; metadata is read only as far as it can be sent."""

from __future__ import annotations

import time
from typing import Any

import dns.flags
import pytest

from discovery.core import metadata
from tests.dns.world import World, data, outcome

NAMES = {"A": "web", "SRV": "web", "TXT": "web", "PTR": "_web._tcp", "SVCB": "web", "HTTPS": "web"}


@pytest.mark.parametrize("rtype", NAMES)
def test_max_answers_limits_every_type_and_all_get_their_turn(rtype: str) -> None:
    world = World(lease=1000.0)
    for number in range(1, 6):
        world.add("web", f"10.0.0.{number}", max_answers=2, metadata={"n": str(number)}, ports={"https": 443})
    seen: set[str] = set()
    for _ in range(100):
        reply = world.ask(f"{NAMES[rtype]}.svc.local", rtype, udp=False)
        assert len(data(reply.answer)) == 2
        assert not reply.flags & dns.flags.TC
        seen.update(data(reply.answer))
    assert len(seen) == 5


def test_a_subtype_is_limited_too() -> None:
    world = World()
    for number in range(1, 6):
        world.add("web", f"10.0.0.{number}", max_answers=2, tags=["blue"])
    assert len(data(world.ask("_blue._sub._web._tcp.svc.local", "PTR", udp=False).answer)) == 2


def _of_large_metadata(instances: int) -> World:
    world = World(lease=1000.0)
    for number in range(instances):
        pairs = {f"é{key}": 1 for key in range(1450)} | {
            "n": number,
            "not": "https",
        }  # 16 KiB, and hardly any of it can be sent
        world.add("web", "10.0.0.1", number + 1, metadata=pairs)
    return world


@pytest.mark.parametrize(("name", "rtype"), [("web", "TXT"), ("web", "HTTPS"), ("web", "SVCB"), ("_web._tcp", "PTR")])
def test_the_work_for_metadata_is_bounded_before_any_of_it_is_parsed(
    monkeypatch: pytest.MonkeyPatch, name: str, rtype: str
) -> None:
    world = _of_large_metadata(600)
    parsed: list[int] = []
    unpack = metadata.unpack

    def counted(text: bytes) -> dict[str, Any]:
        parsed.append(len(text))
        return unpack(text)

    monkeypatch.setattr(metadata, "unpack", counted)
    started = time.perf_counter()
    reply = world.ask(f"{name}.svc.local", rtype, udp=False)
    assert sum(parsed) <= 2 * 256 * 1024, "once for each record that wants it"
    assert time.perf_counter() - started < 0.2
    if rtype in ("TXT", "PTR"):
        assert reply.flags & dns.flags.TC
        later = world.ask(f"{name}.svc.local", rtype, udp=False, now=0.1)
        assert set(data(reply.answer)) != set(data(later.answer)), "the others have their turn"


@pytest.mark.parametrize("rtype", ["TXT", "HTTPS"])
def test_a_service_of_usual_size_is_told_whole_whatever_its_metadata(rtype: str) -> None:
    world = World(lease=1000.0)
    for number in range(10):
        world.add("web", "10.0.0.1", number + 1, metadata={"n": str(number), "scheme": "https", "x": "x" * 16_000})
    reply = world.ask("web.svc.local", rtype, udp=False)
    assert len(data(reply.answer)) == 10
    assert not reply.flags & dns.flags.TC


@pytest.mark.parametrize("udp", [True, False])
@pytest.mark.parametrize(
    ("name", "rtype"),
    [("web", "MX"), ("web", "PTR"), ("web", "HTTPS"), ("web", "SVCB"), ("_http._tcp.web", "TXT"), ("_web._tcp", "A")],
)
def test_a_very_large_service_without_records_of_a_type_says_so_whole(name: str, rtype: str, udp: bool) -> None:
    """TC would send the client to TCP, which knows no more."""
    world = World(lease=1000.0)
    for number in range(1000):
        world.add("web", "10.0.0.1", number + 1, ports={"http": 80} if name.startswith("_http") else None)
    reply = world.ask(f"{name}.svc.local", rtype, udp=udp)
    assert (outcome(reply), bool(reply.flags & dns.flags.TC)) == ("NODATA", False)
    assert reply.authority, "the SOA of a negative (RFC 2308 §3)"


@pytest.mark.parametrize("rtype", ["HTTPS", "SVCB"])
def test_the_one_instance_of_a_very_large_service_that_speaks_https_is_found_at_any_moment(rtype: str) -> None:
    world = World(lease=1000.0)
    for number in range(1000):
        world.add("web", "10.0.0.1", number + 1, ports={"https": 443} if number == 500 else None)
    for now in (0.0, 0.2, 0.4, 0.6, 0.8):
        reply = world.ask("web.svc.local", rtype, now=now)
        assert (len(reply.answer), bool(reply.flags & dns.flags.TC)) == (1, False)


def test_a_nodata_from_a_part_of_too_much_metadata_says_so_and_is_not_kept() -> None:
    world = World(lease=1000.0, hot=True)
    for number in range(20):
        said = {"x": "x" * 16_000, "scheme": "ftp" if number else "https", "not": "https"}
        world.add("mute", "10.0.0.2", number + 1, metadata=said)
    replies = [world.ask("mute.svc.local", "HTTPS", edns=1232, now=n / 1000) for n in range(20)]
    assert {outcome(reply) for reply in replies} == {"NODATA", "ANSWER"}, "the one that speaks it has its turn"
    nodata = next(reply for reply in replies if outcome(reply) == "NODATA")
    assert not nodata.flags & dns.flags.TC
    assert [option.text for option in nodata.options] == [
        "16 of 20 instances of mute that may have such a record were looked at, none has one; ask again, and others are looked at"
    ]


def test_where_a_port_is_called_https_no_metadata_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.add("web", "10.0.0.1", ports={"https": 443}, metadata={"a": "b"})
    monkeypatch.setattr(metadata, "unpack", lambda text: pytest.fail("parsed"))
    assert len(world.ask("web.svc.local", "HTTPS").answer) == 1


@pytest.mark.parametrize(
    ("fields", "schemes"),
    [
        ({}, []),
        ({"metadata": {"scheme": "ftp", "of": "https"}}, []),
        ({"metadata": {"scheme": "https"}}, ["HTTPS", "SVCB"]),
        ({"metadata": {"protocol": "https"}}, ["HTTPS", "SVCB"]),
        ({"metadata": {"a": 1, "protocol": "http"}}, ["SVCB"]),
        ({"ports": {"http": 80}}, ["SVCB"]),
        ({"ports": {"a": 1, "https": 443}}, ["HTTPS", "SVCB"]),
    ],
)
def test_what_speaks_http_is_found_by_its_ports_and_its_metadata(fields: dict[str, Any], schemes: list[str]) -> None:
    world = World()
    world.add("web", "10.0.0.1", **fields)
    assert [rtype for rtype in ("HTTPS", "SVCB") if world.ask("web.svc.local", rtype).answer] == schemes
