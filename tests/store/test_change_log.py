"""The log: one line for each change, with who, where and why."""

from __future__ import annotations

import logging

import pytest

from discovery.cli.logs import fields_of
from discovery.core.caller import NOBODY, Caller
from discovery.core.event import Commit, Event, InstanceEvent, Kind
from discovery.core.instance import Instance, Key
from discovery.core.kinds import Drained, DrainEvent, WindowEvent
from discovery.core.maintenance import Scope, Window
from discovery.store.change_log import log_commit
from tests.store.making import ALL, START, WALL, a_registry, spec

LOUD = {Kind.UNHEALTHY, Kind.EXPIRED, Kind.SUSPECT, Kind.FAILING, Kind.FLAPPING}
# At a restart they come by the thousand; how many there are is one line of whoever restores them.
SPOKEN = [kind for kind in Kind if kind is not Kind.RESTORED]


def a_commit(index: int, kind: Kind, instance: Instance, reason: str) -> Commit:
    gone = kind in (Kind.DEREGISTERED, Kind.EXPIRED)
    before, after = (instance, None) if gone else (None, instance)
    return Commit(index, WALL, NOBODY, "test", (InstanceEvent(kind, "user-service", before, after, reason),))


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("kind", SPOKEN)
def test_every_kind_of_change_is_one_line_that_says_all(kind: Kind, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    instance = Instance("id-7", WALL, spec("User-Service", "2001:db8::1", 3001, metadata={"secret": "hush"}))
    log_commit(a_commit(42, kind, instance, "the reason why"))
    (line,) = lines(caplog)
    for part in (kind.value, "User-Service", "[2001:db8::1]:3001", "the reason why", "id-7", "42"):
        assert part in line
    assert "hush" not in line
    assert "\n" not in line


@pytest.mark.parametrize("kind", SPOKEN)
def test_what_a_machine_asks_for_is_in_fields(kind: Kind, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    instance = Instance("id-7", WALL, spec("User-Service", "2001:db8::1", 3001))
    log_commit(a_commit(42, kind, instance, "the reason why")._replace(by=Caller("10.9.9.9", "ci")))
    assert told(caplog) == {
        "event": f"instance.{kind.value}", "service": "User-Service", "ip": "2001:db8::1", "port": 3001, "id": "id-7", "index": 42,
        "reason": "the reason why", "actor": "ci", "client": "10.9.9.9",
    }  # fmt: skip


SCOPE, WINDOW = Scope("api", "10.0.0.1", 80), Window("disks", WALL)
KEY, DRAINED = Key("api", "10.0.0.1", 80), Drained("id", "api", WALL, WALL, WALL)


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (WindowEvent(SCOPE, None, WINDOW, "disks"), "maintenance.begun"),
        (WindowEvent(SCOPE, WINDOW, WINDOW, "disks"), "maintenance.changed"),
        (WindowEvent(SCOPE, WINDOW, None, "disks"), "maintenance.ended"),
        (DrainEvent(KEY, None, DRAINED, "disks"), "drain.remembered"),
        (DrainEvent(KEY, DRAINED, None, "disks"), "drain.forgotten"),
    ],
)
def test_so_it_is_of_windows_and_drains(event: Event, name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log_commit(Commit(42, WALL, Caller("10.9.9.9", "ci"), "test", (event,)))
    assert told(caplog) == {
        "event": name, "service": "api", "ip": "10.0.0.1", "port": 80, "index": 42, "reason": "disks", "actor": "ci", "client": "10.9.9.9",
    }  # fmt: skip


def told(caplog: pytest.LogCaptureFixture) -> object:
    (record,) = caplog.records
    return fields_of(record)


@pytest.mark.parametrize("kind", SPOKEN)
def test_only_what_nobody_asked_for_is_a_warning(kind: Kind, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    log_commit(a_commit(1, kind, Instance("id", WALL, spec()), "reason"))
    assert caplog.records[0].levelno == (logging.WARNING if kind in LOUD else logging.INFO)
    assert caplog.records[0].name.startswith("discovery")


def test_what_is_restored_at_the_start_is_not_told_one_by_one(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    registry = a_registry()
    registry.followers.append(log_commit)
    registry.restore(Instance("id", WALL, spec()), now=START)
    assert lines(caplog) == []


def test_a_life_is_told_from_end_to_end_and_heartbeats_are_not(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    registry = a_registry()
    registry.followers.append(log_commit)
    registry.register(spec(), START, WALL)
    registry.register(spec(tags=["blue"]), START, WALL)
    for second in range(9):
        registry.renew(spec().key, START + second)
    registry.advance(118.0, ALL)
    registry.renew(spec().key, 119.0)
    registry.advance(1e6, ALL)
    registry.register(spec("api"), START, WALL)
    registry.deregister(spec("api").key, "asked for by 10.9.9.9", START)
    words = [line.split()[0] for line in lines(caplog)]
    assert words == [
        "registered", "updated", "unhealthy", "healthy", "unhealthy", "expired", "registered", "deregistered",
    ]  # fmt: skip
    assert "10 s" in lines(caplog)[2]
    assert "10.9.9.9" in lines(caplog)[-1]
