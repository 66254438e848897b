"""Who makes way when there are too many connections: against a list, oldest first, of all that are open."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.core.address import client_prefix
from discovery.rest.http.connections import Connections, Part

ALICE, BOB, CAROL = "203.0.113.7", "198.51.100.7", "2001:db8::7"


@dataclass(eq=False)
class Fake:
    """A connection: `busy` while it has a request in hand; `gone` once it had to make way."""

    address: str = ALICE
    busy: bool = False
    gone: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.beat_at = float("-inf")
        self.part: Part | None = None
        self.prefix = client_prefix(self.address)

    def is_idle(self) -> bool:
        return not self.busy

    def make_way(self) -> None:
        self.gone = True


def opened(limits: Connections, *fakes: Fake) -> list[Fake]:
    """All of them were let in."""
    assert all([limits.opened(fake) for fake in fakes])  # noqa: C419  all of them are opened
    return list(fakes)


def used(limits: Connections, fake: Fake) -> None:
    limits.used(fake, 1000.0)


def gone(fakes: list[Fake]) -> list[int]:
    return [number for number, fake in enumerate(fakes) if fake.gone]


@pytest.fixture(name="limits", params=[(3, 100), (100, 3)], ids=["in all", "of one address"])
def _limits(request: pytest.FixtureRequest) -> Connections:
    return Connections(*request.param)


def test_up_to_the_limit_nobody_makes_way(limits: Connections) -> None:
    fakes = opened(limits, Fake(), Fake(), Fake())
    assert (len(limits), gone(fakes), limits.made_way, limits.refused) == (3, [], 0, 0)


def test_the_newcomer_gets_in_and_the_oldest_that_has_sent_nothing_goes(limits: Connections) -> None:
    fakes = opened(limits, Fake(), Fake(), Fake())
    used(limits, fakes[0])
    opened(limits, Fake())
    assert (len(limits), gone(fakes), limits.made_way, limits.refused) == (3, [1], 1, 0)


def test_among_those_that_have_sent_a_request_the_longest_silent_goes(limits: Connections) -> None:
    """Not the first to have sent one: those that beat for the longest time were closed first."""
    fakes = opened(limits, Fake(), Fake(), Fake())
    for number in (2, 0, 1):
        used(limits, fakes[number])
    used(limits, fakes[2])
    opened(limits, Fake(busy=True))
    assert gone(fakes) == [0]


def test_a_busy_one_stays_and_the_next_goes(limits: Connections) -> None:
    fakes = opened(limits, Fake(busy=True), Fake(), Fake())
    for fake in fakes:
        used(limits, fake)
    opened(limits, Fake())
    assert gone(fakes) == [1]


def test_one_that_owes_the_rest_of_a_request_goes_before_those_that_owe_nothing(limits: Connections) -> None:
    fakes = opened(limits, Fake(), Fake(), Fake(busy=True))
    for fake in fakes:
        used(limits, fake)
    limits.owes(fakes[2])
    opened(limits, Fake())
    assert gone(fakes) == [2]
    limits.owes(fakes[1])
    used(limits, fakes[1])
    opened(limits, Fake(), Fake())
    assert gone(fakes) == [2], "the newcomers, which have sent nothing, go first"


def test_when_all_are_busy_the_newcomer_is_refused_and_not_counted(limits: Connections) -> None:
    fakes = opened(limits, *(Fake(busy=True) for _ in range(3)))
    for fake in fakes:
        used(limits, fake)
    late = Fake()
    assert not limits.opened(late)
    limits.closed(late)
    assert (len(limits), gone(fakes), limits.made_way, limits.refused) == (3, [], 0, 1)
    fakes[1].busy = False
    opened(limits, Fake())
    assert gone(fakes) == [1]


def test_those_that_are_busy_for_long_hide_nobody_who_may_go() -> None:
    """They are the longest silent. Whoever had 64 watchers could keep everybody out with connections that did nothing."""
    limits = Connections(224, 202)  # for those who have not beaten, 202 in all, too
    watchers, idle = (
        opened(limits, *(Fake(busy=True) for _ in range(200))), opened(limits, Fake(), Fake()),
    )  # fmt: skip
    for fake in watchers:
        used(limits, fake)
        limits.busy(fake)
    for fake in idle:
        used(limits, fake)
    opened(limits, Fake(), Fake(), Fake())
    assert (gone(watchers), gone(idle)) == ([], [0])
    limits.closed(watchers.pop())
    opened(limits, Fake())
    for fake in watchers:
        fake.busy = False
        used(limits, fake)
    assert len(limits) == 202


def test_one_that_closes_makes_room_without_anybody_making_way(limits: Connections) -> None:
    fakes = opened(limits, Fake(), Fake(), Fake())
    limits.closed(fakes[1])
    limits.closed(fakes[1])
    opened(limits, Fake())
    assert (len(limits), gone(fakes), limits.made_way) == (3, [], 0)


def test_one_that_made_way_and_then_closes_is_not_counted_twice(limits: Connections) -> None:
    fakes = opened(limits, Fake(), Fake(), Fake())
    opened(limits, Fake())
    limits.closed(fakes[0])
    used(limits, fakes[0])
    assert len(limits) == 3


def test_one_address_takes_nothing_from_another() -> None:
    limits = Connections(100, 2)
    others = opened(limits, Fake(BOB), Fake(CAROL), Fake(CAROL))
    mine = opened(limits, Fake(), Fake())
    opened(limits, Fake(), Fake())
    assert (gone(others), gone(mine)) == ([], [0, 1])
    for fake in others:
        used(limits, fake)
        fake.busy = True
    assert not limits.opened(Fake(CAROL))
    opened(limits, Fake(BOB))


def test_when_there_are_too_many_in_all_the_oldest_makes_way_whoever_it_is() -> None:
    limits = Connections(3, 2)
    fakes = opened(limits, Fake(ALICE), Fake(BOB), Fake(BOB))
    opened(limits, Fake(CAROL), Fake(CAROL))
    assert gone(fakes) == [0, 1]


def test_a_crowd_of_idle_connections_keeps_nobody_out() -> None:
    limits = Connections(10_000, 1000)
    crowd = opened(limits, *(Fake() for _ in range(1000)))
    beating = [fake for fake in crowd if crowd.index(fake) % 10 == 0]
    for fake in beating:
        used(limits, fake)
    newcomers = opened(limits, *(Fake() for _ in range(5000)))
    assert len(limits) == 1000
    assert limits.made_way == 5000
    assert limits.refused == 0
    assert not gone(beating), "those that have sent a request stay while there are others"
    assert gone(newcomers) == list(range(5000 - 900))


def test_those_that_beat_are_closed_last_however_many_ask_behind_them() -> None:
    limits = Connections(100, 100)
    beating = opened(limits, *(Fake() for _ in range(10)))
    for fake in beating:
        fake.beat_at = 990.0
        used(limits, fake)
    asking = list[Fake]()
    for _ in range(1000):
        asking += opened(limits, Fake(BOB))
        used(limits, asking[-1])
    assert (gone(beating), len(gone(asking))) == ([], 1000 - 80)
    for fake in asking:
        limits.closed(fake)
    fakes = opened(limits, *(Fake(BOB, busy=True) for _ in range(80)))
    for fake in fakes:
        used(limits, fake)
        limits.busy(fake)
    opened(limits, Fake(CAROL))
    assert gone(beating) == [0]


def test_a_tenth_of_the_room_is_for_newcomers_from_where_somebody_has_beaten() -> None:
    limits, now = Connections(100, 100), monotonic()
    [beats] = opened(limits, Fake(ALICE))
    beats.beat_at = now
    limits.beats(beats, now)
    limits.closed(beats)
    fakes = opened(limits, *(Fake(BOB, busy=True) for _ in range(90)))
    for fake in fakes:
        used(limits, fake)
        limits.busy(fake)
    assert not limits.opened(Fake(CAROL))
    opened(limits, *(Fake(ALICE, busy=True) for _ in range(10)))
    assert (len(limits), limits.refused) == (100, 1)


OPS = st.tuples(
    st.sampled_from(("open", "open", "open", "use", "beat", "owe", "wait", "busy", "idle", "close")),
    st.sampled_from((ALICE, BOB, CAROL)),
    st.integers(0, 30),
)


class Model:
    """Lists: those that have sent no whole request, by age; those that owe the rest of one; the others, by their last request's age; those
    whose request takes its time.
    """

    def __init__(self, most: int, most_per_address: int) -> None:
        self.most, self.most_per_address = most, most_per_address
        self.new: list[Fake] = []
        self.owing: list[Fake] = []
        self.used: list[Fake] = []
        self.beating: list[Fake] = []
        self.waiting: list[Fake] = []
        self.made_way: list[Fake] = []
        self.refused = 0

    @property
    def all(self) -> list[Fake]:
        return self.new + self.owing + self.used + self.beating + self.waiting

    def open(self, fake: Fake) -> bool:
        own = [one for one in self.all if one.address == fake.address]
        crowd = own if len(own) >= self.most_per_address else self.all if len(self.all) >= self.most else None
        if crowd is not None:
            idle = [
                one
                for one in crowd
                if one not in self.waiting and (one not in self.used + self.beating or not one.busy)
            ]
            if not idle:
                self.refused += 1
                return False
            self.made_way.append(idle[0])
            self.close(idle[0])
        self.new.append(fake)
        return True

    def use(self, fake: Fake) -> None:
        if fake in self.all:
            self.close(fake)
            (self.beating if fake.beat_at > 0 else self.used).append(fake)

    def owe(self, fake: Fake) -> None:
        if fake in self.used + self.beating:
            self.close(fake)
            self.owing.append(fake)

    def wait(self, fake: Fake) -> None:
        if fake in self.all:
            self.close(fake)
            self.waiting.append(fake)

    def close(self, fake: Fake) -> None:
        for group in (self.new, self.owing, self.used, self.beating, self.waiting):
            if fake in group:
                group.remove(fake)


@given(st.integers(1, 8), st.integers(1, 5), st.lists(OPS, max_size=120))
def test_it_does_what_a_list_would(most: int, most_per_address: int, ops: list[tuple[str, str, int]]) -> None:
    limits, model, seen = Connections(most, most_per_address), Model(most, most_per_address), list[Fake]()
    for op, address, number in ops:
        if op == "open":
            fake = Fake(address)
            seen.append(fake)
            assert limits.opened(fake) == model.open(fake)
        elif seen:
            fake = seen[number % len(seen)]  # also one that is gone, refused or closed
            if op == "use":
                used(limits, fake)
                model.use(fake)
            elif op == "beat":
                fake.beat_at = 990.0
            elif op == "owe":
                limits.owes(fake)
                model.owe(fake)
            elif op == "wait":
                limits.busy(fake)
                model.wait(fake)
            elif op == "close":
                limits.closed(fake)
                model.close(fake)
            else:
                fake.busy = op == "busy"
        assert len(limits) == len(model.all) <= most
        assert all(fake.gone == (fake in model.made_way) for fake in seen)
        assert (limits.made_way, limits.refused) == (len(model.made_way), model.refused)
