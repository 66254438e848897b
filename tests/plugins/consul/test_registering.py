"""Consul's clients register, beat, and take themselves out, each as its own host's agent knows it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from discovery.app import Server
from tests.plugins.auth.house import ADMIN, OWNER, SECRETS, written
from tests.plugins.consul.house import ENVIRONMENT, PROXIES, Host
from tests.plugins.eureka.house import sent
from tests.plugins.started import Running, running, settings

TTL = {"TTL": "30s", "Status": "passing"}


@pytest.fixture(name="it")
async def _it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    monkeypatch.chdir(tmp_path)
    for name, value in {**ENVIRONMENT, "EUREKA": "true"}.items():
        monkeypatch.setenv(name, value)
    async with running(settings(tmp_path, trusted_proxies=PROXIES)) as it:
        yield it


@pytest.fixture(name="one")
def _one(it: Running) -> Host:
    return Host(it, "10.0.0.7")


@pytest.fixture(name="other")
def _other(it: Running) -> Host:
    return Host(it, "10.0.0.8")


async def test_an_id_is_a_hosts_own(one: Host, other: Host) -> None:
    """Spring's ids are the same on every host."""
    for host in (one, other):
        assert await host.register(ID="app-8080", Check=TTL) == 200
    rows = await one.get("/health/service/web")
    assert {(row["Node"]["Node"], row["Node"]["Address"], row["Service"]["ID"], row["Service"]["Address"]) for row in rows} == {
        ("web-host", "10.0.0.7", "app-8080", ""), ("ip-10-0-0-8", "10.0.0.8", "app-8080", ""),
    }  # fmt: skip
    assert await one.put("/agent/check/fail/service:app-8080") == 200
    assert [row["Node"]["Node"] for row in await one.get("/health/service/web?passing")] == ["ip-10-0-0-8"]
    stranger = Host(one.it, "10.0.0.9")
    reply = await stranger.ask("PUT", "/agent/check/pass/service:app-8080")
    assert (reply.status, reply.answer) == (500, 'CheckID "service:app-8080" does not have associated TTL')
    assert await stranger.put("/agent/service/deregister/app-8080") == 200
    assert len(await one.get("/catalog/service/web")) == 2
    assert await stranger.get("/agent/services") == {}
    assert await one.put("/agent/service/deregister/app-8080") == 200
    assert [row["Node"] for row in await one.get("/catalog/service/web")] == ["ip-10-0-0-8"]


async def test_what_is_known_at_one_other_host_is_found_by_who_reads(one: Host, other: Host) -> None:
    await one.register(ID="a")
    assert (await other.get("/agent/service/a"))["ID"] == "a"
    await other.register(ID="a", Port=1)
    stranger = Host(one.it, "10.0.0.9")
    assert (await stranger.ask("GET", "/agent/service/a")).status == 404  # of two
    assert (await one.get("/agent/service/a"))["Port"] == 8080


async def test_peers_at_one_address_share_an_instance_and_each_takes_itself_out(one: Host) -> None:
    await one.register(ID="a", Tags=["blue"], Meta={"v": "1"}, Check=TTL)
    await one.register(ID="b", Tags=["green"], Check=TTL)
    assert (await one.natively("GET", "/services/web")).status == 200
    rows = {row["ServiceID"]: row for row in await one.get("/catalog/service/web")}
    assert {id: (row["ServiceTags"], row["ServiceMeta"]) for id, row in rows.items()} == {
        "a": (["blue"], {"v": "1"}), "b": (["green"], {}),
    }  # fmt: skip
    assert [row["ServiceID"] for row in await one.get("/catalog/service/web?tag=blue")] == ["a"]
    assert (await one.natively("GET", "/resolve/web")).answer["instanceCount"] == 1
    # it is healthy while one is, and each says its own
    await one.put("/agent/check/fail/service:a")
    assert await one.statuses() == {"service:a": "critical", "service:b": "passing"}
    assert await one.passing() == ["b"]
    assert (await one.natively("GET", "/resolve/web")).status == 200
    await one.put("/agent/check/fail/service:b")
    assert (await one.natively("GET", "/resolve/web")).status == 404
    await one.put("/agent/check/pass/service:a")
    await one.put("/agent/service/deregister/b")
    assert await one.passing() == ["a"]
    await one.put("/agent/service/deregister/a")
    assert await one.get("/catalog/services") == {}


async def test_the_last_peer_leaves_an_instance_to_whom_another_api_registered_there(one: Host) -> None:
    await one.register(ID="a", Check=TTL)
    assert (await one.natively("POST", "/eureka/apps/WEB", sent("e", ip="10.0.0.7", port=8080))).status == 204
    await one.register(
        ID="a", Check=TTL
    )  # after the other: an instance of Consul's has no lease, and that of Eureka's has one
    await one.put("/agent/service/deregister/a")
    assert await one.get("/agent/services") == {}
    async with one.it.session.get(
        one.it.http + "/eureka/apps/WEB/e", headers={"Accept": "application/json"}
    ) as response:
        assert (await response.json())["instance"]["leaseInfo"]["durationInSecs"] == 25
    assert (await one.natively("GET", "/resolve/web")).status == 200
    assert (await one.natively("DELETE", "/eureka/apps/WEB/e")).status == 200
    assert await one.get("/catalog/services") == {}


async def test_the_last_peer_leaves_what_was_registered_natively_and_is_told_to_beat_all_the_while(one: Host) -> None:
    own = {"name": "web", "ip": "10.0.0.7", "port": 8080, "ttl": 30}
    for native_first in (True, False):
        if native_first:
            await one.it.register(**own)
        await one.register(ID="a", Check=TTL)
        if not native_first:
            await one.it.register(**own)
            assert await one.statuses() == {"service:a": "passing"}
        for path in ("/register", "/heartbeat"):
            assert (await one.natively("POST", path, own)).answer["heartbeatIntervalMs"] <= 11_000
        await one.put("/agent/service/deregister/a")
        assert await one.get("/agent/services") == {}
        assert (await one.natively("GET", "/resolve/web")).answer["instanceCount"] == 1
        assert (await one.natively("DELETE", "/services/web/instances?ip=10.0.0.7&port=8080")).status == 200


async def test_what_another_api_says_of_a_shared_instance_is_its_health_and_no_judgement_of_the_node(one: Host) -> None:
    await one.register(ID="a")
    await one.register(ID="b", Name="api", Port=1)
    down = sent("e", ip="10.0.0.7", port=8080, status="DOWN")
    assert (await one.natively("POST", "/eureka/apps/WEB", down)).status == 204
    assert (await one.passing(), await one.passing("api")) == ([], ["b"])
    [check] = await one.get("/health/checks/web")
    assert (check["CheckID"], check["Status"], check["Output"]) == ("service:a", "critical", "DOWN")
    assert (await one.natively("DELETE", "/eureka/apps/WEB/e")).status == 200
    assert await one.passing() == ["a"]
    assert await one.get("/health/checks/web") == []


async def test_a_peer_that_comes_to_another_address_has_left_the_old_one(one: Host) -> None:
    await one.register(ID="a", Check=TTL)
    await one.put("/agent/check/warn/service:a")
    await one.register(ID="a", Port=9090, Check=TTL)
    assert [(row["ServicePort"]) for row in await one.get("/catalog/service/web")] == [9090]
    assert await one.statuses() == {"service:a": "warning"}  # as its check said
    await one.register(ID="a", Name="api", Port=9090)
    assert await one.get("/catalog/services") == {"api": []}


async def test_weights_are_shares_of_the_usual_one(one: Host) -> None:
    said = {
        "a": None,
        "b": {"Passing": 10, "Warning": 2},
        "c": {"Passing": 1, "Warning": 1},
        "d": {"Passing": 65535, "Warning": 0},
    }
    for port, (id, weights) in enumerate(said.items(), 1):
        await one.register(ID=id, Port=port, Weights=weights)
    await one.it.register(name="web", weight=50)
    shown = [row["Service"]["Weights"] for row in await one.get("/health/service/web")]
    usual = {"Passing": 1, "Warning": 1}
    assert shown == [usual, {"Passing": 10, "Warning": 2}, usual, {"Passing": 655, "Warning": 0}, usual]
    entries = one.it.server._registry.services["web"].entries.values()
    assert [entry.instance.spec.weight for entry in entries] == [100, 1000, 100, 65535, 50]


async def test_checks_stay_unless_they_are_replaced(one: Host) -> None:
    await one.register(ID="a", Checks=[TTL, {"CheckID": "own", "Name": "x", "Notes": "n", "TTL": "10s"}])
    assert await one.statuses() == {"service:a:1": "passing", "own": "critical"}
    await one.register(ID="a")
    assert set(await one.statuses()) == {"service:a:1", "own"}
    assert (
        await one.put("/agent/check/register", {"Name": "extra", "ServiceID": "a", "TTL": "5s", "Status": "warning"})
        == 200
    )
    assert await one.put("/agent/check/deregister/service:a:1") == 200
    assert await one.statuses() == {"own": "critical", "extra": "warning"}
    assert [check["Notes"] for check in await one.get("/health/checks/web")] == ["n", ""]
    await one.ask(
        "PUT",
        "/agent/service/register?replace-existing-checks=true",
        {"ID": "a", "Name": "web", "Port": 8080, "Check": TTL},
    )
    assert await one.statuses() == {"service:a": "passing"}


async def test_a_check_of_one_hosts_id_does_not_take_the_place_of_anothers(one: Host, other: Host) -> None:
    await one.register(ID="a", Check=TTL)
    await other.register(ID="b", Address="10.0.0.7", Check=TTL)  # they share an instance
    check = {"CheckID": "service:a", "Name": "mine", "ServiceID": "b", "Notes": "n", "TTL": "9s", "Status": "critical"}
    assert await other.put("/agent/check/register", check) == 200
    assert await one.put("/agent/check/pass/service:a") == 200
    assert await one.passing() == ["a"]
    assert {check["CheckID"] for check in (await other.get("/agent/checks")).values()} == {"service:a", "service:b"}
    assert await other.put("/agent/check/deregister/service:a") == 200
    assert await one.passing() == ["a", "b"]


async def test_a_check_that_is_not_beaten_lapses_and_one_pass_brings_it_back(one: Host) -> None:
    await one.register(ID="a", Check={"TTL": "1s", "Status": "passing"})
    index = (await one.ask("GET", "/health/service/web")).seen
    while await one.passing():
        pass
    assert await one.statuses() == {"service:a": "critical"}
    reply = await one.ask("GET", f"/health/service/web?index={index}&wait=60s")
    assert reply.seen > index
    await one.put("/agent/check/pass/service:a?note=back")
    [row] = await one.get("/health/service/web?passing")
    assert row["Checks"][1]["Output"] == "back"
    # another output is shown at once, and nobody who waits is woken by it
    index = (await one.ask("GET", "/health/service/web")).seen
    await one.put("/agent/check/update/service:a", {"Status": "passing", "Output": "fine"})
    reply = await one.ask("GET", f"/health/service/web?index={index}&wait=50ms")
    assert (reply.seen, reply.answer[0]["Checks"][1]["Output"]) == (index, "fine")


async def test_whom_the_brake_holds_passes_says_so_and_comes_last(one: Host) -> None:
    check = {"TTL": "1s", "Status": "passing"}
    # At once: one that falls silent alone is not held.
    await asyncio.gather(*[one.register(ID=str(number), Port=80 + number, Check=check) for number in range(6)])
    rows: list[dict[str, Any]] = []
    while sum(row["Checks"][1]["Output"].startswith("suspect since ") for row in rows) < 5:
        assert await one.put("/agent/check/pass/service:0") == 200
        rows = await one.get("/health/service/web?passing")
    assert len(rows) == 6
    assert rows[0]["Service"]["ID"] == "0"


async def test_maintenance_outlives_registering_again(one: Host) -> None:
    await one.register(ID="a", Check=TTL)
    await one.register(ID="b", Port=2)
    assert await one.put("/agent/service/maintenance/a?enable=true&reason=a%20new%20disk") == 200
    await one.register(ID="a", Check=TTL)
    assert await one.passing() == ["b"]
    [check] = [check for check in await one.get("/health/checks/web") if check["CheckID"] == "_service_maintenance:a"]
    assert (check["Status"], check["Notes"]) == ("critical", "a new disk")
    assert await one.put("/agent/maintenance?enable=true&reason=all") == 200
    await one.register(ID="c", Port=3)
    assert await one.passing() == []
    assert (await one.natively("GET", "/resolve/web")).status == 404
    assert "_node_maintenance" in {check["CheckID"] for check in await one.get("/health/node/web-host")}
    await one.put("/agent/maintenance?enable=false")
    assert await one.passing() == ["b", "c"]
    await one.put("/agent/service/maintenance/a?enable=false")
    assert await one.passing() == ["a", "b", "c"]


async def test_what_has_no_agent_is_registered_by_others(one: Host) -> None:
    body = {
        "Node": "ext",
        "Address": "192.0.2.9",
        "NodeMeta": {"rack": "7"},
        "Service": {"Service": "db", "Port": 5432},
    }
    check = {"Node": "ext", "CheckID": "ping", "Name": "p", "ServiceID": "db", "Status": "passing", "Output": "2 ms"}
    assert (await one.ask("PUT", "/catalog/register", body | {"Check": check})).answer is True
    assert await one.passing("db") == ["db"]
    assert len(await one.get("/catalog/service/db?node-meta=rack:7")) == 1
    assert await one.get("/catalog/service/db?node-meta=rack:8") == []
    long = [check | {"CheckID": f"{number}", "Output": "x" * 1000} for number in range(9)]  # more than is kept
    assert await one.put("/catalog/register", {"Node": "ext", "SkipNodeUpdate": True, "Checks": long}) == 400
    assert [each["CheckID"] for each in await one.get("/health/checks/db")] == ["ping"]
    await one.put("/catalog/register", {"Node": "ext", "SkipNodeUpdate": True, "Check": check | {"Status": "critical"}})
    assert await one.passing("db") == []
    assert (await one.natively("GET", "/resolve/db")).status == 404
    other = {"Node": "ext", "Address": "192.0.2.99", "Service": {"Service": "cache", "Port": 6379}}
    before = await one.ask("GET", "/catalog/nodes")
    await one.put("/catalog/register", other)  # the node has moved, for all that is on it
    assert (await one.get("/catalog/node/ext"))["Node"]["Address"] == "192.0.2.99"
    moved = await one.ask("GET", "/catalog/nodes")
    assert moved.seen > before.seen
    await one.put("/catalog/register", other | {"Service": {"ID": "cache-2", "Service": "cache", "Port": 6380}})
    assert await one.ask("GET", "/catalog/nodes") == moved  # and to the index of the node
    await one.put("/catalog/register", {"Node": "bare", "Address": "192.0.2.10"})
    assert {node["Node"] for node in await one.get("/catalog/nodes")} == {"ext", "bare", "web-host"}
    await one.put("/catalog/deregister", {"Node": "ext"})
    await one.put("/catalog/deregister", {"Node": "bare"})
    assert {node["Node"] for node in await one.get("/catalog/nodes")} == {"web-host"}


async def test_of_what_others_make_the_checks_one_that_passes_is_enough_too(one: Host) -> None:
    async def told(node: str, status: str) -> bool:
        service = {"ID": node, "Service": "db", "Port": 5432}
        check = {"Node": node, "CheckID": "ping", "ServiceID": node, "Status": status}
        body = {"Node": node, "Address": "192.0.2.9", "Service": service, "Check": check}
        assert await one.put("/catalog/register", body) == 200
        return (await one.natively("GET", "/resolve/db")).status == 200

    assert not await told("x", "critical")
    assert await told("y", "passing")
    assert await one.passing("db") == ["y"]
    assert await told("x", "critical")
    assert not await told("y", "critical")
    assert await told("x", "warning")
    await one.put("/catalog/deregister", {"Node": "x"})
    assert (await one.natively("GET", "/resolve/db")).status == 404
    await told("x", "critical")
    await told("y", "passing")
    await one.put("/catalog/deregister", {"Node": "x"})
    assert await told("y", "passing")


async def test_it_knows_all_of_it_after_a_restart(one: Host, tmp_path: Path) -> None:
    it = one.it
    await one.register(
        ID="a", Check=TTL, Address="10.9.9.9", TaggedAddresses={"wan": {"Address": "1.2.3.4", "Port": 5}}
    )
    await one.register(ID="b", Port=2, Check={"TTL": "20s"})
    await one.put("/agent/service/maintenance/b?enable=true&reason=why")
    before = await one.get("/health/service/web"), await one.get("/agent/services")
    server: Server = it.server
    await server.stop()
    async with running(settings(tmp_path, trusted_proxies=PROXIES)) as again:
        host = Host(again, "10.0.0.7")
        after = await host.get("/health/service/web"), await host.get("/agent/services")
        assert _without_indexes(after) == _without_indexes(before)
        assert await host.put("/agent/check/pass/service:b") == 200
        assert (await host.statuses())["service:b"] == "passing"


def _without_indexes(value: object) -> object:
    if isinstance(value, dict):
        return {name: _without_indexes(each) for name, each in value.items() if not name.endswith("Index")}
    return [_without_indexes(each) for each in value] if isinstance(value, list | tuple) else value


async def test_whose_host_is_not_known_is_told(it: Running) -> None:
    async with it.session.put(it.http + "/v1/agent/service/register", json={"Name": "web"}) as response:
        assert response.status == 400
        assert "TRUSTED_PROXIES" in await response.text()
    async with it.session.get(it.http + "/v1/agent/self") as response:
        assert response.status == 200


BAD = {
    "body [": (400, "Request decode failed"),
    "ID 10 KB": (400, "at most 200"),
    "ID control": (400, "at most 200"),
    "TTL 0": (400, "TTL must be > 0 for TTL checks"),
    "TTL a year": (200, ""),
    "17 checks": (400, "are 17 with those it has already, at most 16 are kept"),
    "1000 checks": (400, "are 1000 with those it has already"),
    "meta": (400, "more than 64"),
    "large": (400, "attachments"),
    "port": (400, "out of range"),
    "deep": (400, "levels deep"),
}


async def test_bad_input_is_refused_with_consuls_status_and_leaves_nothing(one: Host) -> None:
    deep: object = {}
    for _ in range(40):
        deep = {"a": deep}
    bodies: dict[str, Any] = {
        "body [": b"[", "ID 10 KB": {"ID": "x" * 10_240}, "ID control": {"ID": "a\nb"}, "TTL 0": {"Check": {"TTL": "0s"}},
        "TTL a year": {"Check": {"TTL": "8760h", "Status": "passing"}}, "17 checks": {"Checks": [TTL] * 17},
        "1000 checks": {"Checks": [TTL] * 1000}, "meta": {"Meta": {str(n): "x" for n in range(65)}},
        "large": {"Proxy": {"Config": "x" * 9_000}}, "port": {"Port": 70_000}, "deep": {"Proxy": deep},
    }  # fmt: skip
    assert bodies.keys() == BAD.keys()
    for name, (status, text) in BAD.items():
        body = bodies[name]
        sent = body if isinstance(body, bytes) else {"Name": "web", "Port": 8080, **body}
        reply = await one.ask("PUT", "/agent/service/register", sent)
        assert (reply.status, text in reply.answer) == (status, True), (name, reply.answer)
        assert (await one.get("/catalog/services") == {}) is (status != 200), name
        if status == 200:
            [check] = await one.get("/health/checks/web")
            assert "7 days" in check["Output"]
            await one.put("/agent/service/deregister/web")


async def test_an_id_may_have_any_characters(one: Host) -> None:
    for id in ("a/b", "vm:1:80", "a b", "ü%2F"):
        assert await one.register(ID=id, Check=TTL) == 200
        path = "".join(f"%{octet:02X}" for octet in id.encode())
        assert await one.put(f"/agent/check/fail/service:{path}") == 200
        assert await one.put(f"/agent/service/deregister/{path}") == 200
        assert await one.get("/agent/services") == {}
    assert await one.register(ID="vm:1:80") == 200
    assert await one.put("/agent/service/deregister/vm:1:80") == 200  # registrator does not escape it


async def test_a_number_of_any_size_is_answered(one: Host) -> None:
    assert await one.register(Proxy={"Config": {"most": 2**70}}) == 200
    [row] = await one.get("/health/service/web")
    assert row["Service"]["Proxy"]["Config"] == {"most": 2**70}


async def test_tokens_are_consuls_and_their_refusals_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tokens.toml").write_text(written((OWNER,)))
    for name, value in {**ENVIRONMENT, "TOKENS_FILE": "tokens.toml"}.items():
        monkeypatch.setenv(name, value)
    caplog.set_level("DEBUG")
    secret = SECRETS[OWNER]
    async with running(settings(tmp_path, trusted_proxies=PROXIES)) as it:
        host = Host(it, "10.0.0.7")
        body = {"Name": "web", "Port": 80, "Check": TTL}
        for shown in ({}, {"X-Consul-Token": ""}, {"X-Consul-Token": "wrong"}, {"Authorization": "Bearer wrong"}):
            reply = await host.ask("PUT", "/agent/service/register", body, **shown)
            assert (reply.status, reply.answer.startswith("Permission denied")) == (403, True)
        for query, shown in (
            ("", {"X-Consul-Token": secret}),
            ("", {"Authorization": f"Bearer {secret}"}),
            (f"?token={secret}", {}),
        ):
            assert (await host.ask("PUT", f"/agent/service/register{query}", body, **shown)).status == 200
        reply = await host.ask("PUT", f"/agent/service/register?token={secret}", body | {"Name": "not-mine"})
        assert reply.status == 403
        assert (await host.ask("PUT", "/agent/check/pass/service:web?token=wrong")).status == 403
        assert secret not in str((await host.ask("PUT", f"/agent/check/pass/x?token={secret}")).answer)
    assert secret not in caplog.text


async def test_a_check_of_localhost_is_made_at_its_host_and_says_so_where_nobody_listens(it: Running) -> None:
    host = Host(it, "10.0.0.7")
    probes = [{"TCP": "localhost:8080", "Interval": "60s"}, {"HTTP": "http://127.0.0.1:9/x", "Interval": "60s"}]
    await host.register(ID="a", Address="10.0.0.70", Checks=probes)
    [entry] = it.server._registry.services["web"].entries.values()
    assert [(check.address, check.port) for check in entry.instance.spec.checks] == [("10.0.0.7", 0), ("10.0.0.7", 9)]
    entry.note_output("service:a:1", "connection refused")
    outputs = [check["Output"] for check in await host.get("/health/checks/web")]
    assert outputs[0] == "connection refused; it may listen on a loopback address alone, and is asked at 10.0.0.7"


async def test_a_check_that_may_not_be_made_is_taken_and_warned_of(it: Running) -> None:
    host = Host(it, "10.0.0.7")
    assert await host.register(ID="a", Address="10.9.9.9", Check={"TCP": "10.9.9.9:8080", "Interval": "1s"}) == 200
    [concern] = [each for each in it.server._seams.concerns if each.code == "checks_refused"]
    while not concern.check():
        assert await host.statuses() == {"service:a": "critical"}
    assert "CHECK_NETWORKS" in concern.check()[""]
    [check] = await host.get("/health/checks/web")
    assert check["Output"] == "not asked: 10.9.9.9 is not the address that registered it, and not in CHECK_NETWORKS"
    await host.put("/agent/service/deregister/a")
    assert concern.check() == {}


async def test_an_admins_token_reaches_what_is_at_one_other_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tokens.toml").write_text(written((OWNER, ADMIN)))
    for name, value in {**ENVIRONMENT, "TOKENS_FILE": "tokens.toml"}.items():
        monkeypatch.setenv(name, value)
    async with running(settings(tmp_path, trusted_proxies=PROXIES)) as it:
        assert await Host(it, "10.0.0.7", SECRETS[OWNER]).register(ID="a", Check=TTL) == 200
        stranger, admin = (Host(it, "10.0.0.9", SECRETS[name]) for name in (OWNER, ADMIN))
        assert await stranger.put("/agent/service/maintenance/a?enable=true") == 404
        assert await admin.put("/agent/service/maintenance/a?enable=true&reason=x") == 200
        assert await stranger.passing() == []
        assert await admin.put("/agent/check/pass/service:a") == 500
        await stranger.put("/agent/service/deregister/a")
        assert len(await stranger.get("/catalog/service/web")) == 1
        await admin.put("/agent/service/deregister/a")
        assert await stranger.get("/catalog/service/web") == []
        assert await stranger.put("/agent/maintenance?enable=true") == 403  # of a whole node
