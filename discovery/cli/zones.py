"""`discovery get zones`: instances and askers by zone, and how many of the answers crossed."""

from __future__ import annotations

from typing_extensions import TypedDict

from discovery.cli.connection import Json, ask
from discovery.cli.connection import get as get_json
from discovery.cli.output import Column, Format, put_rows, say

_ZONE = (
    Column("zone", fold=True),
    Column("healthy"),
    Column("missing", right=True),
    Column("services", right=True),
    Column("askers", right=True),
    Column("answers", right=True),
    Column("crossed", right=True),
    Column("limping", fold=True),
    Column("networks", wide=True, fold=True),
)


class _Limping(TypedDict):
    service: str
    healthy: int
    known: int


class _Zone(TypedDict):
    zone: str
    networks: list[str]
    networkCount: int
    services: int
    instances: int
    healthy: int
    missing: int
    askers: int
    answers: int
    crossed: int
    limping: list[_Limping]


class _Zones(TypedDict):
    minHealthy: int | None
    zones: list[_Zone]
    others: int


def zones(*, output: Format = "table") -> None:
    """instances and askers by zone, and the share of answers that crossed"""
    found = ask(lambda registry: get_json(registry, "/zones", has=_Zones))
    rows = [_row(each) for each in found["zones"]]
    put_rows(rows, _ZONE, output, name="zone", whole=found, empty="no instance says in which zone it is")
    if output in ("table", "wide"):
        if found["others"]:
            say(f"{found['others']} instances are in no zone that is listed")
        if found["minHealthy"] is None:
            say("CLIENT_ZONES is not set, so all clients are given the same")


def _row(zone: _Zone) -> Json:
    more = zone["networkCount"] - len(zone["networks"])
    return {
        **zone,
        "healthy": f"{zone['healthy']} of {zone['instances']}",
        "crossed": f"{round(100 * zone['crossed'] / zone['answers'])} %" if zone["answers"] else "",
        "limping": ", ".join(f"{each['service']} {each['healthy']} of {each['known']}" for each in zone["limping"]),
        "networks": ", ".join([*zone["networks"], *([f"and {more} more"] if more else [])]),
    }
