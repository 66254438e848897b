"""Host names, instances without a port, and names that are no labels, over HTTP: as sent, found again in every spelling, and refused by
the original's routes in their old words.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from discovery.rest.api.beating import usual_key
from tests.rest.harness import USER, Api, assert_error

DB: dict[str, Any] = {"name": "Orders DB / eu", "ip": "DB.Example.com."}
AT = "/services/orders%20db%20%2F%20EU"


async def put(api: Api, **fields: Any) -> Any:
    reply = await api.request("PUT", "/instances", DB | fields)
    assert reply.status in (200, 201), reply
    return reply.body["instance"]


async def test_a_host_name_without_a_port_is_shown_as_it_was_sent_everywhere(api: Api) -> None:
    said = {"name": DB["name"], "ip": DB["ip"], "port": None}
    assert said.items() <= (await put(api)).items()
    for path in (f"/resolve/{AT.removeprefix('/services/')}", AT):
        (found,) = (await api.get(path)).body["instances"]
        assert (found["ip"], found["port"]) == (DB["ip"], None)
    assert said.items() <= (await api.get("/instances/id-1")).body.items()
    assert DB["name"] in (await api.get("/services")).body["services"]
    (event,) = (await api.get("/changes?since=0&service=orders%20db%20%2F%20eu")).body["changes"]
    assert said.items() <= event["instance"].items()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "its name is no DNS label: it is found over HTTP alone"),
        ({"name": "orders-db", "ip": "10.0.0.7"}, "it has no port, and so no SRV record in DNS"),
        (
            {"name": "orders-db"},
            "its host name is no address in DNS, where it is the service's alias while no address is healthy",
        ),
        ({"name": "orders-db", "ip": "10.0.0.7", "port": 80}, "its lease runs"),
    ],
)
async def test_the_account_says_what_dns_lacks(api: Api, body: dict[str, Any], said: str) -> None:
    name = (await put(api, **body))["name"]
    (found,) = (await api.get(f"/resolve/{quote(name, safe='')}?explain=1")).body["explained"]
    assert found["why"].rpartition("; ")[2] == said


@pytest.mark.parametrize("port", [None, 5432])
async def test_one_is_known_again_in_every_spelling(api: Api, port: int | None) -> None:
    first = await put(api, port=port)
    for spelling in (
        {"ip": "db.example.com"},
        {"ip": "DB.EXAMPLE.COM"},
        {"name": "ORDERS db / EU"},
        {"port": str(port or "")},
    ):
        assert (await put(api, **{"port": port} | spelling))["id"] == first["id"]
    assert (await put(api, port=1))["id"] != first["id"]
    items = [
        {"name": "orders DB / eu", "ip": "db.example.com", "port": port},
        {**DB, "port": str(port or "")},
        {"id": "id-1"},
    ]
    assert (await api.post("/heartbeats", {"instances": items})).body["updated"] == 3
    query = f"{AT}/instances?ip=Db.example.COM.&port={port or ''}"
    drained = await api.request("PUT", query.replace("?", "/drain?"))
    assert drained.body["instance"]["id"] == first["id"]
    window = await api.request("PUT", query.replace("?", "/maintenance?"), {"reason": "a new disk", "seconds": 60})
    assert (window.body["ip"], window.body["port"]) == ("db.example.com", port)
    (listed,) = (await api.get("/maintenance")).body["windows"]
    assert (listed["serviceName"], listed["ip"], listed["port"]) == (DB["name"], "db.example.com", port)
    gone = await api.request("DELETE", query)
    assert gone.body["removedInstance"]["id"] == first["id"]


async def test_an_address_may_be_called_so_and_ip_wins(api: Api) -> None:
    assert (await put(api, ip="a.example.com", address="b.example.com"))["ip"] == "a.example.com"
    reply = await api.request("PUT", "/instances", {"name": "web", "address": "10.0.0.7", "ports": {"admin": 9001}})
    assert (reply.body["instance"]["ip"], reply.body["instance"]["port"]) == ("10.0.0.7", None)
    assert "warnings" not in reply.body
    beat = {"instances": [{"name": "web", "address": "10.0.0.7"}]}
    assert (await api.post("/heartbeats", beat)).body["updated"] == 1
    for bad, field in (
        ({"address": "10.0.0.256"}, "address"),
        ({"address": "10.0.0.7", "ip": "1.2.3"}, "ip"),
        ({}, "ip"),
    ):
        assert_error(await api.request("PUT", "/instances", {"name": "web", **bad}), 400, field)


async def test_those_without_a_port_are_found_by_an_empty_one(api: Api) -> None:
    await put(api)
    await put(api, port=5432)
    at = f"/resolve/{AT.removeprefix('/services/')}?port="
    assert [each["port"] for each in (await api.get(at)).body["instances"]] == [None]
    assert [each["port"] for each in (await api.get(f"{at}5432")).body["instances"]] == [5432]
    assert_error(await api.request("DELETE", f"{AT}/instances?ip=db.example.com"), 400, "port")


BAD: dict[str, list[Any]] = {
    "ip": [
        "http://db.example.com",
        "db.example.com:80",
        "my_db.example.com",
        "10.0.0.256",
        "1.2.3",
        "localhost",
        "bücher.example",
        None,
    ],
    "port": [0, "0", 65536, " ", [], False],
    "name": ["", " ", "a" * 256, "a\nb", None],
}


async def test_what_breaks_a_rule_is_named_and_changes_nothing(api: Api) -> None:
    before = api.state()
    for field, value in ((field, value) for field, values in BAD.items() for value in values):
        body = {"name": "web", "ip": "db.example.com", "port": 80, field: value}
        assert_error(await api.request("PUT", "/instances", body), 400, field)
        (result,) = (await api.post("/registrations", {"instances": [body]})).body["results"]
        assert (result["status"], result["code"]) == (400, "INVALID_FIELD"), body
        (missed,) = (await api.post("/heartbeats", {"instances": [body]})).body["unknown"]
        assert missed["message"].startswith(field), body
    assert api.state() == before


@pytest.mark.parametrize("field", ["name", "ip", "port"])
@pytest.mark.parametrize("path", ["/register", "/heartbeat"])
async def test_the_originals_routes_take_what_they_took(api: Api, path: str, field: str) -> None:
    new = {"name": "orders db", "ip": "db.example.com", "port": None}[field]
    await api.request("PUT", "/instances", USER | {field: new})
    assert_error(await api.post(path, USER | {field: new, "register": True}), 400, field)
    assert_error(await api.post("/heartbeat", {**USER, "port": 0}), 400, "port")


async def test_names_longer_than_any_label_are_neither_guessed_at_nor_looked_up_as_they_are(api: Api) -> None:
    """A guess at one of 255 characters would take 8 ms; and what is asked for is remembered, up to a bound that counts names."""
    for length, near in ((60, True), (70, False)):
        await put(api, name="x" * length)
        assert ("suggestion" in (await api.get(f"/services/{'x' * (length - 1)}")).body) == near
    with pytest.raises(TypeError):
        usual_key({"name": "x" * 256, "ip": "10.0.0.1", "port": 80})
