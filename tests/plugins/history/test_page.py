"""A page of the history is what a plain walk over all events gives, whatever is asked, page after page."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discovery.core.caller import NOBODY, Caller
from discovery.core.event import Commit, InstanceEvent, instant_of
from discovery.core.instance import Key
from discovery.core.maintenance import Scope, Window
from discovery.plugins.history import reading
from discovery.plugins.history.asked import Asked, Page, ServerEvent
from discovery.plugins.history.file import Info
from discovery.plugins.history.reading import Reading
from discovery.plugins.history.rows import PER_COMMIT, StoredEvent, keyed
from discovery.rest.api.following.event_view import KINDS
from tests.examples import examples
from tests.plugins.history.house import House
from tests.store.making import spec

CI = Caller("10.9.9.9", "ci")


class Written(NamedTuple):
    """`events`: of all commits, oldest first."""

    files: tuple[Info, ...]
    events: list[StoredEvent]

    def page(self, asked: Asked) -> Page:
        return Reading(self.files).page(asked)


@pytest.fixture(scope="module")
def written() -> Iterator[Written]:
    """Three days in three files: a service that comes and goes, one in maintenance, lapses that are told late."""
    with tempfile.TemporaryDirectory() as path, asyncio.Runner() as runner:
        house, commits = runner.run(_write(Path(path)))
        events = [
            StoredEvent(first + number, commit.wall, commit.by, event)
            for first, commit in keyed(commits)
            for number, event in enumerate(commit.events)
        ]
        yield Written(house.folder.files, events)


async def _write(path: Path) -> tuple[House, list[Commit]]:
    house = House(path / "history")
    commits: list[Commit] = []
    house.registry.followers.append(commits.append)
    for day in range(4):
        for port in range(1, 6):
            house.register(spec("web", port=port), CI if port % 2 else Caller("10.0.0.7"))
            house.register(spec("api", "10.0.0.2", port, ttl=3.0))
            house.advance(0.25)
        registry = house.registry
        registry.drain(Key("web", "10.0.0.1", 1), True, "asked for", house.now, house.wall())
        registry.maintain(Scope("web"), Window("a new disk", house.wall() + 20), house.now, house.wall())
        house.now += 5.0
        for _ in range(13):
            house.advance(3600.0 if day < 3 else 2.0)
    await house.end()
    return house, commits


ASKED = st.builds(
    Asked,
    st.sampled_from([None, frozenset({"web"}), frozenset({"api"}), frozenset({"web", "api"}), frozenset({"none"})]),
    st.sampled_from([None, "10.0.0.1", "10.0.0.2", "10.0.0.3"]),
    st.sampled_from([None, "ci", "10.9.9.9", "10.0.0.7", "nobody"]),
    st.sampled_from([None, frozenset({"unhealthy"}), frozenset({"registered", "expired"}), frozenset(KINDS)]),
    st.one_of(st.none(), st.integers(0, 10**9)),
    st.one_of(st.none(), st.integers(0, 10**9)),
    st.none(),
    st.sampled_from([1, 2, 7, 1000]),
)


def placed(asked: Asked, events: list[StoredEvent]) -> Asked:
    """`since` and `until` at some event's time, or just beside."""

    def moment(number: float | None) -> float | None:
        if number is None:
            return None
        wall = events[int(number) % len(events)].wall
        return wall + (-1.0, 0.0, 0.125)[int(number) % 3]

    return asked._replace(since=moment(asked.since), until=moment(asked.until))


def all_pages(page: Page, asked: Asked, more: Callable[[Asked], Page]) -> list[Page]:
    pages = [page]
    while (next_ := pages[-1].next) is not None:
        pages.append(more(asked._replace(before=next_)))
    return pages


def events_of(pages: list[Page]) -> list[StoredEvent]:
    return [item for page in pages for item in page.items if isinstance(item, StoredEvent)]


@settings(max_examples=examples(60))
@given(ASKED)
def test_what_is_asked_for_is_what_comes_newest_first_in_pages(written: Written, asked: Asked) -> None:
    asked = placed(asked, written.events)
    expected = [each for each in reversed(written.events) if holds(asked, each)]
    from_files = all_pages(written.page(asked), asked, written.page)
    assert [plain(each) for each in events_of(from_files)] == [plain(each) for each in expected]
    assert all(len(page.items) == asked.limit for page in from_files[:-1])


def holds(asked: Asked, stored: StoredEvent) -> bool:
    """But for the cursor."""
    event, instant = stored.event, instant_of(stored.event, stored.wall)
    ip = event.instance.spec.ip if isinstance(event, InstanceEvent) else event.place.get("ip")
    return (
        (asked.services is None or event.service in asked.services)
        and (asked.kinds is None or event.name in asked.kinds)
        and asked.actor in (None, stored.by.name, stored.by.address)
        and asked.ip in (None, ip)
        and (asked.since is None or instant >= asked.since)
        and (asked.until is None or instant < asked.until)
    )


def plain(stored: StoredEvent) -> object:
    """Without what no answer shows: what a lease does, the grants of a caller, the tombstone, the registrant."""
    event = stored.event
    if isinstance(event, InstanceEvent):
        before, after = (each and each._replace(registrant=NOBODY) for each in (event.before, event.after))
        event = event._replace(before=before, after=after, renews=False, buried_until=None)
    return stored._replace(by=Caller(*stored.by[:2]), event=event, file=0)


def test_indexes_fall_from_first_to_last_and_the_start_comes_last(written: Written) -> None:
    items = written.page(Asked(limit=1000)).items
    keys = [item.key for item in items]
    assert all(newer > older for newer, older in pairwise(keys))
    assert isinstance(items[-1], ServerEvent)
    assert (items[-1].kind, items[-1].reason) == ("started", "the server started; instances that it knew: 0")


def test_days_are_in_files_of_their_own(written: Written) -> None:
    assert len(written.files) == 3
    assert written.page(Asked()).missing is None


def test_starts_and_stops_are_of_every_service_and_host_but_of_no_token(written: Written) -> None:
    def kinds(asked: Asked) -> set[str]:
        return {item.kind for item in written.page(asked).items if isinstance(item, ServerEvent)}

    assert kinds(Asked(frozenset({"web"}), limit=1000)) == kinds(Asked(ip="10.0.0.1", limit=1000)) == {"started"}
    assert kinds(Asked(kinds=frozenset({"started"}))) == {"started"}
    assert kinds(Asked(actor="ci", limit=1000)) == kinds(Asked(kinds=frozenset({"expired"}), limit=1000)) == set()


def test_what_lies_before_the_history_is_said_to_be_missing(written: Written) -> None:
    begin = written.files[0].wall
    assert written.page(Asked(since=begin)).missing is None
    assert written.page(Asked(since=begin - 1)).missing == "it does not go back so far"


async def test_a_page_ends_after_a_mebibyte_and_the_next_goes_on_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PAGE_OCTETS", 100_000)
    house = House(tmp_path / "history", max_instances=100)
    for port in range(1, 51):
        house.register(spec("web", port=port, metadata={"text": "x" * 15_000}))
    asked, sizes = Asked(limit=1000), list[int]()
    while True:
        page = await house.page(asked)
        sizes.append(len([each for each in page.items if isinstance(each, StoredEvent)]))
        if page.next is None:
            break
        asked = asked._replace(before=page.next)
    assert max(sizes) == 7, "the seventh makes it a mebibyte, were it one"
    assert sum(sizes) == 50
    await house.end()


async def test_commits_that_share_an_index_lose_no_event_however_many_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of one etcd transaction, and of a node that reads everything again."""
    house, commits = House(tmp_path / "history", max_instances=2000), list[Commit]()
    house.registry.followers.append(commits.append)
    with monkeypatch.context() as together:
        together.setattr(house.registry, "publish", lambda index: None)
        for port in range(1, PER_COMMIT + 10):
            house.register(spec("web", port=port))
    house.registry.publish(house.registry.index + 1)
    house.register(spec("web", port=2000))
    assert len({commit.index for commit in commits}) == 2
    for limit in (100, 5000):
        found, asked = list[int](), Asked(limit=limit)
        while True:
            page = await house.page(asked)
            events = [each.event for each in page.items if isinstance(each, StoredEvent)]
            found += [event.instance.spec.port for event in events if isinstance(event, InstanceEvent)]
            if page.next is None:
                break
            asked = asked._replace(before=page.next)
        assert found == [2000, *range(PER_COMMIT + 9, 0, -1)]
    await house.end()
