"""What the history says of the server's own life: starts, stops, kills, and what it could not keep."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from discovery.core.event import InstanceEvent
from discovery.core.kinds import WindowEvent
from discovery.core.maintenance import Scope, Window
from discovery.core.status import SILENT, Status
from discovery.plugins.history import past
from discovery.plugins.history.asked import Asked, NotKnown, ServerEvent
from discovery.plugins.history.file import Began
from discovery.plugins.history.recorder import GATHER
from discovery.rest.api.times import iso
from discovery.store.operations import ChangeSettings
from tests.plugins.history.house import House, explained
from tests.store.making import TTL, a_brake, spec


def lives(items: object) -> list[tuple[str, str]]:
    return [(item.kind, item.reason) for item in items if isinstance(item, ServerEvent)]  # type: ignore[attr-defined]


async def test_a_stop_and_the_start_after_it_say_from_when_to_when_nobody_was_answered(tmp_path: Path) -> None:
    house = House(tmp_path / "history")
    id = house.register(spec("web"))
    house.advance(5.0)
    stopped = house.wall()
    await house.restart(60.0)
    told = f"the server was stopped: nobody was answered from {iso(stopped)} to {iso(stopped + 60)}"
    assert lives((await house.page()).items) == [
        ("started", "the server started; instances that it knew: 1"),
        ("stopped", told),
        ("started", "the server started; instances that it knew: 0"),
    ]
    during = await house.service_at("web", stopped + 30)
    assert during.down == told
    assert [each.instance.id for each in during.instances] == [id]
    assert (await house.service_at("web", stopped + 61)).down is None
    await house.end()


async def test_a_kill_is_noticed_at_the_next_start_with_the_last_sign_of_life(tmp_path: Path) -> None:
    house = House(tmp_path / "history")
    house.register(spec("web"))
    house.advance(4.0)
    house.recorder._tick()
    alive = house.wall()
    house.advance(3.0)
    await house.restart(60.0, killed=True)
    kind, reason = lives((await house.page()).items)[1]
    assert kind == "stopped"
    assert reason.startswith("the server ended without being stopped (it was killed, or its machine went down)")
    perhaps, later = await house.service_at("web", alive + 4), await house.service_at("web", alive + 6)
    assert (perhaps.down, perhaps.sure, later.down, later.sure) == (None, False, reason, True)
    assert f"from {iso(alive)}, when it was last known alive, or a few seconds later, to {iso(house.wall())}" in reason
    await house.end()


async def test_a_gap_is_told_to_whoever_asks_for_a_part_of_it(tmp_path: Path) -> None:
    house = House(tmp_path / "history")
    stopped = house.wall()
    await house.restart(600.0)
    page = await house.page(Asked(since=stopped + 100, until=stopped + 200))
    assert [kind for kind, _ in lives(page.items)] == ["stopped"]
    await house.end()


async def test_an_instance_that_registered_long_before_is_known_from_the_checkpoint(tmp_path: Path) -> None:
    house = House(tmp_path / "history", days=1)
    house.register(spec("web", ttl=3600.0, metadata={"version": 2}))
    registered = house.wall()
    for _ in range(24 * 4):
        house.registry.renew(house.registry.at("auto-0").instance.spec.key, house.now, house.wall())
        house.advance(3000.0)
        house.recorder._tick()
        house.recorder._life.cancel()  # type: ignore[union-attr]
    page = await house.page()
    assert page.since is not None
    assert page.since > registered + 86400  # the file that had the event is gone
    (then,) = (await house.service_at("web", page.since)).instances
    assert then.instance.spec.metadata == b'{"version":2}'
    assert then.since == registered
    with pytest.raises(NotKnown, match="does not go back so far"):
        await house.service_at("web", page.since - 1)
    await house.end()


async def test_a_window_that_opened_in_an_older_file_is_known(tmp_path: Path) -> None:
    house = House(tmp_path / "history")
    house.register(spec("web", ttl=3600.0))
    house.registry.maintain(Scope("web"), Window("a new disk", house.wall() + 9 * 3600), house.now, house.wall())
    house.now += 2 * 3600
    house.registry.renew("auto-0", house.now, house.wall())  # tomorrow
    found = await house.service_at("web", house.wall())
    assert [info.began for info in house.folder.files] == [Began.START, Began.DAY]
    assert [window.reason for (of, _), window in found.values.items() if of is WindowEvent] == ["a new disk"]
    await house.end()


async def test_a_clock_that_was_set_back_begins_a_new_file_and_the_newer_time_counts(tmp_path: Path) -> None:
    house = House(tmp_path / "history")
    house.register(spec("web"))
    house.advance(100.0)
    first = house.register(spec("web", port=2))
    house.apart -= 60.0
    house.advance(1.0)
    second = house.register(spec("web", port=3))
    await house.page()
    assert [info.began for info in house.folder.files] == [Began.START, Began.CLOCK]
    served, _ = explained(await house.service_at("web", house.wall()))
    assert served == {first, second}
    await house.end()


async def test_a_clock_that_was_wrong_for_a_while_costs_no_history(tmp_path: Path) -> None:
    house = House(tmp_path / "history", days=7)
    for port, days in enumerate((0, 1, 100, -100), 1):
        house.apart += days * 86400.0
        house.advance(1.0)
        house.register(spec("web", port=port))
    page = await house.page()
    events = [item.event for item in page.items if not isinstance(item, ServerEvent)]
    assert {event.instance.spec.key.port for event in events if isinstance(event, InstanceEvent)} == {1, 2, 3, 4}
    await house.end()


async def test_a_small_step_back_changes_no_order(tmp_path: Path) -> None:
    house = House(tmp_path / "history")
    house.register(spec("web"))
    house.apart -= 0.5
    house.register(spec("web", port=2))
    page = await house.page()
    assert len(house.folder.files) == 1
    walls = [item.wall for item in page.items]
    assert walls == sorted(walls, reverse=True)
    await house.end()


async def test_an_event_is_on_its_way_into_the_file_within_a_second(tmp_path: Path) -> None:
    house = House(tmp_path / "history")
    await house.written()
    house.register(spec("web"))
    await asyncio.sleep(GATHER + 0.05)  # the timer's time, and no race: the writer is waited for
    assert house.recorder._gathered == []
    await house.recorder.writer.settled(house.recorder.writer.added)
    assert len(house.reading().page(Asked()).items) == 2
    await house.end()


async def test_what_a_lease_lasted_is_known_of_each_instant(tmp_path: Path) -> None:
    house = House(tmp_path / "history")
    house.register(spec("web", port=1))
    house.register(spec("web", port=2, ttl=33))
    house.advance(1.0)
    before = house.wall()
    house.advance(1.0)
    changed = house.registry.settings._replace(heartbeat_timeout_seconds=77.0)
    house.registry.do(ChangeSettings(changed), house.now, house.wall())
    house.advance(1.0)

    async def at(instant: float) -> list[float]:
        then = await house.service_at("web", instant)
        lapsed = then._replace(instances=[each._replace(lease_end=instant) for each in then.instances])
        return [instant - (each.last_heartbeat or 0.0) for each in past.accounts(lapsed, sees_names=True, lasting={})]

    assert await at(before) == [TTL, 33]
    assert await at(house.wall()) == [77, 33]
    await house.restart(5.0)
    assert await at(house.wall()) == [77, 33], "the state that a file begins with has it"
    await house.end()


async def test_when_one_beat_last_that_the_brake_let_go_is_not_guessed_from_when_it_did(tmp_path: Path) -> None:
    house = House(tmp_path / "history", brake=a_brake())
    for port in (1, 2, 3):
        house.register(spec("web", port=port))
    beaten = house.wall()
    statuses = set()
    while house.registry.services:
        house.advance(1.0)
        silent = [
            each
            for each in past.accounts(await house.service_at("web", house.wall()), sees_names=True, lasting={})
            if each.status in SILENT
        ]
        statuses |= {each.status for each in silent}
        expected = {Status.SUSPECT: beaten, Status.UNHEALTHY: None}
        assert all(each.last_heartbeat == expected[each.status] for each in silent)
    assert statuses == {Status.SUSPECT, Status.UNHEALTHY}
    await house.end()
