"""The writes of the registry one by one: what each returns, refuses and tells its listeners."""

from __future__ import annotations

import pytest

from discovery.core.caller import Caller, Grants
from discovery.core.errors import DiscoveryError
from discovery.core.event import Kind
from discovery.core.instance import Instance, Key
from discovery.core.kinds import ZonesEvent
from discovery.store.errors import IdTaken, NameReserved, ServiceFull, UnknownInstance, UnknownService
from discovery.store.registration import Register
from tests.driven import DrivenRegistry
from tests.store.making import ALL, START, TTL, WALL, Log, a_registry, spec


def test_a_new_registry_is_empty() -> None:
    registry = a_registry(index=41)
    assert (len(registry), list(registry), dict(registry.services)) == (0, [], {})
    assert (registry.service("web"), registry.next_deadline(), registry.index) == (None, None, 41)
    registry.advance(1e9, ALL)
    assert registry.index == 41


def test_the_index_goes_on_from_where_it_was() -> None:
    registry = a_registry(index=41)
    log = Log.of(registry)
    registry.register(spec(), START, WALL)
    assert [change.index for change in log.changes] == [42]
    assert registry.index == 42


def test_registering_again_keeps_id_and_time_of_registration() -> None:
    registry = a_registry()
    log = Log.of(registry)
    first = registry.register(spec(metadata={"v": 1}), START, WALL).instance
    again = registry.register(spec(metadata={"v": 2}), START + 3, WALL + 3).instance
    assert (again.id, again.registered_at) == (first.id, WALL)
    assert again.spec.metadata == b'{"v":2}'
    assert (first.spec.metadata, len(registry)) == (b'{"v":1}', 1)
    assert log.kinds() == [Kind.REGISTERED, Kind.UPDATED]
    assert log.changes[-1].instance == again == registry.at(first.id).instance


def test_registering_again_with_the_same_contents_is_no_change() -> None:
    registry = a_registry()
    registry.register(spec(tags=["a"]), START, WALL)
    log = Log.of(registry)
    entry = registry.register(spec(tags=["a"]), START + 3, WALL + 3)
    assert (log.changes, registry.accepted["register"]) == ([], 2)
    assert entry.lease.expires_at == START + 3 + TTL


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


def test_a_name_that_differs_by_case_is_the_same_service_shown_as_first_registered() -> None:
    registry = a_registry()
    registry.register(spec("Web"), START, WALL)
    registry.register(spec("WEB", port=81), START, WALL)
    registry.register(spec("web"), START, WALL)
    assert [service.name for service in registry.services.values()] == ["Web"]
    service = registry.service("wEB")
    assert service is not None
    assert list(service.entries) == [("10.0.0.1", 80), ("10.0.0.1", 81)]
    assert [entry.instance.spec.name for entry in service.entries.values()] == ["Web", "Web"]


def test_another_spelling_alone_is_no_change() -> None:
    registry = a_registry()
    registry.register(spec("Web"), START, WALL)
    log = Log.of(registry)
    registry.register(spec("web"), START + 1, WALL)
    assert log.changes == []


def test_a_service_that_is_gone_takes_its_spelling_along() -> None:
    registry = a_registry()
    registry.register(spec("Web"), START, WALL)
    registry.deregister(Key("web", "10.0.0.1", 80), "test", START)
    registry.register(spec("WEB"), START, WALL)
    assert [service.name for service in registry.services.values()] == ["WEB"]


def test_an_instance_leaves_when_asked_to() -> None:
    registry = a_registry()
    log = Log.of(registry)
    entry = registry.register(spec(), START, WALL)
    assert registry.deregister(Key("web", "10.0.0.1", 80), "asked for by 10.9.9.9", START) == entry.instance
    assert log.kinds() == [Kind.REGISTERED, Kind.DEREGISTERED]
    assert log.changes[-1].reason == "asked for by 10.9.9.9"
    assert (registry.service("web"), len(registry), registry.next_deadline()) == (None, 0, None)
    with pytest.raises(UnknownInstance, match=entry.instance.id):
        registry.at(entry.instance.id)


def test_an_instance_that_comes_back_is_a_new_one() -> None:
    registry = a_registry()
    first = registry.register(spec(), START, WALL).instance
    registry.deregister(first.spec.key, "test", START)
    second = registry.register(spec(), START + 1, WALL + 1).instance
    assert second.id != first.id
    assert second.registered_at == WALL + 1
    registry.advance(START + TTL, ALL)  # the first one's deadline
    service = registry.service("web")
    assert service is not None
    assert len(service.healthy(START + TTL)) == 1


def test_a_whole_service_leaves_at_once_and_no_other() -> None:
    registry = a_registry()
    log = Log.of(registry)
    for port in (80, 81):
        registry.register(spec("Web", port=port), START, WALL)
    registry.register(spec("web2"), START, WALL)
    removed = registry.deregister_service("wEb", "test", START)
    assert [instance.spec.port for instance in removed] == [80, 81]
    assert log.kinds()[3:] == [Kind.DEREGISTERED] * 2
    assert list(registry.services) == ["web2"]


def _full(registry: DrivenRegistry) -> None:
    for port in range(1, registry.settings.max_instances_per_service + 1):
        registry.register(spec(port=port), START + port, WALL)


def test_a_service_at_its_limit_takes_no_other_while_all_are_healthy() -> None:
    registry = a_registry()
    _full(registry)
    log = Log.of(registry)
    with pytest.raises(ServiceFull, match=r"web.*10"):
        registry.register(spec(port=99), START + TTL, WALL)
    assert (len(registry), log.changes, registry.accepted["register"]) == (10, [], 10)
    registry.register(spec(port=3), START + TTL, WALL)  # one of them may still register again
    registry.register(spec("api"), START + TTL, WALL)


def test_at_the_limit_the_one_that_has_been_unhealthy_longest_makes_way() -> None:
    registry = a_registry()
    _full(registry)
    log = Log.of(registry)
    registry.register(spec(port=1), START + 10.5, WALL)
    registry.register(spec(port=99), START + 13.0, WALL)
    gone = [(change.kind, change.instance.spec.port) for change in log.changes]
    assert gone == [(Kind.UNHEALTHY, 2), (Kind.EXPIRED, 2), (Kind.REGISTERED, 99)]
    assert len(registry) == 10
    assert "limit" in log.changes[1].reason


def test_a_fixed_name_cannot_be_taken_in_any_case() -> None:
    registry = a_registry()
    registry.reserved = {"ns1": "has fixed records in a zone file"}
    log = Log.of(registry)
    with pytest.raises(NameReserved, match="NS1"):
        registry.register(spec("NS1"), START, WALL)
    assert (len(registry), log.changes, registry.accepted["register"]) == (0, [], 0)


def test_reserved_names_take_the_place_of_those_before() -> None:
    registry = a_registry()
    registry.reserved = {"ns1": "has fixed records in a zone file"}
    registry.reserved = {"ns2": "has fixed records in a zone file"}
    assert registry.register(spec("ns1"), START, WALL).instance.spec.name == "ns1"
    with pytest.raises(NameReserved, match="ns2"):
        registry.register(spec("ns2"), START, WALL)


def test_zone_files_that_are_read_again_move_the_index_and_followers_are_told() -> None:
    registry = a_registry(index=41)
    log = Log.of(registry)
    registry.reload_zones(START)
    assert registry.index == 42
    assert [(commit.index, commit.events) for commit in log.commits] == [
        (42, (ZonesEvent("zone files were read again"),))
    ]


def test_an_instance_that_was_there_before_its_name_was_reserved_may_go_on() -> None:
    registry = a_registry()
    first = registry.register(spec(), START, WALL)
    registry.reserved = {"web": "has fixed records in a zone file"}
    assert registry.register(spec(), START + 1, WALL) is first
    assert registry.renew(first.instance.spec.key, START + 2) is first
    assert registry.deregister(first.instance.spec.key, "test", START) == first.instance


def test_an_id_of_ones_own_is_kept_while_registered_and_free_after() -> None:
    registry = a_registry()
    assert registry.register(spec(id="mine"), START, WALL).instance.id == "mine"
    with pytest.raises(IdTaken, match=r"mine") as caught:
        registry.register(spec("api", id="mine"), START, WALL)
    assert "10.0.0.1" not in str(caught.value), "whoever may not read learns no address from it"
    assert registry.register(spec(), START, WALL).instance.id == "mine"
    registry.deregister(Key("web", "10.0.0.1", 80), "test", START)
    assert registry.register(spec("api", id="mine"), START, WALL).instance.id == "mine"


def test_a_process_that_is_back_at_another_port_takes_its_id_from_its_old_self_in_one_commit() -> None:
    registry = a_registry()
    registry.register(spec(id="mine"), START, WALL)
    with pytest.raises(IdTaken, match='"replace": true, and the old one makes way'):
        registry.register(spec(port=81, id="mine"), START + 1, WALL)
    log, index = Log.of(registry), registry.index
    entry = registry.register(spec(port=81, id="mine"), START + 1, WALL, replace=True)
    assert (entry.instance.id, entry.instance.spec.port) == ("mine", 81)
    assert [(each.kind, each.instance.spec.port) for each in log.changes] == [
        (Kind.DEREGISTERED, 80),
        (Kind.REGISTERED, 81),
    ]
    assert registry.index == index + 1
    assert registry.find(Key("web", "10.0.0.1", 80)) is None
    assert registry.at("mine") is entry
    assert [each.instance.id for each in registry.services["web"].entries.values()] == ["mine"]


def test_an_old_self_that_is_silent_lapses_before_it_makes_way() -> None:
    registry = a_registry()
    registry.register(spec(id="mine"), START, WALL)
    log = Log.of(registry)
    registry.register(spec(port=81, id="mine"), START + TTL, WALL, replace=True)
    assert [each.kind for each in log.changes] == [Kind.UNHEALTHY, Kind.DEREGISTERED, Kind.REGISTERED]


def test_at_the_limit_the_old_self_alone_makes_way() -> None:
    registry = a_registry(max_in_all=10)
    _full(registry)
    victim = next(iter(registry)).instance
    registry.deregister(victim.spec.key, "test", START)
    registry.register(spec(port=98, id="mine"), START, WALL)
    kept = {entry.instance.id for entry in registry}
    registry.register(spec(port=99, id="mine"), START, WALL, replace=True)
    assert {entry.instance.id for entry in registry} == kept


def test_nobody_takes_the_id_of_another_service() -> None:
    registry = a_registry()
    registry.register(spec(id="mine"), START, WALL)
    log = Log.of(registry)
    with pytest.raises(IdTaken) as caught:
        registry.register(spec("api", id="mine"), START, WALL, replace=True)
    assert "replace" not in str(caught.value)
    assert log.changes == []


def test_to_replace_nobody_is_to_register() -> None:
    registry = a_registry()
    assert registry.register(spec(id="mine"), START, WALL, replace=True).instance.id == "mine"
    assert registry.register(spec(id="mine"), START + 1, WALL, replace=True).instance.id == "mine", "its own self"
    assert registry.register(spec(port=81), START, WALL, replace=True).instance.id == "auto-0"


def test_an_id_that_is_taken_leaves_a_full_service_as_it_was() -> None:
    registry = a_registry()
    _full(registry)
    registry.register(spec("api", id="mine"), START, WALL)
    log = Log.of(registry)
    with pytest.raises(IdTaken):
        registry.register(spec(port=99, id="mine"), START + 100, WALL)
    assert log.changes == []


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


@pytest.mark.parametrize("error", [UnknownInstance, UnknownService, ServiceFull, NameReserved, IdTaken])
def test_every_refusal_is_one_a_client_can_mend(error: type[Exception]) -> None:
    assert issubclass(error, DiscoveryError)


def test_listeners_hear_every_change_in_order_and_find_it_done() -> None:
    registry = a_registry()
    heard: list[tuple[str, int, int]] = []
    registry.followers.append(lambda change: heard.append(("first", change.index, len(registry))))
    registry.followers.append(lambda change: heard.append(("second", change.index, len(registry))))
    registry.register(spec(), START, WALL)
    registry.deregister(Key("web", "10.0.0.1", 80), "test", START)
    assert heard == [("first", 1, 1), ("second", 1, 1), ("first", 2, 0), ("second", 2, 0)]
