"""This process as an instance of a service: registered while it runs, kept alive by beats, gone when it ends.

async with Service("user-service", port=3001):
    ...                                     # serve

with Service("user-service", port=3001):    # the same without asyncio: it beats in a thread of its own
    ...

Service("user-service", port=3001).start()  # until the interpreter ends
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import random
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, NotRequired, Self, Unpack
from urllib.parse import quote

from typing_extensions import TypedDict

from discovery.client import background
from discovery.client.access import Access
from discovery.client.beats import DEFAULT_INTERVAL, MAX_INTERVAL, MIN_INTERVAL, Beats
from discovery.client.errors import Refused, RegistryError
from discovery.client.instance import Instance
from discovery.client.local_address import local_address
from discovery.client.registry_client import Params, RegistryClient, is_plain
from discovery.client.replies import Drained, Finite, Reply, seconds_left

_log = logging.getLogger("discovery.client")


class _Heard(TypedDict):
    heartbeatIntervalMs: NotRequired[Finite]


class _Identified(TypedDict):
    id: str


class _Registered(_Heard):
    instance: _Identified


class Service:
    """`async with`, `with`, or `start` and `stop`. All of it never ends by an exception of the registry: it is tried again.

    >>> async def example():
    ...     async with Service("orders", port=3002, tags=["blue"], metadata={"version": "1.2"}) as service:
    ...         return service.registered, service.ip
    >>> asyncio.run(example())
    (True, '127.0.0.1')

    >>> with Service("orders", port=3002, ttl=30) as service:
    ...     service.registered
    True
    """

    def __init__(
        self,
        name: str,
        port: int | None,
        *,
        ip: str | None = None,
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        ports: Mapping[str, int] | None = None,
        protocol: str | Sequence[str] | None = None,
        weight: int | None = None,
        priority: int | None = None,
        warning_weight: int | None = None,
        zone: str | None = None,
        ttl: float | None = None,
        keep: float | None = None,
        max_answers: int | None = None,
        check: Mapping[str, Any] | None = None,
        checks: Sequence[Mapping[str, Any]] | None = None,
        id: str | None = None,
        **access: Unpack[Access],
    ) -> None:
        """The fields are those of `PUT /instances`; `ttl` and `keep` in seconds. `access`: as RegistryClient takes it.

        `port` None: it has none. `ip`: or a host name; None: the local address of the connection to the registry, looked up whenever it
        registers.
        """
        self.name = name
        self.port = port
        self.ip = ip
        self.id: str | None = None
        self._find_ip = ip is None
        options = {
            "tags": list(tags) or None,
            "metadata": metadata or None,
            "ports": ports or None,
            "protocol": protocol,
            "weight": weight,
            "priority": priority,
            "warningWeight": warning_weight,
            "zone": zone,
            "ttl": ttl,
            "keep": keep,
            "maxAnswers": max_answers,
            "check": check,
            "checks": checks and list(checks),
            "id": id,
        }
        self._options = {field: value for field, value in options.items() if value is not None}
        self._registry = RegistryClient(**access)
        self._beats = Beats(random.uniform, time.monotonic())
        self._draining = False
        self._own: dict[str, str] = {}  # what it says of its health
        self._open = False
        self._task: asyncio.Task[None] | None = None
        self._pid: int | None = None  # of the process that started it plainly
        self._trouble = ""  # the last one that the log told of

    @property
    def registered(self) -> bool:
        """Whether the registry knew of it when it was last heard."""
        return self._beats.registered

    # -- for asyncio

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Registers. Refused when the registry says no for good (a bad field, a missing right, no room).

        A registry that is away is no error: it is registered when the registry is there.
        """
        self._open = True
        try:
            await self._speak()
        except Refused as error:
            if not error.passing:
                self._open = False
                await self._registry.close()
                raise
            self._failed(error)
        except RegistryError as error:
            self._failed(error)
        self._task = asyncio.create_task(self._keep_alive(), name=f"beats of {self.name}")

    async def close(self) -> None:
        """Deregisters. When that cannot be done, the log says so and the lease ends by itself. Nothing when it is not open."""
        if not self._open:
            return
        self._open = False
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])  # a beat that came after the end would bring it back
            self._task = None
        try:
            if self.ip is not None:
                where = self._at()
                await self._registry.request("DELETE", self._path(), params=where, accept=(HTTPStatus.NOT_FOUND,))
                _log.info("%s at %s is deregistered", self.name, self._address)
        except Exception as error:
            _log.warning("%s at %s is not deregistered, its lease ends by itself: %s", self.name, self._address, error)
        finally:
            self._beats.registered = False
            await self._registry.close()

    async def drain(self) -> float:
        """Takes it out of new answers while it goes on living. Seconds until no DNS cache holds it any more. RegistryError."""
        self._draining = True
        reply = await self._registry.request("PUT", self._path("/drain"), params=self._at())
        return seconds_left(reply.of_shape(Drained))

    async def report(self, health: str, output: str = "") -> None:
        """What it says of itself from now on: `passing`, `warning` (served with a small share) or `failing` (out of answers, its lease
        renewed all the same). `output`: what it found, at most 4 KiB. RegistryError: it is said again with each beat.
        """
        self._own = {"health": health, "output": output}
        if self.registered:
            await self._say()

    async def report_check(self, check: str, health: str, output: str = "") -> None:
        """What one of its `ttl` checks found, within its `ttl` each time: beats do not repeat it, for only the check's own code knows.
        RegistryError.
        """
        path = f"/instances/{quote(self.id or '', safe='')}/checks/{quote(check, safe='')}"
        await self._send(path, {"health": health, "output": output}, "PUT")

    # -- for everybody else

    def __enter__(self) -> Self:
        background.run(self.open())
        return self

    def __exit__(self, *exception: object) -> None:
        background.run(self.close())

    def start(self) -> Self:
        """As `open`, until `stop` or the end of the interpreter. Call it in the process that lives longest: a forked child of it
        neither beats nor deregisters, so a server with many workers starts it once, in the parent.
        """
        background.run(self.open())
        self._pid = os.getpid()
        atexit.register(self.stop)
        return self

    def stop(self) -> None:
        """Deregisters. Nothing when it was not started in this process, or has been stopped."""
        atexit.unregister(self.stop)
        if self._pid == os.getpid():
            self._pid = None
            background.run(self.close())

    # -- what its task does

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(self._beats.due - time.monotonic())
            try:
                await self._speak()
            except Refused as error:
                if error.status == HTTPStatus.NOT_FOUND and self.registered:
                    _log.warning("the registry does not know %s (%s): it is registered again", self.name, error)
                    self._beats.forgotten(time.monotonic(), error.retry_after)
                else:
                    self._failed(error)
            except Exception as error:  # whatever it is, the next beat may succeed
                self._failed(error)

    async def _speak(self) -> None:
        """Registers or beats, whichever is due. RegistryError."""
        if self.registered:
            in_full = self._own or not is_plain(self._key())
            self._accepted(await (self._say() if in_full else self._send("/heartbeat", self._key())))
            return
        if self._find_ip:
            self.ip = await local_address(self._registry.servers, self._registry.timeout)
        reply = await self._registry.register(self._key() | self._options | self._own, self._seconds)
        id = reply.of_shape(_Registered)["instance"]["id"]
        if self._draining:  # a registry that has lost its memory must not answer with it again
            await self.drain()
        self._accepted(reply)
        self.id = id
        _log.info("%s is registered at %s with %s", self.name, self._address, reply.url)

    async def _say(self) -> Reply:
        """A beat with its registration and its health."""
        return await self._send("/instances", self._key() | self._options | self._own, "PUT")

    async def _send(self, path: str, body: Mapping[str, Any], method: str = "POST") -> Reply:
        return await self._registry.request(method, path, json=body, timeout=self._seconds)

    @property
    def _seconds(self) -> float:
        """No server may keep the others from being asked before the lease ends."""
        return min(self._registry.timeout, self._beats.interval)

    def _accepted(self, reply: Reply) -> None:
        if self._trouble:
            _log.info("the registry answers %s again", self.name)
            self._trouble = ""
        self._beats.accepted(time.monotonic(), _interval(reply))

    def _failed(self, error: Exception) -> None:
        """Said once, until something else is wrong."""
        if str(error) != self._trouble:
            self._trouble = str(error)
            unforeseen = None if isinstance(error, RegistryError) else error
            _log.warning("%s is tried again: %s", self.name, error, exc_info=unforeseen)
        self._beats.failed(time.monotonic(), error.retry_after if isinstance(error, Refused) else None)

    @property
    def _address(self) -> str:
        return Instance(self.name, self.ip or "", self.port).address

    def _key(self) -> dict[str, Any]:
        return {"name": self.name, "ip": self.ip, "port": self.port}

    def _path(self, operation: str = "") -> str:
        return f"/services/{quote(self.name, safe='')}/instances{operation}"

    def _at(self) -> Params:
        return {"ip": self.ip, "port": self.port or ""}


def _interval(reply: Reply) -> float:
    """Seconds. A server that does not say - the one this began as - is told as often as its usual timeout needs it."""
    milliseconds = reply.of_shape(_Heard).get("heartbeatIntervalMs", 0)
    return min(MAX_INTERVAL, max(MIN_INTERVAL, milliseconds / 1000)) if milliseconds > 0 else DEFAULT_INTERVAL
