"""A program that is run for somebody: in a process group of its own, told to end, made to end, its exit status as a shell has it;
and the port on which it is expected to answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Sequence

from discovery.client import Unreachable
from discovery.client.access import Servers
from discovery.client.local_address import local_address

_log = logging.getLogger("discovery.run")

# How often it is looked whether the last of a group has gone: nothing tells when one does that is nobody's child here.
_LOOK_SECONDS = 0.05
# A group that was killed is gone at once, unless the kernel holds one of it.
_KILL_SECONDS = 1.0


class Program:
    """`ended`: done when its first process has ended."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid
        self.ended = asyncio.create_task(process.wait())

    @classmethod
    async def start(cls, command: Sequence[str]) -> Program:
        """OSError when it cannot be started. It has our output, and our input where that is no terminal. It is the first of a process
        group of its own, so that what it leaves behind can be found.
        """
        # Another group than the terminal's own that reads from it is stopped by the kernel, for good. As under nohup, it finds an end.
        stdin = asyncio.subprocess.DEVNULL if os.isatty(0) else None
        return cls(await asyncio.create_subprocess_exec(*command, stdin=stdin, process_group=0))

    @property
    def running(self) -> bool:
        return not self.ended.done()

    @property
    def status(self) -> int:
        """When it has ended: its own, or 128 and the number of the signal that ended it."""
        code = self.ended.result()
        return code if code >= 0 else 128 - code

    def send(self, signum: int) -> None:
        """To its first process alone, which looks after its others."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signum)

    def kill(self) -> None:
        """All of its group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    @property
    def left_behind(self) -> bool:
        """Whether others of its group still run."""
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    async def end_group(self, grace: float) -> None:
        """What the first process has left behind is told to end, and killed after `grace` seconds."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGTERM)
        if not await self._group_ends(grace):
            self.kill()
            await self._group_ends(_KILL_SECONDS)

    async def _group_ends(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.left_behind:  # noqa: ASYNC110 - no event tells it
                    await asyncio.sleep(_LOOK_SECONDS)
        return not self.left_behind


# Seconds between two tries: the first, doubled up to the last.
_FIRST_PAUSE, _LAST_PAUSE = 0.05, 1.0
_CONNECT_SECONDS = 1.0
_REGISTRY_SECONDS = 2.0
# Seconds after which it is said that the port does not answer; doubled each time it is said.
WARN_AFTER = 10.0
_LOOPBACK = ("127.0.0.1", "::1")


class ProgramsPort:
    """The port on which a program that was started is expected to answer. It is tried until it does; nothing tells when.

    `address` None: the local address of the connection to the registry, as soon as there is one."""

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
