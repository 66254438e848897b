"""`import` and `sync` between a real registry and others that answer as the recorded ones."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from discovery.cli import importing as commands
from discovery.client import RegistryClient, Unreachable
from discovery.moving import consul, eureka, importing, syncing
from discovery.moving.consul import Consul
from discovery.moving.eureka import Eureka
from discovery.moving.found import MARK, Key, Source, SourceAway, SourceError, Target
from discovery.moving.importing import Import
from discovery.moving.plan import Plan
from discovery.moving.remote import Answer
from discovery.moving.syncing import Sync
from tests.moving.others import OtherConsul, OtherEureka
from tests.rest.harness import Api, serving
from tests.stories.process import LIMIT
from tests.stories.standards.secure import make_certificate
from tests.waiting import until

HOLD = 3600.0


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (importing, syncing):
        monkeypatch.setattr(module, "_EVERY" if module is importing else "EVERY", 0.05)
    monkeypatch.setattr(importing, "_AGAIN", 0.01)
    monkeypatch.setattr(eureka, "EVERY", 0.02)


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with serving() as api:
        yield api


@asynccontextmanager
async def doing(work: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        assert not task.done(), task
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def closed(other: Source | Target) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await other.close()


@asynccontextmanager
async def imported(api: Api, source: Source, said: list[str] | None = None) -> AsyncIterator[None]:
    async with RegistryClient(api.url) as registry:
        work = Import(registry, source, HOLD, lambda name: True, print if said is None else said.append)
        async with closed(source), doing(work.follow()):
            yield


@asynccontextmanager
async def synced(api: Api, target: Target, said: list[str] | None = None) -> AsyncIterator[None]:
    async with RegistryClient(api.url) as registry:
        work = Sync(registry, target, lambda name: True, print if said is None else said.append)
        async with closed(target), doing(work.follow()):
            yield


def places(api: Api, status: str = "healthy") -> set[str]:
    now = api.clock()
    return {
        f"{each.instance.spec.name} {each.instance.address}" for each in api.registry if each.status_at(now) == status
    }


async def is_quiet(api: Api, old: OtherConsul) -> bool:
    asked, renewed = len(old.asked), api.registry.accepted["register"]
    await until(lambda: api.registry.accepted["register"] > renewed + 5)
    return len(old.asked) == asked


async def test_consul_is_followed_by_blocking_queries_and_what_comes_itself_is_left_alone(api: Api) -> None:
    said: list[str] = []
    async with OtherConsul().serving("consul") as old:
        for number in (1, 2, 3):
            old.put("web", f"10.0.0.{number}", 80)
        async with imported(api, Consul(old.url), said):
            await until(lambda: len(places(api)) == 3)
            old.put("web", "10.0.0.1", 80, "critical")
            old.put("api", "10.0.0.9", 443)
            old.put("unchecked", "10.0.0.8", 1)
            await until(lambda: "unchecked 10.0.0.8:1" in places(api))
            old.put("unchecked", "10.0.0.8", 2, ID="unchecked-10.0.0.8")
            await until(lambda: "unchecked 10.0.0.8:2" in places(api) and "unchecked 10.0.0.8:1" not in places(api))
            old.remove("unchecked", "10.0.0.8")
            await until(lambda: places(api) == {"web 10.0.0.2:80", "web 10.0.0.3:80", "api 10.0.0.9:443"})
            assert places(api, "failing") == {"web 10.0.0.1:80"}
            await api.post("/heartbeat", {"name": "web", "ip": "10.0.0.2", "port": 80})  # it has moved
            await api.register(name="web", ip="10.0.0.3", port=80)
            await api.delete("/services/web/instances?ip=10.0.0.3&port=80")  # and this one has gone back
            await until(lambda: places(api) == {"web 10.0.0.2:80", "web 10.0.0.3:80", "api 10.0.0.9:443"})
            old.remove("web", "10.0.0.2")
            old.remove("web", "10.0.0.3")
            old.remove("api", "10.0.0.9")
            await until(lambda: len(api.registry) == 2)
            assert places(api) == {"web 10.0.0.2:80"}
            async with asyncio.timeout(LIMIT):  # nothing is asked while nothing changes
                while not await is_quiet(api, old):
                    pass
    assert "3 instances of 1 services: 3 to copy, 0 copied before" in said


async def test_of_many_services_consul_has_few_connections(api: Api) -> None:
    async with OtherConsul().serving("consul") as old:
        for number in range(100):
            old.put(f"svc-{number}", "10.0.0.1", 80)
        async with imported(api, Consul(old.url)):
            await until(lambda: len(places(api)) == 100)
            old.put("svc-50", "10.0.0.1", 80, "critical")
            await until(lambda: places(api, "failing") == {"svc-50 10.0.0.1:80"})
    assert old.connections <= 20


async def test_the_copy_of_one_that_goes_back_comes_before_anything_else_is_looked_at(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "_EVERY", HOLD)
    async with OtherConsul().serving("consul") as old:
        old.put("web", "10.0.0.1", 80)
        async with imported(api, Consul(old.url)):
            await until(lambda: places(api))
            monkeypatch.setattr(importing, "_TOGETHER", HOLD)
            for _ in range(2):
                await api.register(name="web", ip="10.0.0.1", port=80)
                await api.delete("/services/web/instances?ip=10.0.0.1&port=80")
                await until(lambda: [each.instance.spec.imported_from for each in api.registry] == [old.url])


async def test_a_copy_of_one_that_was_back_before_it_came_is_not_renewed(api: Api) -> None:
    key = Key("web", "10.0.0.1", 80)
    async with RegistryClient(api.url) as registry, closed(source := Consul("consul://127.0.0.1")):
        work = Import(registry, source, HOLD, lambda name: True, print)
        work._what, work._sent = Plan({}, frozenset(), {key: {}}, {}, 0, ()), {key: importing._Sent({}, 0.0)}
        assert await work._round() > 0


@pytest.mark.parametrize(
    ("make", "scheme", "path", "of"),
    [(OtherConsul, "consul", "", Consul), (OtherEureka, "eureka", "/eureka", Eureka)],
)
async def test_over_tls_the_authority_is_a_setting_that_a_refusal_names(
    make: Any, scheme: str, path: str, of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting, folders = f"{scheme.upper()}_CACERT", [tmp_path / "right", tmp_path / "wrong"]
    for folder in folders:
        folder.mkdir()
    pair, wrong = map(make_certificate, folders)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(pair.cert, pair.key)
    async with make().serving(f"{scheme}s", path, tls) as old:
        old.put("web", "10.0.0.1", 80)
        monkeypatch.setenv(setting, str(pair.cert))
        async with closed(source := of(old.url)):
            await source.read()
            assert len(source.found.bodies) == 1
        monkeypatch.setenv(setting, str(wrong.cert))
        async with closed(source := of(old.url)):
            with pytest.raises(
                SourceAway, match=f"{scheme}s://127.0.0.1.* not trusted: .*; {setting} names the authority"
            ):
                await source.read()
        monkeypatch.setenv(setting, str(tmp_path / "none"))
        with pytest.raises(SourceError, match=f"{setting}=.*No such file"):
            of(old.url)


async def test_lists_without_an_index_are_not_asked_for_again_and_again() -> None:
    async with OtherConsul().serving("consul") as old, closed(source := Consul(old.url)):
        old.index = 0
        with pytest.raises(SourceAway, match="GET /v1/catalog/services without X-Consul-Index"):
            await source.read()


async def test_what_is_too_large_for_one_request_is_sent_in_several_and_what_is_for_any_is_told(api: Api) -> None:
    said: list[str] = []
    async with OtherConsul().serving("consul") as old:
        for number in range(8):
            old.put("web", f"10.0.0.{number}", 80, Tags=[f"{tag}," + "," * 900 for tag in range(16)])
        old.put("huge", "10.0.0.1", 80, Meta={"key": "x" * 3_000_000})
        async with imported(api, Consul(old.url), said):
            await until(lambda: len(places(api)) == 8)
            await until(lambda: any("huge 10.0.0.1:80 is not copied: " in line for line in said))


async def test_a_change_is_sent_alone_and_many_copies_in_parts(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "_EVERY", LIMIT)
    monkeypatch.setattr(importing, "_AT_ONCE", 2)
    monkeypatch.setattr(importing, "_PER_SECOND", 200)
    async with OtherConsul().serving("consul") as old:
        for number in range(5):
            old.put("web", f"10.0.0.{number}", 80)
        async with imported(api, Consul(old.url)):
            await until(lambda: len(places(api)) == 5)
            old.put("web", "10.0.0.1", 80, "critical")
            await until(lambda: places(api, "failing"))
            assert api.registry.accepted["register"] == 6


async def test_a_change_does_not_wait_until_all_services_are_read_again(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consul, "_PAUSE", 1e9)  # so once, after the first change of the names
    async with OtherConsul().serving("consul") as old:
        old.put("a", "10.0.0.1", 80)
        async with imported(api, Consul(old.url)):
            await until(lambda: len(places(api)) == 1)
            old.put("b", "10.0.0.1", 80)
            await until(lambda: old.asked.count("GET /v1/health/service/a") == 2)
            old.put("c", "10.0.0.1", 80)
            await until(lambda: len(places(api)) == 3)
            old.put("a", "10.0.0.1", 80, "critical")
            await until(lambda: places(api, "failing"))


async def test_while_the_source_is_away_its_copies_are_held_and_then_go_on(api: Api) -> None:
    said: list[str] = []
    async with OtherConsul().serving("consul") as old:
        for number in (1, 2, 3):
            old.put("web", f"10.0.0.{number}", 80)
        async with imported(api, Consul(old.url), said):
            await until(lambda: len(places(api)) == 3)
            await old.fail()
            await until(lambda: said and "No cluster leader" in said[-1])
            api.forward(60)
            assert len(places(api, "suspect")) == 3
            old.away = False
            await until(lambda: len(places(api)) == 3)
            await old.fail()
            api.forward(60 + HOLD)
            assert not places(api, "suspect")


async def test_a_source_that_suddenly_has_nothing_loses_nothing(api: Api) -> None:
    said: list[str] = []
    async with OtherEureka().serving("eureka", "/eureka") as old:
        for number in (1, 2, 3, 4):
            old.put("WEB", f"10.0.0.{number}", 80)
        async with imported(api, Eureka(old.url), said):
            await until(lambda: len(places(api)) == 4)
            old.instances.clear()
            old.delta.clear()
            await until(lambda: any("4 copied before are gone there all at once" in line for line in said))
            assert len(places(api)) == 4
            api.forward(60)
            assert len(places(api, "suspect")) == 4


async def test_eureka_is_followed_by_deltas_and_read_whole_where_they_do_not_add_up(api: Api) -> None:
    async with OtherEureka().serving("eureka", "/eureka") as old:
        for number in (1, 2, 3):
            old.put("WEB", f"10.0.0.{number}", 80)
        async with imported(api, Eureka(old.url)):
            await until(lambda: len(places(api)) == 3)
            read = old.all_read
            old.put("WEB", "10.0.0.1", 80, "OUT_OF_SERVICE")
            old.remove("WEB", "10.0.0.2:80")
            await until(lambda: places(api) == {"web 10.0.0.3:80"} and places(api, "failing") == {"web 10.0.0.1:80"})
            assert old.all_read == read
            old.put("API", "10.0.0.9", 1)
            old.delta.clear()
            await until(lambda: "api 10.0.0.9:1" in places(api))
            assert old.all_read == read + 1


async def test_it_resumes_and_repeats_without_a_change(api: Api) -> None:
    async with OtherConsul().serving("consul") as old:
        old.put("web", "10.0.0.1", 80)
        async with imported(api, Consul(old.url)):
            await until(lambda: places(api))
        old.remove("web", "10.0.0.1")
        old.put("web", "10.0.0.2", 80)
        async with imported(api, Consul(old.url)):
            await until(lambda: places(api) == {"web 10.0.0.2:80"})
        index = api.registry.index
        async with imported(api, Consul(old.url)):
            renewed = api.registry.accepted["register"]
            await until(lambda: api.registry.accepted["register"] > renewed + 2)
        assert api.registry.index == index


async def test_what_the_registry_refuses_is_told_once_and_stops_nothing_else(api: Api) -> None:
    said: list[str] = []
    async with OtherConsul().serving("consul") as old:
        old.put("web", "10.0.0.1", 80, Tags=["a\nb"])
        old.put("api", "10.0.0.2", 80)
        async with imported(api, Consul(old.url), said):
            await until(lambda: places(api) == {"api 10.0.0.2:80"})
            renewed = api.registry.accepted["register"]
            await until(lambda: api.registry.accepted["register"] > renewed + 3)
    assert len([line for line in said if "web 10.0.0.1:80 is not copied: tags[0]" in line]) == 1


async def test_keys_of_consul_are_not_lost_silently() -> None:
    async with OtherConsul().serving("consul") as old:
        source = Consul(old.url)
        await source.check(False)
        old.keys = ["config/", "a/"]
        with pytest.raises(SourceError, match=r"KV keys \(config/, a/\).*--ignore-kv"):
            await source.check(False)
        await source.check(True)
        await source.close()


@pytest.mark.parametrize("make", [OtherConsul, OtherEureka])
async def test_who_has_not_moved_sees_who_has_for_as_long_as_it_is_here(api: Api, make: Any) -> None:
    scheme, path, of = ("consul", "", Consul) if make is OtherConsul else ("eureka", "/eureka", Eureka)

    def there(old: Any) -> set[str]:
        if isinstance(old, OtherConsul):
            return {f"{each['Service']} {each['Address']}:{each['Port']}" for each in old.agent.values()}
        return {f"{each['app'].lower()} {each['ipAddr']}:{each['port']['$']}" for each in old.instances.values()}

    async with make().serving(scheme, path) as old:
        moved = await api.register(port=1, metadata={"v": "2"}, tags=["blue"])
        await api.register(port=2)
        await api.post(
            "/registrations",
            {"instances": [{"name": "copy", "ip": "10.0.0.7", "port": 1, "importedFrom": "consul://x"}]},
        )
        async with synced(api, of(old.url, api.url)):
            await until(lambda: len(there(old)) == 2)
            beaten = old.passed if isinstance(old, OtherConsul) else old.renewed
            await until(lambda: len(beaten) > 4)
            await api.delete(f"/instances/{moved['instance']['id']}")
            await until(lambda: len(there(old)) == 1)
        async with synced(api, of(old.url, api.url)):  # another process, which knows nothing
            await api.put(f"/instances/{next(iter(api.registry)).instance.id}/drain")
            await until(lambda: not there(old))


async def test_a_registry_that_suddenly_has_nothing_takes_nothing_back(api: Api) -> None:
    """As one that keeps nothing and was started again: who is alive registers there soon. Beats end at once."""
    said: list[str] = []
    async with OtherConsul().serving("consul") as old, serving() as empty:
        for port in (1, 2, 3):
            await api.register(port=port)
        async with synced(api, Consul(old.url, "mark")):
            await until(lambda: len(old.agent) == 3)
        async with synced(empty, Consul(old.url, "mark"), said):
            await until(lambda: any("3 of 3 told before are gone here all at once" in line for line in said))
            old.passed.clear()
            asked = len(old.asked)
            await until(lambda: len(old.asked) > asked + 2)
            assert (len(old.agent), old.passed, len(said)) == (3, [], 1)


async def test_an_import_that_follows_waits_for_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a start of the host, that starts both."""
    said: list[str] = []
    monkeypatch.setattr(commands, "_AGAIN", 0.01)
    monkeypatch.setattr(commands, "say", said.append)
    async with (
        OtherConsul().serving("consul") as old, closed(source := Consul(old.url)), RegistryClient("http://127.0.0.1:1") as registry,
    ):  # fmt: skip
        with pytest.raises(Unreachable):
            await commands._import(registry, source, "*", HOLD, False, False, False)
        async with doing(commands._import(registry, source, "*", HOLD, True, False, False)):
            await until(lambda: len(said) > 1)
        assert "no registry answers" in said[0]


def test_what_is_told_by_registries_of_two_hosts_is_told_apart_where_both_call_theirs_localhost() -> None:
    assert commands._mark(["http://b:1", "http://a:1"]) == "http://a:1,http://b:1"
    assert commands._mark(["http://127.0.0.1:3100"]) == f"http://127.0.0.1:3100 at {socket.gethostname()}"


class LateEureka(OtherEureka):
    """Lists what it had when it began, as a real one does for up to 30 s."""

    async def _all(self, request: web.Request) -> web.Response:
        return self._json({})


async def test_what_an_eureka_does_not_list_yet_is_not_registered_again(api: Api) -> None:
    said: list[str] = []
    async with LateEureka().serving("eureka", "/eureka") as old:
        await api.register()
        async with synced(api, Eureka(old.url, api.url), said):
            await until(lambda: len(old.renewed) > 2)
    assert (len([each for each in old.asked if each.startswith("POST")]), len(said)) == (1, 1)


async def test_what_keeps_an_import_waiting_is_told_once() -> None:
    said: list[str] = []
    async with (
        OtherConsul().serving("consul") as old,
        OtherEureka().serving("http") as none,
        RegistryClient(none.url) as registry,
    ):
        work = Import(registry, source := Consul(old.url), HOLD, lambda name: True, said.append)
        async with closed(source), doing(work.follow()):
            await until(lambda: none.asked.count("GET /services") > 2)
    assert len(said) == 1, said


async def test_a_consul_that_shows_nothing_may_want_a_token() -> None:
    async with OtherConsul().serving("consul") as old, closed(source := Consul(old.url)):
        await source.read()
        assert "CONSUL_HTTP_TOKEN" in source.found.notes[0]
        old.put("web", "10.0.0.1", 80)
        await source.read()
        assert not source.found.notes
        old.away, old.status = True, 403
        with pytest.raises(SourceAway, match=r"with 403: .*CONSUL_HTTP_TOKEN"):
            await source.read()


class SlowConsul(OtherConsul):
    """Takes no registration before another one comes, and no beat either."""

    def __init__(self) -> None:
        super().__init__()
        self._two = asyncio.Barrier(2)

    async def _register(self, request: web.Request) -> web.Response:
        await self._two.wait()
        return await super()._register(request)

    async def _pass(self, request: web.Request) -> web.Response:
        await self._two.wait()
        return await super()._pass(request)


async def test_many_are_told_and_beat_side_by_side(api: Api) -> None:
    async with SlowConsul().serving("consul") as old:
        for port in (1, 2):
            await api.register(port=port)
        async with synced(api, Consul(old.url, api.url)):
            await until(lambda: len(old.passed) >= 4)


async def test_two_syncs_and_two_imports_make_no_circle(api: Api) -> None:
    """What is told to one is not taken from it, nor told to the other, nor copied back; after a restart of all, too."""
    async with (
        OtherConsul().serving("consul") as consul,
        OtherEureka().serving("eureka", "/eureka") as old,
        serving() as second,
    ):
        consul.put("old", "10.0.0.1", 80)
        old.put("ANCIENT", "10.0.0.2", 80)
        await api.register()
        await second.register(name="second", ip="10.0.0.3")

        def reflect() -> None:
            """Consul's catalog has what its agent was told."""
            for each in consul.agent.values():
                consul.put(each["Service"], each["Address"], each["Port"], Meta=each["Meta"])

        for _ in range(2):
            async with (
                imported(api, Consul(consul.url)), imported(api, Eureka(old.url)), synced(api, Consul(consul.url, api.url)),
                synced(api, Eureka(old.url, api.url)), imported(second, Consul(consul.url)), synced(second, Consul(consul.url, second.url)),
            ):  # fmt: skip
                await until(lambda: len(consul.agent) == 2 and len(old.instances) == 2 and len(places(api)) == 3)
                reflect()
                consul.asked.clear()
                await until(lambda: len(consul.asked) > 60)
            assert set(api.registry.services) == {"user-service", "old", "ancient"}
            assert set(second.registry.services) == {"second", "old"}
            assert {each["Service"] for each in consul.agent.values()} == {"user-service", "second"}
            assert {app for app, _ in old.instances} == {"ANCIENT", "USER-SERVICE"}


async def test_what_the_other_registry_refuses_is_told_and_keeps_nobody_else(api: Api) -> None:
    said: list[str] = []
    async with OtherConsul().serving("consul") as old:
        await api.register(name="bad")
        await api.register(name="good", port=2)
        async with synced(api, Consul(old.url, api.url), said):
            await until(lambda: [each["Service"] for each in old.agent.values()] == ["good"])
            await until(lambda: len(old.passed) > 3)
    assert len([line for line in said if "Invalid service name" in line]) == 1


async def test_while_the_registry_is_away_what_was_told_lives_on() -> None:
    said: list[str] = []
    async with OtherConsul().serving("consul") as old, AsyncExitStack() as registry:
        own = await registry.enter_async_context(serving())
        await own.register()
        async with synced(own, Consul(old.url, own.url), said):
            await until(lambda: old.passed)
            await registry.aclose()
            await until(lambda: any("it is tried again" in line for line in said))
            old.passed.clear()
            await until(lambda: len(old.passed) > 2)
            assert {each["Meta"][MARK] for each in old.agent.values()} == {own.url}
        async with synced(own, Consul(old.url, own.url), said):  # another process, which has never heard of it
            old.passed.clear()
            await until(lambda: len(old.passed) > 1)
            assert old.agent


@pytest.mark.parametrize("keys", [{"a": 1}, 7])
async def test_keys_such_as_no_consul_has_are_told_in_a_line(keys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask(*_: object, **__: object) -> Answer:
        return Answer(200, {}, keys)

    async with closed(source := Consul("consul://127.0.0.1:1")), RegistryClient(["http://127.0.0.1:1"]) as registry:
        monkeypatch.setattr(source, "ask", ask)
        with pytest.raises(SourceAway, match="what no such registry says"):
            await commands._import(registry, source, "*", 60, False, True, False)
