"""GET /zones: instances and askers by zone, and what crossed."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from discovery.rest.api.services import zones
from tests.rest.harness import Api, serving

A = "10.1.0.9"


def by_zone(body: Any) -> dict[str, Any]:
    return {each["zone"]: each for each in body["zones"]}


async def house(api: Api) -> None:
    for number, zone in enumerate(("EU-A", "EU-B"), 1):
        for port in (1, 2, 3, 4):
            await api.register(name="web", ip=f"10.{number}.1.1", port=port, zone=zone)
    await api.register(name="alone", ip="10.9.1.1", zone="eu-x")
    await api.register(name="nowhere", ip="10.9.1.1")


async def test_it_counts_instances_askers_and_answers_by_zone() -> None:
    client_zones = "10.1.0.0/16=eu-a 10.11.0.0/16=eu-a 10.2.0.0/16=eu-b 10.3.0.0/16=eu-c"
    async with serving(trusted=[ip_network("127.0.0.1")], client_zones=client_zones) as api:
        await house(api)
        for client in (A, A, "10.11.0.1"):
            await api.get("/resolve/web", **{"X-Forwarded-For": client})
        for entry in list(api.registry):
            if entry.instance.spec.zone == "EU-A" and entry.instance.spec.port > 1:
                api.registry.checked(entry.instance.id, "refused", api.clock.now)
        await api.get("/resolve/web", **{"X-Forwarded-For": A})
        body = (await api.get("/zones")).body
        found = by_zone(body)
        assert (body["minHealthy"], body["others"], list(found)) == (70, 1, ["eu-a", "eu-b", "eu-c", "eu-x"])
        assert found["eu-a"] == {
            "zone": "eu-a", "networks": ["10.1.0.0/16", "10.11.0.0/16"], "networkCount": 2, "services": 1, "instances": 4, "healthy": 1,
            "missing": 0, "askers": 2, "answers": 4, "crossed": 1, "limping": [{"service": "web", "healthy": 1, "known": 4}],
        }  # fmt: skip
        assert (found["eu-b"]["healthy"], found["eu-b"]["limping"], found["eu-b"]["answers"]) == (4, [], 0)
        assert (found["eu-c"]["instances"], found["eu-x"]["instances"], found["eu-x"]["networkCount"]) == (0, 1, 0)


async def test_without_client_zones_it_counts_instances() -> None:
    async with serving() as api:
        await house(api)
        body = (await api.get("/zones")).body
        assert body["minHealthy"] is None
        assert {zone: each["instances"] for zone, each in by_zone(body).items()} == {"eu-a": 4, "eu-b": 4, "eu-x": 1}
        assert not any(each["limping"] for each in body["zones"])


async def test_zones_that_strangers_invent_are_listed_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zones, "MAX_OTHERS", 3)
    async with serving(client_zones="10.1.0.0/16=eu-a") as api:
        for number in range(6):
            await api.register(name=f"web{number}", zone=f"z{number}")
        await api.register(name="ours", zone="eu-a")
        body = (await api.get("/zones")).body
        assert list(by_zone(body)) == ["eu-a", "z0", "z1", "z2"]
        assert body["others"] == 3
        assert by_zone(body)["eu-a"]["instances"] == 1


async def test_the_worst_services_of_a_zone_are_named() -> None:
    async with serving(client_zones="10.1.0.0/16=eu-a") as api:
        for number in range(30):
            for port in range(1, 5):
                await api.register(name=f"web{number:02}", ip="10.1.1.1", port=port, zone="eu-a")
        for number, entry in enumerate(list(api.registry)):
            service, port = divmod(number, 4)
            if port < (4 if service < 3 else 3 if service < 20 else 0):
                api.registry.checked(entry.instance.id, "refused", api.clock.now)
        limping = by_zone((await api.get("/zones")).body)["eu-a"]["limping"]
        assert [(each["service"], each["healthy"]) for each in limping[:4]] == [
            ("web00", 0),
            ("web01", 0),
            ("web02", 0),
            ("web03", 1),
        ]
        assert len(limping) == 8
