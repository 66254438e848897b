"""What Eureka's clients read, on a clock that the test moves."""

from __future__ import annotations

import pytest

from discovery.core.health import Finding, Health
from discovery.core.instance import Key
from discovery.plugins.eureka.info import hashcode
from discovery.plugins.eureka.listing import DELTA_SECONDS
from discovery.plugins.eureka.writing import Cancel, Forget, Override
from discovery.store.errors import UnknownInstance, UnknownService
from discovery.store.registration import Report
from tests.plugins.eureka.house import House, java_reads
from tests.store.attaching import Attach
from tests.store.making import ALL, a_brake, a_registry, spec

WEB = Key("web", "10.0.0.1", 8080)


@pytest.fixture(name="house")
def _house() -> House:
    return House(a_registry(max_instances=100))


def test_whoever_registered_here_is_found_there_and_the_other_way_round(house: House) -> None:
    house.register()
    house.registry.register(spec("Own", port=80, metadata={"n": 1, "deep": {"a": [1]}, "@class": "x"}), house.now)
    by_eureka, native = java_reads(house.get("/apps"))[::-1]
    assert (native["app"], native["instanceId"], native["vipAddress"], native["status"]) == (
        "OWN",
        "auto-1",
        "own",
        "UP",
    )
    assert native["metadata"] == {"n": "1", "deep": '{"a":[1]}'}
    assert (by_eureka["app"], by_eureka["instanceId"]) == ("WEB", "h1:web:8080")
    assert [entry.instance.spec.name for entry in house.registry] == ["web", "Own"]


def test_an_instance_is_gone_at_the_end_of_its_lease_and_not_a_moment_later(house: House) -> None:
    house.register(leaseInfo={"renewalIntervalInSecs": 30, "durationInSecs": 30})
    assert java_reads(house.get("/apps"))[0]["leaseInfo"]["durationInSecs"] == 65
    house.now += 64.999
    assert house.listed() == {"h1:web:8080": "UP"}
    house.now += 0.001
    assert house.listed() == {}
    with pytest.raises(UnknownService):
        house.get("/apps/{app}", app="WEB")
    with pytest.raises(UnknownInstance):
        house.get("/apps/{app}/{id}", app="WEB", id="h1:web:8080")


def test_a_delta_has_each_change_of_three_minutes_once_and_the_hash_of_all(house: House) -> None:
    house.register("old", ip="10.0.0.9", leaseInfo={"durationInSecs": 900})
    house.now += DELTA_SECONDS + 1
    house.register("stays", leaseInfo={"durationInSecs": 900})
    house.register("stays", leaseInfo={"durationInSecs": 900})
    house.register("goes", port=81)
    house.registry.do(Cancel(WEB._replace(port=81), "goes", "asked"), house.now)
    house.register("lapses", port=82)
    house.now += 25
    house.registry.advance(house.now, ALL)
    delta = house.get("/apps/delta")
    assert {each["instanceId"]: each["actionType"] for each in java_reads(delta)} == {
        "stays": "ADDED", "goes": "DELETED", "lapses": "DELETED",
    }  # fmt: skip
    assert delta["applications"]["apps__hashcode"] == house.get("/apps")["applications"]["apps__hashcode"] == "UP_2_"
    house.now += DELTA_SECONDS + 1
    assert house.listed("/apps/delta") == {}


def test_an_override_is_a_drain_and_ends_with_it(house: House) -> None:
    house.register()
    house.registry.do(Override(WEB, "h1:web:8080", "OUT_OF_SERVICE", "asked"), house.now)
    assert house.registry.at(WEB).instance.draining
    house.register()  # it says that it is UP, and stays out
    assert house.listed() == {"h1:web:8080": "OUT_OF_SERVICE"}
    assert java_reads(house.get("/apps/delta"))[0]["overriddenStatus"] == "OUT_OF_SERVICE"
    house.registry.drain(WEB, False, "an operator", house.now)
    assert house.listed() == {"h1:web:8080": "UP"}
    house.registry.drain(WEB, True, "an operator", house.now)
    house.registry.do(Override(WEB, "h1:web:8080", None, "asked"), house.now)
    assert house.listed() == {"h1:web:8080": "UP"}


@pytest.mark.parametrize("word", ["DOWN", "STARTING", "OUT_OF_SERVICE", "UNKNOWN"])
def test_what_it_says_of_itself_is_its_own_health(house: House, word: str) -> None:
    house.register(status=word)
    assert house.registry.at(WEB).instance.own.output == word
    assert house.registry.services["web"].served(house.now) == []
    assert house.listed() == {"h1:web:8080": word}
    house.register(status="UP")
    assert len(house.registry.services["web"].served(house.now)) == 1
    house.registry.do(Report(WEB, Finding(Health.FAILING, "the pool is empty")), house.now)
    assert house.listed() == {"h1:web:8080": "DOWN"}


def test_suspects_that_the_brake_holds_are_up() -> None:
    house = House(a_registry(max_instances=100, brake=a_brake(30)))
    for number in range(10):
        house.register(f"i{number}", port=number + 1)
    house.now += 30
    house.registry.advance(house.now, ALL)
    assert set(house.listed().values()) == {"UP"}
    assert len(house.listed()) == 10


def test_ids_at_one_address_share_an_instance_and_each_has_its_own_lease(house: House) -> None:
    house.register("a")
    house.register("b", status="DOWN")
    assert len(house.registry) == 1
    assert house.listed() == {"a": "UP", "b": "DOWN"}
    assert len(house.registry.services["web"].served(house.now)) == 1, "healthy while one of them is"
    house.now += 20
    house.registry.renew(WEB, house.now)
    assert house.ids.renewed(WEB, "a", 25) == []
    house.now += 10
    assert house.ids.renewed(WEB, "a", 25) == ["b"]
    assert house.listed() == {"a": "UP"}, "hidden before anybody has forgotten it"
    house.registry.do(Forget(WEB, ("b",)), house.now)
    house.registry.do(Cancel(WEB, "a", "asked"), house.now)
    assert len(house.registry) == 0
    assert house.ids.place("web", "a") is None


def test_of_several_nodes_one_judges_only_whom_it_heard(house: House) -> None:
    house.ids.hears_all = False
    house.register("elsewhere")
    house.register("here")
    house.ids.renewed(WEB, "here", 25)
    house.now += 30
    house.registry.renew(WEB, house.now)
    assert house.ids.silent(WEB, 25) == ["here"]
    house.register("here")  # at another node, or it would be heard
    assert house.ids.silent(WEB, 25) == []


def test_the_ninth_id_at_one_address_takes_the_oldest_ones_place(house: House) -> None:
    for number in range(9):
        house.now += 1
        house.register(f"crash-{number}")
    assert list(house.listed()) == [f"crash-{number}" for number in range(1, 9)]


def test_an_id_that_comes_back_at_another_address_moves_with_its_override(house: House) -> None:
    house.register()
    house.registry.do(Override(WEB, "h1:web:8080", "OUT_OF_SERVICE", "asked"), house.now)
    house.register(port=8081)
    assert [entry.instance.spec.port for entry in house.registry] == [8081]
    assert java_reads(house.get("/apps/delta"))[0]["port"]["$"] == 8081
    moved = house.get("/apps/{app}/{id}", app="web", id="h1:web:8080")["instance"]
    assert moved["port"]["$"] == 8081


def test_one_that_came_by_another_api_too_goes_with_the_last_of_them(house: House) -> None:
    house.register()
    house.registry.do(Attach(WEB, {"consul": {"id": "web-1"}}, "asked"), house.now)
    house.registry.do(Cancel(WEB, "h1:web:8080", "asked"), house.now)
    assert house.registry.at(WEB).instance.attachments == (("consul", b'{"id":"web-1"}'),)
    assert list(house.listed()) == ["auto-0"]


def test_many_are_told_in_small_pieces_for_others_have_their_turn_between(house: House) -> None:
    house.registry.face_max_instances = 1000
    for number in range(250):
        house.register(f"i{number}", port=number + 1)
    for path, names in (("/apps", {}), ("/apps/{app}", {"app": "web"}), ("/vips/{vip}", {"vip": "web"})):
        pieces = house.pieces(path, **names)
        assert max(piece.count(b'"instanceId"') for piece in pieces) <= 25
        assert sum(piece.count(b'"instanceId"') for piece in pieces) == 250
    assert len(house.get("/apps/{app}", app="web")["application"]["instance"]) == 250


def test_vips_are_found_by_each_of_their_names(house: House) -> None:
    house.register(vipAddress="one,two", secureVipAddress="three")
    house.register("other", port=81)
    for path, vip, found in (("/vips/{vip}", "two", 1), ("/vips/{vip}", "one,two", 0), ("/svips/{vip}", "three", 1)):
        answer = house.get(path, vip=vip)
        assert len(java_reads(answer)) == found
        assert answer["applications"]["apps__hashcode"] == ("UP_1_" if found else "")


def test_a_restart_loses_nothing_that_only_eureka_knows(house: House) -> None:
    house.register(homePageUrl="http://10.0.0.1/", lastDirtyTimestamp="1700000000000")
    before = java_reads(house.get("/apps"))
    again = House(a_registry(max_instances=100))
    again.registry.load(house.registry.snapshot(house.now, 0.0), again.now, 0.0)
    assert again.ids.place("web", "h1:web:8080") == house.ids.place("web", "h1:web:8080")
    [after] = java_reads(again.get("/apps"))
    assert after["homePageUrl"] == "http://10.0.0.1/"
    assert {**after, "leaseInfo": 0} == {**before[0], "leaseInfo": 0}


def test_the_hash_counts_in_the_order_of_the_alphabet() -> None:
    assert hashcode({"UP": 6, "DOWN": 1, "OUT_OF_SERVICE": 1, "UNKNOWN": 0}) == "DOWN_1_OUT_OF_SERVICE_1_UP_6_"
    assert hashcode({}) == ""
