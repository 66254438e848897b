"""`discovery maintenance begin|end|list`: a service or an instance is out of the answers for a while, and says why."""

from __future__ import annotations

from operator import itemgetter
from typing import Annotated, Any

from cyclopts import Parameter

from discovery.cli import replies
from discovery.cli.commands import group
from discovery.cli.connection import Json, ask, get, in_path, send
from discovery.cli.errors import WrongArguments
from discovery.cli.get import address
from discovery.cli.output import Column, Format, put_line, put_rows
from discovery.cli.targets import EVERYWHERE, Where, Word, instances_of
from discovery.cli.times import TIMES, as_seconds, as_time_ahead
from discovery.client import Refused, RegistryClient
from discovery.rest.api.times import iso

maintenance = group("maintenance")


def _address(window: Json) -> str:
    return address(window) if "ip" in window and "port" in window else "all"


_COLUMNS = (
    Column("service", itemgetter("serviceName"), fold=True),
    Column("address", _address),
    Column("until"),
    Column("reason", fold=True),
)


@maintenance.command
def begin(
    target: Word = None,
    /,
    *,
    reason: Annotated[str, Parameter(help="why, for everybody who asks")],
    for_: Annotated[
        float | None, Parameter(name="--for", converter=as_seconds, help="how long: 90s, 30m, 2h; 30 days at the most")
    ] = None,
    until: Annotated[
        float | None, Parameter(converter=as_time_ahead, help=f"or its end: {TIMES.partition(', ')[2]}")
    ] = None,
    where: Where | None = None,
) -> None:
    """take a service, with those who register later, or an instance out of the answers"""
    if (for_ is None) == (until is None):
        raise WrongArguments("--for, --until: give one of them")
    body: Json = {"reason": reason} | ({"seconds": for_} if until is None else {"until": iso(until)})
    for path, reply in ask(lambda registry: _at(registry, "PUT", target, where, body)):
        put_line(f"{path} is in maintenance until {reply['until']}: {reply['reason']}")


@maintenance.command
def end(target: Word = None, /, *, where: Where | None = None) -> None:
    """let it come back before its time"""
    for path, _ in ask(lambda registry: _at(registry, "DELETE", target, where, None)):
        put_line(f"{path} is no longer in maintenance")


@maintenance.command(name="list")
def list_(*, output: Format = "table") -> None:
    """every window there is"""
    windows = ask(lambda registry: get(registry, "/maintenance", has=replies.WINDOWS))["windows"]
    put_rows(windows, _COLUMNS, output, name="service", empty="nothing is in maintenance")


async def _at(
    registry: RegistryClient, method: str, word: str | None, where: Where | None, body: Json | None
) -> list[tuple[str, Any]]:
    """What it is about, and the reply: once for a whole service, else for each instance."""
    has = replies.DONE if body is None else replies.BEGUN
    if word is None:
        raise WrongArguments("a service's name or an instance's id is missing")
    if where in (None, EVERYWHERE):
        try:
            path = f"/instances/{in_path(word)}/maintenance"
            return [(word, await send(registry, method, path, body, has=has))]
        except Refused as error:
            if error.code != "INSTANCE_UNKNOWN":
                raise
        path = f"/services/{in_path(word)}/maintenance"
        return [(word, await send(registry, method, path, body, has=has))]
    found = await instances_of(registry, word, where)
    paths = [(each, f"/instances/{in_path(each['id'])}/maintenance") for each in found]
    return [
        (f"{each['name']} {address(each)}", await send(registry, method, path, body, has=has)) for each, path in paths
    ]
