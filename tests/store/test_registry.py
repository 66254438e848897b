"""The writes of the registry one by one: what each returns, refuses and tells its listeners."""

from __future__ import annotations

import pytest

from discovery.core.caller import Caller, Grants
from discovery.core.instance import Instance, Key
from discovery.core.kinds import ZonesEvent
from discovery.store.errors import IdTaken, ServiceFull, UnknownInstance, UnknownService
from discovery.store.registration import Register
from tests.driven import DrivenRegistry
from tests.store.making import START, WALL, Log, a_registry, spec


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        ("10.0.0.9", "10.0.0.1", "10.0.0.1"),  # its own address says more than a stranger's
        ("10.0.0.1", "10.0.0.9", "10.0.0.1"),
        ("", "10.0.0.9", "10.0.0.9"),  # an older version did not keep it
        ("10.0.0.9", "10.0.0.8", "10.0.0.9"),  # two strangers that take turns are no change each time
        ("ci at 10.0.0.9", "10.0.0.1", "10.0.0.1"),
        ("10.0.0.9", "ci at 10.0.0.8", "ci at 10.0.0.8"),
    ],
)
def test_its_registrant_is_the_first_of_those_who_vouch_most_for_it(first: str, second: str, kept: str) -> None:
    registry = a_registry()
    for by in (first, second):
        name, _, address = by.rpartition(" at ")
        caller = Caller(address, name, Grants(admin=bool(name)))
        instance = registry.carry_out(Register(spec("web", "10.0.0.1")), START, WALL, caller)
    assert str(instance.registrant) == kept
    assert instance.registrant.grants == Grants()
    assert bool(instance.vouched) is (kept != "10.0.0.9")


def test_a_restart_keeps_the_registrant() -> None:
    stored = Instance("id-1", WALL, spec(), registrant=Caller("10.0.0.9", "ci"))
    [entry] = a_registry().restore(stored, now=START)
    assert entry.instance.registrant == stored.registrant


def _full(registry: DrivenRegistry) -> None:
    for port in range(1, registry.settings.max_instances_per_service + 1):
        registry.register(spec(port=port), START + port, WALL)


def test_zone_files_that_are_read_again_move_the_index_and_followers_are_told() -> None:
    registry = a_registry(index=41)
    log = Log.of(registry)
    registry.reload_zones(START)
    assert registry.index == 42
    assert [(commit.index, commit.events) for commit in log.commits] == [
        (42, (ZonesEvent("zone files were read again"),))
    ]


def test_an_id_of_ones_own_is_kept_while_registered_and_free_after() -> None:
    registry = a_registry()
    assert registry.register(spec(id="mine"), START, WALL).instance.id == "mine"
    with pytest.raises(IdTaken, match=r"mine") as caught:
        registry.register(spec("api", id="mine"), START, WALL)
    assert "10.0.0.1" not in str(caught.value), "whoever may not read learns no address from it"
    assert registry.register(spec(), START, WALL).instance.id == "mine"
    registry.deregister(Key("web", "10.0.0.1", 80), "test", START)
    assert registry.register(spec("api", id="mine"), START, WALL).instance.id == "mine"


def test_what_is_not_there_cannot_be_renewed_or_removed() -> None:
    registry = a_registry()
    registry.register(spec(), START, WALL)
    log = Log.of(registry)
    for key in (Key("api", "10.0.0.1", 80), Key("web", "10.0.0.2", 80), Key("web", "10.0.0.1", 81)):
        with pytest.raises(UnknownInstance, match=f"{key.ip}.*{key.port}.*{key.service}"):
            registry.renew(key, START)
        with pytest.raises(UnknownInstance):
            registry.deregister(key, "test", START)
    with pytest.raises(UnknownService, match="api"):
        registry.deregister_service("api", "test", START)
    with pytest.raises(UnknownInstance, match="nobody"):
        registry.renew("nobody", START)
    assert (log.changes, registry.renewals) == ([], 0)


def test_a_service_with_one_that_came_by_another_registrys_api_has_another_limit() -> None:
    registry = a_registry()
    registry.face_max_instances = 12
    _full(registry)
    come = [Register(spec(port=port), attachments={"face": {"id": port}}) for port in (20, 21, 22)]
    for write in come[:2]:
        registry.carry_out(write, START, WALL)
    for another in (come[2], Register(spec(port=23))):
        with pytest.raises(ServiceFull, match="web has 12 instances, the most that FACE_MAX_INSTANCES allows"):
            registry.carry_out(another, START, WALL)


def test_listeners_hear_every_change_in_order_and_find_it_done() -> None:
    registry = a_registry()
    heard: list[tuple[str, int, int]] = []
    registry.followers.append(lambda change: heard.append(("first", change.index, len(registry))))
    registry.followers.append(lambda change: heard.append(("second", change.index, len(registry))))
    registry.register(spec(), START, WALL)
    registry.deregister(Key("web", "10.0.0.1", 80), "test", START)
    assert heard == [("first", 1, 1), ("second", 1, 1), ("first", 2, 0), ("second", 2, 0)]
