"""`discovery get nodes|holds|zones`: the nodes of the registry as one of them hears them, what keeps silent instances in the answers; and
instances and askers by zone, and how many of the answers crossed.
"""

from __future__ import annotations

from datetime import UTC, datetime

from discovery.cli import replies
from discovery.cli.connection import Json, all_services, ask
from discovery.cli.connection import get as get_json
from discovery.cli.get import get
from discovery.cli.output import Column, Format, put_rows, say
from discovery.cli.times import span
from discovery.client.registry_client import RegistryClient
from discovery.client.replies import epoch

_NODE = (
    Column("node", fold=True),
    Column("version"),
    Column("state"),
    Column("leads"),
    Column("lastHeard", right=True),
    Column("holds", fold=True),
    Column("revision", right=True),
    Column("endpoint", wide=True, fold=True),
    Column("cluster", wide=True),
)
_HOLD = (
    Column("heldBy", fold=True),
    Column("since", right=True),
    Column("letsGo", right=True),
    Column("instances", right=True),
    Column("services", lambda hold: _named(hold["services"]), fold=True),
)
_WHEN_HEARD = "when etcd is heard"
# Why somebody is in the answers for what this node does not hear.
_UNKNOWN_NODES = "a silent node may have heard them before this one began"
_HERE = "this node heard them last, and another one may hear them now"
_ASKED = "its registration, after its lease (hold)"
# Services that a row names.
_NAMES = 3


# A single node has nothing to say of others.
_ALONE: Json = {"node": "this one alone", "leads": True, "fresh": True, "nodes": []}


@get.command
def nodes(*, output: Format = "table") -> None:
    """the nodes of the registry, as the one that is asked hears them"""
    found = ask(lambda registry: get_json(registry, "/stats", has=replies.NODES))
    engine = found.get("engine") or _ALONE
    own = {
        **{name: engine.get(name) for name in ("node", "version", "revision", "endpoint", "cluster")},
        "state": "moved" if engine.get("movedTo") else "here" if engine["fresh"] else "cut off: it does not hear etcd",
        "leads": _yes(engine["leads"]),
        "lastHeard": f"{span(lag)} ago" if (lag := engine.get("lagSeconds", 1e6)) < 1e6 else "",
        "holds": _held(engine.get("heldHere")) or _held(engine.get("heldThroughUnknownNodes")),
    }
    others = [
        {
            "node": node["node"],
            "version": node.get("version"),
            "state": "silent" if node["silent"] else "here",
            "leads": _yes(node["node"] == engine.get("leader")),
            "lastHeard": f"{span(node['lastHeardSeconds'])} ago",
            "holds": _held(node.get("holds")),
        }
        for node in engine["nodes"]
    ]
    put_rows([own, *others], _NODE, output, name="node", whole=engine)


@get.command
def holds(*, output: Format = "table") -> None:
    """who keeps silent instances in the answers, and for how much longer: silent nodes, the brake, their own registrations"""
    found, suspects = ask(_stats_and_suspects)
    engine = found.get("engine") or _ALONE
    rows: list[Json] = [
        {
            "heldBy": f"{node['node']} is silent, and may hear them",
            "since": f"{span(node['silentForSeconds'] or 0)} ago",
            "letsGo": "when its key in etcd ends" if engine["fresh"] else _WHEN_HEARD,
            **holds,
        }
        for node in engine["nodes"]
        if node["silent"] and (holds := node.get("holds")) and holds["instances"]
    ]
    for held, why in ((engine.get("heldThroughUnknownNodes"), _UNKNOWN_NODES), (engine.get("heldHere"), _HERE)):
        if held and held["instances"]:
            rows.append({"heldBy": why, "letsGo": "" if engine["fresh"] else _WHEN_HEARD, **held})
    now = datetime.now(UTC).timestamp()
    rows += [
        {
            "heldBy": "the brake: too many fell silent at once",
            "since": f"{span(now - epoch(hold['since']))} ago",
            "letsGo": f"in {span(epoch(hold['until']) - now)}",
            "instances": hold["suspects"],
            "services": [hold["serviceName"]],
        }
        for hold in found.get("brakeHolds", ())
    ]
    asked = {each["name"]: sum("hold" in instance for instance in each["instances"]) for each in suspects}
    if services := [name for name, count in asked.items() if count]:
        rows.append({"heldBy": _ASKED, "instances": sum(asked.values()), "services": services})
    empty = "nothing is held: who falls silent leaves the answers in time"
    put_rows(rows, _HOLD, output, name="heldBy", empty=empty)


async def _stats_and_suspects(registry: RegistryClient) -> tuple[Json, list[Json]]:
    stats = await get_json(registry, "/stats", has=replies.NODES)
    return stats, [each async for each in all_services(registry, [("status", "suspect")])]


def _held(holds: Json | None) -> str:
    if not holds or not holds["instances"]:
        return ""
    return f"{holds['instances']} of {_named(holds['services'])}"


def _named(names: list[str]) -> str:
    return ", ".join(names[:_NAMES]) + (", …" if len(names) > _NAMES else "")


def _yes(so: bool) -> str:
    return "yes" if so else ""


# -- zones


def _crossed(zone: Json) -> str:
    return f"{round(100 * zone['crossed'] / zone['answers'])} %" if zone["answers"] else ""


def _limping(zone: Json) -> str:
    return ", ".join(f"{each['service']} {each['healthy']} of {each['known']}" for each in zone["limping"])


def _networks(zone: Json) -> str:
    more = zone["networkCount"] - len(zone["networks"])
    return ", ".join([*zone["networks"], *([f"and {more} more"] if more else [])])


_ZONE = (
    Column("zone", fold=True),
    Column("healthy", lambda zone: f"{zone['healthy']} of {zone['instances']}"),
    Column("missing", right=True),
    Column("services", right=True),
    Column("askers", right=True),
    Column("answers", right=True),
    Column("crossed", _crossed, right=True),
    Column("limping", _limping, fold=True),
    Column("networks", _networks, wide=True, fold=True),
)


@get.command
def zones(*, output: Format = "table") -> None:
    """instances and askers by zone, and the share of answers that crossed"""
    found = ask(lambda registry: get_json(registry, "/zones", has=replies.ZONES))
    put_rows(found["zones"], _ZONE, output, name="zone", whole=found, empty="no instance says in which zone it is")
    if output in ("table", "wide"):
        if found["others"]:
            say(f"{found['others']} instances are in no zone that is listed")
        if found["minHealthy"] is None:
            say("CLIENT_ZONES is not set, so all clients are given the same")
