"""Events as people read them: for `events`, `watch` and `history`."""

from __future__ import annotations

from discovery.cli.connection import Json
from discovery.cli.get import address
from discovery.cli.output import Column, cell

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


def row(event: Json) -> Json:
    """`event`: as /events, /changes and /history have it."""
    about = event.get("instance") or event.get("before") or {}
    actor = event.get("actor") or {}
    return {
        "time": event.get("timestamp"),
        "kind": event.get("kind"),
        "service": about.get("name") or event.get("service"),
        "address": address(about) if about else None,
        "reason": event.get("reason"),
        "id": about.get("id"),
        "index": event.get("index"),
        "actor": " at ".join(filter(None, (actor.get("name"), actor.get("address")))),
    }


def line(event: Json) -> str:
    """One line, safe to show."""
    found = {key: cell(value) for key, value in row(event).items()}
    where = " ".join(filter(None, (found["service"], found["address"])))
    return f"{found['time']} {found['kind']:<12} {where}: {found['reason']}"
