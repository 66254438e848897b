"""What the recorded answers of a real Consul and a real Eureka become here; and what an import would do with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from discovery.moving import consul, eureka
from discovery.moving.eureka import Eureka
from discovery.moving.file import File
from discovery.moving.found import MARK, Found, Key, SourceAway, SourceError
from discovery.moving.plan import Here, plan
from tests.moving.others import CONSUL, EUREKA


def entry(**service: Any) -> Any:
    whole = json.loads(json.dumps(CONSUL["web"][1]))
    whole["Service"] |= service
    return whole


def test_consuls_recorded_entries_are_instances_with_their_worst_check() -> None:
    found = consul.found_in(CONSUL)
    assert not found.notes
    assert {str(key): (body["health"], body["weight"]) for key, body in found.bodies.items()} == {
        "web 127.0.0.1": ("passing", 100),
        "web 10.0.0.1:8080": ("failing", 1000),
        "web 10.0.0.2:8081": ("failing", 100),
        "ext 192.0.2.9:5432": ("passing", 100),
        "dies 127.0.0.1:1": ("failing", 100),
    }
    web = found.bodies[Key("web", "10.0.0.1", 8080)]
    assert (web["tags"], web["metadata"]) == (
        ["v1", "urlprefix-/web", "traefik.enable=true"],
        {"team": "core", "version": "1.2.3"},
    )
    assert web["output"].startswith("Service Maintenance Mode is critical at Consul: ")


def test_of_consul_the_mesh_and_what_sync_told_there_are_left_out_and_entries_of_one_address_are_one() -> None:
    found = consul.found_in(
        {
            "proxy": [entry(Kind="connect-proxy", ID="p-1")],
            "ours": [entry(Service="ours", Meta={MARK: "http://registry"})],
            "web": [entry(Tags=["a"], ID="w1"), {**entry(Tags=["b"], ID="w2"), "Checks": []}],
        }
    )
    assert [(str(key), body["tags"], body["health"]) for key, body in found.bodies.items()] == [
        ("web 10.0.0.1:8080", ["a", "b"], "passing")
    ]
    assert [note.split(":")[0] for note in found.notes] == ["proxy", "web 10.0.0.1"]


def test_eurekas_recorded_applications_are_services_in_lower_case_with_their_status_as_own_health() -> None:
    instances = dict(eureka.instances_in(EUREKA["applications"]))
    found = eureka.found_in(instances)
    assert {key.name for key in found.bodies} == {"xmlapp", "mixed", "web", "low", "api"}
    api = {body["output"] for key, body in found.bodies.items() if key.name == "api" and body["health"] == "failing"}
    assert api == {f"its status at Eureka is {status}" for status in ("STARTING", "OUT_OF_SERVICE", "DOWN")}
    assert found.bodies[Key("mixed", "10.0.0.8", 8080)]["metadata"] == {"management.port": "8081", "version": "1.2.3"}
    assert eureka.count_hash(instances.values()) == EUREKA["applications"]["apps__hashcode"]


@pytest.mark.parametrize(
    ("fields", "port"),
    [
        ({}, 7000), ({"port": {"$": 80, "@enabled": "false"}}, None), ({"port": {"$": "80", "@enabled": True}}, 80),
        ({"port": {"$": 80, "@enabled": "false"}, "securePort": {"$": 443, "@enabled": "true"}}, 443), ({"port": None}, None),
    ],
)  # fmt: skip
def test_of_eurekas_two_ports_the_first_that_is_enabled_counts(fields: Any, port: int | None) -> None:
    instance = EUREKA["applications"]["application"][0]["instance"][0] | fields
    ((key, _),) = eureka.found_in({("A", "a"): instance}).bodies.items()
    assert key.port == port


def test_a_delta_says_of_each_how_it_is_now_and_one_in_place_of_a_list_is_taken() -> None:
    instances = dict(eureka.instances_in(EUREKA["applications"]))
    gone, stays = [
        {"app": "XMLAPP", "instanceId": "x1", "actionType": "DELETED"},
        {"app": "LOW", "instanceId": "l1", "status": "DOWN"},
    ]
    eureka.apply(
        instances, {"application": [{"name": "XMLAPP", "instance": gone}, {"name": "LOW", "instance": [stays]}]}
    )
    assert ("XMLAPP", "x1") not in instances
    assert instances["LOW", "l1"] == stays


def body(port: int | None, **fields: Any) -> Any:
    return {"name": "web", "ip": "10.0.0.1", "port": port, "health": "passing", "metadata": {}} | fields


def found(*bodies: Any) -> Found:
    result = Found()
    for each in bodies:
        result.add(each)
    return result


def here(*ports: int, origin: str | None = "consul://old", status: str = "healthy") -> list[Any]:
    more = {} if origin is None else {"importedFrom": origin}
    return [{**body(port), "id": f"id-{port}", "status": status, **more} for port in ports]


def of(*instances: Any) -> Here:
    return Here.of(instances, "consul://old")


def test_a_plan_copies_what_is_new_leaves_what_others_keep_and_removes_what_it_owns_alone() -> None:
    known = of(
        *here(1, 2), *here(3, origin=None), *here(4, origin="eureka://x"), *here(5, origin=None, status="unhealthy"),
        *here(7, origin="eureka://x", status="suspect"), *here(8, origin=None, status="suspect"),
    )  # fmt: skip
    what = plan(found(*map(body, (1, 3, 4, 5, 6, 7, 8))), known, lambda name: True)
    assert [key.port for key in what.put] == [1, 5, 6, 7]
    assert (len(what.new), {key.port for key in what.left}, set(what.remove.values()), what.unsure) == (
        3,
        {3, 4, 8},
        {"id-2"},
        0,
    )
    assert list(what.lines())[:3] == [
        "4 instances of 1 services: 3 to copy, 1 copied before",
        "3 register or beat here themselves, or are another import's, and are left as they are",
        "1 copied before are gone there, and are removed",
    ]


@pytest.mark.parametrize(("left", "removed", "unsure"), [((), 0, 5), ((1,), 0, 4), ((1, 2), 0, 3), ((1, 2, 3), 2, 0)])
def test_a_source_that_has_lost_more_than_half_at_once_is_not_believed(left: Any, removed: int, unsure: int) -> None:
    """As an Eureka that was started again."""
    what = plan(found(*map(body, left)), of(*here(1, 2, 3, 4, 5)), lambda name: True)
    assert (len(what.remove), what.unsure) == (removed, unsure)


def test_a_plan_is_about_the_services_that_are_meant_and_not_about_what_sync_has_told_or_owns() -> None:
    marked = body(2, metadata={MARK: "http://registry"})
    what = plan(found(body(1), marked, body(3, name="api")), of(*here(9)), lambda name: name == "api")
    assert ([str(key) for key in what.put], what.remove) == (["api 10.0.0.1:3"], {})


def test_a_plan_names_what_is_otherwise_here() -> None:
    many = [*map(body, range(1, 1002)), *(body(port, name="api") for port in range(11))]
    notes = "\n".join(
        plan(
            found(*many, body(1, name="my app"), body(None, name="db"), body(1, name="local", ip="127.0.0.1")),
            of(),
            lambda name: True,
        ).notes
    )
    assert "'my app' is no DNS label" in notes
    assert "local 127.0.0.1:1 is a loopback address" in notes
    assert "web would have 1,001 instances: FACE_MAX_INSTANCES" in notes
    assert "api would have 11 instances: MAX_INSTANCES_PER_SERVICE" in notes
    assert "db 10.0.0.1 has no port" in notes


async def test_a_file_is_the_body_of_registrations_or_its_list(tmp_path: Path) -> None:
    file = tmp_path / "old.json"
    for content in ({"instances": [body(1)]}, [body(1)]):
        file.write_text(json.dumps(content))
        source = File(str(file))
        await source.read()
        assert [str(key) for key in source.found.bodies] == ["web 10.0.0.1:1"]
    for broken in ("{", "{}", "[1]", '[{"ip": "10.0.0.1"}]', '[{"name": 1, "ip": "10.0.0.1"}]', "[" * 100_000):
        file.write_text(broken)
        with pytest.raises(SourceAway, match="no list of instances"):
            await File(str(file)).read()
    with pytest.raises(SourceAway, match=r"cannot be read: No such file.*; another registry is written consul://"):
        await File(str(tmp_path / "none")).read()


def test_an_address_of_another_registry_keeps_no_secret_in_its_name() -> None:
    assert Eureka("eureka://user:secret@h:1/x/").name == "eureka://h:1/x"
    assert Eureka("eurekas://[2001:db8::1]").name == "eurekas://[2001:db8::1]:8761/eureka"
    for wrong in ("consul://", "consul://h:99999", "consul://h?x=1"):
        with pytest.raises(SourceError, match="no address"):
            consul.Consul(wrong)
