"""`discovery history [NAME]`: what happened to a service, a host or by a token, oldest first, from what the server keeps."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from discovery.cli import replies
from discovery.cli.connection import Json, ask, get, given
from discovery.cli.events import COLUMNS
from discovery.cli.output import Format, put_rows, say
from discovery.cli.times import TIMES, as_moment
from discovery.client import RegistryClient

# Events a request: the server's own most.
_PAGE = 1000


def history(
    name: Annotated[str | None, Parameter(help="of a service; all if it is not given")] = None,
    /,
    *,
    since: Annotated[
        str | None, Parameter(converter=as_moment, allow_leading_hyphen=True, help=f"from then on: {TIMES}")
    ] = None,
    until: Annotated[str | None, Parameter(converter=as_moment, allow_leading_hyphen=True, help="before then")] = None,
    ip: Annotated[str | None, Parameter(help="only of instances at this address")] = None,
    actor: Annotated[
        str | None, Parameter(help="only what was asked for with this token, or from this address")
    ] = None,
    kind: Annotated[tuple[str, ...], Parameter(help="only of this kind, such as unhealthy; may be repeated")] = (),
    count: Annotated[
        int,
        Parameter(name="-n", help="the newest so many; 100 if it is not given", validator=Number(gte=1, lte=1_000_000)),
    ] = 100,
    output: Format = "table",
) -> None:
    kinds = ",".join(kind) or None
    pairs = given(("service", name), ("from", since), ("to", until), ("ip", ip), ("actor", actor), ("kind", kinds))
    found = ask(lambda registry: _read(registry, pairs, count))
    put_rows(found["events"], COLUMNS, output, name="service", whole=found, empty="nothing happened")
    if not found["complete"]:
        say(f"not all of it is here: {found.get('missing') or 'the history has gaps'}")


async def _read(registry: RegistryClient, pairs: list[tuple[str, str]], count: int) -> Json:
    """As the server's answer, of all its pages together; its events are turned round."""
    events: list[Any] = []
    before: str | None = None
    while True:
        page = given(("limit", min(_PAGE, count - len(events))), ("before", before))
        found = await get(registry, "/history", [*pairs, *page], has=replies.HISTORY)
        events += found["events"]
        before = found.get("next")
        if before is None or not found["events"] or len(events) >= count:
            return {**found, "events": events[::-1]}
