"""`discovery events`: each change as it happens, a line each, until Ctrl-C; over restarts and failovers of the server."""

from __future__ import annotations

from contextlib import aclosing
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from discovery.cli.connection import Filters, ask
from discovery.cli.get import address
from discovery.cli.output import Column, Format, as_json, as_yaml, cell, say
from discovery.client import Connected, Disconnected, Event, RegistryClient, Reset
from discovery.client import events as follow
from discovery.client.event_stream import EventContent
from discovery.client.instance import InstanceContent


def _about(event: EventContent) -> InstanceContent | None:
    return event["instance"] or event["before"]


def _service(event: EventContent) -> str | None:
    return ((about := _about(event)) and about.get("name")) or event["service"]


def _id(event: EventContent) -> str | None:
    return (about := _about(event)) and about.get("id")


def _actor(event: EventContent) -> str:
    actor = event.get("actor") or {}
    return " at ".join(cell(actor[key]) for key in ("name", "address") if actor.get(key))


# Of an event as /events, /changes and /history have it.
COLUMNS = (
    Column("time", lambda event: event.get("timestamp")),
    Column("kind"),
    Column("service", _service, fold=True),
    Column("address", lambda event: (about := _about(event)) and address(about)),
    Column("reason", fold=True),
    Column("id", _id, wide=True),
    Column("index", wide=True),
    Column("actor", _actor, wide=True),
)


def line(event: EventContent) -> str:
    """One line, safe to show."""
    found = {column.key: column.text(event) for column in COLUMNS}
    where = " ".join(filter(None, (found["service"], found["address"])))
    return f"{found['time']} {found['kind']:<12} {where}: {found['reason']}"


def events(
    *,
    service: Annotated[tuple[str, ...], Parameter(help="only of this service; may be repeated")] = (),
    kind: Annotated[
        tuple[str, ...],
        Parameter(help="only of this kind, such as registered, unhealthy; may be repeated"),
    ] = (),
    since: Annotated[
        int | None, Parameter(help="an index: what happened after it comes first", validator=Number(gte=0))
    ] = None,
    count: Annotated[int | None, Parameter(name="-n", help="end after so many", validator=Number(gte=1))] = None,
    filters: Filters | None = None,
    output: Format = "table",
) -> None:
    wanted = query(filters, service, kind)
    ask(lambda registry: _follow(registry, since, wanted, count, output))


def query(filters: Filters | None, services: tuple[str, ...], kinds: tuple[str, ...] = ()) -> dict[str, Any]:
    """As the stream takes it: of a name that is given several times, a list."""
    found: dict[str, Any] = {}
    for name, value in (filters or Filters()).pairs():
        found[name] = [*found[name], value] if name in found else [value]
    for name, values in (("service", services), ("kind", kinds)):
        if values:
            found[name] = ",".join(values)
    return found


async def _follow(
    registry: RegistryClient, since: int | None, wanted: dict[str, Any], count: int | None, output: str
) -> None:
    left, gap = count, ", from now on"
    while True:
        async with aclosing(follow(registry, since, **wanted)) as stream:
            async for item in stream:
                match item:
                    case Event(content=content):
                        print(_shown(content, output), flush=True)
                        left = None if left is None else left - 1
                        if left == 0:
                            return
                    case Connected(url=url, resumed=resumed):
                        say(f"connected to {url}{'' if resumed else gap}")
                        gap = ", another registry or one without its memory; some of it is missing here"
                    case Disconnected(reason=reason):
                        say(f"disconnected: {reason}; trying again")
                    case Reset(oldest=oldest):
                        say(f"some of it is missing here: what is still known begins after index {oldest}")
                        if since != oldest:  # else a server that says nothing else is asked for ever
                            since = oldest
                            break


def _shown(event: EventContent, output: str) -> str:
    if output == "json":
        return as_json(event, indent=None).removesuffix("\n")
    if output == "yaml":
        return f"---\n{as_yaml(event)}".removesuffix("\n")
    if output == "name":
        return cell(_service(event))
    text = line(event)
    return f"{text} [id {cell(_id(event)) or '–'}, index {event['index']}]" if output == "wide" else text
