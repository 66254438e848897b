"""`discovery run --name NAME --port PORT -- COMMAND…`: a program that knows nothing of registries is registered while it runs.

Started, registered when its port answers, kept alive by beats, drained when it is told to end, deregistered when it has ended. Signals
go through to it and its exit status comes back. Every step is said on standard error.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from discovery.cli import logs
from discovery.cli.connection import refused
from discovery.cli.errors import Failed, WrongArguments
from discovery.cli.program import Program, ProgramsPort
from discovery.cli.register import Fields
from discovery.cli.times import as_seconds
from discovery.client import InvalidAddress, Refused, RegistryError, Service, UnusableCertificate
from discovery.core.errors import InvalidField, reason_of
from discovery.core.instance import Registration

_log = logging.getLogger("discovery.run")

# In the place of one that is looked up when the registry answers.
_SOME_IP = "127.0.0.1"
_END = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
_PASS = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Run:
    name: Annotated[str, Parameter(help="of the service")]
    port: Annotated[int, Parameter(help="where the program listens", validator=Number(gte=1, lte=65535))]
    ip: Annotated[
        str | None, Parameter(help="where others reach it; else the address by which this host speaks to the registry")
    ] = None
    probe: Annotated[
        str | None,
        Parameter(help="the address where its port answers, if not there; none: it is registered at once (for UDP)"),
    ] = None
    start_timeout: Annotated[
        float | None, Parameter(converter=as_seconds, help="ends it when its port has not answered by then, such as 2m")
    ] = None
    drain: Annotated[
        float, Parameter(converter=as_seconds, help="longest wait for DNS caches before it is told to end; 30s")
    ] = 30.0
    grace: Annotated[float, Parameter(converter=as_seconds, help="from being told to end until it is killed; 10s")] = (
        10.0
    )
    fields: Fields = field(default_factory=Fields)


def run(
    *command: Annotated[str, Parameter(help="the program and its arguments, behind --", allow_leading_hyphen=True)],
    what: Run,
) -> int:
    """The exit status: the program's own; 128 and the number of the signal that ended it; 127 and 126 when it cannot be started, as
    from a shell; 1 when it could not be registered, or went into the background.
    """
    if not command:
        raise WrongArguments(
            "there is no program to run; write it behind --, as in: discovery run … -- python server.py"
        )
    try:
        Registration.of(what.name, what.ip or _SOME_IP, what.port, **what.fields.given())
        supervisor = _Supervisor(command, what)
    except InvalidField as error:  # the registry would refuse it when the program runs
        raise WrongArguments(str(error)) from None
    except InvalidAddress as error:
        raise WrongArguments(f"DISCOVERY_URL: {error}") from None
    except UnusableCertificate as error:
        raise WrongArguments(str(error)) from None
    log = logs.configure("info", "run")
    try:
        return asyncio.run(supervisor.run())
    finally:
        log.flush()


class _Supervisor:
    def __init__(self, command: Sequence[str], what: Run) -> None:
        self._command = command
        self._what = what
        self._port = ProgramsPort(what.port, what.ip if what.probe in (None, "none") else what.probe)
        self._service = Service(what.name, what.port, ip=what.ip, **what.fields.given())
        self._program: Program | None = None
        self._end_asked = asyncio.Event()  # a signal came that asks it to end
        self._signum = signal.SIGTERM

    async def run(self) -> int:
        self._catch_signals()
        if self._what.probe != "none" and await self._port.answers():
            _log.error("port %d already answers, before the program has started: is it running twice?", self._what.port)
            return 1
        try:
            self._program = program = await Program.start(self._command)
        except (OSError, ValueError) as error:
            reason = reason_of(error)
            _log.error("%s cannot be started: %s", self._command[0], reason)
            return 127 if isinstance(error, FileNotFoundError) else 126
        _log.info("started %s, pid %d", " ".join(self._command), program.pid)
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
        self._end_asked.clear()
        if not self._service.registered:
            return
        try:
            await self._until(program, self._drained())
        except Exception as error:  # whatever it is, the program is told to end
            _log.warning("it is not drained: %s", error)

    async def _drained(self) -> None:
        """Out of new answers, and a while for those who still have an old one."""
        seconds = min(await self._service.drain(), self._what.drain)
        _log.info("told to end by %s: drained, the program is told in %.1f s", self._signum.name, seconds)
        await asyncio.sleep(seconds)

    async def _end(self, program: Program) -> None:
        """It is told to end, and killed when it does not, or when another signal comes."""
        self._end_asked.clear()
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
        tasks = [asyncio.create_task(each) for each in (self._end_asked.wait(), work) if each is not None]
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
            self._end_asked.set()
        elif self._program is not None:
            self._program.send(signum)
