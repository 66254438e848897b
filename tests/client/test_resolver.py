"""The Resolver: fresh by events, and still answering while the server is away."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator

import pytest

from discovery.client import (
    NoInstance,
    NotARegistry,
    Refused,
    Resolver,
    Unreachable,
    blocking,
    event_stream,
    known,
    resolver,
)
from tests.client.fake_registry import FakeRegistry
from tests.client.servers import nobody
from tests.waiting import until

API = "GET /resolve/api"
EVENTS = "GET /events"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(resolver, "FIRST_PAUSE", 0.01)


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry().running() as registry:
        registry.put("api", 1)
        yield registry


async def ports(resolver: Resolver, name: str = "api") -> list[int | None]:
    return [each.port for each in await resolver.instances(name)]


async def until_ports(resolver: Resolver, wanted: list[int], name: str = "api") -> None:
    async with asyncio.timeout(60):
        while await ports(resolver, name) != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def followed(registry: FakeRegistry, resolver: Resolver) -> None:
    """The stream is up and what it made be read has been read."""
    await until(lambda: registry.streams and resolver._live and not resolver._tasks)


async def test_a_name_is_asked_for_once_and_events_keep_it_true(registry: FakeRegistry) -> None:
    async with Resolver(urls=registry.url) as found:
        assert await ports(found) == [1]
        await followed(registry, found)
        asked = registry.asked[API]
        registry.put("api", 2)
        await until_ports(found, [2, 1])
        registry.remove("api", 1)
        await until_ports(found, [2])
        assert [(await found.pick("API")).address for _ in range(3)] == ["10.0.0.1:2"] * 3
        assert registry.asked[API] == asked, "nothing was asked again"
    assert registry.followed == [({"service": "api"}, None)]


async def test_many_who_ask_for_a_name_at_once_ask_once(registry: FakeRegistry) -> None:
    registry.always[EVENTS] = (404, {"message": "an older registry"})
    async with Resolver(urls=registry.url) as found:
        await asyncio.gather(*(found.instances("api") for _ in range(50)))
    assert registry.asked[API] == 1


async def test_a_name_that_is_asked_for_later_is_followed_too(registry: FakeRegistry) -> None:
    async with Resolver(urls=registry.url) as found:
        await found.instances("api")
        await followed(registry, found)
        assert await ports(found, "web") == []
        await until(lambda: len(registry.followed) == 2)
        await followed(registry, found)
        registry.put("web", 7)
        await until_ports(found, [7], "web")
        registry.put("api", 2)
        await until_ports(found, [2, 1])
    assert registry.followed[1][0]["service"] == "api,web"


@pytest.mark.parametrize(("name", "other"), [("a,b", "A,B"), ("ÖRDERS db", "Örders DB")])
async def test_names_of_any_letters_are_followed(registry: FakeRegistry, name: str, other: str) -> None:
    folded = name.encode().lower().decode()
    registry.put(folded, 1)
    async with Resolver(urls=registry.url) as found:
        assert await ports(found, folded) == [1]
        await followed(registry, found)
        registry.put(folded, 2)
        await until_ports(found, [2, 1], folded)
        assert await ports(found, other) == [2, 1]
    assert registry.followed[-1][0].get("service") == (None if "," in name else folded)


def test_a_filter_is_no_longer_than_a_url_may_be() -> None:
    assert resolver._filter({"ü" * 250}) == "ü" * 250
    assert resolver._filter({f"{'ü' * 250}{number}" for number in range(3)}) is None


async def test_when_the_last_one_goes_the_registry_is_asked_whether_that_is_so(registry: FakeRegistry) -> None:
    async with Resolver(urls=registry.url) as found:
        await found.instances("api")
        await followed(registry, found)
        asked = registry.asked[API]
        registry.remove("api", 1)
        await until_ports(found, [])
        await until(lambda: registry.asked[API] == asked + 1)
        with pytest.raises(NoInstance, match="api"):
            await found.pick("api")


async def test_after_a_reset_the_lists_are_read_anew(registry: FakeRegistry) -> None:
    async with Resolver(urls=registry.url) as found:
        await found.instances("api")
        await followed(registry, found)
        streams, registry.streams = registry.streams, []
        registry.put("api", 2)  # nobody hears it
        registry.streams = streams
        registry.reset(oldest=registry.index)
        await until_ports(found, [2, 1])


async def test_a_registry_that_gives_the_same_numbers_anew_is_not_believed_to_have_gone_on(
    registry: FakeRegistry,
) -> None:
    async with Resolver(urls=registry.url) as found:
        await found.instances("api")
        await followed(registry, found)
        registry.put("api", 2)
        await until_ports(found, [2, 1])
        registry.services.clear()  # it has started again without its memory, and has come to a number it had given before
        streams, registry.streams = registry.streams, []
        registry.index -= 1
        registry.put("api", 3)
        registry.streams = streams
        registry.break_streams()
        await until_ports(found, [3])


async def test_while_the_registry_is_away_the_last_good_list_is_served_at_once() -> None:
    server = FakeRegistry()
    async with server.running() as registry:
        registry.put("api", 1)
        found = Resolver(urls=registry.url, timeout=0.2)
        assert await ports(found) == [1]
        await followed(registry, found)
    known = found._known["api"]
    for _ in range(10):
        known.read_at = float("-inf")  # as if it had been away for long
        with pytest.raises(StopIteration) as done:  # it waits for nothing
            found.instances("api").send(None)
        assert [each.port for each in done.value.value] == [1]
        await asyncio.sleep(0)
    await found.close()


async def test_an_answer_that_nobody_is_there_is_doubted_after_a_gap(
    registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "GRACE", 1.0)
    monkeypatch.setattr(resolver, "GRACE", 1.0)
    async with Resolver(urls=registry.url) as found:
        await found.instances("api")
        await followed(registry, found)
        registry.services.clear()  # it has started again, without its memory
        registry.index = 1
        asked = registry.asked[API]
        registry.break_streams()
        await until(lambda: registry.asked[API] == asked + 1)
        await followed(registry, found)
        assert await ports(found) == [1]
        await until_ports(found, [])


async def test_where_there_are_no_events_lists_are_read_again_when_they_are_old(
    registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.always[EVENTS] = (404, {"message": "an older registry"})
    monkeypatch.setattr(resolver, "MAX_AGE", 0.05)
    async with Resolver(urls=registry.url) as found:
        assert await ports(found) == [1]
        registry.put("api", 2)
        await until_ports(found, [2, 1])


async def test_a_stream_that_is_refused_is_asked_for_again(registry: FakeRegistry) -> None:
    registry.refusals[EVENTS] = [(503, {"message": "too many"}), (401, {"message": "who?"}), (200, "no stream")]
    async with Resolver(urls=registry.url) as found:
        await found.instances("api")
        await followed(registry, found)
        registry.put("api", 2)
        await until_ports(found, [2, 1])


async def test_the_first_time_an_error_is_the_callers_and_nothing_is_kept(registry: FakeRegistry) -> None:
    async with Resolver(urls=nobody()) as found:
        with pytest.raises(Unreachable):
            await found.instances("api")
    registry.refusals[API] = [(401, {"message": "who?"}), (200, {"instances": [{"ip": 7}]}), (200, {"instances": 7})]
    async with Resolver(urls=registry.url) as found:
        with pytest.raises(Refused):
            await found.instances("api")
        for _ in range(2):
            with pytest.raises(NotARegistry):
                await found.instances("api")
        assert await ports(found) == [1]


async def test_an_error_is_nobodys_when_whoever_asked_no_longer_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after `asyncio.timeout`. Others may wait for the same, so it is read all the same."""
    has_left, errors = asyncio.Event(), list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: errors.append(context))

    async def fails(known: object, certain: bool) -> None:
        await has_left.wait()
        raise ValueError

    async with Resolver(urls=nobody()) as found:
        monkeypatch.setattr(found, "_read", fails)
        asking = asyncio.create_task(found.instances("api"))
        await until(lambda: found._reads)
        asking.cancel()
        await asyncio.wait([asking])
        del asking
        has_left.set()
        await until(lambda: not found._reads)
        gc.collect()
    assert errors == []


async def test_an_event_that_cannot_be_read_makes_the_list_be_read(registry: FakeRegistry) -> None:
    async with Resolver(urls=registry.url) as found:
        await found.instances("api")
        await followed(registry, found)
        asked = registry.asked[API]
        registry._tell("api", None, {"ip": "10.0.0.1"})
        await until(lambda: registry.asked[API] == asked + 1)
        assert await ports(found) == [1]


async def test_one_that_failed_twice_rests(registry: FakeRegistry) -> None:
    registry.put("api", 2)
    async with Resolver(urls=registry.url, strategy="round_robin") as found:
        for instance in await found.instances("api"):
            if instance.port == 1:
                found.failed(instance)
                found.failed(instance)
        assert {(await found.pick("api")).port for _ in range(4)} == {2}


async def test_the_names_that_are_kept_are_bounded_and_the_one_not_asked_for_longest_goes(
    registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "MAX_NAMES", 3)
    async with Resolver(urls=registry.url) as found:
        for name in ("api", "a", "b", "api", "c"):
            await found.instances(name)
        assert list(found._known) == ["b", "api", "c"]


async def test_many_names_are_followed_without_a_filter(
    registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "MAX_FILTER", 1)
    async with Resolver(urls=registry.url) as found:
        await asyncio.gather(*map(found.instances, ("api", "web")))
        await until(lambda: registry.followed and registry.followed[-1][0] == {})
        await followed(registry, found)
        registry.put("web", 7)
        await until_ports(found, [7], "web")


async def test_a_name_that_is_none_is_refused_and_does_not_reach_another_route(registry: FakeRegistry) -> None:
    async with Resolver(urls=registry.url) as found:
        await found.instances("../services?x=")
    assert not any(what == "GET /services" for what, _ in registry.bodies)


async def test_threads_share_one_resolver(registry: FakeRegistry) -> None:
    def work() -> None:
        with blocking.Resolver(urls=registry.url) as found:
            picked = [found.pick("api").port for _ in range(5)]
            assert (picked, [each.port for each in found.instances("api")]) == ([1] * 5, [1])
            found.failed(found.pick("api"))
        done.append(threading.current_thread())

    done: list[threading.Thread] = []
    await asyncio.gather(*(asyncio.to_thread(work) for _ in range(4)))
    assert len(done) == 4


async def test_those_of_ones_own_zone_are_picked_and_after_a_change_the_registry_says_anew_which_these_are(
    registry: FakeRegistry,
) -> None:
    registry.put("api", 2)
    registry.own_zone = {"zone": {"first": 1, "why": "near"}}
    async with Resolver(urls=registry.url) as found:
        assert {(await found.pick("api")).port for _ in range(20)} == {2}
        await followed(registry, found)
        registry.own_zone = {"zone": {"first": 2, "why": "near"}}
        registry.put("api", 3)
        await until_ports(found, [3, 2, 1])
        await until(lambda: not found._tasks)
        assert {(await found.pick("api")).port for _ in range(50)} == {3, 2}
