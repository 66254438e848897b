"""Clients that beat, as many as a story wants, in a thread of their own, and all that they were answered.

A client registers once and then does nothing but beat, every `heartbeatIntervalMs`; or it says all of itself with each beat (`upsert`).
It has no other code path: what the server forgets stays a 404.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.stories.process import Discovery, until

# Seconds: a client gives up waiting for an answer, and tries again after so long.
TIMEOUT = 5.0
RETRY = 0.5
# How often one that is cut off looks whether it still is.
LOOK = 0.02
# Between the first signs of two clients.
APART = 0.002

Spec = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Beat:
    """Monotonic seconds. `status` None: no answer; `code` that of an error."""

    client: int
    sent: float
    received: float
    status: int | None
    id: str = ""
    index: int = 0
    code: str = ""


class Clients:
    """`registered`: the answers to the registrations. `beats`: in the order of the answers. `cut`: who cannot send, for now."""

    def __init__(self, port: int, specs: Sequence[Spec], upsert: bool, every: float | None) -> None:
        self.registered: dict[int, Beat] = {}
        self.beats: list[Beat] = []
        self.cut: frozenset[int] = frozenset()
        self._base = f"http://127.0.0.1:{port}"
        self._specs = specs
        self._upsert = upsert
        self._every = every
        self._stop = threading.Event()

    def answered(self, since: float) -> set[int]:
        """Who had a 200 for a beat sent after `since`."""
        return {beat.client for beat in list(self.beats) if beat.sent > since and beat.status == 200}

    def refused(self) -> list[Beat]:
        """Answers that were none of 200 and 201."""
        return [beat for beat in list(self.beats) if beat.status not in (200, 201, None)]

    def fall_silent(self, server: Discovery, numbers: Iterable[int], ttl: float) -> None:
        """They cannot send from now on, and their leases end together, in so many seconds."""
        self.cut |= frozenset(numbers)
        server.register_together([self._specs[number] | {"ttl": ttl} for number in numbers])

    def run(self) -> None:
        asyncio.run(self._run())

    def stop(self) -> None:
        self._stop.set()

    async def _run(self) -> None:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT)
        async with aiohttp.ClientSession(
            self._base, timeout=timeout, connector=aiohttp.TCPConnector(limit=0)
        ) as session:
            lives = [asyncio.create_task(self._live(session, number)) for number in range(len(self._specs))]
            while not self._stop.is_set():
                await asyncio.sleep(LOOK)
                for life in lives:
                    if life.done():  # it never ends by itself
                        life.result()
            for life in lives:
                life.cancel()
            await asyncio.gather(*lives, return_exceptions=True)

    async def _live(self, session: aiohttp.ClientSession, number: int) -> None:
        spec = self._specs[number]
        await asyncio.sleep(number * APART)
        pause = 0.0
        if not self._upsert:
            registered, pause = await self._say(session, number, "POST", "/register", spec)
            while registered.status is None:  # no core for seconds
                registered, pause = await self._say(session, number, "POST", "/register", spec)
            assert registered.status == 201, registered
            self.registered[number] = registered
        method, path = ("PUT", "/instances") if self._upsert else ("POST", "/heartbeat")
        key = spec if self._upsert else {name: spec[name] for name in ("name", "ip", "port")}
        while True:
            await asyncio.sleep(pause)
            if number in self.cut:
                pause = LOOK
                continue
            beat, pause = await self._say(session, number, method, path, key)
            self.beats.append(beat)

    async def _say(
        self, session: aiohttp.ClientSession, number: int, method: str, path: str, body: Spec
    ) -> tuple[Beat, float]:
        """And when to speak next, seconds."""
        sent = time.monotonic()
        try:
            async with session.request(method, path, json=body) as response:
                said = await response.json()
        except (aiohttp.ClientError, TimeoutError):
            return Beat(number, sent, time.monotonic(), None), RETRY
        if response.status >= 400:
            return Beat(number, sent, time.monotonic(), response.status, code=said["code"]), RETRY
        beat = Beat(number, sent, time.monotonic(), response.status, said["instance"]["id"], said["index"])
        return beat, self._every or said["heartbeatIntervalMs"] / 1000


@contextmanager
def beating(port: int, specs: Sequence[Spec], upsert: bool = False, every: float | None = None) -> Iterator[Clients]:
    """All have had their first answer. `every`: seconds between two beats, whatever the server says: with a long lease a client that gets
    no core for a while does not lose it.
    """
    clients = Clients(port, specs, upsert, every)
    thread = threading.Thread(target=clients.run, daemon=True)
    thread.start()
    try:
        until(lambda: len(clients.registered) == len(specs) or len(clients.answered(0) | _new(clients)) == len(specs))
        yield clients
    finally:
        clients.stop()
        thread.join()


def _new(clients: Clients) -> set[int]:
    return {beat.client for beat in list(clients.beats) if beat.status == 201}


def crowd(services: int, each: int, **fields: Any) -> list[Spec]:
    """`each` instances of the services crowd-0, crowd-1, …, at addresses of their own."""
    return [
        {"name": f"crowd-{service}", "ip": f"10.{service}.0.{number + 1}", "port": 8000 + number, **fields}
        for service in range(services)
        for number in range(each)
    ]
