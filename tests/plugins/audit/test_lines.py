"""Every kind of write, carried out and refused, and the line that there is of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from discovery.core.caller import NOBODY, SERVER, Caller
from discovery.core.check import as_check
from discovery.core.errors import DiscoveryError, Forbidden
from discovery.core.instance import Instance, Key, Registration
from discovery.core.maintenance import Scope, Window
from discovery.plugins.audit.line import MAX_TEXT, contents
from discovery.rest.api.times import iso
from discovery.store.errors import UnknownInstance
from discovery.store.operations import MAX_DEREGISTERED, DeregisterMany, Drain, EndMaintenance, Maintain, Settle
from discovery.store.registration import Deregister, Register, Upsert
from discovery.store.transaction import Transaction
from discovery.store.write import Write
from tests.driven import Checked
from tests.plugins.audit.house import BY, House, a_house
from tests.store.making import INTERVAL, START, TTL, WALL, spec

KEY = Key("web", "10.0.0.1", 80)
WINDOW = Window("disk swap", WALL + 60)
PLAIN = {"name": "web", "status": "healthy", "draining": False, "registeredAt": iso(WALL), "metadata": {}}
INSTANCE = {"id": "auto-0", "ip": "10.0.0.1", "port": 80}
TELLS_WHO = {"time": iso(WALL), "by": {"name": "ci", "address": "10.9.9.9"}}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path / "audit.jsonl", max_instances=2) as house:
        yield house


async def refused(house: House, write: Any, kind: type[Exception] = DiscoveryError) -> dict[str, Any]:
    with pytest.raises(kind):
        await house.submit(write)
    await house.trail.flushed()
    return house.last


async def test_a_registration_is_told_whole(house: House) -> None:
    registration = spec(
        metadata={"version": "1"}, tags=["blue"], ports={"admin": 81}, checks={"tcp": True}, max_answers=3
    )
    await house.submit(Register(registration))
    after = PLAIN | {"metadata": {"version": "1"}, "tags": ["blue"], "ports": {"admin": 81}, "maxAnswers": 3}
    assert house.lines() == [
        TELLS_WHO
        | {
            "action": "register",
            "service": "web",
            "instance": INSTANCE,
            "outcome": "done",
            "reason": "new instance",
            "index": house.registry.index,
            "before": None,
            "after": after | {"check": as_check(registration.checks)},
        }
    ]


@pytest.mark.parametrize("kind", [Register, Upsert])
async def test_another_registration_tells_before_and_after(house: House, kind: type[Register] | type[Upsert]) -> None:
    await house.submit(kind(spec(weight=5)))
    await house.submit(kind(spec(name="WEB", zone="eu")))
    assert house.last["action"] == kind.__name__.lower()
    assert (house.last["before"], house.last["after"]) == (PLAIN | {"weight": 5}, PLAIN | {"zone": "eu"})
    assert house.last["instance"] == INSTANCE
    assert house.last["index"] == house.lines()[0]["index"] + 1


@pytest.mark.parametrize("kind", [Register, Upsert])
async def test_a_registration_that_says_nothing_new_has_no_line(
    house: House, kind: type[Register] | type[Upsert]
) -> None:
    await house.submit(kind(spec()))
    house.now += 3
    await house.submit(kind(spec()))
    assert house.registry.at(KEY).lease.renewed_at == START + 3
    assert len(house.lines()) == 1


async def test_one_that_brings_it_back_to_life_has(house: House) -> None:
    await house.submit(Register(spec()))
    house.now += TTL
    await house.submit(Register(spec()))
    assert (house.last["before"], house.last["after"]) == (PLAIN | {"status": "unhealthy"}, PLAIN)


async def test_drain_and_its_end_tell_the_status_and_why(house: House) -> None:
    await house.submit(Register(spec()))
    drained = PLAIN | {"status": "draining", "draining": True}
    for which, action, before, after in (
        (KEY, "drain", PLAIN, drained),
        ("auto-0", "undrain", drained, PLAIN),
    ):
        await house.submit(Drain(which, action == "drain", "because"))
        line = house.last
        assert (line["action"], line["before"], line["after"], line["reason"]) == (action, before, after, "because")
        assert (line["service"], line["instance"]) == ("web", INSTANCE)
    await house.submit(Drain(KEY, False, "again"))
    assert len(house.lines()) == 3, "nothing was changed the last time"


@pytest.mark.parametrize("which", [KEY, "auto-0"], ids=["by key", "by id"])
async def test_a_deregistration_tells_what_was_there(house: House, which: Key | str) -> None:
    await house.submit(Register(spec(weight=5)))
    await house.submit(Deregister(which, "because"))
    line = house.last
    assert (line["action"], line["instance"], line["reason"]) == ("deregister", INSTANCE, "because")
    assert (line["before"], line["after"]) == (PLAIN | {"weight": 5}, None)


async def test_a_service_that_leaves_is_one_line_with_all_of_it(house: House) -> None:
    keys = [(await house.submit(Register(spec(port=port)))).spec.key for port in (80, 81)]
    await house.submit(DeregisterMany(tuple(keys), "because", "web"))
    line = house.last
    assert (line["action"], line["service"], line["instance"]) == ("deregister-service", "web", None)
    listed = [INSTANCE | PLAIN, INSTANCE | {"id": "auto-1", "port": 81} | PLAIN]
    assert (line["before"], line["after"]) == ({"instances": 2, "listed": listed}, None)
    assert line["reason"] == "because"


async def test_all_that_leave_are_one_line_of_no_service(house: House) -> None:
    keys = [(await house.submit(Register(spec(name)))).spec.key for name in ("web", "api")]
    await house.submit(DeregisterMany(tuple(keys), "cleared"))
    line = house.last
    assert (line["action"], line["service"], line["instance"]) == ("clear", None, None)
    assert [each["name"] for each in line["before"]["listed"]] == ["web", "api"]


async def test_of_a_large_service_each_commit_is_a_line_and_nobody_is_left_out(tmp_path: Path) -> None:
    async with a_house(tmp_path / "audit.jsonl", max_instances=1000) as house:
        keys = [(await house.submit(Register(spec(port=port)))).spec.key for port in range(1, 251)]
        settled = await house.submit(Maintain(Scope("web"), WINDOW))
        while not settled:
            settled = await house.submit(Settle(Scope("web")))
        taken_out = house.lines()[250:]
        for start in range(0, 250, MAX_DEREGISTERED):
            await house.submit(DeregisterMany(tuple(keys[start : start + MAX_DEREGISTERED]), "because", "web"))
        left = house.lines()[250 + len(taken_out) :]
    assert [line["action"] for line in taken_out] == ["maintain", *["settle"] * (len(taken_out) - 1)]
    assert [line["action"] for line in left] == ["deregister-service"] * 8
    for lines, side in ((taken_out, "affected"), (left, "before")):
        listed = [each for line in lines for each in line[side]["listed"]]
        assert [each["port"] for each in listed] == list(range(1, 251))
        assert sum(line[side]["instances"] for line in lines) == 250
        assert {line["service"] for line in lines} == {"web"}
        assert all(line["reason"] for line in lines)
    assert {each["status"] for line in left for each in line["before"]["listed"]} == {"maintenance"}


async def test_a_window_of_a_service_tells_whom_it_takes_out(house: House) -> None:
    await house.submit(Register(spec()))
    shown = {"reason": "disk swap", "until": iso(WALL + 60)}
    affected = {"instances": 1, "listed": [INSTANCE]}
    for write, action, before, after in (
        (Maintain(Scope("web"), WINDOW), "maintain", None, shown),
        (EndMaintenance(Scope("web"), "because"), "end-maintenance", shown, None),
    ):
        await house.submit(write)
        line = house.last
        assert (line["action"], line["before"], line["after"], line["affected"]) == (action, before, after, affected)
        assert (line["service"], line["instance"], line["index"]) == ("web", None, house.registry.index)


async def test_a_window_of_an_instance_names_it_and_one_in_its_place_tells_both(house: House) -> None:
    await house.submit(Register(spec()))
    await house.submit(Maintain(Scope.of(KEY), WINDOW))
    await house.submit(Maintain(Scope.of(KEY), Window("longer", WALL + 90)))
    begun, line = house.lines()[-2:]
    assert begun["instance"] == INSTANCE
    assert line["instance"] == {"ip": "10.0.0.1", "port": 80}, "the commit says nothing about the instance itself"
    assert line["before"] == {"reason": "disk swap", "until": iso(WALL + 60)}
    assert line["after"] == {"reason": "longer", "until": iso(WALL + 90)}
    assert "affected" not in line


async def test_who_makes_way_for_a_newcomer_is_named(house: House) -> None:
    await house.submit(Register(spec()))
    house.now += TTL - 1
    await house.submit(Register(spec(port=81)))
    house.now += 1
    await house.submit(Register(spec(port=82)))
    assert house.last["instance"]["port"] == 82
    assert (house.last["before"], house.last["after"]) == (None, PLAIN)
    assert house.last["evicted"] == [INSTANCE]


async def test_whoever_is_replaced_by_its_new_self_is_named(house: House) -> None:
    await house.submit(Register(spec(id="mine")))
    await house.submit(Register(spec(port=81, id="mine"), replace=True))
    assert (house.last["action"], house.last["instance"]["port"]) == ("register", 81)
    assert house.last["evicted"] == [{"id": "mine", "ip": "10.0.0.1", "port": 80}]


async def test_what_is_refused_is_told_with_the_reason(house: House) -> None:
    unknown = {"before": None, "after": None, "index": 0}
    gone = await refused(house, Deregister(KEY, "because"))
    assert gone == TELLS_WHO | unknown | {
        "action": "deregister", "service": "web", "instance": {"ip": "10.0.0.1", "port": 80},
        "outcome": "UnknownInstance", "error": "No instance 10.0.0.1 port 80 of service web is registered",
    }  # fmt: skip
    assert (await refused(house, Drain("nobody", True, "because")))["instance"] == {"id": "nobody"}
    assert (await refused(house, DeregisterMany((), "because", "web")))["outcome"] == "UnknownService"
    assert (await refused(house, Maintain(Scope("web"), WINDOW)))["outcome"] == "UnknownService"
    assert (await refused(house, EndMaintenance(Scope("web"), "because")))["outcome"] == "NoWindow"
    house.registry.reserved = {"fixed": "has fixed records in a zone file"}
    assert (await refused(house, Register(spec("fixed"))))["outcome"] == "NameReserved"
    for port in (80, 81):
        await house.submit(Register(spec(port=port, id=f"own-{port}")))
    assert (await refused(house, Register(spec("other", id="own-80"))))["outcome"] == "IdTaken"
    full = await refused(house, Register(spec(port=82)))
    assert (full["outcome"], full["service"], full["instance"]) == (
        "ServiceFull",
        "web",
        {"ip": "10.0.0.1", "port": 82},
    )
    await house.submit(Deregister("own-80", "because"))
    again = await refused(house, Upsert(spec()))
    assert (again["outcome"], again["before"], again["after"]) == ("Deregistered", None, None)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Forbidden("ci", "register:web"), "Forbidden"),
        (UnknownInstance("x" * 10_000), "UnknownInstance"),
    ],
)
async def test_whoever_may_not_is_told_with_the_errors_name_and_text(
    tmp_path: Path, error: DiscoveryError, outcome: str
) -> None:
    async with a_house(tmp_path / "audit.jsonl") as house:

        def authorize(owner: str | None, by: Caller) -> None:
            raise error

        house.seams.authorize.append(authorize)
        line = await refused(house, Register(spec()))
    assert (line["action"], line["by"], line["service"]) == ("register", TELLS_WHO["by"], "web")
    assert (line["outcome"], line["error"]) == (outcome, str(error)[:MAX_TEXT])


async def test_a_kind_of_write_that_is_not_known_is_told_by_its_action_and_by_what_it_did(house: House) -> None:
    class MoveAway(Write[Instance]):
        action = "move-away"

        def decide(self, txn: Transaction) -> Instance:
            return Drain(KEY, True, "moved").decide(txn)

    await house.submit(Register(spec()))
    await house.submit(MoveAway())
    line = house.last
    assert (line["action"], line["instance"], line["reason"]) == ("move-away", INSTANCE, "moved")
    assert (line["before"]["status"], line["after"]["status"]) == ("healthy", "draining")


async def test_a_drain_that_is_forgotten_with_one_that_is_gone_has_a_line(house: House) -> None:
    await house.submit(Register(spec()))
    await house.submit(Drain(KEY, True, "because"))
    house.now += TTL + 2 * INTERVAL
    house.registry.advance(house.now, wall=WALL)
    assert len(house.registry) == 0
    await house.submit(Deregister(KEY, "gone for good"))
    line = house.last
    assert (line["action"], line["outcome"], line["reason"]) == ("deregister", "done", "gone for good")
    assert (line["instance"], line["before"]["since"], line["after"]) == (INSTANCE, iso(WALL), None)


async def test_observations_heartbeats_and_what_time_does_have_no_line(house: House) -> None:
    await house.submit(Register(spec()))
    house.engine.renew(KEY, BY)
    await house.submit(Checked("auto-0", "answered 503"))
    house.now += TTL + 2 * INTERVAL
    house.registry.advance(house.now, 100)
    house.registry.advance(house.now + 2 * INTERVAL, 100)
    assert len(house.registry) == 0
    assert len(house.lines()) == 1


@pytest.mark.parametrize(
    ("by", "shown"),
    [
        (Caller("10.1.1.1"), {"name": "", "address": "10.1.1.1"}),
        (NOBODY, {"name": "", "address": ""}),
        (SERVER, {"name": "the server", "address": ""}),
    ],
)
async def test_who_is_the_caller(house: House, by: Caller, shown: dict[str, str]) -> None:
    await house.submit(Register(spec()), by)
    assert house.last["by"] == shown


async def test_nothing_that_a_terminal_obeys_is_in_the_file_and_nothing_is_lost(house: House) -> None:
    nasty = '\x1b[2J\x7f\x9b31m\u2028\u202e\r\n\\u0041"é'
    await house.submit(Register(spec(metadata={nasty: nasty})), Caller("fe80::1%\x1b", nasty))
    await refused(house, Deregister(f"\x9b{nasty}\udc9b", nasty))
    text = house.path.read_text()
    assert text.count("\n") == 2
    assert all(character.isprintable() for character in text.replace("\n", ""))
    assert house.lines()[0]["after"]["metadata"] == {nasty: nasty}
    assert house.lines()[0]["by"]["name"] == nasty
    assert house.last["instance"]["id"] == f"\x9b{nasty}\\udc9b"


async def test_an_id_that_nobody_has_is_not_kept_whole(house: House) -> None:
    line = await refused(house, Deregister("x" * 8000, "because"))
    assert line["instance"]["id"] == "x" * MAX_TEXT
    assert len(house.path.read_bytes()) < 4 * MAX_TEXT


def test_no_field_of_a_registration_is_left_out() -> None:
    given = {
        "name": "web", "ip": "10.0.0.1", "port": 80, "metadata": {"a": 1}, "tags": ["a"], "ports": {"b": 81},
        "protocol": "udp", "weight": 1, "priority": 1, "zone": "eu", "ttl": 60, "max_answers": 3, "checks": [{"ttl": 5}], "id": "own",
        "warning_weight": 2, "keep": 5, "hold": 6, "imported_from": "consul://10.0.0.9:8500",
    }  # fmt: skip
    assert given.keys() >= {field.name for field in fields(Registration)} - {"lease"}, (
        "a field is new: give it another value than its default"
    )
    shown = contents(Instance("own", WALL, Registration.of(**given)))
    camel = {"max_answers": "maxAnswers", "warning_weight": "warningWeight", "imported_from": "importedFrom"}
    assert shown.keys() == {camel.get(name, name) for name in given if name not in ("id", "ip", "port")} | {
        "status", "draining", "registeredAt",
    }  # fmt: skip
