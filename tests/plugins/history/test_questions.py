"""The routes of the history, asked of a whole server: what they answer, what they refuse, and to whom they tell who asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from discovery.plugins.history import questions
from discovery.plugins.history.asked import TooSlow
from discovery.plugins.history.reading import Reading
from tests.plugins.auth.house import NONE, OWNER, READER, SECRETS, written
from tests.plugins.started import Running, running, settings
from tests.rest.api.test_openapi import ask, assert_documented
from tests.rest.harness import Reply


class Api:
    """A client; `who`: whose token it shows, "" for none."""

    def __init__(self, server: Running, who: str = "") -> None:
        self.server = server
        self.headers = {"Authorization": f"Bearer {SECRETS[who]}"} if who else {}

    async def request(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Reply:
        session, sent = self.server.session, self.headers | (headers or {})
        async with session.request(method, self.server.http + path, json=body, headers=sent) as response:
            return Reply(response.status, await response.json(), response.headers)

    async def get(self, path: str) -> Any:
        return (await self.request("GET", path)).body

    async def register(self, **fields: Any) -> str:
        sent = {"name": "web", "ip": "10.1.2.3", "port": 3001} | fields
        reply = await self.request("POST", "/register", sent)
        assert reply.status == 201, reply
        return str(reply.body["instance"]["id"])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", "data")
    return tmp_path


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Api]:
    async with running(settings(folder)) as server:
        yield Api(server)


DOCUMENTED = [
    ask("GET /history"),
    ask("GET /history?service=web,api&ip=10.1.2.3&actor=127.0.0.1&kind=registered,started&from=-1h&to=now&limit=1000&_=7"),
    ask("GET /history?from=2026-01-31T12:00:00%2B01:00"),
    *(
        ask(f"GET /history?{query}", None, "INVALID_FIELD")
        for query in (
            "from=yesterday", "to=-", "from=-1h&to=-2h", "ip=web", "kind=died", "service=a%0Ab", "limit=0", "limit=1001", "before=x",
            "before=1", "limit=1&limit=2", f"actor={'x' * 129}",
        )
    ),
    ask("GET /history?since=-1h", None, "PARAMETER_UNKNOWN"),
    ask("GET /services/web/explain", template="/services/{name}/explain"),
    ask("GET /services/WEB/explain?at=now", template="/services/{name}/explain"),
    ask("GET /services/none/explain", None, "SERVICE_UNKNOWN", "/services/{name}/explain"),
    ask("GET /services/a%0Ab/explain", None, "INVALID_FIELD", "/services/{name}/explain"),
    ask("GET /services/web/explain?at=24:00", None, "INVALID_FIELD", "/services/{name}/explain"),
    ask("GET /services/web/explain?at=2200-01-01", None, "INVALID_FIELD", "/services/{name}/explain"),
    ask("GET /services/web/explain?at=-9999h", None, "NOT_RECORDED", "/services/{name}/explain"),
    ask("GET /services/web/explain?when=-1h", None, "PARAMETER_UNKNOWN", "/services/{name}/explain"),
]  # fmt: skip


async def test_every_answer_is_as_documented(folder: Path) -> None:
    async with serving(folder) as api:
        await api.register(tags=["blue"], weight=7, metadata={"big": 10**30})
        await api.register(port=3002)
        await api.request("PUT", "/services/web/instances/drain?ip=10.1.2.3&port=3001")
        await api.request("PUT", "/services/web/maintenance", {"reason": "a new disk", "seconds": 60})
        await api.request("DELETE", "/services/web/instances?ip=10.1.2.3&port=3002")
        for asked in DOCUMENTED:
            await assert_documented(api, asked)  # type: ignore[arg-type]


async def test_a_host_name_is_found_in_every_spelling_with_its_window(folder: Path) -> None:
    async with serving(folder) as api:
        body = {"name": "Orders / eu", "ip": "Db.example.com.", "port": None}
        await api.request("PUT", "/instances", body)
        at = "/services/orders%20%2F%20EU/instances/maintenance?ip=db.example.COM&port="
        await api.request("PUT", at, {"reason": "a new disk", "seconds": 60})
        for ip in ("Db.example.com.", "db.EXAMPLE.com"):
            found = (await api.get(f"/history?ip={ip}"))["events"]
            assert {each["kind"] for each in found} == {"started", "registered", "maintenance-begins", "maintenance"}
        assert next(each for each in found if each["kind"] == "registered")["instance"].items() >= body.items()
        assert len((await api.get("/history?ip=example.com"))["events"]) == 1, "that it began"
        [then] = (await api.get("/services/orders%20%2F%20eu/explain"))["explained"]
        assert (then["ip"], then["port"]) == (body["ip"], None)


async def test_it_tells_who_was_in_and_why_the_others_were_not(folder: Path) -> None:
    async with serving(folder) as api:
        first = await api.register(port=1)
        drained = await api.register(port=2)
        gone = await api.register(port=3)
        before = f"{time.time():.6f}"  # an answer's timestamp may lie before what the same millisecond brought
        await api.request("PUT", f"/instances/{drained}/drain")
        await api.request("DELETE", f"/instances/{gone}")
        then = await api.get(f"/services/web/explain?at={before}")
        assert [each["served"] for each in then["explained"]] == [True, True, True]
        now = await api.get("/services/web/explain")
        assert (now["served"], now["complete"], now["down"]) == (1, True, None)
        assert [(each["id"], each["status"]) for each in now["explained"]] == [
            (first, "healthy"),
            (drained, "draining"),
        ]
        live = await api.get("/resolve/web?explain=1")
        assert [each["why"] for each in live["explained"]] == [each["why"] for each in now["explained"]]
        assert "127.0.0.1" in now["explained"][1]["why"]
        at_now = await api.get("/services/web/explain?at=now")
        assert (
            [each["by"] for each in at_now["explained"]]
            == [None, "127.0.0.1"]
            == [each["by"] for each in live["explained"]]
        )
        assert [(each["kind"], each["before"]["id"]) for each in now["gone"]] == [("deregistered", gone)]


async def test_pages_follow_each_other_by_next(folder: Path) -> None:
    async with serving(folder) as api:
        for port in range(1, 6):
            await api.register(port=port)
        these = "kind=registered,started"  # the zone files may have been read again meanwhile
        whole = (await api.get(f"/history?{these}"))["events"]
        found: list[Any] = []
        query = f"{these}&limit=2"
        while query:
            page = await api.get(f"/history?{query}")
            found += page["events"]
            query = page["next"] and f"{these}&limit=2&before={page['next']}"
        assert found == whole
        assert [each["kind"] for each in whole] == ["registered"] * 5 + ["started"]


@pytest.mark.parametrize(("setting", "value"), [("HISTORY_DAYS", "0"), ("DATA_DIR", "")])
async def test_where_no_history_is_kept_the_answer_says_what_it_takes(
    setting: str, value: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(setting, value)
    async with serving(folder) as api:
        await api.register()
        for path in ("/history", "/services/web/explain"):
            reply = await api.request("GET", path)
            assert (reply.status, reply.body["code"]) == (404, "NOT_RECORDED"), path
            assert "DATA_DIR" in reply.body["message"]
        assert not (folder / "data" / "history").exists()


# -- who may know who asked


@pytest.fixture
def tokens(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "tokens.toml").write_text(written((OWNER, READER, NONE)))
    monkeypatch.setenv("TOKENS_FILE", str(folder / "tokens.toml"))


@pytest.mark.parametrize("who", ["", NONE, OWNER])
async def test_without_the_right_to_read_nobody_learns_who_asked(who: str, folder: Path, tokens: None) -> None:
    async with serving(folder) as api:
        owner = Api(api.server, OWNER)
        id = await owner.register()
        await owner.request("PUT", f"/instances/{id}/drain")
        asking = Api(api.server, who)
        page, past = await asking.get("/history"), await asking.get("/services/web/explain")
        assert {each["actor"] and each["actor"]["name"] for each in page["events"]} == {None}
        assert "127.0.0.1" not in str(page)
        assert past["explained"][0]["by"] == ("owner at 127.0.0.1" if who == OWNER else None), "its owner may know"
        assert who == OWNER or OWNER not in str(past)
        for query in ("actor=owner", "actor=nobody", "actor=127.0.0.1", "actor="):
            refused = await asking.request("GET", f"/history?{query}")
            assert refused.status == (403 if who else 401)
            assert "events" not in refused.body


async def test_with_it_everybody_does(folder: Path, tokens: None) -> None:
    async with serving(folder) as api:
        await Api(api.server, OWNER).register()
        reader = Api(api.server, READER)
        (event,) = (await reader.get("/history?actor=owner"))["events"]
        assert event["actor"] == {"name": "owner", "address": "127.0.0.1"}
        assert len((await reader.get("/history?actor=127.0.0.1"))["events"]) == 1
        assert (await reader.get("/history?actor=reader"))["events"] == []


# -- too much


async def test_more_questions_than_can_wait_are_refused_and_the_rest_is_answered(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(folder) as api:
        await api.register()
        loop, go = asyncio.get_running_loop(), asyncio.Event()
        page = Reading.page
        monkeypatch.setattr(
            Reading,
            "page",
            lambda *given: (asyncio.run_coroutine_threadsafe(go.wait(), loop).result(), page(*given))[1],
        )
        most = questions._THREADS + questions._MAX_WAITING
        asking = [asyncio.ensure_future(api.request("GET", "/history")) for _ in range(most + 3)]
        done, _ = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
        while len(done) < 3:
            done, _ = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(0)
        refused = [each.result() for each in done]
        assert {(each.status, each.body["code"], each.headers["Retry-After"]) for each in refused} == {
            (503, "HISTORY_BUSY", "1")
        }
        go.set()
        statuses = [reply.status for reply in await asyncio.gather(*asking)]
        assert (statuses.count(200), statuses.count(503)) == (most, 3)
        monkeypatch.undo()
        monkeypatch.chdir(folder)
        assert (await api.request("GET", "/history")).status == 200


async def test_a_question_that_takes_too_long_is_told_what_to_ask_instead(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*given: object) -> None:
        raise TooSlow(5.0)

    monkeypatch.setattr(Reading, "page", slow)
    async with serving(folder) as api:
        reply = await api.request("GET", "/history")
        assert (reply.status, reply.body["code"]) == (503, "HISTORY_TOO_SLOW")
        assert "ask for less" in reply.body["message"]


async def test_stats_count_the_files(folder: Path) -> None:
    async with serving(folder) as api:
        await api.register()
        await api.get("/history")
        found = (await api.get("/stats"))["history"]
        assert (found["files"], found["writable"], found["unwritten"], found["unreadable"]) == (1, True, 0, [])
