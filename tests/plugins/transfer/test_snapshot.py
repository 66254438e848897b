"""A transfer is of one moment, whatever changes while it is made, and holds nobody up: 10,000 instances, measured."""

from __future__ import annotations

import asyncio
import gc
import itertools
import time
from pathlib import Path
from random import Random

import pytest
from dns.tsig import Key

from discovery.dns.message.names import from_text, to_text
from discovery.dns.message.query import CutShort, Transport, parse
from discovery.dns.message.values import Type
from discovery.plugins.transfer import sending
from discovery.plugins.transfer.sending import MESSAGE
from discovery.plugins.transfer.snapshot import Snapshot
from discovery.plugins.transfer.tsig import Signer
from discovery.system import turns
from tests.dns.world import INDEX, World, load
from tests.plugins.transfer.primary import Primary, numbers, request, rrs, signed, verified

# Of the event loop at a time. What is measured is the thread's own time: the machine may be busy with other things.
MOST_SECONDS = 0.025


@pytest.fixture
def always_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others get the loop whenever they may."""
    monkeypatch.setattr(turns, "TURN", -1.0)


@pytest.mark.usefixtures("always_a_turn")
@pytest.mark.parametrize("seed", range(5))
async def test_it_is_the_state_that_its_serial_belongs_to(tmp_path: Path, seed: int) -> None:
    """One writer at work between all pieces; after each write it notes which instances there are at which serial."""
    random = Random(seed)
    world = World()
    for number in range(60):
        world.add(f"s-{number % 20}", f"10.0.0.{number + 1}")
    primary = Primary(tmp_path, world)
    history: dict[int, set[str]] = {}

    def note() -> None:
        history[world.registry.index] = {entry.instance.spec.ip for entry in world.registry}

    async def write() -> None:
        for number in itertools.count():
            ip = f"10.0.{1 + number // 250}.{1 + number % 250}"
            world.add(f"s-{random.randrange(25)}", ip)
            note()
            gone = random.choice(list(world.registry)).instance.spec
            world.remove(gone.name, gone.ip)
            note()
            for _ in range(random.randrange(30)):
                await asyncio.sleep(0)

    note()
    writer = asyncio.create_task(write())
    serials = set()
    for _ in range(5):
        records = await primary.axfr()
        serial = int.from_bytes(records[0].rdata[-20:-16], "big")
        assert records[-1] == records[0]
        hosts = {".".join(map(str, rr.rdata)) for rr in records if rr.type == Type.A and rr.name[0].startswith(b"ip-")}
        assert hosts == history[serial]
        services = {rr.name[0].decode() for rr in records if rr.type == Type.A and len(rr.name) == 3} - {"ns"}
        assert services == {
            to_text(rr.name[1:2]) for rr in records if rr.name[0].startswith(b"ip-") and rr.type == Type.A
        }
        serials.add(serial)
    writer.cancel()
    assert len(serials) > 1, "something did change"


@pytest.mark.usefixtures("always_a_turn")
async def test_zones_that_are_read_anew_meanwhile_are_transferred_as_they_are_then(tmp_path: Path) -> None:
    world = World("old IN A 192.0.2.1\n")
    for number in range(50):
        world.add(f"s-{number}", "10.0.0.1")
    primary = Primary(tmp_path, world)
    transfer = asyncio.create_task(primary.axfr())
    for _ in range(10):
        await asyncio.sleep(0)
    world.reload(load({"svc.local": "new IN A 192.0.2.2\n"})[0])
    primary.plugin.follow(world.catalog.zones)
    records = await transfer
    assert int.from_bytes(records[0].rdata[-20:-16], "big") == world.registry.index
    names = {to_text(rr.name) for rr in records}
    assert "new.svc.local" in names
    assert "old.svc.local" not in names


@pytest.mark.usefixtures("always_a_turn")
async def test_a_zone_that_goes_meanwhile_cuts_the_transfer_short(tmp_path: Path) -> None:
    world = World()
    for number in range(50):
        world.add(f"s-{number}", "10.0.0.1")
    primary = Primary(tmp_path, world)
    transfer = asyncio.create_task(primary.axfr())
    for _ in range(10):
        await asyncio.sleep(0)
    primary.plugin.follow([])
    with pytest.raises(CutShort):
        await transfer
    assert numbers(primary) == {"sent": 0, "cutShort": 1, "underWay": 0}


async def test_it_waits_until_all_that_changes_in_pieces_has_its_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    primary, registry = Primary(tmp_path, world), world.registry
    with monkeypatch.context() as pieces:
        pieces.setattr(registry, "publish", lambda index: None)
        world.add("web", "10.0.0.1")
        transfer = asyncio.create_task(primary.axfr())
        for _ in range(100):
            await asyncio.sleep(0)
        assert not transfer.done()
        world.add("web", "10.0.0.2")
    registry.publish(INDEX + 1)
    records = await transfer
    assert int.from_bytes(records[0].rdata[-20:-16], "big") == INDEX + 1
    assert {bytes(rr.rdata)[-1] for rr in records if to_text(rr.name) == "web.svc.local" and rr.type == Type.A} == {
        1,
        2,
    }


async def test_a_registry_that_changes_faster_than_it_can_be_read_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    for number in range(5):
        world.add(f"s-{number}", "10.0.0.1")
    taking = Snapshot(world.registry, 5)
    read = taking._read

    def restless(name: str, now: float) -> None:
        read(name, now)
        taking.changed(name)

    monkeypatch.setattr(taking, "_read", restless)
    with pytest.raises(CutShort):
        await taking.take(lambda: 0.0)


async def test_a_secondary_that_reads_too_slowly_is_given_up(tmp_path: Path) -> None:
    world = World()
    for number in range(500):
        world.add("many", f"10.0.{number >> 8}.{number & 255}", 80)
    primary = Primary(tmp_path, world)
    now = 0.0
    primary.plugin.sending._clock = lambda: now
    assert primary.respond(signed(request()).to_wire(), 0.0, "10.0.0.1", primary.tcp) is None
    [stream] = primary.streamed
    assert len(await anext(stream)) <= MESSAGE + 200
    now = sending.MAX_SECONDS + 1
    with pytest.raises(CutShort):
        await anext(stream)


async def test_many_messages_are_one_reply_each_signed_and_none_too_long(tmp_path: Path) -> None:
    world = World(
        "".join(f"long-{number} IN TXT {' '.join([chr(34) + 'x' * 250 + chr(34)] * 100)}\n" for number in range(4))
    )
    for number in range(1000):
        world.add(f"s-{number % 10}", f"10.0.{number >> 8}.{number & 255}", 80, metadata={"text": "x" * 100})
    primary = Primary(tmp_path, world)
    query = signed(request())
    messages = await primary.send(query.to_wire())
    assert len(messages) > 10
    assert max(map(len, messages)) <= MESSAGE + 200
    read = verified(messages, query)
    assert {message.id for message in read} == {query.id}
    assert all(message.question == query.question and message.opt is not None for message in read)
    records = [rr for message in read for rr in rrs(message)]
    assert len({(rr.name, rr.type, rr.rdata) for rr in records}) == len(records) - 1
    assert len({rr.name for rr in records if rr.name[0].startswith(b"ip-") and rr.type == Type.A}) == 1000


@pytest.mark.parametrize(
    ("services", "instances"),
    [*(pytest.param(*each, marks=pytest.mark.with_all) for each in ((1000, 10), (10, 1000))), (10_000, 1)],
)
async def test_10000_instances_hold_the_loop_for_less_than_10_ms(services: int, instances: int) -> None:
    world = World(lease=3600)
    for service in range(services):
        for number in range(service * instances, (service + 1) * instances):
            ip = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
            world.add(f"s-{service}", ip, ports={"metrics": 9100}, metadata={"version": "1.0"})
    one = sending.Sending(world.registry, time.monotonic, time.time)
    now = time.monotonic()
    for entry in world.registry:
        entry.lease.renewed_at = now
    one.follow(world.catalog.zones)
    query = parse(signed(request()).to_wire(), "", Transport())
    key = Key("sec-1", bytes(32))
    held: list[float] = []

    async def tick() -> None:
        last = time.thread_time()
        while True:
            await asyncio.sleep(0)
            held.append(time.thread_time() - last)
            last = time.thread_time()

    gc.collect()
    gc.disable()  # the server has its collector tuned (cli.collector), this process is full of other tests' objects
    ticking = asyncio.create_task(tick())
    started, own = time.perf_counter(), time.thread_time()
    octets = 0
    try:
        async for message in one.messages(query, Signer(key, bytes(32)), "10.0.0.1", b""):
            octets += len(message)
    finally:
        ticking.cancel()
        gc.enable()
    print(
        f"{services} services with {instances} instances each: {octets / 1e6:.1f} MB in {time.perf_counter() - started:.2f} s, "
        f"of which {time.thread_time() - own:.2f} s on the processor; longest hold {max(held) * 1e3:.1f} ms"
    )
    assert octets > 5_000_000
    assert max(held) < MOST_SECONDS
    assert from_text("svc.local") in one.zones
    assert world.registry.index == INDEX + services * instances
