"""The brake on mass expiry: when it engages and for whom, what its suspects are, and that it lets go.

Leases of 10 s taken at 100 run out at 110; unless a test says otherwise 200 other instances stay, so that a service's own share decides.
"""

from __future__ import annotations

import math

import pytest

from discovery.core.event import Commit, InstanceEvent, Kind
from discovery.core.maintenance import Scope, Window
from discovery.core.status import Status
from discovery.store import rules
from discovery.store.errors import ServiceFull
from discovery.store.service import Entry
from discovery.store.transaction import Transaction
from tests.driven import DrivenRegistry
from tests.store.making import (
    ALL,
    INTERVAL,
    START,
    TTL,
    WALL,
    Log,
    a_brake,
    a_registry,
    braked,
    crowd,
    ports,
    spec,
    words,
)

OUT = START + TTL
UNTIL = OUT + 20.0
ROUNDS = 5


def beat(registry: DrivenRegistry, entries: list[Entry], now: float) -> None:
    for entry in entries:
        registry.renew(entry.instance.id, now)


def some_lapse(registry: DrivenRegistry, silent: int, instances: int, now: float = OUT) -> None:
    """Of so many instances the first `silent` have not beaten since 100; the rest have."""
    entries = crowd(registry, instances)
    beat(registry, entries[silent:], now - 1)
    registry.advance(now, ALL)


@pytest.mark.parametrize(
    ("silent", "instances", "held"),
    [
        (4, 10, True),
        (3, 10, False),  # 30 % is not more than 30 %
        (3, 9, True),
        (3, 3, True),
        (2, 2, False),  # no crowd to tell by
        (2, 3, False),
        (1, 1, False),
        (2, 6, False),
        (6, 20, False),
        (7, 20, True),
    ],
)
def test_it_engages_for_more_than_its_share_and_at_least_three(silent: int, instances: int, held: bool) -> None:
    registry = braked()
    some_lapse(registry, silent, instances)
    status = "suspect" if held else "unhealthy"
    assert words(registry) == " ".join([status] * silent + ["healthy"] * (instances - silent))


def test_suspects_are_served_behind_the_healthy() -> None:
    registry = braked()
    some_lapse(registry, 4, 10)
    assert ports(registry, OUT) == [5, 6, 7, 8, 9, 10, 1, 2, 3, 4]
    service = registry.service("web")
    assert service is not None
    assert len(service.healthy(OUT)) == 6
    assert registry.counts(START)[Status.SUSPECT] == 4


def test_where_all_are_suspect_all_are_served() -> None:
    registry = braked()
    some_lapse(registry, 5, 5)
    assert ports(registry, OUT + 15) == [1, 2, 3, 4, 5]


def test_until_it_is_told_the_time_nobody_whose_lease_ran_out_is_served() -> None:
    registry = braked()
    crowd(registry, 5)
    assert ports(registry, OUT) == []


def test_one_by_one_and_more_than_a_timeout_apart_they_expire() -> None:
    registry = braked()
    log = Log.of(registry)
    alive = crowd(registry, 10)
    now = START
    while len(alive) > 6:
        for _ in range(6):
            now += 2.0
            beat(registry, alive[1:], now)
            registry.advance(now, ALL)
        alive.pop(0)
    kinds = [kind for kind in log.kinds() if kind is not Kind.REGISTERED]
    assert kinds[:4].count(Kind.UNHEALTHY) >= 2
    assert Kind.SUSPECT not in kinds


def test_without_it_everything_expires_at_its_instant() -> None:
    registry = braked(0)
    some_lapse(registry, 10, 10)
    assert words(registry) == " ".join(["unhealthy"] * 10)
    assert ports(registry, OUT) == []


def test_a_hundred_percent_still_leaves_the_fifth_of_all() -> None:
    registry = braked(100, others=0)
    some_lapse(registry, 3, 10)
    assert words(registry).split()[2] == "suspect"


@pytest.mark.parametrize(("others", "held"), [(6, False), (5, True)])
def test_a_fifth_of_all_is_not_too_many_and_one_more_is(others: int, held: bool) -> None:
    """One in each of three services: of its own service none is a crowd."""
    registry = braked(others=others)
    for name in ("a", "b", "c"):
        silent, *rest = crowd(registry, 3, name)
        beat(registry, rest, OUT - 1)
        assert silent.lease.expires_at == OUT
    registry.advance(OUT, ALL)
    seen = [words(registry, name).split()[0] for name in ("a", "b", "c")]
    assert seen == ["unhealthy", "unhealthy", "suspect" if held else "unhealthy"]


def test_lapses_of_long_ago_are_no_part_of_the_fifth() -> None:
    registry = braked(others=5)
    late = {"a": START, "b": START + 5, "c": START + 10.5}
    for name, begun in late.items():
        for port in (1, 2, 3):
            registry.register(spec(name, port=port, ttl=None if port == 1 else 3600), begun, WALL)
    for begun in late.values():
        registry.advance(begun + TTL, ALL)
    assert words(registry, "c") == "unhealthy healthy healthy"


def test_whoever_should_have_beaten_by_now_is_counted_before_its_lease_runs_out() -> None:
    registry = braked()
    entries = crowd(registry, 10)
    for late, entry in enumerate(entries[:4]):
        registry.renew(entry.instance.id, START + late)
    beat(registry, entries[4:], OUT - 1)
    registry.advance(OUT, ALL)
    assert words(registry).split()[:4] == ["suspect"] * 4
    assert entries[3].lease.alive(OUT)
    assert ports(registry, OUT)[-4:] == [1, 2, 3, 4]


def test_whoever_went_a_moment_before_is_held_too() -> None:
    """They beat every 8 s, so nobody is taken for silent in advance: the fourth lapse is one too many."""
    registry = braked()
    log = Log.of(registry)
    entries = crowd(registry, 10)
    for port, entry in enumerate(entries, 1):
        entry.lease.renewed_at = START + port / 2  # as if registered one after another
        registry.renew(entry.instance.id, START + 8 + port / 2)
    beat(registry, entries[4:], START + 17)
    log.take()
    for port in (1, 2, 3):
        registry.advance(START + 18 + port / 2, ALL)
        assert words(registry).split()[:4] == ["unhealthy"] * port + ["healthy"] * (4 - port)
    registry.advance(START + 20, ALL)
    assert words(registry).split()[:5] == ["suspect"] * 4 + ["healthy"]
    assert log.kinds() == [Kind.UNHEALTHY] * 3 + [Kind.SUSPECT] * 4
    assert sorted(ports(registry, START + 20)[-4:]) == [1, 2, 3, 4]


def test_whoever_beats_every_8_s_of_10_is_not_taken_for_silent() -> None:
    registry = braked()
    entries = crowd(registry, 10)
    beat(registry, entries, START + 8)
    slow, gone = entries[:7], entries[7:]
    beat(registry, slow, START + 11)
    registry.advance(START + 18, ALL)  # seven of them 7 s after their heartbeat
    assert words(registry).split() == ["healthy"] * 7 + ["unhealthy"] * len(gone)


def test_whoever_beats_each_third_of_the_lease_is_silent_after_half_of_it() -> None:
    registry = braked()
    entries = crowd(registry, 10)
    for tick in (3, 6, 9):
        beat(registry, entries[:7], START + tick)
    registry.advance(START + 10, ALL)
    assert words(registry).split() == ["healthy"] * 7 + ["unhealthy"] * 3
    registry = braked()
    entries = crowd(registry, 10)
    beat(registry, entries[:1], START + 2.5)
    beat(registry, entries[:1], START + 4.5)  # 5.5 s ago, of a lease that still runs
    beat(registry, entries[1:7], START + 9)
    registry.advance(START + 10, ALL)
    assert words(registry).split() == ["suspect"] + ["healthy"] * 6 + ["suspect"] * 3


def test_a_heartbeat_clears_a_suspect_at_once() -> None:
    registry = braked()
    log = Log.of(registry)
    some_lapse(registry, 4, 10)
    log.take()
    entry = registry.renew(spec(port=2).key, OUT + 3)
    assert (log.kinds(), entry.status) == ([Kind.HEALTHY], Status.HEALTHY)
    assert entry.lease.expires_at == OUT + 3 + TTL
    assert ports(registry, OUT + 3)[-3:] == [1, 3, 4]


def test_registering_again_clears_a_suspect_too() -> None:
    registry = braked()
    some_lapse(registry, 4, 10)
    assert registry.register(spec(port=2), OUT + 3, WALL).status is Status.HEALTHY


def test_when_the_last_suspect_has_beaten_it_can_engage_anew() -> None:
    registry = braked()
    some_lapse(registry, 4, 4)
    beat(registry, list(registry.services["web"].entries.values()), OUT + 19)
    assert words(registry) == "healthy healthy healthy healthy"
    registry.advance(OUT + 29, ALL)
    assert words(registry) == "suspect suspect suspect suspect"
    registry.advance(OUT + 29 + 19, ALL)
    assert words(registry) == "suspect suspect suspect suspect"


def test_whoever_falls_silent_during_it_is_held_for_the_rest_of_it() -> None:
    registry = braked()
    some_lapse(registry, 4, 10)  # the rest has beaten at 109
    registry.advance(OUT + TTL - 1, ALL)
    assert registry.counts(OUT + TTL - 1)[Status.SUSPECT] == 10
    for round in range(ROUNDS):
        registry.advance(UNTIL + round * INTERVAL + 1, ALL)
    assert registry.counts(UNTIL + round * INTERVAL + 1)[Status.SUSPECT] == 0


def let_go(seed: int, count: int = 10) -> tuple[DrivenRegistry, list[tuple[float, int]]]:
    """When each of a service whose instances all fell silent was let go, as the reaper would do it."""
    registry = braked(seed=seed)
    gone: list[tuple[float, int]] = []
    crowd(registry, count)
    registry.advance(OUT, ALL)
    now = OUT

    def note(commit: Commit) -> None:
        events = [event for event in commit.events if isinstance(event, InstanceEvent)]
        gone.extend((now, event.instance.spec.port) for event in events if event.kind is Kind.UNHEALTHY)

    registry.followers.append(note)
    while registry.service("web") is not None:
        deadline = registry.next_deadline()
        assert deadline is not None
        now = deadline
        registry.advance(now, ALL)
    return registry, gone


def test_it_lets_go_of_a_fifth_at_a_time() -> None:
    _, gone = let_go(seed=3)
    rounds = [math.floor((time - UNTIL) / INTERVAL) for time, _ in gone]
    assert rounds == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert {port for _, port in gone} == set(range(1, 11))
    assert all(UNTIL <= time <= UNTIL + (ROUNDS - 1) * INTERVAL + INTERVAL / 100 for time, _ in gone)


def test_the_order_in_which_it_lets_go_is_random() -> None:
    orders = {tuple(port for _, port in let_go(seed)[1]) for seed in range(8)}
    assert len(orders) == 8
    assert len({order[0] for order in orders}) > 2


def test_however_late_the_reaper_comes_a_round_lets_go_of_its_share_only() -> None:
    registry = braked()
    some_lapse(registry, 10, 10)
    for at, left in ((37.5, 8), (37.5, 8), (38.0, 8), (112.0, 6), (117.0, 4), (122.0, 2), (127.0, 0)):
        registry.advance(UNTIL + at, ALL)
        assert registry.counts(UNTIL + at)[Status.SUSPECT] == left


def test_whoever_it_let_go_of_is_listed_for_an_interval_and_then_removed() -> None:
    registry = braked()
    log = Log.of(registry)
    some_lapse(registry, 3, 3)
    registry.advance(UNTIL + 1, ALL)
    (change,) = [change for change in log.changes if change.kind is Kind.UNHEALTHY]
    assert "brake lets go" in change.reason
    registry.advance(UNTIL + 1 + INTERVAL, ALL)
    assert Kind.EXPIRED not in log.kinds()
    registry.advance(UNTIL + 2 * INTERVAL, ALL)
    expired = [each.instance.id for each in log.changes if each.kind is Kind.EXPIRED]
    assert expired == [change.instance.id]


def test_while_it_lets_go_nobody_else_is_held() -> None:
    registry = braked()
    entries = crowd(registry, 10)
    registry.advance(OUT, ALL)
    beat(registry, entries[:1], UNTIL - TTL + 1)
    registry.advance(UNTIL + 1, ALL)
    assert entries[0].status is Status.UNHEALTHY


def test_whoever_it_let_go_of_is_not_held_again_until_it_beats() -> None:
    registry = braked()
    entries = crowd(registry, 40, ttl=100)
    out = START + 100
    beat(registry, entries[30:], out - 1)
    registry.advance(out, ALL)
    for round in range(ROUNDS):
        registry.advance(out + 20 + round * INTERVAL + 1, ALL)
    now = out + 20 + ROUNDS * INTERVAL - INTERVAL + 1
    assert registry.counts(now)[Status.SUSPECT] == 0
    assert registry.counts(now)[Status.UNHEALTHY] >= 6  # silent within one timeout, and of more than a third
    registry.register(spec(port=40, ttl=1), now, WALL)
    registry.advance(now + 1, ALL)
    assert registry.counts(now + 1)[Status.SUSPECT] == 0
    assert entries[39].status is Status.UNHEALTHY


def test_of_whom_it_is_known_why_they_are_silent_it_neither_holds_nor_counts() -> None:
    for quiet in ("drain", "maintain", "check"):
        registry = braked()
        entries = crowd(registry, 10)
        for entry in entries[:2]:
            if quiet == "drain":
                registry.drain(entry.instance.id, True, "asked", START + 1)
            elif quiet == "check":
                registry.checked(entry.instance.id, "HTTP 503", START + 1)
            else:
                registry.maintain(Scope.of(entry.instance.spec.key), Window("x", WALL + 100), START + 1, WALL)
        beat(registry, entries[4:], OUT - 1)
        registry.advance(OUT, ALL)
        assert words(registry).split()[:4] == ["unhealthy"] * 4, quiet


@pytest.mark.parametrize("how", ["drain", "check", "window"])
def test_what_a_person_or_a_check_says_of_a_suspect_counts(how: str) -> None:
    registry = braked()
    some_lapse(registry, 4, 4)
    entry = registry.at(spec(port=2).key)
    if how == "drain":
        registry.drain(entry.instance.id, True, "asked", OUT + 1)
    elif how == "check":
        registry.checked(entry.instance.id, "no connection", OUT + 1)
    else:
        registry.maintain(Scope.of(entry.instance.spec.key), Window("x", WALL + 100), OUT + 1, WALL)
    assert entry.status is Status.UNHEALTHY
    assert ports(registry, OUT + 1) == [1, 3, 4]


def test_a_service_whose_suspects_all_left_begins_anew() -> None:
    registry = braked()
    some_lapse(registry, 4, 5)
    for port in (1, 2, 3, 4):
        registry.deregister(spec(port=port).key, "asked", OUT + 1)
    crowd(registry, 5, now=OUT + 2)
    registry.advance(OUT + 2 + TTL, ALL)
    assert registry.counts(OUT + 2 + TTL)[Status.SUSPECT] == 5
    registry.advance(UNTIL + 1, ALL)  # of the first time, which is over
    assert registry.counts(UNTIL + 1)[Status.SUSPECT] == 5


def test_at_the_limit_a_suspect_whose_lease_ran_out_makes_way() -> None:
    registry = braked(max_instances=4, others=0)
    log = Log.of(registry)
    some_lapse(registry, 4, 4)
    log.take()
    registry.register(spec(port=9), OUT + 1, WALL)
    assert log.kinds() == [Kind.EXPIRED, Kind.REGISTERED]
    assert words(registry) == "suspect suspect suspect healthy"


def test_at_the_limit_a_suspect_that_is_only_late_does_not_make_way() -> None:
    registry = braked(max_instances=3, others=0)
    entries = crowd(registry, 3)
    beat(registry, entries[1:], START + 3)
    registry.advance(OUT, ALL)
    assert words(registry) == "suspect suspect suspect"
    beat(registry, entries[:1], OUT)
    with pytest.raises(ServiceFull):
        registry.register(spec(port=9), OUT, WALL)


def test_a_pause_of_the_process_makes_nobody_a_suspect() -> None:
    registry = braked()
    crowd(registry, 10)
    registry.resume(60.0, START + 9)
    registry.advance(START + 9 + TTL - 0.25, ALL)
    assert registry.counts(START + 9 + TTL - 0.25)[Status.SUSPECT] == 0
    assert len(ports(registry, START + 9 + TTL - 0.25)) == 10


@pytest.fixture(name="counted")
def _counted(monkeypatch: pytest.MonkeyPatch) -> list[Entry]:
    """Whom the brake has looked at, each time."""
    looked: list[Entry] = []
    is_silent = rules._is_silent

    def counted(txn: Transaction, entry: Entry) -> bool:
        looked.append(entry)
        return is_silent(txn, entry)

    monkeypatch.setattr(rules, "_is_silent", counted)
    return looked


def test_a_thousand_that_lapse_at_once_are_not_counted_once_for_each(counted: list[Entry]) -> None:
    registry = a_registry(brake=a_brake(), max_instances=1000)
    crowd(registry, 1000)
    registry.advance(OUT, ALL)
    assert registry.counts(OUT)[Status.SUSPECT] == 1000
    assert len(counted) < 20 * 1000, "once for each commit of a hundred"


def test_checks_that_pass_are_no_reason_to_give_up_a_suspect() -> None:
    registry = braked()
    some_lapse(registry, 4, 4)
    entry = registry.checked(registry.at(spec(port=2).key).instance.id, None, OUT + 1)
    assert entry.status is Status.SUSPECT


def test_a_window_over_a_service_that_ran_out_untold_leaves_the_brake_as_it_was() -> None:
    registry = braked(others=0)
    crowd(registry, 3)
    registry.maintain(Scope("web"), Window("x", WALL + 10), OUT, WALL)
    assert words(registry) == "unhealthy unhealthy unhealthy"
    assert registry.services["web"].hold is None


def test_a_suspect_that_is_only_late_and_was_let_go_is_like_any_other_once_it_has_beaten() -> None:
    registry = braked()
    entries = crowd(registry, 4, ttl=100)
    registry.register(spec(port=1, ttl=60), START, WALL)
    registry.advance(START + 60, ALL)
    assert words(registry) == "suspect suspect suspect suspect"
    for round in range(ROUNDS - 1):
        registry.advance(START + 80 + round * INTERVAL + 1, ALL)
    assert registry.counts(START + 80 + round * INTERVAL + 1)[Status.SUSPECT] == 0
    alive = [entry for entry in entries if entry.lease.alive(START + 96)]
    beat(registry, alive, START + 96)
    registry.advance(START + 196, ALL)
    assert {entry.status for entry in alive} == {Status.SUSPECT}


def test_a_late_heartbeat_of_a_suspect_tells_how_seldom_it_beats() -> None:
    registry = braked()
    entries = crowd(registry, 10)
    beat(registry, entries[:1], START + 2)
    beat(registry, entries[4:], START + 9)
    registry.advance(OUT, ALL)
    assert entries[0].status is Status.SUSPECT  # 8 s after its heartbeat
    beat(registry, entries[:1], OUT)
    assert entries[0].lease.longest_gap == 8


def test_a_shorter_ttl_does_not_make_out_that_the_lease_had_run_out() -> None:
    registry = braked()
    log = Log.of(registry)
    crowd(registry, 3, ttl=3600)
    log.take()
    for port in (1, 2, 3):
        registry.register(spec(port=port, ttl=2), START + 100, WALL)
    assert log.kinds() == [Kind.UPDATED] * 3


@pytest.mark.parametrize("seed", range(6))
def test_at_the_limit_the_unhealthy_make_way_before_suspects(seed: int) -> None:
    registry = braked(max_instances=4, others=0, seed=seed)
    some_lapse(registry, 4, 4)
    registry.advance(UNTIL + 1, ALL)
    (gone,) = [entry for entry in registry if entry.status is Status.UNHEALTHY]
    registry.register(spec(port=9), UNTIL + 1, WALL)
    assert gone not in list(registry)


@pytest.mark.parametrize("percent", [0, 100])
def test_where_it_does_not_engage_a_mass_of_lapses_takes_time_in_proportion(
    percent: float, counted: list[Entry]
) -> None:
    registry = braked(percent, others=1_200, max_instances=2_000)
    crowd(registry, 200, "web")
    log = Log.of(registry)
    registry.advance(OUT, ALL)
    assert set(log.kinds()) == {Kind.UNHEALTHY}
    assert len(counted) <= 3 * 200, "not once for each of the others"


def test_a_mass_of_old_lapses_is_forgotten_at_once_and_freed_little_by_little() -> None:
    brake = a_brake()
    for number in range(1_000):
        brake.lapsed(f"old-{number}", START + number / 1_000)
    assert brake.lapses("old-0", START + 1) == 1_000
    assert brake.lapses("new", START + TTL + 1) == 1
    brake.lapsed("new", START + TTL + 1)
    brake.lapsed("newer", START + TTL + 2)
    assert brake.lapses("newer", START + TTL + 2) == 2
    brake.came_back("new")
    assert brake.lapses("newer", START + TTL + 2) == 1


def test_suspects_whose_leases_still_run_do_not_count_among_all_that_fell_silent() -> None:
    """One of 14 has lapsed, and a second does: no fifth of all, though the brake holds three already."""
    registry = braked(others=8)
    for port, renewed in ((1, 0.0), (2, 4.0), (3, 4.0)):
        registry.register(spec(port=port), START + renewed)
    for port, renewed in ((1, 0.5), (2, 9.0), (3, 9.0)):
        registry.register(spec("api", port=port), START + renewed)
    registry.advance(START + TTL)
    assert words(registry) == "suspect suspect suspect"
    registry.advance(START + TTL + 0.5)
    assert words(registry, "api") == "unhealthy healthy healthy"
