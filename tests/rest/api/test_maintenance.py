"""Maintenance: an instance or a whole service out of answers, for a reason and until a time, whatever registers meanwhile."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.rest.harness import START, USER, Api, Reply, assert_error, time_of
from tests.store.making import Log

SERVICE = "/services/user-service/maintenance"
BY_ADDRESS = "/services/user-service/instances/maintenance?ip=127.0.0.1&port=3001"
BY_ID = "/instances/id-1/maintenance"
RESOLVE = "/resolve/user-service"
WHY = {"reason": "new disks", "seconds": 60}
DAY = 86400

PATHS = {"service": SERVICE, "address": BY_ADDRESS, "id": BY_ID}
every_way = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)


async def windows(api: Api) -> Any:
    reply = await api.get("/maintenance")
    assert reply.status == 200
    assert reply.body.keys() == {"windows", "timestamp"}
    return reply.body["windows"]


async def status(api: Api, id: str = "id-1") -> str:
    return str((await api.get(f"/instances/{id}")).body["status"])


async def ends(api: Api, seconds: float) -> bool:
    """Whether a window ends then: healthy from that instant on, not before."""
    api.forward(seconds - 0.001)
    await api.post("/heartbeat", USER)
    api.settle()
    before = await status(api)
    api.forward(0.001)
    api.settle()
    return (before, await status(api)) == ("maintenance", "healthy")


@every_way
async def test_what_is_in_maintenance_is_in_no_answer_and_says_why_and_until_when(api: Api, path: str) -> None:
    await api.register()
    reply = await api.put(path, WHY)
    assert reply.status == 200
    instance = {} if path == SERVICE else {"ip": "127.0.0.1", "port": 3001}
    until = {"reason": "new disks", "until": "2026-01-31T12:01:00.000Z"}
    assert isinstance(reply.body.pop("message"), str)
    assert time_of(reply.body.pop("timestamp")) == api.time()
    assert reply.body == {"serviceName": "user-service"} | instance | until
    assert await windows(api) == [reply.body]
    assert_error(await api.get(RESOLVE), 404, "1 maintenance")
    shown = (await api.get("/instances/id-1")).body
    assert (shown["status"], shown["isHealthy"], shown["maintenance"]) == ("maintenance", False, until)
    [listed] = (await api.get("/services")).body["services"]["user-service"]["instances"]
    assert (listed["status"], listed["maintenance"]) == ("maintenance", until)


@every_way
async def test_an_ended_maintenance_brings_it_back_at_once(api: Api, path: str) -> None:
    await api.register()
    await api.put(path, WHY)
    reply = await api.delete(path)
    assert reply.status == 200
    assert reply.body.items() >= {"serviceName": "user-service"}.items()
    assert await windows(api) == []
    shown = (await api.get("/instances/id-1")).body
    assert shown["status"] == "healthy"
    assert "maintenance" not in shown
    assert (await api.get(RESOLVE)).status == 200


@every_way
@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"seconds": 60}, 60),
        ({"seconds": 1.5}, 1.5),
        ({"until": "2026-01-31T12:00:09Z"}, 9),
        ({"until": "2026-01-31T13:00:09.500+01:00"}, 9.5),
        ({"until": "2026-01-31T05:30:09-06:30"}, 9),
    ],
    ids=str,
)
async def test_it_ends_by_itself_to_the_millisecond(
    api: Api, path: str, fields: dict[str, Any], seconds: float
) -> None:
    await api.register()
    changes = Log.of(api.registry).changes
    reply = await api.put(path, {"reason": "new disks"} | fields)
    assert time_of(reply.body["until"]) == api.time(seconds)
    for _ in range(int(seconds) // 9):
        api.forward(9)
        await api.post("/heartbeat", USER)
    assert await ends(api, seconds - int(seconds) // 9 * 9)
    assert await windows(api) == []
    assert [change.kind.value for change in changes] == ["maintenance", "healthy"]
    assert "new disks" in changes[0].reason


async def test_until_is_wall_time_when_it_is_said_and_a_step_of_the_wall_clock_changes_nothing(api: Api) -> None:
    await api.register()
    await api.put(BY_ID, {"reason": "new disks", "until": "2026-01-31T12:00:09Z"})
    api.clock.ahead += DAY
    assert await ends(api, 9)


@every_way
async def test_a_second_put_replaces_the_first(api: Api, path: str) -> None:
    await api.register()
    await api.put(path, {"reason": "new disks", "seconds": 5})
    await api.put(path, {"reason": "more disks", "seconds": 8})
    assert [(one["reason"], time_of(one["until"])) for one in await windows(api)] == [("more disks", api.time(8))]
    assert await ends(api, 8)
    await api.put(path, {"reason": "new disks", "seconds": 9})
    await api.put(path, {"reason": "done sooner", "seconds": 2})
    assert await ends(api, 2)


async def test_those_who_register_later_are_in_a_services_maintenance(api: Api) -> None:
    await api.register()
    await api.put(SERVICE, WHY)
    assert (await api.register(port=3002, name="USER-service"))["instance"]["status"] == "maintenance"
    assert (await api.put("/instances", USER | {"port": 3003})).body["instance"]["status"] == "maintenance"
    assert (await api.register(name="other"))["instance"]["status"] == "healthy"
    assert_error(await api.get(RESOLVE), 404, "3 maintenance")
    await api.delete(SERVICE)
    assert (await api.get(RESOLVE)).body["instanceCount"] == 3


async def test_an_instances_maintenance_is_its_own(api: Api) -> None:
    await api.register()
    await api.register(port=3002)
    await api.put(BY_ADDRESS, WHY)
    assert [one["port"] for one in (await api.get(RESOLVE)).body["instances"]] == [3002]


@every_way
async def test_it_survives_deregistration_and_registration(api: Api, path: str) -> None:
    await api.register()
    await api.put(path, WHY)
    assert (await api.register(metadata={"version": "2"}))["instance"]["status"] == "maintenance"
    await api.delete("/instances/id-1")
    assert len(await windows(api)) == 1
    assert (await api.register())["instance"]["status"] == "maintenance"
    assert await status(api, "id-2") == "maintenance"
    reply = await api.delete(BY_ADDRESS if path == BY_ID else path)
    assert reply.status == 200
    assert await status(api, "id-2") == "healthy"


async def test_a_window_ends_on_request_when_nothing_of_it_is_registered_any_more(api: Api) -> None:
    await api.register()
    for path in (SERVICE, BY_ADDRESS):
        await api.put(path, WHY)
    await api.delete("/services/user-service")
    for path in (SERVICE, BY_ADDRESS):
        assert (await api.delete(path)).status == 200
    assert await windows(api) == []


async def test_of_two_windows_each_holds_until_it_ends(api: Api) -> None:
    await api.register()
    await api.put(SERVICE, {"reason": "the whole", "seconds": 5})
    await api.put(BY_ID, {"reason": "this one", "seconds": 9})
    assert (await api.get("/instances/id-1")).body["maintenance"]["reason"] == "this one"
    assert len(await windows(api)) == 2
    api.forward(5)
    api.settle()
    assert [one["reason"] for one in await windows(api)] == ["this one"]
    assert await ends(api, 4)
    await api.put(SERVICE, WHY)
    await api.put(BY_ID, {"reason": "this one", "seconds": 2})
    await api.delete(BY_ID)
    assert (await api.get("/instances/id-1")).body["maintenance"]["reason"] == "new disks"
    assert await status(api) == "maintenance"


async def test_a_heartbeat_keeps_it_alive_and_says_what_it_is(api: Api) -> None:
    await api.register()
    await api.put(SERVICE, WHY)
    for _ in range(3):
        api.forward(9)
        api.settle()
        reply = await api.post("/heartbeat", USER)
        assert (reply.status, reply.body["instance"]["status"]) == (200, "maintenance")


async def test_a_drain_and_a_maintenance_hold_each_on_its_own(api: Api) -> None:
    await api.register()
    await api.put("/instances/id-1/drain")
    await api.put(SERVICE, WHY)
    assert await status(api) == "maintenance"
    await api.delete(SERVICE)
    assert await status(api) == "draining"
    await api.put(SERVICE, WHY)
    await api.delete("/instances/id-1/drain")
    assert await status(api) == "maintenance"
    await api.delete(SERVICE)
    assert await status(api) == "healthy"


async def test_one_that_falls_silent_in_maintenance_is_unhealthy_and_goes_as_ever(api: Api) -> None:
    await api.register()
    await api.put(SERVICE, WHY)
    api.forward(10)
    assert await status(api) == "unhealthy"
    api.forward(10)
    api.settle()
    assert (await api.get("/instances/id-1")).status == 404
    assert len(await windows(api)) == 1


@pytest.mark.parametrize("kept", ["x", "x" * 256, " " + "ü" * 256 + "\t"])
async def test_a_reason_is_kept_without_the_blanks_around_it(api: Api, kept: str) -> None:
    await api.register()
    assert (await api.put(SERVICE, {"reason": kept, "seconds": 1})).body["reason"] == kept.strip()


BAD_REASONS: list[Any] = [None, "", "  ", "x" * 257, 7, True, [], {"a": 1}]
BAD_SECONDS: list[Any] = [
    0, -1, -0.001, -(2**70), 30 * DAY + 1, 1e300, 2**70, True, False, "60", "NaN", "inf", [], [1], {},
]  # fmt: skip
BAD_TIMES: list[Any] = [
    "2026-01-31T12:00:00Z", "2026-01-31T11:59:59.999Z", "1970-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00",
    "2026-03-02T12:00:01Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00", "2026-01-31T12:00:09",
    "2026-01-31", "12:00:09Z", "tomorrow", "", "NaN", "1e9", "99999-01-31T12:00:09Z", "x" * 5000,
    1769860809, 1e12, True, [], {},
]  # fmt: skip
BAD: list[tuple[str, dict[str, Any]]] = [
    ("reason", {"seconds": 1}),
    ("until", {"reason": "x"}),
    ("until", {"reason": "x", "seconds": None, "until": None}),
    ("until", {"reason": "x", "seconds": 1, "until": "2026-01-31T12:00:09Z"}),
    *(("reason", {"reason": reason, "seconds": 1}) for reason in BAD_REASONS),
    *(("seconds", {"reason": "x", "seconds": seconds}) for seconds in BAD_SECONDS),
    *(("until", {"reason": "x", "until": time}) for time in BAD_TIMES),
]


def describe(value: object) -> str:
    text = ascii(value)
    return text if len(text) < 60 else f"{text[:50]}...{len(text)}"


@pytest.mark.parametrize(("field", "body"), BAD, ids=describe)
@every_way
async def test_a_bad_field_is_named_and_nothing_changes(api: Api, path: str, field: str, body: dict[str, Any]) -> None:
    await api.register()
    await api.put(path, WHY)
    before = api.state()
    reply = await api.put(path, body)
    assert_error(reply, 400, field)
    assert (reply.body["code"], reply.body["field"]) == ("INVALID_FIELD", field)
    assert api.state() == before


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1" + "0" * 400])
async def test_what_is_no_number_in_json_is_refused(api: Api, number: str) -> None:
    await api.register()
    before = api.state()
    reply = await api.put(SERVICE, f'{{"reason": "x", "seconds": {number}}}'.encode())
    assert_error(reply, 400)
    assert reply.body["code"] in ("BROKEN_JSON", "INVALID_FIELD")
    assert api.state() == before


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{", b'"x"'])
async def test_what_is_no_json_object_is_told_so(api: Api, body: bytes) -> None:
    await api.register()
    assert_error(await api.put(SERVICE, body), 400)
    assert await windows(api) == []


@pytest.mark.parametrize(("fields"), [{"seconds": 30 * DAY}, {"until": "2026-03-02T12:00:00Z"}], ids=str)
async def test_thirty_days_are_the_most(api: Api, fields: dict[str, Any]) -> None:
    await api.register()
    reply = await api.put(SERVICE, {"reason": "x"} | fields)
    assert time_of(reply.body["until"]).timestamp() == START.timestamp() + 30 * DAY


def code(reply: Reply, status: int) -> str:
    assert_error(reply, status)
    return str(reply.body["code"])


async def test_an_unknown_service_or_instance_is_a_404(api: Api) -> None:
    await api.register()
    before = api.state()
    assert code(await api.put(SERVICE.replace("user", "other"), WHY), 404) == "SERVICE_UNKNOWN"
    assert code(await api.put(BY_ADDRESS.replace("user", "other"), WHY), 404) == "INSTANCE_UNKNOWN"
    assert code(await api.put(BY_ADDRESS.replace("3001", "3002"), WHY), 404) == "INSTANCE_UNKNOWN"
    assert code(await api.put(BY_ID.replace("id-1", "id-2"), WHY), 404) == "INSTANCE_UNKNOWN"
    assert code(await api.delete(BY_ID.replace("id-1", "id-2")), 404) == "INSTANCE_UNKNOWN"
    assert api.state() == before


@every_way
async def test_to_end_what_never_began_is_a_404_that_says_where_to_look(api: Api, path: str) -> None:
    await api.register()
    other = SERVICE if path != SERVICE else BY_ADDRESS
    await api.put(other, WHY)
    before = api.state()
    reply = await api.delete(path)
    assert_error(reply, 404, "user-service", "GET /maintenance")
    assert reply.body["code"] == "NO_MAINTENANCE"
    assert api.state() == before


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize(("query", "field"), [("", "ip"), ("?ip=127.0.0.1", "port"), ("?port=3001", "ip")])
async def test_a_missing_parameter_is_a_400_with_an_example(api: Api, method: str, query: str, field: str) -> None:
    await api.register()
    reply = await api.request(method, f"/services/user-service/instances/maintenance{query}", WHY)
    assert_error(reply, 400, field)
    assert "/instances/maintenance?ip=" in reply.body["example"]


async def test_the_thousand_and_first_window_is_a_409_and_nothing_changes(api: Api) -> None:
    api.fill(1001)
    for number in range(1000):
        assert (await api.put(f"/services/service-{number}/maintenance", WHY)).status == 200
    before = api.state()
    for path in ("/services/service-1000/maintenance", "/instances/id-1/maintenance"):
        reply = await api.put(path, WHY)
        assert_error(reply, 409, "1000", "GET /maintenance")
        assert reply.body["code"] == "TOO_MANY_WINDOWS"
    assert api.state() == before
    assert (await api.put("/services/service-7/maintenance", WHY)).status == 200, "one that is there may be replaced"
    assert len(await windows(api)) == 1000
    await api.delete("/services/service-7/maintenance")
    assert (await api.put("/services/service-1000/maintenance", WHY)).status == 200


async def test_the_list_is_whole_json_and_names_each_window_once(api: Api) -> None:
    await api.register(ip="2001:DB8:0::1")
    await api.put("/services/user-service/instances/maintenance?ip=2001:db8::1&port=3001", WHY)
    await api.put("/instances/id-1/maintenance", {"reason": 'a "quoted"\n reason \U0001f600', "seconds": 5})
    [window] = await windows(api)
    assert (window["ip"], window["port"]) == ("2001:db8::1", 3001)
    assert window["reason"] == json.loads('"a \\"quoted\\"\\n reason \\ud83d\\ude00"')
