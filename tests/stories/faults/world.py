"""Three nodes of the registry as processes, each with its own way to etcd; clients that beat, and move on where they are refused; observers
that ask every node all the time. A fault is a coroutine that breaks something and mends it again; `checker` judges what was seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp
import dns.asyncquery
import dns.exception
import dns.message

from tests.engines.etcd.cluster import EtcdCluster, Proxy
from tests.stories.cluster.nodes import FLUSH, TTL, index, node, serial
from tests.stories.faults.checker import Answer, History, Interval, Life, Promise, wrong, wrong_at_the_end
from tests.stories.process import LIMIT, Discovery

SERVICES = ("web", "api", "db")
EACH = 5
PORT = 3001
# Seconds that most faults last.
LONG = 4 * TTL
# Seconds: between two questions to a node, and two heartbeats of a client.
_ASK, _BEAT = 0.05, TTL / 4
# A client goes to another node sooner than its lease ends.
_TIMEOUT = aiohttp.ClientTimeout(total=1.5)


# Seconds for everything; no row takes a minute.
_LIMIT = 200.0


class Nodes:
    """Those that run, by name; each reaches etcd through `proxies`, one for each member. `all`: and those that have ended."""

    def __init__(self, etcd: EtcdCluster, settings: dict[str, Any]) -> None:
        self.etcd = etcd
        self.settings = settings
        self.running: dict[str, Discovery] = {}
        self.all: list[Discovery] = []
        self.proxies: dict[str, list[Proxy]] = {}
        self._stacks: dict[str, ExitStack] = {}

    async def start(self, name: str, **more: Any) -> None:
        if name not in self.proxies:
            self.proxies[name] = [Proxy(member.client) for member in self.etcd.members]
            for proxy in self.proxies[name]:
                await proxy.start()
        url = "etcd://" + ",".join(proxy.url.removeprefix("http://") for proxy in self.proxies[name])
        stack = ExitStack()
        given = {"NODE_NAME": name, "ENGINE_URL": url, **self.settings, **more}
        self.running[name] = await asyncio.to_thread(lambda: stack.enter_context(node(self.etcd, **given)))
        self.all.append(self.running[name])
        self._stacks[name] = stack

    async def stop(self, name: str, number: signal.Signals) -> None:
        server = self.running.pop(name)
        await asyncio.to_thread(server.stop, number)
        await asyncio.to_thread(self._stacks.pop(name).close)

    async def close(self) -> None:
        for name in list(self.running):
            with contextlib.suppress(ProcessLookupError):
                self.running[name].process.send_signal(signal.SIGCONT)
            await self.stop(name, signal.SIGKILL)
        for proxies in self.proxies.values():
            for proxy in proxies:
                await proxy.close()


class World:
    """`history` of what was seen. The fault's part: `cut`, `heal`, `kill`, `die`, `goodbye`, `join`."""

    def __init__(self, etcd: EtcdCluster, nodes: Nodes, promise: Promise) -> None:
        self.etcd = etcd
        self.nodes = nodes
        self.history = History(promise)
        self.beating: list[Life] = []
        self.refused = 0  # heartbeats that no node took
        self._cut_since: dict[str, float] = {}
        self._number = 0
        self._over = False
        self._session: aiohttp.ClientSession

    # -- clients

    async def join(self, service: str, at: str | None = None) -> Life:
        """A new instance, acknowledged; it beats from now on, first at this node."""
        self._number += 1
        ip, first = f"10.0.{self._number // 250}.{self._number % 250 + 1}", at or "abc"[self._number % 3]
        body = {"name": service, "ip": ip, "port": PORT}
        ends = time.monotonic() + LIMIT
        while time.monotonic() < ends:
            for name in (first, *(other for other in self.nodes.running if other != first)):
                status = await self._send("POST", name, "/register", body)
                if status == 201:
                    now = time.monotonic()
                    life = Life(service, ip, now, now, name)
                    self.history.lives.append(life)
                    self.beating.append(life)
                    return life
            await asyncio.sleep(0.1)
        raise AssertionError("no node took a registration")

    def die(self, life: Life) -> None:
        """As `kill -9` of the service would."""
        self.beating.remove(life)
        life.silent = True

    async def goodbye(self, life: Life) -> None:
        self.beating.remove(life)
        life.unsure = True
        for name in (life.at, *(other for other in self.nodes.running if other != life.at)):
            path = f"/services/{life.service}/instances?ip={life.ip}&port={PORT}"
            if await self._send("DELETE", name, path, None) in (200, 404):
                life.goodbye, life.unsure = time.monotonic(), False
                return

    async def _send(self, method: str, name: str, path: str, body: Any) -> int:
        """The status; 0: no answer."""
        server = self.nodes.running.get(name)
        if server is None:
            return 0
        try:
            async with self._session.request(method, server.http + path, json=body) as reply:
                await reply.read()
                return reply.status
        except (aiohttp.ClientError, OSError, TimeoutError):
            return 0

    async def _keep_alive(self, life: Life) -> None:
        """One heartbeat: at its node, else at the first that takes it."""
        body = {"name": life.service, "ip": life.ip, "port": PORT}
        noted: str | None = None
        life.unsure |= time.monotonic() - life.beats > TTL
        for name in (life.at, *(other for other in sorted(self.nodes.running) if other != life.at)):
            began = time.monotonic()
            status = await self._send("POST", name, "/heartbeat", body)
            if life not in self.beating:
                return
            if status == 200:
                life.at, life.beats = name, began
                return
            if status == 503:
                noted = noted or name
            if status == 404:
                self.history.answers.append(
                    Answer(name, began, time.monotonic(), life.service, frozenset(), False, "heartbeat")
                )
        self.refused += 1
        if noted is not None:
            life.beats = time.monotonic()

    async def _beat(self) -> None:
        while not self._over:
            began = time.monotonic()
            await asyncio.gather(*(self._keep_alive(life) for life in list(self.beating)))
            await asyncio.sleep(max(0.0, _BEAT - (time.monotonic() - began)))

    # -- observers

    async def _observe(self, name: str) -> None:
        turn = 0
        while not self._over:
            turn += 1
            service = SERVICES[turn % len(SERVICES)]
            server = self.nodes.running.get(name)
            if server is not None:
                ask = self._ask_http if turn % 2 else self._ask_dns
                with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError, dns.exception.DNSException):
                    await ask(name, server, service)
            await asyncio.sleep(_ASK)

    async def _ask_http(self, name: str, server: Discovery, service: str) -> None:
        began = time.monotonic()
        async with self._session.get(f"{server.http}/resolve/{service}") as reply:
            body = await reply.json()
            if reply.status in (200, 404):
                served = frozenset(each["ip"] for each in body.get("instances", ()))
                stale = "X-Registry-Stale" in reply.headers
                self.history.answers.append(Answer(name, began, time.monotonic(), service, served, stale, "http"))

    async def _ask_dns(self, name: str, server: Discovery, service: str) -> None:
        query = dns.message.make_query(f"{service}.svc.local", "A", use_edns=0)
        began = time.monotonic()
        reply = await dns.asyncquery.udp(query, "127.0.0.1", port=server.dns_port, timeout=1)
        if reply.rcode() in (0, 3):
            served = frozenset(rdata.to_text() for rrset in reply.answer for rdata in rrset)
            stale = any(option.code == 3 for option in getattr(reply, "extended_errors", lambda: ())())
            self.history.answers.append(Answer(name, began, time.monotonic(), service, served, stale, "dns"))

    # -- what a fault does

    def cut(self, *names: str, blackhole: bool = False, members: slice = slice(None)) -> None:
        """They cannot reach etcd (those members of it) any more."""
        for name in names:
            for proxy in self.nodes.proxies[name][members]:
                proxy.blackhole() if blackhole else proxy.cut()
            self.deaf(name)

    async def heal(self, *names: str) -> None:
        """They can; returns when they have caught up."""
        for name in names:
            for proxy in self.nodes.proxies[name]:
                proxy.heal()
        for name in names:
            await self.hears(name)

    def deaf(self, name: str) -> None:
        self._cut_since.setdefault(name, time.monotonic())

    async def hears(self, name: str) -> None:
        """Waits until /ready is 200; then the others wait for what it had heard alone no longer than its key lasts."""
        await self.until(lambda: self.is_ready(name))
        now, since = time.monotonic(), self._cut_since.pop(name, None)
        if since is not None:
            self.history.cut.append(Interval(name, since, now))
            self.silent(name, since, now)

    def silent(self, name: str, since: float, until: float) -> None:
        """To the other nodes, between these times; no longer than its key lasts."""
        self.history.ended.append(Interval(name, since, min(until, since + self.history.promise.held) + TTL))

    async def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        now = time.monotonic()
        await self.nodes.stop(name, number)
        if number == signal.SIGKILL:
            self.silent(name, now, now + self.history.promise.held)

    async def is_ready(self, name: str, query: str = "") -> bool:
        return await self._send("GET", name, f"/ready{query}", None) == 200

    async def until(self, condition: Callable[[], Awaitable[bool]], limit: float = LIMIT) -> None:
        ends = time.monotonic() + limit
        while not await condition():
            assert time.monotonic() < ends, f"not true within {limit:g} s"
            await asyncio.sleep(0.05)

    # -- the whole

    async def live(self, fault: Callable[[World], Awaitable[None]]) -> None:
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as self._session:
            for service in SERVICES:
                for _ in range(EACH):
                    await self.join(service)
            tasks = [asyncio.create_task(self._beat()), *(asyncio.create_task(self._observe(name)) for name in "abc")]
            try:
                await asyncio.sleep(TTL)  # a whole lease in peace
                await fault(self)
                for name in list(self.nodes.running):
                    await self.hears(name)
                await asyncio.sleep(TTL + 3 * FLUSH)  # and one after it
                self.history.promise = self.history.promise.after(self._stood_still())
                wrongs = [*wrong(self.history), *await self._end()]
            finally:
                self._over = True  # not cancelled: a request that ends of its own time at that moment would swallow it
                done = await asyncio.gather(*tasks, return_exceptions=True)
        broken = [each for each in done if isinstance(each, Exception)]
        assert not broken, broken
        assert not wrongs, "\n".join(wrongs[:40])

    def _stood_still(self) -> float:
        """Seconds for which nodes got no core. One that a fault stops stands still for longer."""
        lines = [line for server in self.nodes.all for line in server.log]
        pauses = [float(seconds) for line in lines for seconds in re.findall(r"stood still for ([\d.]+) s", line)]
        return sum(pause for pause in pauses if pause < LONG / 2)

    async def _end(self) -> list[str]:
        """What is wrong once everybody has settled: the same on two looks, so that nothing was on its way."""
        deadline = time.monotonic() + 20
        while True:
            found = await asyncio.to_thread(self._compare)
            if not found or time.monotonic() > deadline:
                return found
            await asyncio.sleep(0.2)

    def _compare(self) -> list[str]:
        servers = self.nodes.running
        tables = {}
        for name, server in servers.items():
            services = server.request("GET", "/services").body["services"]
            tables[name] = frozenset(each["ip"] for service in services.values() for each in service["instances"])
        indexes = {name: index(server) for name, server in servers.items()}
        return wrong_at_the_end(self.history.lives, tables, indexes, [serial(server) for server in servers.values()])


def _stacks() -> str:
    """What every task waits for."""
    text = io.StringIO()
    for task in asyncio.all_tasks():
        task.print_stack(limit=3, file=text)
    return text.getvalue()


@contextlib.contextmanager
def members(folder: Path, size: int) -> Iterator[EtcdCluster]:
    folder.mkdir(exist_ok=True)
    cluster = EtcdCluster(folder, size)
    try:
        yield cluster
    finally:
        cluster.kill()


async def survives(
    folder: Path,
    fault: Callable[[World], Awaitable[None]],
    *,
    size: int = 1,
    etcd: tuple[str, ...] = (),
    **settings: Any,
) -> World:
    """Everything goes on as promised while this fault lasts and after it. `size`: members of etcd; `etcd`: its arguments."""
    with members(folder, size) as cluster:
        await cluster.start(*etcd)
        nodes = Nodes(cluster, {"BRAKE_PERCENT": 0, "HISTORY_DAYS": 0, "REGISTERS_PER_SECOND": 0, **settings})
        try:
            for name in "abc":
                await nodes.start(name)
            flush = settings.get("ETCD_FLUSH_SECONDS", FLUSH)
            # What does not say that it is old is so by three flushes at most.
            world = World(cluster, nodes, Promise(lease=TTL + 2 * flush, visible=3 * flush + 1.5))
            async with asyncio.timeout(_LIMIT):
                await world.live(fault)
            return world
        except TimeoutError:
            raise AssertionError(f"not over within {_LIMIT:g} s: {_stacks()}") from None
        finally:
            await nodes.close()
