"""`discovery get nodes|holds`: the nodes of the registry as one of them hears them, and what keeps silent instances in the answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from discovery.cli.connection import Json, ask
from discovery.cli.connection import get as get_json
from discovery.cli.get import get
from discovery.cli.output import Column, Format, put_rows
from discovery.cli.times import epoch, span

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
    Column("services", fold=True),
)
_STATS = {"activeInstances": int}
_NOBODY = {"instances": 0}
_WHEN_HEARD = "when etcd is heard"
# Who is in the answers for what this node does not hear, and why; by the field of /stats.
_HELD = {
    "heldThroughUnknownNodes": "a silent node may have heard them before this one began",
    "heldHere": "this node heard them last, and another one may hear them now",
}
# Services that a row names.
_NAMES = 3


@get.command
def nodes(*, output: Format = "table") -> None:
    """the nodes of the registry, as the one that is asked hears them"""
    found = ask(lambda registry: get_json(registry, "/stats", has=_STATS))
    # A single node has nothing to say of others.
    engine = found.get("engine") or {
        "kind": "local",
        "node": "this one alone",
        "leads": True,
        "fresh": True,
        "nodes": [],
    }
    own = {
        **{name: engine.get(name) for name in ("node", "version", "revision", "endpoint", "cluster")},
        "state": "moved" if engine.get("movedTo") else "here" if engine["fresh"] else "cut off: it does not hear etcd",
        "leads": _yes(engine["leads"]),
        "lastHeard": f"{span(float(engine['lagSeconds']))} ago" if engine.get("lagSeconds", 1e6) < 1e6 else "",
        "holds": _held(engine.get("heldHere")) or _held(engine.get("heldThroughUnknownNodes")),
    }
    others = [
        {
            "node": node["node"],
            "version": node.get("version"),
            "state": "silent" if node["silent"] else "here",
            "leads": _yes(node["node"] == engine.get("leader")),
            "lastHeard": f"{span(float(node['lastHeardSeconds']))} ago",
            "holds": _held(node.get("holds")),
        }
        for node in engine["nodes"]
    ]
    put_rows([own, *others], _NODE, output, name="node", whole=engine)


@get.command
def holds(*, output: Format = "table") -> None:
    """who keeps silent instances in the answers, and for how much longer: silent nodes, and the brake"""
    found = ask(lambda registry: get_json(registry, "/stats", has=_STATS))
    engine: Json = found.get("engine") or {}
    rows = [
        {
            "heldBy": f"{node['node']} is silent, and may hear them",
            "since": f"{span(float(node['silentForSeconds']))} ago",
            "letsGo": "when its key in etcd ends" if engine["fresh"] else _WHEN_HEARD,
            **node["holds"],
        }
        for node in engine.get("nodes", ())
        if node["silent"] and node.get("holds", _NOBODY)["instances"]
    ]
    for field, why in _HELD.items():
        held = engine.get(field, _NOBODY)
        if held["instances"]:
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
    shown = [row | {"services": _named(row)} for row in rows]
    put_rows(
        shown,
        _HOLD,
        output,
        name="heldBy",
        whole=rows,
        empty="nothing is held: who falls silent leaves the answers in time",
    )


def _held(holds: Json | None) -> str:
    if not holds or not holds["instances"]:
        return ""
    return f"{holds['instances']} of {_named(holds)}"


def _named(holds: dict[str, Any]) -> str:
    names = holds.get("services", [])
    return ", ".join(names[:_NAMES]) + (", …" if len(names) > _NAMES else "")


def _yes(so: bool) -> str:
    return "yes" if so else ""
