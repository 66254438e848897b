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
        checks = [{"id": "pool", "ttl": 60}]
        service = Service("api", 3001, ip="127.0.0.1", ttl=60, checks=checks, urls=server.http)
        await service.open()
        await service.report_check("pool", "passing", "2 of 20 in use")
        assert (await to_thread(server.request, "GET", "/resolve/api")).status == 200, "a new process begins as healthy"
        await service.report("warning", "80 % full")
        [instance] = (await to_thread(server.request, "GET", "/resolve/api")).body["instances"]
        assert (instance["status"], instance["health"], instance["output"]) == ("healthy", "warning", "80 % full")
        [srv] = (await to_thread(server.ask, "api.svc.local", "SRV")).answer
        assert [each.weight for each in srv] == [1]
        await service.close()


def register_checked(server: Discovery) -> None:
    """`db`: of port 1 a report is missing, port 2 says that it fails, port 3 has reported nothing, port 4 passes."""
    for port, ttl in ((1, 1), (2, 60), (3, 60), (4, 60)):
        checks = [{"id": "pool", "ttl": ttl, "criticalAfter": 3600}]
        body = {"name": "db", "ip": "127.0.0.1", "port": port, "id": f"db-{port}", "lease": "none", "checks": checks}
        assert server.request("PUT", "/instances", body).status == 201
        said = {"health": "failing", "output": "empty"} if port == 2 else {"health": "passing"}
        if port != 3:
            assert server.request("PUT", f"/instances/db-{port}/checks/pool", said).status == 200


def checked(server: Discovery) -> dict[int, tuple[str, str]]:
    """By port: what its check says, and since when."""
    shown = {port: server.request("GET", f"/instances/db-{port}").body["checkStates"]["pool"] for port in (1, 2, 3, 4)}
    return {port: (state["output"], state["since"]) for port, state in shown.items() if state["health"] == "failing"}


def test_the_lapsed_are_lapsed_and_those_without_a_lease_are_there_and_checks_say_what_they_said(
    tmp_path: Path,
) -> None:
    at = {"name": "api", "ip": "127.0.0.1"}
    with running(DATA_DIR=str(tmp_path), CLEANUP_INTERVAL_SECONDS=1) as server:
        register_checked(server)
        assert server.request("PUT", "/instances", {**at, "port": 1, "ttl": 1, "keep": 3600}).status == 201
        assert server.request("PUT", "/instances", {**at, "port": 2, "lease": "none"}).status == 201
        [lapsed] = until(
            lambda: server.request("GET", "/services?status=lapsed").body["services"].get("api", {}).get("instances")
        )
        failing = checked(server)
        outputs = {port: output for port, (output, _) in failing.items()}
        assert outputs == {1: "nothing was reported for 1 s", 2: "empty", 3: "nothing was reported yet"}
        server.process.kill()
        server.process.wait()
    with running(DATA_DIR=str(tmp_path), CLEANUP_INTERVAL_SECONDS=1) as server:
        assert [each["port"] for each in server.request("GET", "/resolve/db").body["instances"]] == [4]
        assert [each.port for each in server.ask("db.svc.local", "SRV").answer[0]] == [4]
        assert checked(server) == failing
        assert [each["port"] for each in server.request("GET", "/resolve/api").body["instances"]] == [2]
        [srv] = server.ask("api.svc.local", "SRV").answer
        assert [each.port for each in srv] == [2]
        again, other = server.request("GET", "/services/api").body["instances"]
        assert (again["status"], again["lapsedAt"], again["keep"]) == ("unhealthy", lapsed["lapsedAt"], 3600)
        assert (other["status"], other["lease"]) == ("healthy", "none")
        assert server.request("GET", "/stats").body["activeInstances"] == 5, "the lapsed are no part of the living"
        assert server.heartbeat("api", port=1).status == 200
        assert {each["port"] for each in server.request("GET", "/resolve/api").body["instances"]} == {1, 2}
