"""What `discovery run` does: a program that knows nothing of registries is registered while it runs.

Started, registered when its port answers, kept alive by beats, drained when it is told to end, deregistered when it has ended. Signals
go through to it and its exit status comes back. Every step is said on standard error.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from discovery.cli.connection import refused
from discovery.cli.logs import Background, escaped
from discovery.cli.program import Program
from discovery.cli.programs_port import ProgramsPort
from discovery.client import Refused, RegistryError, Service

_log = logging.getLogger("discovery.run")

_END = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
_PASS = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH)


@dataclass(frozen=True)
class Run:
    """`ip` None: the local address of the connection to the registry. `probe`: where its port is expected to answer, None: at the
    address that is registered, "none": it is registered at once (a program that speaks UDP).

    Seconds: `start_timeout`: for its port to answer, None: as long as it takes. `drain_limit`: the longest wait for DNS caches to forget
    it before it is told to end. `grace`: from being told to end until it is killed.
    `fields`: more of the registration, as `Service` takes them. Where the registry is says the environment.
    """

    name: str
    port: int
    command: Sequence[str]
    ip: str | None = None
    probe: str | None = None
    start_timeout: float | None = None
    drain_limit: float = 30.0
    grace: float = 10.0
    fields: Mapping[str, Any] = field(default_factory=dict)


def supervise(what: Run) -> int:
    """The exit status: the program's own; 128 and the number of the signal that ended it; 127 and 126 when it cannot be started, as
    from a shell; 1 when it could not be registered, or went into the background. InvalidAddress.
    """
    with _said_on_stderr():
        return asyncio.run(_supervised(what))


async def _supervised(what: Run) -> int:
    return await _Supervisor(what).run()


class Failed(Exception):
    """The program cannot be run as it was asked for, and is ended."""


class _Supervisor:
    def __init__(self, what: Run) -> None:
        self._what = what
        self._port = ProgramsPort(what.port, what.ip if what.probe in (None, "none") else what.probe)
        self._service = Service(what.name, what.port, ip=what.ip, **what.fields)
        self._program: Program | None = None
        self._told = asyncio.Event()  # a signal came that asks it to end
        self._signum = signal.SIGTERM

    async def run(self) -> int:
        self._catch_signals()
        if self._what.probe != "none" and await self._port.answers():
            _log.error("port %d already answers, before the program has started: is it running twice?", self._what.port)
            return 1
        try:
            self._program = program = await Program.start(self._what.command)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            _log.error("%s cannot be started: %s", self._what.command[0], reason)
            return 127 if isinstance(error, FileNotFoundError) else 126
        _log.info("started %s, pid %d", " ".join(self._what.command), program.pid)
        try:
            return await self._supervise(program)
        finally:
            if program.left_behind:
                _log.info("it has left processes behind, which are told to end")
                await program.end_group(self._what.grace)
            await self._service.close()

    async def _supervise(self, program: Program) -> int:
        try:
            await self._until(program, self._register())
            await self._until(program)
        except (Failed, RegistryError) as error:
            _log.error("%s", refused(error) if isinstance(error, Refused) else error)
            await self._end(program)
            return 1
        if not program.running:
            return await self._ended_by_itself(program)
        await self._drain(program)
        await self._end(program)
        _log.info("ended with status %d", program.status)
        return program.status

    async def _register(self) -> None:
        """When its port answers. Failed after `start_timeout`."""
        if self._what.probe != "none":
            try:
                async with asyncio.timeout(self._what.start_timeout):
                    await self._port.answering()
            except TimeoutError:
                raise Failed(
                    f"port {self._what.port} did not answer within {self._what.start_timeout:g} s: it is ended"
                ) from None
        await self._service.open()

    # -- until it has ended

    async def _drain(self, program: Program) -> None:
        """Another signal cuts it short."""
        self._told.clear()
        if not self._service.registered:
            return
        try:
            await self._until(program, self._drained())
        except Exception as error:  # whatever it is, the program is told to end
            _log.warning("it is not drained: %s", error)

    async def _drained(self) -> None:
        """Out of new answers, and a while for those who still have an old one."""
        seconds = min(await self._service.drain(), self._what.drain_limit)
        _log.info("told to end by %s: drained, the program is told in %.1f s", self._signum.name, seconds)
        await asyncio.sleep(seconds)

    async def _end(self, program: Program) -> None:
        """It is told to end, and killed when it does not, or when another signal comes."""
        self._told.clear()
        program.send(self._signum)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._what.grace):
                await self._until(program)
        if program.running:
            _log.warning("it does not end: it is killed with all of its process group")
            program.kill()
        await program.ended

    async def _ended_by_itself(self, program: Program) -> int:
        if program.status == 0 and await self._port.answers():
            _log.error(
                "the program has gone into the background, where it cannot be followed, and is deregistered: give it the option that "
                "keeps it in the foreground"
            )
            return 1
        _log.info("ended by itself with status %d", program.status)
        return program.status

    async def _until(self, program: Program, work: Coroutine[Any, Any, None] | None = None) -> None:
        """Until the program has ended, a signal asks for its end, or the work is done. Raises what the work raised."""
        tasks = [asyncio.create_task(each) for each in (self._told.wait(), work) if each is not None]
        try:
            await asyncio.wait([program.ended, *tasks], return_when=asyncio.FIRST_COMPLETED)
        finally:
            done = [task for task in tasks if task.done()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    def _catch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for signum in (*_END, *_PASS):
            if signal.getsignal(signum) is not signal.SIG_IGN:  # nohup's wish, and the shell's for its background
                loop.add_signal_handler(signum, self._on_signal, signum)

    def _on_signal(self, signum: signal.Signals) -> None:
        if signum in _END:
            self._signum = signum
            self._told.set()
        elif self._program is not None:
            self._program.send(signum)


@contextlib.contextmanager
def _said_on_stderr() -> Iterator[None]:
    """In the background: whoever does not read it must not stop the beats."""
    stream = logging.StreamHandler()
    stream.setFormatter(_Said())
    handler = Background(stream)
    loggers = [logging.getLogger(name) for name in ("discovery.run", "discovery.client")]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        handler.flush()
        for logger in loggers:
            logger.removeHandler(handler)


class _Said(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"discovery run: {escaped(record.getMessage())}"
