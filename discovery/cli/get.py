"""`discovery get services|instances|hosts|nodes|service NAME|instance ID`: what is registered, healthy or not, and by which nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from discovery.cli import replies
from discovery.cli.commands import group
from discovery.cli.connection import (
    Filters,
    Json,
    all_services,
    ask,
    given,
    in_path,
    one_service,
)
from discovery.cli.connection import get as get_json
from discovery.cli.output import Column, Format, put_record, put_rows, say
from discovery.cli.times import span
from discovery.client import RegistryClient
from discovery.core.address import authority

get = group("get")

Status = Annotated[
    Literal[
        "healthy",
        "unhealthy",
        "suspect",
        "draining",
        "maintenance",
        "failing",
        "flapping",
        "warning",
        "lapsed",
        "permanent",
    ]
    | None,
    Parameter(help="only those with this status"),
]


def address(instance: Mapping[str, Any]) -> str:
    return authority(instance["ip"], instance["port"])


def _words(instance: Json) -> list[str]:
    """Its status, and what stands beside one."""
    words = ["lapsed" if "lapsedAt" in instance else instance["status"]]
    return words + ["warning"] * instance.get("warning", False) + ["permanent"] * ("lease" in instance)


def _last_beat(instance: Json) -> str:
    return "" if "lease" in instance else f"{span(float(instance['timeSinceHeartbeat'].removesuffix('s')))} ago"


def _healthy(place: Json) -> str:
    """`2 of 3`, without those that are kept after their lease."""
    words = _counts(place)
    return f"{words['healthy']} of {len(place['instances']) - words['lapsed']}"


def _others(place: Json) -> str:
    """How it is with the others, and what those say that are healthy."""
    words = sorted(_counts(place).items())
    return ", ".join(f"{count} {word}" for word, count in words if word not in ("healthy", "permanent"))


def _counts(place: Json) -> Counter[str]:
    return Counter(word for each in place["instances"] for word in _words(each))


def _each(place: Json, values: Callable[[Json], Iterable[str | None]]) -> list[str]:
    return sorted({value for each in place["instances"] for value in values(each) if value is not None})


INSTANCE = (
    Column("service", itemgetter("name"), fold=True),
    Column("address", address),
    Column("status", lambda instance: ", ".join(_words(instance))),
    Column("lastBeat", _last_beat, right=True),
    Column("zone", fold=True),
    Column("tags", fold=True),
    Column("id", wide=True),
    Column("output", wide=True, fold=True),
    Column("weight", wide=True),
    Column("registeredAt", wide=True),
    Column("metadata", wide=True, fold=True),
)
SERVICE = (
    Column("service", itemgetter("name"), fold=True),
    Column("healthy", _healthy),
    Column("others", _others, fold=True),
    Column("zones", lambda service: _each(service, lambda each: [each.get("zone")]), wide=True, fold=True),
    Column("tags", lambda service: _each(service, lambda each: each.get("tags", ())), wide=True, fold=True),
)
_HOST = (
    Column("host", itemgetter("ip")),
    Column("healthy", _healthy),
    Column("others", _others, fold=True),
    Column("services", lambda host: _each(host, lambda each: [each["name"]]), fold=True),
)
_NOBODY = "nothing is registered that matches"


@get.command
def services(*, status: Status = None, filters: Filters | None = None, output: Format = "table") -> None:
    """every service, and how many of its instances are healthy"""
    found, gone = ask(lambda registry: _services_and_gone(registry, status, filters))
    put_rows(found, SERVICE, output, name="service", empty=_NOBODY)
    if output in ("table", "wide"):
        say(gone)


@get.command
def instances(*, status: Status = None, filters: Filters | None = None, output: Format = "table") -> None:
    """every instance of every service"""
    found = [
        each for service in ask(lambda registry: _services(registry, status, filters)) for each in service["instances"]
    ]
    put_rows(found, INSTANCE, output, name="id", empty=_NOBODY)


@get.command
def hosts(*, status: Status = None, filters: Filters | None = None, output: Format = "table") -> None:
    """every address, and what is registered there"""
    found: dict[str, list[Json]] = {}
    for service in ask(lambda registry: _services(registry, status, filters)):
        for each in service["instances"]:
            found.setdefault(each["ip"], []).append(each)
    rows = [{"ip": ip, "instances": at} for ip, at in sorted(found.items())]
    put_rows(rows, _HOST, output, name="host", empty=_NOBODY)


@get.command
def service(name: Annotated[str, Parameter(help="of a service")], /, *, output: Format = "table") -> None:
    """the instances of one service"""
    found = ask(lambda registry: one_service(registry, name))
    columns = (*INSTANCE[:3], Column("why", fold=True), Column("since", fold=True), *INSTANCE[3:])
    put_rows(found["instances"], columns, output, name="id", whole=found, empty=_NOBODY)


@get.command
def instance(id: Annotated[str, Parameter(help="of an instance")], /, *, output: Format = "table") -> None:
    """one instance, with everything that is known of it"""
    found = ask(lambda registry: get_json(registry, f"/instances/{in_path(id)}", has=replies.IDENTITY))
    put_record(found, output, name="id")


async def _services(registry: RegistryClient, status: str | None, filters: Filters | None) -> list[Json]:
    pairs = (filters or Filters()).pairs() + given(("status", status))
    return [each async for each in all_services(registry, pairs)]


async def _services_and_gone(
    registry: RegistryClient, status: str | None, filters: Filters | None
) -> tuple[list[Json], str]:
    stats = await get_json(registry, "/stats", has=replies.GONE)
    gone = stats.get("goneLastHour")
    return await _services(registry, status, filters), gone_line(gone["lost"]) if gone else ""


def gone_line(lost: Json) -> str:
    """Who fell silent or failed the checks within the last hour, and is not back; empty where nobody did. Times are UTC."""
    if not lost["instances"]:
        return ""
    since, until = (str(time)[11:16] for time in (lost["since"], lost["until"]))
    went = f"{_many(lost['instances'], 'instance')} of {_many(lost['serviceCount'], 'service')} went"
    when = f"at {since}" if since == until else f"between {since} and {until}"
    return f"{went} {when} and did not come back; `discovery history --since {since}`"


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
