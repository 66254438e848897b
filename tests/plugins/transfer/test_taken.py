"""How far behind each secondary is, as /stats tells: by what it took, and by whether it answers NOTIFY."""

from __future__ import annotations

from pathlib import Path

from discovery.dns.message import names
from discovery.plugins import Seams
from discovery.plugins.transfer.sending import MAX_TAKEN, Taken
from tests.dns.world import World
from tests.plugins.transfer.primary import Primary

ORIGIN = names.from_text("svc.local")
WALL = 1_769_860_800.0  # 2026-01-31T12:00:00Z


def test_a_secondary_is_behind_by_the_changes_since_it_took_the_zone(tmp_path: Path) -> None:
    world = World()
    zone = Primary(tmp_path, world).plugin.sending.zones[ORIGIN]
    taken = Taken(lambda: WALL)
    serial, _ = zone.negative_soa()
    taken.note("10.0.0.9", ORIGIN, serial)
    (shown,) = taken.shown({ORIGIN: zone})
    assert shown == {
        "client": "10.0.0.9", "zone": names.to_text(ORIGIN), "serial": serial, "behind": 0, "takenAt": "2026-01-31T12:00:00.000Z",
    }  # fmt: skip
    world.add("web", "10.0.0.1")
    assert taken.shown({ORIGIN: zone})[0]["behind"] == zone.negative_soa()[0] - serial > 0


async def test_one_that_has_an_old_serial_for_more_than_a_minute_is_warned_of_until_it_has_taken_the_zone(
    tmp_path: Path,
) -> None:
    world, seams = World(), Seams()
    primary = Primary(tmp_path, world)
    primary.plugin.install(seams)
    [concern] = [each for each in seams.concerns if each.code == "secondary_behind"]

    def said(after: float) -> list[str]:
        primary.ahead += after
        return list(concern.check().values())

    async def takes() -> None:
        ahead, primary.ahead = primary.ahead, 0.0  # TSIG has a clock, too
        await primary.axfr(client="10.0.0.9")
        primary.ahead = ahead

    await takes()
    assert said(600) == [], "nothing is newer"
    world.add("web", "10.0.0.1")
    assert (said(0), said(59)) == ([], [])
    [text] = said(2)
    assert text.startswith("the secondary 10.0.0.9 has serial ")
    assert "of svc.local" in text
    await takes()
    assert said(600) == []
    world.add("web", "10.0.0.2")
    assert said(2 * 86400) == [], "one that has not come for a day has left"


def test_of_a_zone_that_is_served_no_longer_nobody_is_behind() -> None:
    taken = Taken(lambda: WALL)
    taken.note("10.0.0.9", (b"gone",), 7)
    assert taken.shown({})[0]["behind"] is None


def test_serials_wrap(tmp_path: Path) -> None:
    world = World()
    zone = Primary(tmp_path, world).plugin.sending.zones[ORIGIN]
    taken = Taken(lambda: WALL)
    taken.note("10.0.0.9", ORIGIN, (zone.negative_soa()[0] - 5) % 2**32)
    assert taken.shown({ORIGIN: zone})[0]["behind"] == 5


def test_the_latest_are_remembered_and_no_more_than_there_may_be() -> None:
    taken = Taken(lambda: WALL)
    for number in range(MAX_TAKEN + 10):
        taken.note(f"10.0.{number // 256}.{number % 256}", ORIGIN, 1)
        taken.note("10.9.9.9", ORIGIN, number)
    shown = taken.shown({})
    assert len(shown) == MAX_TAKEN
    assert max(each["serial"] for each in shown) == MAX_TAKEN + 9
