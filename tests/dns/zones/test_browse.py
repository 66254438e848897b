"""DNS-SD's list of service types (RFC 6763 §9): each is there as long as its last instance, in answers and in transfers."""

from __future__ import annotations

from pathlib import Path

from discovery.dns.message.names import from_text
from discovery.dns.message.values import Type
from discovery.dns.zones.browse import MAX_LOOKED_AT
from discovery.store.damping import Damping
from tests.dns.world import World, data
from tests.plugins.transfer.primary import Primary

TYPES = "_services._dns-sd._udp.svc.local"


async def _ttls(world: World, folder: Path, now: float) -> tuple[int, int]:
    """The TTL of the list as a question gets it, and as a transfer has it."""
    primary = Primary(folder, world)
    primary.plugin.sending._clock = lambda: now
    sent = {rr.ttl for rr in await primary.axfr() if rr.name == from_text(TYPES) and rr.type == Type.PTR}
    [in_transfer] = sent
    return world.ask(TYPES, "PTR", now=now).answer[0].ttl, in_transfer


async def test_rfc6763_9_the_list_lives_no_longer_than_the_last_lease_of_a_protocol(tmp_path: Path) -> None:
    world = World(ttl=60, lease=50.0)
    world.add("web", "10.0.0.1", protocol="tcp")
    world.add("web", "10.0.0.2", protocol="udp", ttl=20)
    world.add("web", "10.0.0.3", protocol="udp", ttl=30)
    assert await _ttls(world, tmp_path, 10.0) == (20, 20)


async def test_a_service_that_flaps_has_the_same_ttl_here_as_under_its_own_name(tmp_path: Path) -> None:
    world = World(ttl=5, lease=10.0, damping=Damping(1, 1000.0))
    world.add("web", "10.0.0.1")
    for failing in ("down", None, "down", None):
        world.check("web", "10.0.0.1", failing=failing, now=1.0)
    own = world.ask("web.svc.local", now=2.0).answer[0].ttl
    assert await _ttls(world, tmp_path, 2.0) == (own, own) == (1, 1)


def test_the_work_for_the_list_is_bounded_by_instances_and_a_part_of_it_says_so() -> None:
    world = World()
    for number in range(MAX_LOOKED_AT // 100 + 2):
        for port in range(1, 101):
            world.add(f"s-{number:03}", "10.0.0.1", port)
    reply = world.ask(TYPES, "PTR", udp=False)
    assert 0 < len(data(reply.answer)) <= MAX_LOOKED_AT // 100 + 1
    assert reply.flags & 0x0200
