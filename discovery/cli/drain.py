"""`discovery drain` and `undrain`: instances leave the answers, alive, and come back. `drain` ends when no cache can hold them any more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter

from discovery.cli import replies
from discovery.cli.connection import Json, ask, in_path, send
from discovery.cli.output import Format, put_done, put_line, sleep
from discovery.cli.register import named
from discovery.cli.targets import Host, Where, Word, instances_of
from discovery.client import RegistryClient
from discovery.client.replies import seconds_left


def drain(
    target: Word = None,
    /,
    *,
    where: Where | None = None,
    host: Host = None,
    no_wait: Annotated[bool, Parameter(help="do not wait until it is safe to stop them")] = False,
    output: Format = "table",
) -> None:
    found, answers = ask(lambda registry: _set(registry, "PUT", target, where, host))
    wait = max(map(seconds_left, answers))
    _show([f"draining {named(each)}" for each in found], answers, output)
    if not no_wait and wait > 0:
        sleep("waiting for caches", wait)
    if output in ("table", "wide"):
        last = max(reply.get("safeAfter", "") for reply in answers)
        put_line(f"safe to stop after {last}" if no_wait else "safe to stop: no cache holds it any more")


def undrain(target: Word = None, /, *, where: Where | None = None, host: Host = None, output: Format = "table") -> None:
    found, answers = ask(lambda registry: _set(registry, "DELETE", target, where, host))
    said = [
        f"no longer draining {named(each)}" if each.get("draining") else f"{named(each)} did not drain"
        for each in found
    ]
    _show(said, answers, output)


async def _set(
    registry: RegistryClient, method: str, word: str | None, where: Where | None, host: str | None
) -> tuple[Sequence[Json], list[Json]]:
    """Whom it is about, as they were before; and the replies."""
    found = await instances_of(registry, word, where, host)
    path = "/instances/{}/drain".format
    return found, [await send(registry, method, path(in_path(each["id"])), has=replies.DRAINED) for each in found]


def _show(lines: list[str], answers: list[Json], output: str) -> None:
    put_done([each["instance"] for each in answers], lines, output, whole=answers)
