"""What becomes of instances in answers: at most so many, whatever the type; metadata is read only as far as it can be sent."""

from __future__ import annotations

import time
from typing import Any

import dns.flags
import pytest

from discovery.core import metadata
from tests.dns.world import World, data

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
        pairs = {f"é{key}": 1 for key in range(1500)} | {"n": number}  # 16 KiB, and hardly any of it can be sent
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


def test_where_a_port_is_called_https_no_metadata_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.add("web", "10.0.0.1", ports={"https": 443}, metadata={"a": "b"})
    monkeypatch.setattr(metadata, "unpack", lambda text: pytest.fail("parsed"))
    assert len(world.ask("web.svc.local", "HTTPS").answer) == 1
