"""`discovery wait NAME --healthy N`: returns when so many instances are healthy. For scripts: it waits for the change, it polls nothing."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from discovery.cli.connection import Filters, Json, ask, in_path, shaped
from discovery.cli.errors import Failed
from discovery.cli.output import put_line, say
from discovery.cli.times import as_seconds
from discovery.client import RegistryClient, Unreachable

# Seconds: longer waits are asked for in parts.
_AT_ONCE = 60.0
# Seconds between two tries of a server that is away.
_PAUSE = 0.5


def wait(
    name: Annotated[str, Parameter(help="of a service")],
    /,
    *,
    healthy: Annotated[int, Parameter(help="how many instances", validator=Number(gte=1))] = 1,
    timeout: Annotated[
        float, Parameter(converter=as_seconds, help="how long at the most, such as 60s or 5m; 60s if it is not given")
    ] = 60.0,
    filters: Filters | None = None,
) -> None:
    pairs = (filters or Filters()).pairs()
    count = ask(lambda registry: _wait(registry, name, healthy, time.monotonic() + timeout, pairs))
    if count < healthy:
        raise Failed(f"{name} has {count} of {healthy} healthy instances after {timeout:g} s")
    put_line(f"{name} has {count} healthy instance{'' if count == 1 else 's'}")


async def _wait(
    registry: RegistryClient, name: str, healthy: int, deadline: float, pairs: list[tuple[str, str]]
) -> int:
    """How many there were at the end. Unreachable when no server answered at the end."""
    index, count, told = 0, 0, False
    while True:
        left = deadline - time.monotonic()
        try:
            params = dict(pairs)
            reply = await registry.poll(f"/resolve/{in_path(name)}", index, max(0.0, min(_AT_ONCE, left)), params)
        except Unreachable as error:
            if left <= 0:
                raise
            if not told:
                told = True
                say(f"{error} It is tried again until the time is over")
            await asyncio.sleep(min(_PAUSE, left))
            continue
        found = shaped(reply, "GET", "/resolve", {"instances": list})
        count, index = _healthy(found), reply.index or 0
        if count >= healthy or left <= 0:
            return count


def _healthy(found: Json) -> int:
    return sum(each.get("status") == "healthy" for each in found["instances"])
