"""`discovery wait NAME --healthy N`: returns when so many instances are healthy. For scripts: it waits for the change, it polls nothing."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from discovery.cli import replies
from discovery.cli.connection import Filters, ask, in_path, shaped
from discovery.cli.errors import Failed
from discovery.cli.events import query
from discovery.cli.output import put_line, say
from discovery.cli.times import as_seconds
from discovery.client import Refused, RegistryClient, Unreachable

# Seconds: longer waits are asked for in parts.
_AT_ONCE = 60.0
# Seconds between two tries of a server that is away.
_PAUSE = 0.5
# Seconds that one answer may take where there is less time than that.
_ONE_ANSWER = 2.0


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
    wanted = query(filters, ())
    count = ask(lambda registry: _wait(registry, name, healthy, time.monotonic() + timeout, wanted))
    if count < healthy:
        raise Failed(f"{name} has {count} of {healthy} healthy instances after {timeout:g} s")
    put_line(f"{name} has {count} healthy instance{'' if count == 1 else 's'}")


async def _wait(registry: RegistryClient, name: str, healthy: int, deadline: float, wanted: dict[str, Any]) -> int:
    """How many there were at the end. What was wrong at the end where no server has answered: Unreachable, Refused, Failed."""
    path = f"/resolve/{in_path(name)}"
    index, told = 0, False
    count: int | None = None
    while True:
        left = deadline - time.monotonic()
        try:
            async with asyncio.timeout(max(_ONE_ANSWER, left)):
                reply = await registry.poll(path, index, max(0.0, min(_AT_ONCE, left)), wanted)
        except TimeoutError:
            if count is None:
                raise Failed(f"no registry ({', '.join(registry.servers)}) has answered in time") from None
            return count
        except (Unreachable, Refused) as error:
            if time.monotonic() >= deadline or (isinstance(error, Refused) and not error.passing):
                raise
            if not told:
                told = True
                say(f"{error} It is tried again until the time is over")
            index = 0  # whoever answers next may count anew
            await asyncio.sleep(max(0.0, min(_PAUSE, deadline - time.monotonic())))
            continue
        found = shaped(reply, replies.COUNTED)
        count, index = sum(each["status"] == "healthy" for each in found["instances"]), reply.index or 0
        if count >= healthy or left <= 0:
            return count
