"""Many nodes on one etcd at full size: 100,000 instances, 10 mirrors, 20,000 heartbeats a second; then how many registrations a second.

    python -m tests.benchmarks.cluster [instances] [seconds]

All of it shares this machine's processors with etcd, so the processor time of each part counts more than rates do. A node here is the
engine without HTTP and DNS; what those cost is in the other benchmarks. Two mirrors have processes of their own: one is measured, one sees
what the first registers. The other eight share a process and are stand-ins: they put the same batches and read all that etcd tells, but
keep no table. Each of the ten hears a tenth of the heartbeats.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import uvloop

from discovery.core import codec, exact_json
from discovery.core.errors import DiscoveryError
from discovery.core.instance import Instance, Registration
from discovery.engines.etcd.beats import handle_of, pack
from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.messages import EtcdAway, end_of, put
from discovery.store.registration import Register
from tests.benchmarks import report
from tests.benchmarks.fleet import fleet
from tests.engines.etcd.cluster import EtcdCluster, Node
from tests.stories.standards.memory import processor

MIRRORS, OF_A_SERVICE = 10, 10
# Seconds. The lease outlives the time until the last mirror is filled and hears its clients.
TTL, FLUSH = 45.0, 1.0
# Seconds between two heartbeats of an instance, and between two portions of them.
BEAT, TICK = 5.0, 0.05
# Registrations and as many deregistrations a second, beside the heartbeats.
CHURN = 20
METADATA = {"version": "1.0.0", "zone": "eu-west-1"}
# Of the storm: how many clients wait for an answer at each node.
CLIENTS = 200

_fork = multiprocessing.get_context("fork")
Role = Callable[[Connection, list[str], Any], Coroutine[Any, Any, None]]


class Usage(NamedTuple):
    """Of a process so far: seconds of processor time; resident MiB now."""

    seconds: float
    mib: float


def usage(pid: int) -> Usage:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return Usage(processor(pid), pages * os.sysconf("SC_PAGE_SIZE") / 2**20)


def on_the_wire(pid: int) -> tuple[int, int]:
    """Octets that the process has sent and received, over the TCP connections that it has."""
    text = subprocess.run(["ss", "-tinpHO", "state", "established"], capture_output=True, text=True, check=True).stdout
    own = "\n".join(line for line in text.splitlines() if f"pid={pid}," in line)
    sent, received = (sum(map(int, re.findall(rf"\b{name}:(\d+)", own))) for name in ("bytes_sent", "bytes_received"))
    return sent, received


class Part:
    """A process with some nodes. It says `ready`, then answers each word that it is sent."""

    def __init__(self, role: Role, urls: list[str], arguments: Any) -> None:
        self._ours, theirs = _fork.Pipe()
        self._process = _fork.Process(target=_run, args=(role, theirs, urls, arguments), daemon=True)
        self._process.start()
        theirs.close()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def hear(self) -> Any:
        return self._ours.recv()

    def say(self, word: str) -> None:
        self._ours.send(word)

    def end(self) -> None:
        self._process.terminate()
        self._process.join()


def _run(role: Role, pipe: Connection, urls: list[str], arguments: Any) -> None:
    uvloop.run(role(pipe, urls, arguments))


async def _told(pipe: Connection) -> str:
    """The next word, without holding the loop."""
    return str(await asyncio.to_thread(pipe.recv))


# -- mirrors under heartbeats


def instances(size: int) -> Iterator[Instance]:
    """As they are registered; valid, so that nothing is checked again."""
    metadata, now = exact_json.dumps(METADATA), time.time()
    for number, member in enumerate(fleet(size // OF_A_SERVICE, OF_A_SERVICE)):
        spec = Registration(**member._asdict(), metadata=metadata)
        yield Instance(f"00000000-0000-4000-8000-{number:012d}", now, spec)


async def mirror(pipe: Connection, urls: list[str], share: tuple[int, int]) -> None:
    """`share`: the mirror's number, instances in all. The first one registers."""
    number, size = share
    node = Node(f"n{number}", urls, ttl=TTL, flush=FLUSH, limit=1000)
    await node.start()
    tasks = [asyncio.create_task(_hear(node, number, size))]
    pipe.send("ready")
    echoes = _echoes(node)
    arrivals: dict[str, float] = {}
    node.registry.followers.append(lambda commit: _note(arrivals, commit))
    registered: dict[str, tuple[float, float]] = {}
    while (word := await _told(pipe)) != "end":
        if word == "measure":
            echoes.clear()
            arrivals.clear()
            node.events.clear()
            if number == 0:
                tasks.append(asyncio.create_task(_churn(node, registered)))
        else:
            lapsed = sum(kind in ("unhealthy", "suspect", "expired") for _, kind, _ in node.events)
            pipe.send((list(echoes), arrivals, registered, lapsed))
    for task in tasks:
        task.cancel()
    await node.stop()
    pipe.send("ended")


async def _hear(node: Node, number: int, size: int) -> None:
    """The heartbeats of this node's clients, evenly."""
    members = [instance.spec.key for instance in instances(size)][number::MIRRORS]
    started, sent = time.monotonic(), 0
    while True:
        due = int((time.monotonic() - started) / BEAT * len(members))
        for place in range(sent, due):
            node.engine.renew(members[place % len(members)])
        sent = due
        await asyncio.sleep(TICK)


async def stand_ins(pipe: Connection, urls: list[str], share: tuple[int, int]) -> None:
    """`share`: the first one's number, instances in all."""
    first, size = share
    handles = [handle_of(instance) for instance in instances(size)]
    clients = [Etcd(urls) for _ in range(first, MIRRORS)]
    tasks = []
    for number, client in enumerate(clients, first):
        await client.open()
        tasks.append(asyncio.create_task(_put_batches(client, number, handles[number::MIRRORS])))
        tasks.append(asyncio.create_task(_read_all(client)))
    pipe.send("ready")
    await _told(pipe)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for client in clients:
        await client.close()
    pipe.send("ended")


async def _put_batches(client: Etcd, number: int, handles: list[int]) -> None:
    each, turn = int(len(handles) * FLUSH / BEAT), 0
    started = time.monotonic()
    while True:
        start = turn * each % len(handles)
        with contextlib.suppress(
            EtcdAway
        ):  # etcd had no processor for a second: the engine, too, goes on with the next batch
            await client.txn(
                [], [put(f"reg/h/s{number}".encode(), pack(time.time(), {0: handles[start : start + each]}))]
            )
        turn += 1
        await asyncio.sleep(max(0.0, started + turn * FLUSH - time.monotonic()))


async def _read_all(client: Etcd) -> None:
    while True:
        with contextlib.suppress(EtcdAway):
            async for _ in client.watch(b"reg/", end_of(b"reg/"), 0, 60.0):
                pass


def _echoes(node: Node) -> list[float]:
    """Seconds from the moment that a batch is put until it has come back on the watch."""
    found: list[float] = []
    presence = node.engine._presence
    flush, on_batch = presence.flush, presence.on_batch
    put_at = 0.0

    async def flushes() -> None:
        nonlocal put_at
        put_at = time.monotonic()
        await flush()

    def hears(name: str, change: Any) -> None:
        on_batch(name, change)
        if name == node.id:
            found.append(time.monotonic() - put_at)

    presence.flush, presence.on_batch = flushes, hears  # type: ignore[method-assign, assignment]
    return found


def _note(arrivals: dict[str, float], commit: Any) -> None:
    now = time.monotonic()
    for event in commit.events:
        after = getattr(event, "after", None)
        if isinstance(after, Instance) and event.before is None:
            arrivals[after.id] = now


async def _churn(node: Node, registered: dict[str, tuple[float, float]]) -> None:
    """`registered`: by id, when it was asked for and when it was answered."""
    started = time.monotonic()
    for number in range(10**9):
        await asyncio.sleep(max(0.0, started + number / CHURN - time.monotonic()))
        asked = time.monotonic()
        instance = await node.register(f"s{number % 1000}", "10.200.0.1", 9000, metadata=METADATA)
        registered[instance.id] = asked, time.monotonic()
        await node.deregister(instance.id)


async def load(urls: list[str], size: int) -> None:
    """The instances, straight into etcd: as many puts a transaction as it takes."""
    client = Etcd(urls)
    await client.open()
    puts = []
    for instance in instances(size):
        key = f"reg/i/{instance.spec.key.service}/{instance.id}".encode()
        puts.append(put(key, exact_json.dumps(codec.of_instance(instance))))
        if len(puts) == 120:
            await client.txn([], puts)
            puts = []
    await client.txn([], puts)
    await client.close()


def under_heartbeats(folder: Path, size: int, seconds: float) -> None:
    print(f"{size:,} instances, {MIRRORS} mirrors, {size / BEAT:,.0f} heartbeats and {CHURN} registrations a second")
    with _etcd(folder) as etcd:
        asyncio.run(load(etcd.urls, size))
        others = Part(stand_ins, etcd.urls, (2, size))
        assert others.hear() == "ready"
        parts = [Part(mirror, etcd.urls, (number, size)) for number in (0, 1)]
        for part in parts:
            assert part.hear() == "ready"
        time.sleep(3 * BEAT)  # until each has heard all, and the first round is over
        pids = {"a mirror": parts[0].pid, "eight stand-ins": others.pid, "etcd": etcd.members[0].pid}
        for part in parts:
            part.say("measure")
        measured = parts[1].pid  # it does not register
        before, wire, started = (
            {name: usage(pid) for name, pid in pids.items()},
            on_the_wire(measured),
            time.monotonic(),
        )
        time.sleep(seconds)
        after, wired, took = (
            {name: usage(pid) for name, pid in pids.items()},
            on_the_wire(measured),
            time.monotonic() - started,
        )
        for part in parts:
            part.say("report")
        echoes, _, registered, lapsed = parts[0].hear()
        _, arrivals, _, lapsed_there = parts[1].hear()
        for part in (*parts, others):
            part.say("end")
            assert part.hear() == "ended"
            part.end()
    report.at_most("leases that ran out, though all beat", lapsed + lapsed_there, 0)
    for name in pids:
        report.fact(f"{name}: processor", (after[name].seconds - before[name].seconds) / took * 100, "% of one")
        report.fact(f"{name}: memory", after[name].mib, "MiB")
    sent, received = (there - here for here, there in zip(wire, wired, strict=True))
    report.fact("etcd to a mirror", received / took / 1000, "kB/s")
    report.fact("a mirror to etcd", sent / took / 1000, "kB/s")
    _percentiles("flush → echo", echoes)
    _percentiles("register", [answered - asked for asked, answered in registered.values()])
    _percentiles(
        "register → in another's table",
        [arrivals[id] - asked for id, (asked, _) in registered.items() if id in arrivals],
    )


def _percentiles(title: str, values: list[float]) -> None:
    for percent in (50, 99):
        report.fact(f"{title}, p{percent}", report.percentile(values, percent) * 1000, "ms", f"of {len(values)}")


# -- registrations as fast as it goes


async def storm(pipe: Connection, urls: list[str], number: int) -> None:
    node = Node(f"n{number}", urls, ttl=600.0, flush=FLUSH, limit=1000)
    await node.start()
    pipe.send("ready")
    seconds = float(await _told(pipe))
    ends, done, refused = time.monotonic() + seconds, 0, 0

    async def client(of: int) -> None:
        nonlocal done, refused
        random, turn = Random(of), 0
        while time.monotonic() < ends:
            turn += 1
            ip = f"10.{of % 250}.{turn // 250 % 250}.{turn % 250 + 1}"
            spec = Registration.of(f"n{number}-s{random.randrange(1000)}", ip, 3000 + turn // 62500, metadata=METADATA)
            try:
                await node.submit(Register(spec))
            except DiscoveryError:  # etcd had no processor for a second
                refused += 1
                await asyncio.sleep(0.1)
            else:
                done += 1

    await asyncio.gather(*(client(of) for of in range(CLIENTS)))
    pipe.send((done, refused))
    await _told(pipe)
    await node.stop()
    pipe.send("ended")


def registrations(folder: Path, nodes: int, seconds: float, target: float) -> None:
    with _etcd(folder) as etcd:
        parts = [Part(storm, etcd.urls, number) for number in range(nodes)]
        for part in parts:
            assert part.hear() == "ready"
        pids = [part.pid for part in parts]
        before, etcd_before = [usage(pid).seconds for pid in pids], usage(etcd.members[0].pid).seconds
        for part in parts:
            part.say(str(seconds))
        found = [part.hear() for part in parts]
        spent = sum(usage(pid).seconds for pid in pids) - sum(before)
        etcd_spent = usage(etcd.members[0].pid).seconds - etcd_before
        done, refused = (sum(each[place] for each in found) for place in (0, 1))
        for part in parts:
            part.say("end")
            assert part.hear() == "ended"
            part.end()
    note = f"{spent / done * 1e6:.0f} µs of the nodes' processor each, {etcd_spent / done * 1e6:.0f} of etcd's; {refused} refused"
    where = "one node" if nodes == 1 else f"{nodes} nodes"
    report.at_least(f"registrations through {where}", done / seconds, target, "/s", note)


@contextmanager
def _etcd(folder: Path) -> Iterator[EtcdCluster]:
    with tempfile.TemporaryDirectory(dir=folder) as own:
        etcd = EtcdCluster(Path(own), 1)
        try:
            asyncio.run(etcd.start("--quota-backend-bytes=4294967296", "--max-request-bytes=1572864"))
            yield etcd
        finally:
            etcd.kill()


def main() -> None:
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 20.0
    report.machine()
    with tempfile.TemporaryDirectory() as folder:
        registrations(Path(folder), 1, seconds / 4, 1_000)
        registrations(Path(folder), 3, seconds / 4, 3_000)
        under_heartbeats(Path(folder), size, seconds)


if __name__ == "__main__":
    main()
