"""A real etcd of one or three members, a proxy that cuts links, and nodes of the registry in this process that share it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import signal
import subprocess
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import aiohttp

from discovery.core.caller import NOBODY
from discovery.core.errors import DiscoveryError
from discovery.core.ids import new_id
from discovery.core.instance import Instance, Key, Registration
from discovery.core.kinds import RegistrySettings
from discovery.engines.etcd import EtcdEngine
from discovery.engines.etcd.conf import Conf
from discovery.engines.etcd.gateway import CALL_SECONDS, Etcd
from discovery.engines.etcd.messages import EtcdAway, EtcdError
from discovery.engines.etcd.settings import EtcdSettings
from discovery.store.brake import Brake
from discovery.store.engine import Engine, WriteSeams
from discovery.store.errors import EngineAway, UnknownInstance
from discovery.store.reaper import Reaper
from discovery.store.registration import Deregister, Register
from discovery.store.registry import Registry
from discovery.store.write import Write
from tests.patient import clock
from tests.ports import free_port
from tests.programs import is_at_least, program
from tests.waiting import LIMIT, until

T = TypeVar("T")

# Seconds. Three heartbeats fit into a lease of 3 s, and each scenario into half a minute.
TTL, FLUSH = 3.0, 0.5
# etcd's own, where members elect one; else half, so that one alone leads sooner.
TIMING = (
    ("--heartbeat-interval", "50", "--election-timeout", "500"),
    ("--heartbeat-interval", "100", "--election-timeout", "1000"),
)
# For how long a node waits for an answer of etcd's; conftest.py has more where nothing is cut off.
PATIENCE = CALL_SECONDS


def etcdutl() -> str:
    """The program that restores a backup. Before etcd 3.5, etcdctl did, with the same arguments."""
    return program("etcdutl" if is_at_least("etcdctl", "3.5") else "etcdctl")


class Member:
    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder / name
        self.client, self.peer = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.client}"

    @property
    def runs(self) -> bool:
        return self._process is not None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, members: list[Member], *more: str) -> None:
        cluster = ",".join(f"{each.name}=http://127.0.0.1:{each.peer}" for each in members)
        log = (self.folder.parent / f"{self.name}.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [
                    program("etcd"), "--name", self.name, "--data-dir", str(self.folder), "--unsafe-no-fsync",
                    "--listen-client-urls", self.url, "--advertise-client-urls", self.url,
                    "--listen-peer-urls", f"http://127.0.0.1:{self.peer}",
                    "--initial-advertise-peer-urls", f"http://127.0.0.1:{self.peer}",
                    "--initial-cluster", cluster, *TIMING[len(members) > 1], *more,
                ],
                stdout=log, stderr=log,
            )  # fmt: skip

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None


class EtcdCluster:
    def __init__(self, folder: Path, size: int) -> None:
        self.members = [Member(f"m{number}", folder) for number in range(size)]

    @property
    def urls(self) -> list[str]:
        return [member.url for member in self.members]

    async def start(self, *more: str) -> None:
        for member in self.members:
            member.start(self.members, *more)
        await self.ready()

    async def ready(self) -> None:
        """Returns when a linearizable read succeeds."""
        etcd = Etcd(self.urls)
        await etcd.open()
        try:
            await until(lambda: answers(etcd))
        finally:
            await etcd.close()

    def kill(self) -> None:
        for member in self.members:
            member.kill()

    def back_up(self, backup: Path) -> None:
        save = [program("etcdctl"), f"--endpoints={self.urls[0]}", "snapshot", "save", str(backup)]
        subprocess.run(save, check=True, capture_output=True)

    def restore(self, backup: Path) -> None:
        """As docs/cluster-recovery.md has it: with a token of its own. The one member is killed; `start` follows."""
        [member] = self.members
        member.kill()
        shutil.rmtree(member.folder)
        peer = f"http://127.0.0.1:{member.peer}"
        subprocess.run(
            [
                etcdutl(), "snapshot", "restore", str(backup), "--name", member.name, "--data-dir", str(member.folder),
                "--initial-cluster", f"{member.name}={peer}", "--initial-advertise-peer-urls", peer,
                "--initial-cluster-token", "registry-2",
            ],
            check=True, capture_output=True,
        )  # fmt: skip


@contextlib.asynccontextmanager
async def cluster_of(folder: Path, size: int, *more: str) -> AsyncIterator[EtcdCluster]:
    """`more`: options of etcd."""
    cluster = EtcdCluster(folder, size)
    try:
        await cluster.start(*more)
        yield cluster
    finally:
        cluster.kill()


async def leader_of(cluster: EtcdCluster) -> Member:
    """The member that leads etcd, as soon as one does."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(LIMIT):
        while True:
            for member in cluster.members:
                async with session.post(f"{member.url}/v3/maintenance/status", data=b"{}") as reply:
                    found = await reply.json()
                    if found.get("leader") == found["header"]["member_id"]:
                        return member
            await asyncio.sleep(0.05)


async def answers(etcd: Etcd) -> bool:
    """Whether there is a quorum."""
    try:
        await etcd.range(b"x")
    except EtcdAway:
        return False
    except EtcdError:
        pass  # it wants a password
    return True


def said(engine: Engine) -> str:
    """All that it warns of, but for nodes that are silent."""
    return "; ".join(text for each in engine.concerns() if each.code != "node_silent" for text in each.check().values())


class Proxy:
    """In front of one member. `cut`: connections end at once and new ones are refused; `blackhole`: they stay, and nothing passes.
    `delay`: seconds that each piece takes, there and back; `loss`: the share of pieces that have to be sent again, as TCP does it.
    `lose`, `repeat`: make a liar of it, so that a node breaks.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._open = asyncio.Event()
        self._open.set()
        self._refuses = False
        self.delay = 0.0
        self.loss = 0.0
        self.url = ""
        self._random = Random(port)
        self._lies: Callable[[bytes], bytes] = lambda octets: octets  # of what etcd says

    @property
    def urls(self) -> list[str]:
        return [self.url]

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        self._refuses = True
        for writer in self._writers:
            writer.transport.abort()

    def blackhole(self) -> None:
        self._open.clear()

    def lose(self, key: bytes) -> None:
        """The node is not told of the next change of this key, nor of what else that transaction changed."""
        self._lies = _Lies(key, 0)

    def repeat(self, key: bytes, *, later: bool = False) -> None:
        """The node is told twice of it; `later`: again, as if it were new, once the key has changed anew."""
        self._lies = _Lies(key, 1 if later else 2)

    def heal(self) -> None:
        self._refuses = False
        self._open.set()

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            if self._refuses:
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
            self._writers.add(far_writer)
            await asyncio.gather(
                self._pump(reader, far_writer), self._pump(far_reader, writer, lambda octets: self._lies(octets))
            )
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.transport.abort()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        told: Callable[[bytes], bytes] = lambda octets: octets,
    ) -> None:
        try:
            while octets := await reader.read(65536):
                await self._open.wait()
                again = self.delay
                while self._random.random() < self.loss:  # RFC 6298: 200 ms on Linux, then twice as long
                    again = 2 * again or 0.2
                await asyncio.sleep(again)
                writer.write(told(octets))
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


class _Lies:
    """What a watch says (a line of JSON in each chunk), with the first change of `key` said `times` times (1: and again later)."""

    def __init__(self, key: bytes, times: int) -> None:
        self._key = b64encode(key)
        self._times = times
        self._seen: list[bytes] = []

    def __call__(self, octets: bytes) -> bytes:
        told = b""
        while match := re.match(rb"([0-9a-f]+)\r\n", octets):
            end = match.end() + int(match[1], 16) + 2
            told += self._told(octets[:end], octets[match.end() : end - 2])
            octets = octets[end:]
        return told + octets

    def _told(self, chunk: bytes, line: bytes) -> bytes:
        if self._key not in line or b'"events"' not in line or len(self._seen) > 1:
            return chunk
        self._seen.append(line)
        if len(self._seen) == 1:
            return chunk * self._times
        return chunk + (_anew(*self._seen) if self._times == 1 else b"")


def _anew(first: bytes, second: bytes) -> bytes:
    """The first one's changes as if they came after the second's."""
    found = json.loads(first)
    revision = str(int(json.loads(second)["result"]["header"]["revision"]) + 1)
    found["result"]["header"]["revision"] = revision
    for event in found["result"]["events"]:
        event["kv"]["mod_revision"] = revision
    line = json.dumps(found).encode() + b"\n"
    return b"%x\r\n%b\r\n" % (len(line), line)


class Node:
    """A node of the registry without its sockets. It goes by `clock`; `wall` is apart from others' by `skew` seconds."""

    def __init__(
        self, name: str, urls: list[str], *, ttl: float = TTL, flush: float = FLUSH, skew: float = 0.0, limit: int = 10,
        prefix: str = "reg/", folder: Path | None = None,
    ) -> None:  # fmt: skip
        self.skew = skew
        random = Random(name)
        settings = RegistrySettings(ttl, limit, 1_000_000, 10_000_000, flush)
        self.registry = Registry(
            settings._replace(etcd_flush_seconds=0.0), cleanup_interval=1.0, new_id=new_id, started_at=clock(),
            brake=Brake(0, 0, 1.0, ttl, random),
        )  # fmt: skip
        self.registry.loaded = False
        mine = Conf("", settings, 0)
        self.id = EtcdSettings(node_name=name).node_id()
        self.engine = EtcdEngine(
            self.registry, clock, self.wall, WriteSeams(), Etcd(urls, patience=PATIENCE), prefix, self.id, mine, folder
        )  # fmt: skip
        self.reaper = Reaper(self.registry, self.engine, clock)
        self.events: list[tuple[int, str, str]] = []  # index, kind, id
        self.registry.followers.append(self._note)
        self._beating: asyncio.Task[None] | None = None
        self.beats: set[Key] = set()
        self.on_refused: Callable[[Key], None] = lambda key: None

    def wall(self) -> float:
        return time.time() + self.skew

    def _note(self, commit: Any) -> None:
        for event in commit.events:
            instance = getattr(event, "after", None) or getattr(event, "before", None)
            if isinstance(instance, Instance):
                self.events.append((commit.index, event.kind.value, instance.id))

    async def start(self) -> None:
        await self.engine.open()
        self.registry.begin(clock())
        self.reaper.start()
        self._beating = asyncio.create_task(self._beat())

    async def _beat(self) -> None:
        """Whoever is in `beats` sends its heartbeat here, four times a lease."""
        while True:
            for key in list(self.beats):
                try:
                    self.engine.renew(key)
                except DiscoveryError:
                    self.on_refused(key)
            await asyncio.sleep(self.registry.lease_ttl / 4)

    async def stop(self) -> None:
        self.reaper.stop()
        if self._beating is not None:
            self._beating.cancel()
        await self.engine.close()

    async def kill(self) -> None:
        """As `kill -9` would: nobody is told."""
        self.reaper.stop()
        if self._beating is not None:
            self._beating.cancel()
        for task in self.engine._tasks:
            task.cancel()
        await asyncio.gather(*self.engine._tasks, return_exceptions=True)
        await self.engine._etcd.close()

    async def once(self, write: Write[T]) -> T:
        """EngineAway, where this node cannot tell what etcd has: also for a moment, when etcd or this process was not run."""
        return await self.engine.submit(write, NOBODY)

    async def submit(self, write: Write[T]) -> T:
        """As a client does: again while it is refused with 503."""
        async with asyncio.timeout(LIMIT):
            while True:
                try:
                    return await self.once(write)
                except EngineAway:
                    await asyncio.sleep(0.02)

    async def register(self, name: str, ip: str, port: int = 3000, **more: Any) -> Instance:
        return await self.submit(to_register(name, ip, port, **more))

    async def deregister(self, id: str) -> Instance:
        entry, write = self.registry.find(id), Deregister(id, "a test asks for it")
        with contextlib.suppress(EngineAway):
            return await self.once(write)
        try:
            return await self.submit(write)
        except UnknownInstance:  # it was done, though that was refused
            assert entry is not None
            return entry.instance

    def served(self, name: str) -> set[str]:
        """Their addresses."""
        service = self.registry.service(name)
        return {entry.instance.spec.ip for entry in service.served(clock())} if service else set()

    def statuses(self, name: str) -> dict[str, str]:
        """As a reader sees them, by address."""
        service, now = self.registry.service(name), clock()
        return {entry.instance.spec.ip: entry.status_at(now) for entry in (service.entries.values() if service else ())}

    @property
    def state(self) -> dict[str, Instance]:
        return {entry.instance.id: entry.instance for entry in self.registry}


def to_register(name: str, ip: str, port: int = 3000, **more: Any) -> Register:
    return Register(Registration.of(name, ip, port, **more))


@contextlib.asynccontextmanager
async def nodes_of(etcd: EtcdCluster | Proxy, count: int, **more: Any) -> AsyncIterator[list[Node]]:
    nodes = [Node(f"n{number}", etcd.urls, **more) for number in range(count)]
    try:
        for node in nodes:
            await node.start()
        await until(lambda: all(node.engine.stats()["engine"]["leader"] for node in nodes))
        yield nodes
    finally:
        for node in nodes:
            await node.stop()
