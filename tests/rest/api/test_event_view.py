"""An event as everyone is shown it: what it is about, as it is and as it was; who asked, to those who may know."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from discovery.core.caller import SERVER, Caller
from discovery.core.event import Commit, Event, InstanceEvent, Kind
from discovery.core.health import Finding, Health
from discovery.core.instance import Instance, Key
from discovery.core.kinds import Drained, DrainEvent, Revocation, TokenEvent, WindowEvent, ZonesEvent
from discovery.core.maintenance import Scope, Window
from discovery.core.status import Status
from discovery.rest.api.following.event_view import KINDS, shown
from tests.store.making import WALL, spec

TIME = "2023-11-14T22:13:20.000Z"
WEB = Instance(
    "web-1", WALL, spec("Web", tags=["blue"], metadata={"v": 2**63, "z": "é"}, weight=7, checks={"tcp": True})
)
WINDOW = Window("new disks", WALL + 60)
DRAINED = Drained("web-1", "Web", WALL, WALL + 1, WALL + 2)
REMEMBERED = {
    "id": "web-1", "ip": "10.0.0.1", "port": 80,
    "since": "2023-11-14T22:13:21.000Z", "until": "2023-11-14T22:13:22.000Z",
}  # fmt: skip
SHA256 = bytes(range(32))
REVOKED = Revocation("deploy", WALL, "boss")
TOKEN = {"name": "deploy", "sha256": SHA256.hex()}
BY = Caller("10.9.9.9", "deploy")


def view(event: Event, with_actor: bool = True, by: Caller = BY) -> Any:
    return orjson.loads(orjson.dumps(shown(event, Commit(7, WALL, by, "write", (event,)), with_actor)))


def test_an_instance_is_shown_as_it_was_registered_with_what_was_decided_about_it() -> None:
    after = WEB._replace(
        draining_since=WALL,
        status=Status.FAILING,
        checks={"tcp": Finding(Health.FAILING, "GET / is 503")},
        lapsed_at=WALL,
    )
    seen = view(InstanceEvent(Kind.FAILING, "web", WEB, after, "its check fails"))
    was = {
        "id": "web-1", "name": "Web", "ip": "10.0.0.1", "port": 80, "status": "healthy", "registeredAt": TIME,
        "metadata": {"v": 2**63, "z": "é"}, "tags": ["blue"], "weight": 7, "check": {"tcp": True, "interval": 10.0, "timeout": 2.0,
        "failures": 3, "successes": 1},
    }  # fmt: skip
    assert seen == {
        "index": 7,
        "kind": "failing",
        "service": "web",
        "instance": was
        | {
            "status": "failing",
            "draining": True,
            "checkFailure": "GET / is 503",
            "lapsedAt": TIME,
            "checkStates": {"tcp": {"health": "failing", "output": "GET / is 503", "since": None}},
        },
        "before": was,
        "reason": "its check fails",
        "actor": {"name": "deploy", "address": "10.9.9.9"},
        "timestamp": TIME,
    }


@pytest.mark.parametrize(
    ("event", "kind", "service", "more"),
    [
        (
            WindowEvent(Scope("web"), None, WINDOW, "x"),
            "maintenance-begins", "web",
            {"maintenance": {"ip": None, "port": None, "reason": "new disks", "until": "2023-11-14T22:14:20.000Z"}},
        ),
        (
            WindowEvent(Scope("web", "10.0.0.1", 80), Window("old", WALL), WINDOW, "x"),
            "maintenance-changed", "web",
            {"maintenance": {"ip": "10.0.0.1", "port": 80, "reason": "new disks", "until": "2023-11-14T22:14:20.000Z"}},
        ),
        (
            WindowEvent(Scope("web"), WINDOW, None, "x"),
            "maintenance-ends", "web",
            {"maintenance": {"ip": None, "port": None, "reason": "new disks", "until": "2023-11-14T22:14:20.000Z"}},
        ),
        (
            DrainEvent(Key("web", "10.0.0.1", 80), None, DRAINED, "x"),
            "drain-remembered", "web",
            {"drain": REMEMBERED},
        ),
        (
            DrainEvent(Key("web", "10.0.0.1", 80), DRAINED, None, "x"),
            "drain-forgotten", "web",
            {"drain": REMEMBERED},
        ),
        (ZonesEvent("x"), "zones-reloaded", None, {}),
        (TokenEvent(SHA256, None, REVOKED, "x"), "token-revoked", None, {"token": TOKEN}),
        (TokenEvent(SHA256, REVOKED, None, "x"), "token-restored", None, {"token": TOKEN}),
    ],
)  # fmt: skip
def test_what_is_about_no_registered_instance_has_none(
    event: Event, kind: str, service: str | None, more: dict[str, Any]
) -> None:
    seen = view(event)
    assert (seen["kind"], seen["service"], seen["instance"], seen["before"]) == (kind, service, None, None)
    assert seen.items() >= more.items()
    assert event.name in KINDS


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("asked for by deploy at 10.9.9.9", "asked for"),
        ("no longer draining, asked for by deploy at 10.9.9.9", "no longer draining, asked for"),
        ("maintenance ended, asked for by 2001:db8::9", "maintenance ended, asked for"),
        ("no heartbeat for 10 s", "no heartbeat for 10 s"),
    ],
)
def test_who_may_not_know_who_asked_sees_neither_name_nor_address(reason: str, told: str) -> None:
    event = InstanceEvent(Kind.DEREGISTERED, "web", WEB, None, reason)
    assert view(event)["reason"] == reason
    seen = view(event, with_actor=False)
    assert (seen["actor"], seen["reason"], seen["instance"]) == (None, told, None)


def test_what_nobody_asked_for_has_no_actor_but_what_the_server_does_of_itself_has() -> None:
    event = ZonesEvent("zone files were read again")
    assert view(event, by=Caller(""))["actor"] is None
    assert view(event, by=SERVER)["actor"] == {"name": "the server", "address": ""}
