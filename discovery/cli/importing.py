"""`discovery import SOURCE` and `discovery sync --to TARGET`: moving from another registry, service by service."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable, Iterable
from fnmatch import fnmatchcase
from typing import Annotated
from urllib.parse import urlsplit

from cyclopts import Parameter

from discovery.cli.connection import ask
from discovery.cli.errors import Failed, WrongArguments
from discovery.cli.output import put_line, say
from discovery.cli.times import as_seconds
from discovery.client import Refused, RegistryClient, Unreachable
from discovery.client.access import Servers
from discovery.moving.consul import Consul
from discovery.moving.eureka import Eureka
from discovery.moving.file import File
from discovery.moving.found import Source, SourceAway, SourceError, understood
from discovery.moving.importing import Import
from discovery.moving.syncing import Sync

_REMOTE: dict[str, type[Consul | Eureka]] = {"consul": Consul, "consuls": Consul, "eureka": Eureka, "eurekas": Eureka}
# Seconds between two tries of a source, or a registry, that is away at the start.
_AGAIN = 5.0

Services = Annotated[str, Parameter(help="only services whose names are like this: 'user-*'")]


def importing(
    source: Annotated[
        str,
        Parameter(
            help="consul://HOST:8500, eureka://HOST:8761/eureka, or a JSON file; with TLS consuls://, eurekas://"
        ),
    ],
    /,
    *,
    follow: Annotated[
        bool,
        Parameter(
            negative="--once",
            help="go on and follow it, until Ctrl-C; --once (the default) copies once, with leases of an hour",
        ),
    ] = False,
    dry_run: Annotated[bool, Parameter(help="only say what would be done")] = False,
    services: Services = "*",
    hold: Annotated[
        float,
        Parameter(
            converter=as_seconds,
            help="how long copies are suspects when the source, or this, is away; 1h if it is not given",
        ),
    ] = 3600.0,
    ignore_kv: Annotated[bool, Parameter(help="go on though Consul has KV keys, which are not copied")] = False,
) -> None:
    scheme, found, _ = source.partition("://")
    if found and scheme not in _REMOTE:
        raise WrongArguments(
            f"{scheme}:// cannot be imported from; there are consul://HOST:8500, eureka://HOST:8761/eureka and files"
        )
    from_ = _known(lambda: _REMOTE[scheme](source) if found else File(source))
    _run(lambda registry: _import(registry, from_, services.lower(), hold, follow, dry_run, ignore_kv), from_)


async def _import(
    registry: RegistryClient, source: Source, services: str, hold: float, follow: bool, dry_run: bool, ignore_kv: bool
) -> None:
    work = Import(registry, source, hold, lambda name: fnmatchcase(name, services), put_line)
    while True:
        try:
            with understood(source.name):
                await source.check(ignore_kv)
            plan = await work.plan()
            break
        except (SourceAway, Unreachable, Refused) as error:
            if not follow or dry_run or (isinstance(error, Refused) and not error.passing):
                raise
            say(f"{error}; it is tried again")
            await asyncio.sleep(_AGAIN)
    for line in plan.lines():
        put_line(line)
    if dry_run:
        return
    if follow:
        await work.follow()
    count = await work.carry_out(plan)
    if count < len(plan.put):
        raise Failed(f"{len(plan.put) - count} of {len(plan.put)} are not copied")
    put_line(
        f"{count} are copied; they are held for {hold:g} s after an hour, unless they come themselves or this is run again"
    )


def sync(
    *,
    to: Annotated[
        str,
        Parameter(help="consul://HOST:8500 (an agent), or eureka://HOST:8761/eureka; with TLS consuls://, eurekas://"),
    ],
    services: Services = "*",
) -> None:
    scheme = to.partition("://")[0]
    if scheme not in _REMOTE:
        raise WrongArguments(f"--to {to}: write consul://HOST:8500 or eureka://HOST:8761/eureka")
    target = _known(lambda: _REMOTE[scheme](to, mark=_mark(Servers())))
    assert not isinstance(target, File)

    async def follow(registry: RegistryClient) -> None:
        await Sync(registry, target, lambda name: fnmatchcase(name, services.lower()), put_line).follow()

    _run(follow, target)


def _mark(servers: Iterable[str]) -> str:
    """Whose what is told there is: by the registry's addresses; with the host, where they say none that others know it by."""
    addresses = ",".join(sorted(servers))
    is_local = any(urlsplit(each).hostname in ("localhost", "127.0.0.1", "::1") for each in servers)
    return f"{addresses} at {socket.gethostname()}" if is_local else addresses


def _known(make: Callable[[], Consul | Eureka | File]) -> Consul | Eureka | File:
    try:
        return make()
    except SourceError as error:
        raise WrongArguments(str(error)) from None


def _run(work: Callable[[RegistryClient], Awaitable[None]], other: Consul | Eureka | File) -> None:
    """SIGTERM ends it as Ctrl-C does, and is no failure."""

    async def to_the_end(registry: RegistryClient) -> None:
        task = asyncio.ensure_future(work(registry))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        try:
            await task
        except asyncio.CancelledError:
            if not task.cancelled():
                raise
        except (SourceAway, SourceError) as error:
            raise Failed(str(error)) from None
        finally:
            await other.close()

    ask(to_the_end)
