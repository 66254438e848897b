"""Events as people read them: for `events`, `watch` and `history`."""

from __future__ import annotations

from discovery.cli.connection import Json
from discovery.cli.get import address
from discovery.cli.output import Column, cell
from discovery.client.event_stream import EventContent

COLUMNS = (
    Column("time"),
    Column("kind"),
    Column("service", fold=True),
    Column("address"),
    Column("reason", fold=True),
    Column("id", wide=True),
    Column("index", wide=True),
    Column("actor", wide=True),
)


def row(event: EventContent) -> Json:
    """`event`: as /events, /changes and /history have it."""
    about = event["instance"] or event["before"]
    actor = event.get("actor") or {}
    return {
        "time": event.get("timestamp"),
        "kind": event["kind"],
        "service": (about and about.get("name")) or event["service"],
        "address": about and address(about),
        "reason": event.get("reason"),
        "id": about and about.get("id"),
        "index": event["index"],
        "actor": " at ".join(cell(actor[key]) for key in ("name", "address") if actor.get(key)),
    }


def line(event: EventContent) -> str:
    """One line, safe to show."""
    found = {key: cell(value) for key, value in row(event).items()}
    where = " ".join(filter(None, (found["service"], found["address"])))
    return f"{found['time']} {found['kind']:<12} {where}: {found['reason']}"
