"""`discovery top`: who asks most, for what, and for what that is not there. On a terminal anew every few seconds; elsewhere once."""

from __future__ import annotations

import asyncio
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from discovery.cli.connection import Json, ask, get, given
from discovery.cli.output import Column, Format, on_a_terminal, put_data, put_line, put_table, show, table
from discovery.cli.replies import Shape
from discovery.client import RegistryClient

if TYPE_CHECKING:
    from rich.console import RenderableType

# The lists of the answer, in the order in which a person wants them: what is headed how, and counted how.
_LISTS = (
    ("unknownNames", "name", "name that does not exist", "queries"),
    ("names", "name", "name", "queries"),
    ("clients", "client", "DNS client", "queries"),
    ("httpClients", "client", "HTTP client", "requests"),
    ("services", "service", "service", "changes"),
)
_SHAPE = Shape(
    {"minutes": int, "timestamp": str, **{key: [{of: str, number: int, "error": int}] for key, of, _, number in _LISTS}}
)


def top(
    *,
    minutes: Annotated[int | None, Parameter(help="how far back, 1 to 10", validator=Number(gte=1))] = None,
    limit: Annotated[
        int | None, Parameter(help="entries of each list; as many as fit if it is not given", validator=Number(gte=1))
    ] = None,
    every: Annotated[float, Parameter(help="seconds between two looks", validator=Number(gte=0.5, lte=3600))] = 2.0,
    output: Format = "table",
) -> None:
    if on_a_terminal(output):
        ask(lambda registry: _live(registry, minutes, limit, every))
        return
    found = ask(lambda registry: _read(registry, minutes, limit))
    if output in ("json", "yaml"):
        put_data(found, output)
        return
    between = ""
    for key, field, heading, counted in _LISTS:
        if output == "name":
            for each in found[key]:
                put_line(str(each[field]))
        elif found[key]:
            print(between, end="")
            between = "\n"
            put_table(found[key], _columns(field, heading, counted))
    if output != "name" and not any(found[key] for key, *_ in _LISTS):
        put_line(f"nothing was asked or changed in the last {found['minutes']} minutes")


async def _read(registry: RegistryClient, minutes: int | None, limit: int | None) -> Json:
    pairs = given(("minutes", minutes), ("limit", limit))
    return await get(registry, "/top", pairs, has=_SHAPE)


async def _live(registry: RegistryClient, minutes: int | None, limit: int | None, every: float) -> None:
    async def draw(width: int, height: int) -> RenderableType:
        from rich.columns import Columns
        from rich.console import Group
        from rich.text import Text

        fit = max(2, height // (2 if width >= 160 else len(_LISTS)) - 2)
        found = await _read(registry, minutes, limit or min(fit, 100))
        tables = [table(found[key], _columns(field, heading, counted)) for key, field, heading, counted in _LISTS]
        head = Text(f"the last {found['minutes']} minutes, at {found['timestamp']}", style="dim")
        body = Columns(tables, padding=(0, 4), expand=False) if width >= 160 else Group(*tables)
        return Group(head, body)

    await show(draw, asyncio.Event(), every)


def _columns(field: str, heading: str, counted: str) -> tuple[Column, ...]:
    """A count that may be too low says by how much."""

    def count(each: Json) -> str:
        return f"{each[counted]:,}" + (f" to {each[counted] + each['error']:,}" if each["error"] else "")

    return Column(heading, itemgetter(field), fold=True), Column(counted, count, right=True)
