"""The port on which a program that was started is expected to answer. It is tried until it does; nothing tells when."""

from __future__ import annotations

import asyncio
import logging

from discovery.client import Unreachable
from discovery.client.access import Servers
from discovery.client.local_address import local_address

_log = logging.getLogger("discovery.run")

# Seconds between two tries: the first, doubled up to the last.
_FIRST_PAUSE, _LAST_PAUSE = 0.05, 1.0
_CONNECT_SECONDS = 1.0
_REGISTRY_SECONDS = 2.0
# Seconds after which it is said that the port does not answer; doubled each time it is said.
WARN_AFTER = 10.0
_LOOPBACK = ("127.0.0.1", "::1")


class ProgramsPort:
    """`address` None: the local address of the connection to the registry, as soon as there is one."""

    def __init__(self, port: int, address: str | None) -> None:
        self._port = port
        self._given = address
        self._servers = Servers()

    async def answers(self) -> bool:
        address = await self._address()
        return address is not None and await answers(address, self._port)

    async def answering(self) -> None:
        """Returns when it answers, and says now and then that it does not."""
        loop = asyncio.get_running_loop()
        began, pause, warn_after = loop.time(), _FIRST_PAUSE, WARN_AFTER
        while not await self.answers():
            if loop.time() - began >= warn_after:
                _log.warning(
                    "after %.0f s %s; the program runs, and is not registered", warn_after, await self._why_not()
                )
                warn_after *= 2
            await asyncio.sleep(pause)
            pause = min(_LAST_PAUSE, pause * 2)

    async def _why_not(self) -> str:
        address = await self._address()
        if address is None:
            return "no registry answers"
        if address not in _LOOPBACK and any([await answers(each, self._port) for each in _LOOPBACK]):
            return (
                f"port {self._port} answers on loopback but not at {address}, which would be registered: let the program listen "
                "there, or say --probe 127.0.0.1"
            )
        return f"port {self._port} does not answer at {address}"

    async def _address(self) -> str | None:
        if self._given is not None:
            return self._given
        try:
            return await local_address(self._servers, _REGISTRY_SECONDS)
        except Unreachable:
            return None


async def answers(address: str, port: int) -> bool:
    """Whether somebody takes a TCP connection there."""
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(address, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
