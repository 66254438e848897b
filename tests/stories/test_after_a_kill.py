"""Who was in no answer before a kill is in none after it: who fails by its own word, who is known after its lease."""

from __future__ import annotations

from asyncio import to_thread
from pathlib import Path

from discovery.client import Service
from tests.stories.process import Discovery, running, until


def assert_failing(server: Discovery) -> None:
    """And everybody is told why."""
    assert server.request("GET", "/resolve/api").status == 404
    assert server.ask("api.svc.local").answer == []
    [instance] = server.request("GET", "/services/api").body["instances"]
    assert (instance["status"], instance["health"], instance["output"]) == ("failing", "failing", "the pool is empty")
    explained = str(server.request("GET", "/services/api/explain").body)
    assert "it says of itself: the pool is empty" in explained
    assert "it is back when it says that it passes" in explained


async def test_who_reports_that_it_fails_fails_until_it_says_otherwise_whatever_becomes_of_the_server(
    tmp_path: Path,
) -> None:
    with running(DATA_DIR=str(tmp_path)) as server:
        body = {
            "name": "api",
            "ip": "127.0.0.1",
            "port": 3001,
            "ttl": 60,
            "health": "failing",
            "output": "the pool is empty",
        }
        assert server.request("PUT", "/instances", body).status == 201
        await to_thread(assert_failing, server)
        server.process.kill()
        server.process.wait()
    with running(DATA_DIR=str(tmp_path)) as server:
        await to_thread(assert_failing, server)
        service = Service("api", 3001, ip="127.0.0.1", ttl=60, urls=server.http)
        await service.open()
        assert (await to_thread(server.request, "GET", "/resolve/api")).status == 200, "a new process begins as healthy"
        await service.report("warning", "80 % full")
        [instance] = (await to_thread(server.request, "GET", "/resolve/api")).body["instances"]
        assert (instance["status"], instance["health"], instance["output"]) == ("healthy", "warning", "80 % full")
        [srv] = (await to_thread(server.ask, "api.svc.local", "SRV")).answer
        assert [each.weight for each in srv] == [1]
        await service.close()


def test_the_lapsed_are_lapsed_and_those_without_a_lease_are_there(tmp_path: Path) -> None:
    at = {"name": "api", "ip": "127.0.0.1"}
    with running(DATA_DIR=str(tmp_path), CLEANUP_INTERVAL_SECONDS=1) as server:
        assert server.request("PUT", "/instances", {**at, "port": 1, "ttl": 1, "keep": 3600}).status == 201
        assert server.request("PUT", "/instances", {**at, "port": 2, "lease": "none"}).status == 201
        [lapsed] = until(
            lambda: server.request("GET", "/services?status=lapsed").body["services"].get("api", {}).get("instances")
        )
        server.process.kill()
        server.process.wait()
    with running(DATA_DIR=str(tmp_path), CLEANUP_INTERVAL_SECONDS=1) as server:
        assert [each["port"] for each in server.request("GET", "/resolve/api").body["instances"]] == [2]
        [srv] = server.ask("api.svc.local", "SRV").answer
        assert [each.port for each in srv] == [2]
        again, other = server.request("GET", "/services/api").body["instances"]
        assert (again["status"], again["lapsedAt"], again["keep"]) == ("unhealthy", lapsed["lapsedAt"], 3600)
        assert (other["status"], other["lease"]) == ("healthy", "none")
        assert server.request("GET", "/stats").body["activeInstances"] == 1, "the lapsed are no part of the living"
        assert server.heartbeat("api", port=1).status == 200
        assert {each["port"] for each in server.request("GET", "/resolve/api").body["instances"]} == {1, 2}
