"""Copies of another registry's instances over HTTP: shown with where they come from, and the clients' own from their first word on."""

from __future__ import annotations

from typing import Any

import pytest

from discovery.store.operations import PutDocument
from discovery.store.registrants import NATIVE, registrants
from tests.rest.harness import USER, Api, assert_error
from tests.store.attaching import Attach

OLD = "consul://old:8500"
COPY = USER | {"importedFrom": OLD, "hold": 3600}


async def bring(api: Api, **fields: Any) -> Any:
    (result,) = (await api.post("/registrations", {"instances": [COPY | fields]})).body["results"]
    return result


async def shown(api: Api) -> Any:
    (found,) = (await api.get("/services/user-service")).body["instances"]
    return found


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/register", USER), ("PUT", "/instances", USER), ("POST", "/heartbeat", USER),
        ("POST", "/heartbeats", {"instances": [USER]}), ("POST", "/registrations", {"instances": [USER]}),
        ("POST", "/heartbeats", {"instances": [USER | {"health": "passing"}]}),
        ("POST", "/heartbeats", {"instances": [USER | {"health": "failing"}]}),
    ],
)  # fmt: skip
async def test_whatever_a_client_sends_here_takes_its_key_over_from_the_import(
    api: Api, method: str, path: str, body: Any
) -> None:
    id = (await bring(api))["id"]
    assert (await bring(api))["id"] == id
    found = await shown(api)
    assert (found["importedFrom"], found["hold"]) == (OLD, 3600)
    index = api.registry.index
    assert (await api.request("PUT", "/instances", COPY)).status == 200
    assert api.registry.index == index, "the import's own renewal is no change"
    assert (await api.request(method, path, body)).status in (200, 201)
    assert not {"importedFrom", "hold"} & (await shown(api)).keys()
    assert api.registry.index == index + 1
    assert (await bring(api))["code"] == "TAKEN_OVER"
    assert_error(await api.request("PUT", "/instances", COPY), 409, "registers or beats here itself")
    assert_error(await api.delete(f"/instances/{id}?importedFrom={OLD}"), 409, "registers or beats here itself")
    assert (await api.delete(f"/instances/{id}")).status == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("POST", "/register", USER), ("PUT", "/instances", USER), ("POST", "/registrations", {"instances": [USER]})],
)
async def test_the_words_that_an_import_left_register_nobody_else(api: Api, method: str, path: str, body: Any) -> None:
    id = (await bring(api, ttl=90))["id"]
    api.registry.do(Attach(id, {"eureka": {"id": "1"}}, "asked"), api.clock())
    assert (await api.request(method, path, body)).status in (200, 201)
    (entry,) = api.registry
    assert list(registrants(entry.instance)) == [NATIVE]
    assert entry.lease.ttl == api.registry.lease_ttl, "its own, and not what the copy's was"


async def test_the_import_removes_what_it_owns_and_brings_it_back(api: Api) -> None:
    id = (await bring(api))["id"]
    assert_error(await api.delete(f"/instances/{id}?importedFrom=consul://other"), 409, OLD)
    assert (await api.delete(f"/instances/{id}?importedFrom={OLD}")).status == 200
    assert (await bring(api))["status"] == 201


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"hold": -1}, "hold"), ({"hold": True}, "hold"), ({"hold": 604801}, "hold"), ({"hold": 5, "lease": "none"}, "lease"),
        ({"importedFrom": ""}, "importedFrom"), ({"importedFrom": "a\nb"}, "importedFrom"), ({"importedFrom": "x" * 256}, "importedFrom"),
    ],
)  # fmt: skip
async def test_bad_values_are_named(api: Api, fields: Any, said: str) -> None:
    assert_error(await api.request("PUT", "/instances", COPY | fields), 400, said)


async def test_an_admin_sees_what_plugins_remember_besides_page_by_page_and_removes_it(api: Api) -> None:
    for key in ("a/b", "c d", "ü"):
        api.registry.do(PutDocument("consul", key, {"big": 10**30}, "web"), api.clock())
    found = (await api.get("/admin/documents/consul?limit=2")).body
    assert (found["total"], found["documents"]["a/b"]) == (3, {"owner": "web", "content": {"big": 10**30}})
    assert found["next"] == "c d"
    last = (await api.get("/admin/documents/consul?after=c%20d")).body
    assert (list(last["documents"]), last["next"]) == (["ü"], None)
    for message in ("Document removed", "There was no such document"):
        assert (await api.delete("/admin/documents/consul/a%2Fb")).body["message"] == message
    assert (await api.get("/admin/documents/eureka")).body["documents"] == {}


async def test_what_plugins_remember_is_shown_of_the_instance_alone(api: Api) -> None:
    id = (await bring(api))["id"]
    api.registry.do(Attach(id, {"consul": {"big": 10**30}}, "asked"), api.clock())
    assert (await api.get(f"/instances/{id}")).body["attachments"] == {"consul": {"big": 10**30}}
    for path in ("/services", "/services/user-service", "/resolve/user-service", "/changes"):
        assert "attachments" not in str((await api.get(path)).body)


@pytest.mark.parametrize("said", [[], "", 0, None, ["consul"]])
async def test_words_of_others_are_an_object(api: Api, said: object) -> None:
    result = await bring(api, importedAs=said)
    assert (result["status"], result["field"]) == (400, "importedAs")
