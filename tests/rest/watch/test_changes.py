"""GET /changes over HTTP: pages of events, the gap, filters, and what is no question."""

from __future__ import annotations

import pytest

from discovery.core.instance import Registration
from discovery.rest.watch import watch
from discovery.store.log import Log
from tests.rest.harness import ORIGIN, USER, Api, assert_error


async def kinds(api: Api, query: str) -> list[tuple[int, str]]:
    reply = await api.get(f"/changes?{query}")
    assert reply.status == 200, reply
    return [(each["index"], each["kind"]) for each in reply.body["changes"]]


async def test_it_tells_what_has_happened_since(api: Api) -> None:
    await api.register()
    since = api.registry.index
    await api.register(name="other", metadata={"v": 1})
    await api.delete("/services/user-service/instances?ip=127.0.0.1&port=3001")
    reply = await api.get(f"/changes?since={since}", Origin=ORIGIN)
    come, gone = reply.body["changes"]
    assert reply.body.keys() == {"changes", "index", "oldest", "timestamp"}
    assert (reply.body["index"], reply.body["oldest"]) == (since + 2, 0)
    assert reply.headers["X-Registry-Index"] == str(since + 2)
    assert (come["kind"], come["service"], come["instance"]["metadata"], come["before"]) == (
        "registered", "other", {"v": 1}, None,
    )  # fmt: skip
    assert (gone["kind"], gone["instance"], gone["before"]["id"]) == ("deregistered", None, "id-1")
    assert gone["actor"] == {"name": "", "address": "127.0.0.1"}
    assert (await api.get(f"/changes?since={since + 2}")).body["changes"] == []


async def test_page_by_page_nothing_is_missed_or_said_twice(api: Api) -> None:
    api.fill(40, 5)
    seen: list[int] = []
    since, pages = 0, 0
    while since != api.registry.index:
        body = (await api.get(f"/changes?since={since}&limit=30")).body
        assert len(body["changes"]) <= 30
        seen += [each["index"] for each in body["changes"]]
        since, pages = body["index"], pages + 1
    assert (seen, pages) == (list(range(1, 201)), 7)


async def test_a_commit_is_told_whole(api: Api) -> None:
    for port in range(5):
        await api.register(port=3001 + port)
    since = api.registry.index
    await api.put("/services/user-service/maintenance", {"reason": "new disks", "seconds": 60})
    assert await kinds(api, f"since={since}&limit=2") == [
        (since + 1, "maintenance-begins"),
        *[(since + 1, "maintenance")] * 5,
    ]


async def test_filters_are_those_of_events(api: Api) -> None:
    await api.register(tags=["blue"], metadata={"v": 2})
    await api.register(name="other")
    await api.register(tags=["green"])
    assert [index for index, _ in await kinds(api, "service=other")] == [2]
    assert [index for index, _ in await kinds(api, "tag=blue")] == [1, 3]
    assert [index for index, _ in await kinds(api, "meta.v=2&kind=registered")] == [1]
    assert [index for index, _ in await kinds(api, "service=other,USER-service&kind=updated,expired")] == [3]
    assert (await api.get("/changes?service=nobody")).body["index"] == 3


@pytest.mark.parametrize("since", [-1, 11])
async def test_a_gap_is_a_410_that_says_where_to_go_on(api: Api, since: int) -> None:
    api.registry.log = Log(max_events=2)
    api.registry.log.begin(0)
    api.fill(1, 10)
    reply = await api.get(f"/changes?since={max(since, 0)}")
    assert_error(reply, 410, "/services")
    assert (reply.body["code"], reply.body["index"], reply.body["oldest"]) == ("INDEX_GONE", 10, 8)


async def test_large_events_are_told_in_pages_of_a_megabyte(api: Api) -> None:
    for port in range(100):
        spec = Registration.of("web", "10.0.0.1", 1000 + port, metadata={"x": "y" * 15_000})
        api.registry.adopt(api.registry.settings._replace(max_instances_per_service=1000))
        api.registry.register(spec, api.clock.now, api.clock.wall())
    reply = await api.get("/changes?since=0&limit=1000")
    assert 60 < len(reply.body["changes"]) < 75
    assert reply.body["index"] == len(reply.body["changes"])


async def test_a_filter_that_finds_nothing_for_long_is_answered_with_how_far_it_got(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_MAX_PIECES", 2)
    api.fill(20, 10)
    found = await api.get("/changes?since=0&tag=blue")
    assert (found.body["changes"], found.body["index"]) == ([], 100)


BROKEN: list[tuple[str, str]] = [
    ("/changes?since=-1", "since"),
    ("/changes?since=1.5", "since"),
    ("/changes?since=", "since"),
    ("/changes?since=9223372036854775808", "since"),
    ("/changes?since=%D9%A1", "since"),
    ("/changes?since=1&since=2", "since"),
    ("/changes?limit=0", "limit"),
    ("/changes?limit=1001", "limit"),
    ("/changes?kind=gone", "kind"),
    ("/changes?service=a%0Ab", "service"),
    ("/changes?sinse=1", "since"),
    ("/events?since=now", "since"),
    ("/events?index=1", "since"),
    ("/events?kind=", "kind"),
    ("/events?port=0", "port"),
    ("/events?service=,", "service"),
    ("/resolve/user-service?index=-1", "index"),
    ("/resolve/user-service?index=1e3", "index"),
    ("/resolve/user-service?index=%00", "index"),
    ("/resolve/user-service?index=1&wait=soon", "wait"),
    ("/resolve/user-service?index=1&wait=-1s", "wait"),
    ("/resolve/user-service?index=1&wait=1e9", "wait"),
    ("/resolve/user-service?wait=", "wait"),
    ("/resolve/user-service?indx=1", "index"),
    ("/services?index=99999999999999999999999", "index"),
    ("/services?index=1&wait=30x", "wait"),
    ("/services?waits=1", "wait"),
]


async def test_what_is_no_question_is_a_400_that_names_it(api: Api) -> None:
    for path, said in BROKEN:
        assert_error(await api.get(path), 400, said)


async def test_cache_busters_pass(api: Api) -> None:
    await api.register(**USER)
    for path in ("/changes?_=1", "/services?_t=1", "/resolve/user-service?_=1&index=0"):
        assert (await api.get(path)).status == 200, path
