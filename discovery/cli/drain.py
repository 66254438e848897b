"""`discovery drain` and `undrain`: instances leave the answers, alive, and come back. `drain` ends when no cache can hold them any more."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from discovery.cli.connection import Json, ask, in_path, send
from discovery.cli.live import sleep
from discovery.cli.output import Format, put_done, put_line
from discovery.cli.register import named
from discovery.cli.targets import Host, Where, Word, instances_of
from discovery.cli.times import epoch
from discovery.client import RegistryClient


def drain(
    target: Word = None,
    /,
    *,
    where: Where | None = None,
    host: Host = None,
    no_wait: Annotated[bool, Parameter(help="do not wait until it is safe to stop them")] = False,
    output: Format = "table",
) -> None:
    replies, wait = ask(lambda registry: _set(registry, "PUT", target, where, host))
    _show("draining", replies, output)
    if not no_wait and wait > 0:
        sleep("waiting for caches", wait)
    if output in ("table", "wide"):
        last = max(str(reply["safeAfter"]) for reply in replies)
        put_line(f"safe to stop after {last}" if no_wait else "safe to stop: no cache holds it any more")


def undrain(target: Word = None, /, *, where: Where | None = None, host: Host = None, output: Format = "table") -> None:
    replies, _ = ask(lambda registry: _set(registry, "DELETE", target, where, host))
    _show("no longer draining", replies, output)


async def _set(
    registry: RegistryClient, method: str, word: str | None, where: Where | None, host: str | None
) -> tuple[list[Json], float]:
    """The replies, and the seconds until all of them are safe to stop, by the server's clock."""
    replies: list[Any] = [
        await send(
            registry, method, f"/instances/{in_path(each['id'])}/drain", has={"instance": dict, "timestamp": str}
        )
        for each in await instances_of(registry, word, where, host)
    ]
    waits = [epoch(reply["safeAfter"]) - epoch(replies[-1]["timestamp"]) for reply in replies if "safeAfter" in reply]
    return replies, max(waits, default=0.0)


def _show(what: str, replies: list[Json], output: str) -> None:
    instances = [reply["instance"] for reply in replies]
    put_done(instances, [f"{what} {named(each)}" for each in instances], output, whole=replies)
