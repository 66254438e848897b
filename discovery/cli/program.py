"""A program that is run for somebody: in a process group of its own, told to end, made to end, its exit status as a shell has it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence

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
