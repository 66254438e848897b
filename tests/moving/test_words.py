"""What was imported looks to Consul's and Eureka's clients as it did where it came from, until it comes itself."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from discovery.client import RegistryClient
from discovery.core.event import Commit
from discovery.core.instance import Registration
from discovery.moving.consul import Consul
from discovery.moving.eureka import Eureka
from discovery.moving.found import Source
from discovery.moving.importing import Import
from discovery.plugins.consul.directory import MAINTENANCE
from discovery.plugins.consul.imported import imported
from discovery.plugins.consul.nodes import Nodes
from tests.moving.others import CONSUL, EUREKA, OtherConsul, OtherEureka
from tests.plugins.started import Running, running, settings

EXT = CONSUL["ext"][0]
# What is this registry's own to say.
_VOLATILE = ("CreateIndex", "ModifyIndex", "Definition", "lastRenewalTimestamp", "versions__delta")


@pytest.fixture(name="it")
async def _it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    monkeypatch.chdir(tmp_path)
    for name in ("CONSUL", "EUREKA"):
        monkeypatch.setenv(name, "true")
    async with running(settings(tmp_path)) as it:
        yield it


async def copy(it: Running, source: Source) -> list[str]:
    """What was said."""
    said: list[str] = []
    async with RegistryClient(it.http) as registry:
        work = Import(registry, source, 60, lambda name: True, said.append)
        plan = await work.plan()
        assert await work.carry_out(plan) == len(plan.put), said
        await source.close()
    return said


async def ask(it: Running, path: str, method: str = "GET", body: Any = None) -> Any:
    headers = {"Accept": "application/json"}
    async with it.session.request(method, it.http + path, json=body, headers=headers) as response:
        text = await response.text()
        assert response.status < 300, (response.status, text)
        return json.loads(text) if text else None


def steady(value: Any) -> Any:
    """In an order of its own."""
    if isinstance(value, dict):
        return {key: steady(each) for key, each in value.items() if key not in _VOLATILE}
    return sorted(map(steady, value), key=json.dumps) if isinstance(value, list) else value


async def test_consuls_entries_are_answered_as_there_and_anew_by_who_comes_itself(it: Running) -> None:
    async with OtherConsul().serving("consul") as old:
        old.services = CONSUL
        await copy(it, Consul(old.url))
        found = {name: await ask(it, f"/v1/health/service/{name}") for name in CONSUL}
        assert steady(found) == steady(CONSUL)
        commits: list[Commit] = []
        it.server.followers.append(commits.append)
        await copy(it, Consul(old.url))
        assert "register" not in [commit.action for commit in commits]
    await ask(it, "/heartbeat", "POST", {"name": "web", "ip": "10.0.0.1", "port": 8080})
    assert [check["CheckID"] for check in (await web(it, "web-1"))["Checks"]][1:] == ["service:web-1"]
    body = {"Name": "web", "ID": "web-2", "Address": "10.0.0.2", "Port": 8081, "Check": {"TTL": "60s"}}
    await ask(it, "/v1/agent/service/register", "PUT", body)
    assert (await web(it, "web-2"))["Node"]["Node"] == "ip-127-0-0-1"


def test_of_words_that_are_too_many_the_id_and_the_node_are_kept_and_maintenance_that_began_here_always() -> None:
    spec = Registration.of("ext", "192.0.2.9", 5432, imported_from="consul://old")
    for meta, is_whole in (({}, True), ({f"key-{number}": "x" * 500 for number in range(20)}, False)):
        change = imported(Nodes({}), [{**EXT, "Node": {**EXT["Node"], "Meta": meta}}], spec)
        (peer,) = change(None)["peers"]
        id, at, node, said = peer
        assert (id, node, bool(said)) == (EXT["Service"]["ID"], EXT["Node"]["Node"], is_whole)
        out = [id, at, node, {**said, MAINTENANCE: "a new disk"}]
        assert change({"peers": [out]}) == {"peers": [out]}


async def web(it: Running, id: str) -> Any:
    (row,) = [row for row in await ask(it, "/v1/health/service/web") if row["Service"]["ID"] == id]
    return row


async def test_eurekas_instances_are_answered_as_there_and_anew_by_who_comes_itself(it: Running) -> None:
    async with OtherEureka().serving("eureka", "/eureka") as old:
        for app in EUREKA["applications"]["application"]:
            for instance in app["instance"]:
                old.instances[app["name"], instance["instanceId"]] = instance
        await copy(it, Eureka(old.url))
        assert steady(await ask(it, "/eureka/apps")) == steady(EUREKA)
        commits: list[Commit] = []
        it.server.followers.append(commits.append)
        await copy(it, Eureka(old.url))
        assert "register" not in [commit.action for commit in commits]
        own = next(each for each in EUREKA["applications"]["application"] if each["name"] == "LOW")["instance"][0]
        app, id = f"/eureka/apps/{own['app']}", own["instanceId"]
        for method, value, status in (
            ("PUT", "DOWN", "DOWN"),
            ("DELETE", "", "UP"),
            ("PUT", "DOWN", "DOWN"),
            ("PUT", "UP", "UP"),
        ):
            await ask(it, f"{app}/{id}/status?value={value}", method)
            await copy(it, Eureka(old.url))
            assert (await ask(it, f"{app}/{id}"))["instance"]["status"] == status
    await ask(it, f"{app}/{id}", "PUT")
    assert (await ask(it, f"{app}/{id}"))["instance"]["leaseInfo"]["durationInSecs"] == own["leaseInfo"][
        "durationInSecs"
    ]
    await ask(it, app, "POST", {"instance": own | {"homePageUrl": "http://new/"}})
    assert [each["homePageUrl"] for each in (await ask(it, app))["application"]["instance"]] == ["http://new/"]


NODE = {"Node": {"Node": "n", "Address": "10.0.0.1"}}
WRONG = [
    ({"consul": {}}, "consul"), ({"consul": [1]}, "consul"), ({"consul": [{}]}, "Node has a Node"),
    ({"consul": [NODE]}, "Missing service name"), ([], "importedAs"),
    ({"consul": [NODE | {"Service": {"Service": "w"}, "Checks": [{"Status": "x"}]}]}, "Status of"),
    ({"eureka": {}}, "list of"), ({"eureka": []}, "list of"), ({"eureka": [1]}, "cannot parse"),
    ({"eureka": [{}]}, "app is missing"), ({"eureka": [{"app": "web"}]}, "Missing"),
]  # fmt: skip


async def test_words_that_no_such_registry_says_are_refused_and_those_of_others_than_an_import(it: Running) -> None:
    item: dict[str, Any] = {"name": "web", "ip": "10.0.0.1", "port": 80}
    items = [item | {"importedFrom": "consul://old", "importedAs": words} for words, _ in WRONG]
    results = (await ask(it, "/registrations", "POST", {"instances": [item | {"importedAs": {"other": 1}}, *items]}))[
        "results"
    ]
    assert [result["status"] for result in results] == [400] * len(results)
    for result, why in zip(results, ["beside importedFrom", *[why for _, why in WRONG]], strict=True):
        assert why in result["message"]
