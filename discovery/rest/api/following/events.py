"""Events in answers, as /openapi.json describes them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, WithJsonSchema

from discovery.rest.api.following.event_view import KINDS
from discovery.rest.api.shapes import Actor, Ip, Options, Perhaps, Port, Registered, Reply, Time, Window


class Instance(Registered, Options):
    """As it was registered, with what was decided about it."""

    metadata: dict[str, Any]
    draining: Perhaps[bool] = None
    check_failure: Perhaps[str] = Field(None, alias="checkFailure")


class EventWindow(Window):
    """`ip` and `port` null: it is of the whole service."""

    ip: Ip | None
    port: Port | None


class EventDrain(BaseModel):
    """Of an instance that is gone: it drains again if it comes back before `until`."""

    id: str
    ip: Ip
    port: Port
    since: Time
    until: Time


class EventToken(BaseModel):
    """`name` is empty when no file had it. For those who see who asked."""

    name: str
    sha256: str


class Event(Reply):
    """`instance` and `before`: as it is and as it was; both null where it is about no registered instance. `actor` null: nobody asked for
    it, or the client may not know who.
    """

    index: int
    kind: Annotated[str, WithJsonSchema({"enum": list(KINDS)})]
    service: str | None
    instance: Instance | None
    before: Instance | None
    reason: str
    actor: Actor | None
    maintenance: Perhaps[EventWindow] = None
    drain: Perhaps[EventDrain] = None
    token: Perhaps[EventToken] = None
    settings: Perhaps[dict[str, float]] = None


class ChangesReply(Reply):
    """`index`: what to send as `since` next. `oldest`: from which on nothing is missing."""

    changes: list[Event]
    index: int
    oldest: int
