"""A Service registers, beats, comes back when it is forgotten, and goes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from discovery.client import Refused, Service
from tests.client.fake_registry import FakeRegistry
from tests.client.servers import nobody, silent
from tests.stories.process import Discovery, environment, running

REGISTER, BEAT = "POST /register", "POST /heartbeat"
SOON = 20  # milliseconds between two beats


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry(SOON).running() as registry:
        yield registry


async def test_it_is_registered_with_what_was_given_and_gone_at_the_end(registry: FakeRegistry) -> None:
    given: dict[str, Any] = {
        "tags": ["blue"],
        "metadata": {"v": 1},
        "ttl": 30,
        "weight": 5,
        "zone": "a",
        "max_answers": 3,
    }
    async with Service("api", 3001, **given, urls=registry.url) as service:
        assert (service.registered, service.ip, service.id) == (True, "127.0.0.1", "i-1")
        assert list(registry.services["api"]) == [("127.0.0.1", 3001)]
    assert registry.bodies[0] == (
        REGISTER,
        {
            "name": "api", "ip": "127.0.0.1", "port": 3001,
            "tags": ["blue"], "metadata": {"v": 1}, "ttl": 30, "weight": 5, "zone": "a", "maxAnswers": 3,
        },
    )  # fmt: skip
    assert registry.services == {"api": {}}
    assert not service.registered


PLAIN: dict[str, Any] = {"name": "api", "ip": "127.0.0.1", "port": 3001}
WIDE: list[dict[str, Any]] = [
    {"keep": 60.0}, {"tags": ["a.b"]}, {"ip": "db.example.com"}, {"port": None}, {"name": "orders db"},
]  # fmt: skip


@pytest.mark.parametrize("given", WIDE, ids=str)
async def test_what_the_original_did_not_know_goes_by_the_route_that_takes_it(
    registry: FakeRegistry, given: dict[str, Any]
) -> None:
    item = PLAIN | given
    beat = BEAT if PLAIN.items() <= item.items() else "PUT /instances"
    async with Service(**item, urls=registry.url) as service:
        assert (service.id, service.registered, list(registry.services)) == ("i-1", True, [item["name"]])
        await registry.until(lambda registry: registry.asked[beat])
    assert registry.bodies[0] == ("POST /registrations", {"instances": [item]})
    assert registry.services == {item["name"]: {}}, "deregistered by its name and address"


async def test_a_refusal_in_a_result_is_one(registry: FakeRegistry) -> None:
    result = {"status": 409, "code": "SERVICE_FULL", "message": "api is full"}
    registry.refusals["POST /registrations"] = [(200, {"results": [result], "heartbeatIntervalMs": 3000})]
    with pytest.raises(Refused, match="api is full") as raised:
        await Service("api", 3001, keep=60, urls=registry.url).open()
    assert (raised.value.status, raised.value.code) == (409, "SERVICE_FULL")


async def test_what_it_said_of_itself_is_said_from_the_start_when_it_is_registered_again(
    registry: FakeRegistry,
) -> None:
    async with Service("api", 3001, urls=registry.url) as service:
        await service.report("failing", "the pool is empty")
        registry.services.clear()
        await registry.until(lambda registry: registry.asked["POST /registrations"])
    [item] = next(body for what, body in registry.bodies if what == "POST /registrations")["instances"]
    assert (item["health"], item["output"]) == ("failing", "the pool is empty")


async def test_an_address_that_is_given_is_registered_as_it_is(registry: FakeRegistry) -> None:
    async with Service("api", 3001, ip="10.9.9.9", urls=registry.url):
        assert list(registry.services["api"]) == [("10.9.9.9", 3001)]


async def test_it_beats_and_registers_again_when_it_is_forgotten(registry: FakeRegistry) -> None:
    async with Service("api", 3001, urls=registry.url) as service:
        await registry.until(lambda registry: registry.asked[BEAT] >= 2)
        registry.services.clear()
        await registry.until(lambda registry: registry.asked[REGISTER] == 2)
        beats = registry.asked[BEAT]
        await registry.until(lambda registry: registry.asked[BEAT] > beats)
        assert service.registered


async def test_a_client_that_was_deregistered_by_somebody_waits_as_long_as_it_is_told(registry: FakeRegistry) -> None:
    loop = asyncio.get_running_loop()
    async with Service("api", 3001, urls=registry.url):
        registry.refusals[BEAT] = [(404, {"code": "INSTANCE_DEREGISTERED", "message": "…", "retryAfterMs": 150})]
        await registry.until(lambda registry: not registry.refusals[BEAT])
        began = loop.time()
        await registry.until(lambda registry: registry.asked[REGISTER] == 2)
        assert loop.time() - began > 0.13


@pytest.mark.parametrize("status", [429, 500, 503, 507])
async def test_a_registry_that_cannot_now_is_no_error_at_the_start(registry: FakeRegistry, status: int) -> None:
    registry.refusals[REGISTER] = [(status, {"message": "later"})]
    async with Service("api", 3001, urls=registry.url) as service:
        assert not service.registered
        await registry.until(lambda registry: registry.services)


async def test_a_registry_that_is_away_is_no_error_at_all(caplog: pytest.LogCaptureFixture) -> None:
    async with Service("api", 3001, urls=nobody()) as service:
        assert (service.registered, service.ip) == (False, None)
    assert "no registry answers" in caplog.text


@pytest.mark.parametrize("status", [400, 401, 403, 409])
async def test_what_is_refused_for_good_is_an_error_at_the_start(registry: FakeRegistry, status: int) -> None:
    registry.always[REGISTER] = (status, {"message": "no", "code": "NO"})
    service = Service("api", 3001, urls=registry.url)
    with pytest.raises(Refused, match="no"):
        await service.open()
    await service.close()
    assert registry.asked == {REGISTER: 1}, "nothing is removed that was not registered"


@pytest.mark.parametrize("answer", [(500, []), (401, {"message": "who?"}), (200, 7), (418, None)])
async def test_no_answer_ends_its_beats(registry: FakeRegistry, answer: tuple[int, Any]) -> None:
    async with Service("api", 3001, urls=registry.url) as service:
        registry.refusals[BEAT] = [answer] * 2
        await registry.until(lambda registry: not registry.refusals[BEAT])
        beats = registry.asked[BEAT]
        await registry.until(lambda registry: registry.asked[BEAT] > beats + 1)
        assert service.registered


async def test_a_server_that_hangs_does_not_keep_the_next_from_hearing_the_beat_in_time(registry: FakeRegistry) -> None:
    registry.interval_ms = 100
    async with silent() as dead, Service("api", 3001, urls=[registry.url, dead], timeout=3600) as service:
        service._registry.servers.answered(dead)  # as if it had hung just now
        await registry.until(lambda registry: registry.asked[BEAT] == 2)


async def test_a_drain_is_not_lost_when_the_registry_loses_its_memory(registry: FakeRegistry) -> None:
    drain = "PUT /services/api/instances/drain"
    async with Service("api", 3001, urls=registry.url) as service:
        assert await service.drain() == 2.5, "by the registry's clock"
        registry.services.clear()
        await registry.until(lambda registry: registry.asked[drain] == 2)


async def test_at_the_end_a_registry_that_is_away_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async with FakeRegistry().running() as registry:
        service = Service("api", 3001, urls=registry.url, timeout=0.2)
        await service.open()
    await service.close()
    assert "its lease ends by itself" in caplog.text


# -- the plain face, with a real server

SCRIPT = """
import os, sys, time
from discovery.client import Service
service = Service("plain", port=3001).start()
if (child := os.fork()) == 0:
    service.stop()      # the parent's: nothing happens
    sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
print("forked", flush=True)
sys.stdin.readline()
"""


@pytest.fixture(scope="module")
def server() -> Any:
    with running() as server:
        yield server


def test_a_plain_program_is_registered_until_the_interpreter_ends_and_its_forked_child_leaves_that_alone(
    server: Discovery,
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        env=environment(DISCOVERY_URL=server.http.replace("127.0.0.1", "localhost")),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "forked\n"
        assert server.request("GET", "/resolve/plain").status == 200
        _, errors = process.communicate("\n", timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert server.request("GET", "/resolve/plain").status == 404


def test_with_works_without_asyncio_and_stop_may_come_twice(server: Discovery) -> None:
    with Service("with", 3001, urls=server.http):
        assert server.request("GET", "/resolve/with").status == 200
    assert server.request("GET", "/resolve/with").status == 404
    service = Service("with", 3001, urls=server.http).start()
    assert server.request("GET", "/resolve/with").status == 200
    service.stop()
    service.stop()
    assert server.request("GET", "/resolve/with").status == 404


def test_the_name_of_this_host_is_not_asked(server: Discovery, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*arguments: object) -> None:
        raise AssertionError("the host's name")

    monkeypatch.setattr("socket.gethostname", never)
    monkeypatch.setattr("socket.gethostbyname", never)
    with Service("named", 3001, urls=server.http) as service:
        assert service.ip == "127.0.0.1"
