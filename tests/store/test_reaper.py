"""The reaper on an event loop: it wakes when something is due, and at no other time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest

from discovery.core.caller import NOBODY, Caller
from discovery.core.event import Commit, InstanceEvent, Kind
from discovery.core.instance import Key
from discovery.engines.local import LocalEngine
from discovery.store.errors import EngineAway
from discovery.store.expiry import Expire
from discovery.store.operations import ChangeSettings
from discovery.store.reaper import Reaper
from discovery.store.write import Write
from discovery.system.turns import TURN
from tests.driven import APART, DrivenRegistry
from tests.store.making import START, WALL, Log, a_registry, spec
from tests.store.time_travel import TimeTravelLoop, travel

T = TypeVar("T")

KEY = Key("web", "10.0.0.1", 80)
# A timer may come this late, seconds: the loop's timers have a grain.
LATE = 0.01
# Changes that may come in one turn of the event loop: at 20 µs each, and one more that was begun in time.
A_TURN = round(TURN / 20e-6) + 1


class Watchful(LocalEngine):
    """Notes when it is asked what time has brought. `costs`: seconds that each decision takes."""

    def __init__(self, registry: DrivenRegistry, clock: Callable[[], float], costs: float = 0.0) -> None:
        super().__init__(registry, clock, lambda: clock() + APART)
        self.loop = asyncio.get_running_loop()
        self.costs = costs
        self.asked: list[float] = []

    async def submit(self, write: Write[T], by: Caller = NOBODY) -> T:
        assert write.action == Expire.action
        assert isinstance(self.loop, TimeTravelLoop)
        self.asked.append(self.loop.time())
        self.loop.leap(self.costs)
        return await super().submit(write, by)


class Watched:
    """A reaper at work. `seen`: what came of it, and when."""

    def __init__(self, registry: DrivenRegistry, costs: float) -> None:
        self.clock = asyncio.get_running_loop().time
        self.registry = registry
        self.engine = Watchful(registry, self.clock, costs)
        self.seen: list[tuple[float, Kind]] = []
        self.log = Log.of(registry)
        registry.followers.append(self.note)
        self.reaper = Reaper(registry, self.engine, self.clock)

    def note(self, commit: Commit) -> None:
        events = [event for event in commit.events if isinstance(event, InstanceEvent)]
        self.seen += ((self.clock(), event.kind) for event in events)

    @property
    def wakes(self) -> list[float]:
        """When it woke: at each it asks until nothing is due."""
        return sorted(set(self.engine.asked))

    def last(self, kind: Kind) -> float:
        return next(at for at, seen in reversed(self.seen) if seen is kind)


@contextmanager
def reaping(registry: DrivenRegistry | None = None, costs: float = 0.0) -> Iterator[Watched]:
    watched = Watched(a_registry() if registry is None else registry, costs)
    watched.reaper.start()
    yield watched
    watched.reaper.stop()


def test_it_publishes_each_moment_when_it_comes() -> None:
    async def story() -> None:
        with reaping() as watched:
            watched.registry.register(spec(), watched.clock(), WALL)
            await asyncio.sleep(60)
            assert watched.log.kinds() == [Kind.REGISTERED, Kind.UNHEALTHY, Kind.EXPIRED]
            assert 110.0 <= watched.last(Kind.UNHEALTHY) <= 110.0 + LATE
            assert 115.0 <= watched.last(Kind.EXPIRED) <= 115.0 + LATE
            assert len(watched.wakes) == 2

    travel(story())


def test_it_never_wakes_over_an_empty_registry() -> None:
    async def story() -> None:
        with reaping() as watched:
            await asyncio.sleep(10_000)
            assert watched.wakes == []

    travel(story())


def test_it_does_not_wake_once_everything_is_gone() -> None:
    async def story() -> None:
        with reaping() as watched:
            watched.registry.register(spec(), watched.clock(), WALL)
            await asyncio.sleep(60)
            before = len(watched.wakes)
            await asyncio.sleep(10_000)
            assert len(watched.wakes) == before

    travel(story())


def test_heartbeats_keep_it_asleep_for_a_lease_at_a_time() -> None:
    async def story() -> None:
        with reaping() as watched:
            watched.registry.register(spec(), watched.clock(), WALL)
            for _ in range(1_000):
                await asyncio.sleep(1)
                watched.registry.renew(KEY, watched.clock())
            assert watched.log.kinds() == [Kind.REGISTERED]
            assert len(watched.wakes) <= 1_000 / 9 + 1  # a lease of 10 s that is renewed each second

    travel(story())


def test_a_new_instance_with_an_earlier_deadline_wakes_it_earlier() -> None:
    async def story() -> None:
        with reaping() as watched:
            watched.registry.register(spec(ttl=3600), watched.clock(), WALL)
            await asyncio.sleep(1)
            watched.registry.register(spec("api", ttl=2), watched.clock(), WALL)
            await asyncio.sleep(60)
            assert 103.0 <= watched.last(Kind.UNHEALTHY) <= 103.0 + LATE

    travel(story())


def test_a_shorter_ttl_at_re_registration_wakes_it_earlier() -> None:
    async def story() -> None:
        with reaping() as watched:
            watched.registry.register(spec(ttl=3600), watched.clock(), WALL)
            await asyncio.sleep(1)
            watched.registry.register(spec(ttl=2), watched.clock(), WALL)
            await asyncio.sleep(3_000)
            assert watched.log.kinds() == [Kind.REGISTERED, Kind.UPDATED, Kind.UNHEALTHY, Kind.EXPIRED]
            assert 103.0 <= watched.last(Kind.UNHEALTHY) <= 103.0 + LATE

    travel(story())


def test_an_instance_that_comes_to_life_again_is_watched_again() -> None:
    async def story() -> None:
        with reaping() as watched:
            watched.registry.register(spec(), watched.clock(), WALL)
            await asyncio.sleep(12)
            watched.registry.renew(KEY, watched.clock())
            await asyncio.sleep(60)
            assert watched.log.kinds()[1:] == [Kind.UNHEALTHY, Kind.HEALTHY, Kind.UNHEALTHY, Kind.EXPIRED]
            assert 122.0 <= watched.last(Kind.UNHEALTHY) <= 122.0 + LATE
            assert 130.0 <= watched.last(Kind.EXPIRED) <= 130.0 + LATE

    travel(story())


def test_what_was_registered_before_it_started_is_watched_too() -> None:
    async def story() -> None:
        registry = a_registry()
        registry.register(spec(), START, WALL)
        with reaping(registry) as watched:
            await asyncio.sleep(60)
            assert watched.log.kinds() == [Kind.UNHEALTHY, Kind.EXPIRED]

    travel(story())


def test_a_crowd_is_worked_off_in_pieces_with_the_loop_free_in_between() -> None:
    crowd = 1_000

    async def story() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, TimeTravelLoop)
        with reaping(a_registry(max_instances=crowd), costs=20e-6) as watched:
            for port in range(1, crowd + 1):
                watched.registry.register(spec(port=port), START, WALL)
            for left, moment in ((crowd, Kind.UNHEALTHY), (0, Kind.EXPIRED)):
                loop.leap(11)
                while [kind for _, kind in watched.seen].count(moment) < crowd:
                    before = len(watched.seen)
                    await asyncio.sleep(0)
                    assert len(watched.seen) - before <= A_TURN
                assert len(watched.registry) == left

    travel(story())


def test_a_reaper_that_was_stopped_stays_so() -> None:
    async def story() -> None:
        with reaping() as watched:
            watched.registry.register(spec(), watched.clock(), WALL)
        await asyncio.sleep(60)
        assert watched.wakes == []
        watched.registry.register(spec("api"), watched.clock(), WALL)
        await asyncio.sleep(60)
        assert watched.wakes == []

    travel(story())


@pytest.mark.parametrize("ttl", [0.02, 0.0301])
async def test_it_keeps_real_time_on_a_real_loop(ttl: float) -> None:
    gone = asyncio.Event()
    registry = a_registry(lease_ttl=ttl, cleanup_interval=0.01, started_at=time.monotonic())
    log = Log.of(registry)
    at: dict[Kind, float] = {}

    def note(commit: Commit) -> None:
        for event in commit.events:
            assert isinstance(event, InstanceEvent)
            at[event.kind] = time.monotonic()
            if event.kind is Kind.EXPIRED:
                gone.set()

    registry.followers.append(note)
    reaper = Reaper(registry, LocalEngine(registry, time.monotonic, time.time), time.monotonic)
    reaper.start()
    registered = time.monotonic()
    registry.register(spec(), registered, WALL)
    async with asyncio.timeout(20):
        await gone.wait()
    reaper.stop()
    assert log.kinds() == [Kind.REGISTERED, Kind.UNHEALTHY, Kind.EXPIRED]
    assert at[Kind.UNHEALTHY] >= registered + ttl
    assert at[Kind.EXPIRED] >= registered + ttl + 0.01


async def test_while_the_engine_is_away_it_waits_and_its_line_has_no_traceback(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = a_registry(lease_ttl=0.02, cleanup_interval=0.01, started_at=time.monotonic())
    engine = LocalEngine(registry, time.monotonic, time.time)
    asked = asyncio.Event()

    async def away(write: Write[T], by: Caller = NOBODY) -> T:
        asked.set()
        raise EngineAway("a test says so")

    monkeypatch.setattr(engine, "submit", away)
    reaper = Reaper(registry, engine, time.monotonic)
    reaper.start()
    registry.register(spec(), time.monotonic(), WALL)
    async with asyncio.timeout(20):
        await asked.wait()
        await asyncio.sleep(0)
    reaper.stop()
    [record] = caplog.records
    assert "waits" in record.message
    assert record.exc_info is None


def test_where_another_node_leads_shorter_leases_are_looked_at_once_and_no_commit_wakes_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story() -> None:
        monkeypatch.setattr(Watchful, "leads", False)
        registry = a_registry(lease_ttl=600.0, max_instances=2000)
        with reaping(registry) as watched:
            for port in range(1, 1200):
                registry.register(spec(port=port), watched.clock(), WALL)
            registry.do(
                ChangeSettings(registry.settings._replace(heartbeat_timeout_seconds=20.0)), watched.clock(), WALL
            )
            await asyncio.sleep(0.1)
            assert registry.next_deadline() == pytest.approx(watched.clock() + 20, abs=1)
            assert watched.wakes == []

    travel(story())
