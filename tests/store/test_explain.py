"""Why an instance is in the answers or not: the same decision as the answers', with the reason and its times."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.core.caller import Caller
from discovery.core.health import Finding, Health
from discovery.core.instance import Instance
from discovery.core.lease import Lease, Term
from discovery.core.maintenance import Scope, Window
from discovery.core.status import Status
from discovery.store.absent import not_healthy, why_none
from discovery.store.damping import Damping
from discovery.store.explain import Account, accounts, told
from discovery.store.operations import Drain, EndMaintenance, Maintain
from discovery.store.refused import Why
from discovery.store.registration import Register, Report
from discovery.store.service import Entry, NodeStatus, Override, Service, served
from discovery.store.state import CheckResult
from discovery.store.values import Snapshot
from tests.driven import APART, DrivenRegistry
from tests.store.making import ALL, INTERVAL, START, TTL, WALL, a_registry, an_entry, braked, crowd, spec

OPS = Caller("10.0.0.9", "ops")


def explained(registry: DrivenRegistry, now: float, name: str = "web", sees_names: bool = False) -> list[Account]:
    """In the order of registration."""
    registry.walls = lambda: wall
    service = registry.service(name)
    assert service is not None
    return accounts(registry, service, service.entries.values(), now, sees_names)


def one(registry: DrivenRegistry, now: float) -> Account:
    return explained(registry, now)[0]


def short(account: Account) -> tuple[bool, str, float | None, float | None]:
    return account.served, account.why, account.since, account.until


def wall(now: float) -> float:
    return now + APART


def test_a_healthy_one_is_served_since_it_registered_until_its_lease_ends() -> None:
    registry = a_registry()
    entry = registry.register(spec(), START)
    assert short(one(registry, START + 1)) == (True, "its lease runs", wall(START), wall(START + TTL))
    registry.renew(entry.instance.id, START + 4)
    assert short(one(registry, START + 5)) == (True, "its lease runs", wall(START), wall(START + 4 + TTL))


@pytest.mark.parametrize("noticed", [False, True], ids=["before anybody was told", "after the reaper came late"])
def test_one_whose_lease_ran_out_is_out_since_that_instant_until_it_is_removed(noticed: bool) -> None:
    registry = a_registry()
    registry.register(spec(), START)
    assert one(registry, START + TTL - 0.25).served
    if noticed:
        registry.advance(START + TTL + 2, ALL)
    found = one(registry, START + TTL)
    assert (found.served, found.since) == (False, wall(START + TTL))
    assert found.why == "its lease ran out: no heartbeat for 10 s"
    assert found.until == (wall(START + TTL + INTERVAL) if noticed else None)


def test_one_that_is_kept_is_out_since_its_lease_ended_until_it_is_forgotten() -> None:
    registry = a_registry()
    registry.register(spec(keep=3600), START)
    registry.advance(START + TTL, ALL)
    found = one(registry, START + TTL)
    assert short(found)[:3] == (False, "its lease ran out: no heartbeat for 10 s; it stays known", wall(START + TTL))
    assert found.until == pytest.approx(wall(START + TTL + 3600), abs=INTERVAL)
    assert found.beats is None, "none is missing of one that was given up"
    assert found.next == "a heartbeat brings it back with all that it said, without one it is forgotten"


def test_what_one_says_of_itself_is_told_in_its_latest_words() -> None:
    registry = a_registry()
    entry = registry.register(spec(weight=50, warning_weight=5), START)
    for health, first in (
        (Health.WARNING, "its lease runs; it says of itself: {}; its weight is 5 meanwhile"),
        (Health.FAILING, "it says of itself: {}"),
    ):
        registry.carry_out(Report(entry.instance.id, Finding(health, "80 % full")), START, WALL)
        entry.output = None
        for words in ("80 % full", "90 % full"):
            assert one(registry, START).why == first.format(words)
            entry.output = "90 % full"


def test_a_draining_one_is_out_since_it_was_asked_for() -> None:
    registry = a_registry()
    entry = registry.register(spec(), START)
    registry.drain(entry.instance.id, True, "a test", START + 3)
    found = one(registry, START + 4)
    assert (found.served, found.since, found.until) == (False, wall(START + 3), None)
    assert found.why == "it is draining, somebody asked for it"
    registry.drain(entry.instance.id, False, "a test", START + 5)
    missing = "its lease runs; heartbeats are missing"
    assert short(one(registry, START + 6)) == (True, missing, wall(START + 5), wall(START + TTL))


def test_who_took_it_out_is_said_where_it_may_be_told() -> None:
    registry = a_registry()
    ids = [registry.register(spec(port=port), START).instance.id for port in (80, 81, 82)]
    registry.carry_out(Drain(ids[0], True, "a test"), START + 1, wall(START + 1), OPS)
    window = Window("a new disk", wall(START + 600))
    registry.carry_out(Maintain(Scope("web", "10.0.0.1", 81), window), START + 1, wall(START + 1), OPS)
    registry.drain(ids[2], True, "nobody said who", START + 2)
    assert {each.by for each in explained(registry, START + 3)} == {None}
    drained, maintained, undated = explained(registry, START + 3, sees_names=True)
    assert (drained.why, drained.by) == ("it is draining, ops at 10.0.0.9 asked for it", OPS)
    assert (maintained.why, maintained.by) == ("it is in maintenance, ops at 10.0.0.9 asked for it: a new disk", OPS)
    assert (undated.why, undated.by) == ("it is draining, somebody asked for it", None)
    registry.drain(ids[0], False, "a test", START + 4)
    assert explained(registry, START + 5, sees_names=True)[0].by is None


def test_what_changed_it_since_is_not_taken_for_who_took_it_out() -> None:
    registry, web = a_registry(), Caller("10.0.0.1", "web")
    entry = registry.register(spec(), START)
    registry.carry_out(Drain(entry.instance.id, True, "a test"), START + 1, wall(START + 1), OPS)
    registry.carry_out(Register(spec(weight=7)), START + 2, wall(START + 2), web)
    assert explained(registry, START + 3, sees_names=True)[0].by == OPS
    registry.advance(START + 2 + TTL, ALL)
    assert entry.instance.status is Status.UNHEALTHY
    registry.carry_out(Register(spec(weight=7)), START + 3 + TTL, wall(START + 3 + TTL), web)
    assert explained(registry, START + 3 + TTL, sees_names=True)[0].by == OPS, "and not who came back"
    window, other = Window("a new disk", wall(START + 600)), Caller("10.0.0.8", "other")
    registry.carry_out(Maintain(Scope("web"), window), START + 4 + TTL, wall(START + 4 + TTL), other)
    assert explained(registry, START + 5 + TTL, sees_names=True)[0].by == other
    registry.carry_out(EndMaintenance(Scope("web"), "done"), START + 6 + TTL, wall(START + 6 + TTL), other)
    [found] = explained(registry, START + 7 + TTL, sees_names=True)
    assert (found.status, found.by) == (Status.DRAINING, None), "it was not who ended the window"


@pytest.mark.parametrize("drains", [False, True])
def test_who_took_it_out_before_is_not_taken_for_who_did_so_while_it_was_silent(drains: bool) -> None:
    registry, alice, bob = a_registry(), Caller("10.0.0.1", "alice"), Caller("10.0.0.2", "bob")
    entry = registry.register(spec(), START)
    for on, at in ((True, START + 1), (False, START + 2)):
        registry.carry_out(Drain(entry.instance.id, on, "a test"), at, wall(at), alice)
    assert entry.asker is None
    silent = START + 2 + TTL
    registry.advance(silent, ALL)
    assert entry.instance.status is Status.UNHEALTHY
    window = Window("a new disk", wall(START + 600))
    write = Drain(entry.instance.id, True, "a test") if drains else Maintain(Scope("web"), window)
    registry.carry_out(write, silent + 1, wall(silent + 1), bob)
    registry.carry_out(Register(spec()), silent + 2, wall(silent + 2), Caller("10.0.0.3", "web"))
    [found] = explained(registry, silent + 3, sees_names=True)
    assert (found.status, found.by) == ((Status.DRAINING, bob) if drains else (Status.MAINTENANCE, None))


def test_maintenance_says_its_reason_and_its_end() -> None:
    registry = a_registry()
    registry.register(spec(), START)
    registry.maintain(Scope("web"), Window("a new disk", wall(START + 600)), START + 2)
    found = one(registry, START + 3)
    assert short(found) == (
        False,
        "it is in maintenance, somebody asked for it: a new disk",
        wall(START + 2),
        wall(START + 600),
    )


def test_a_failing_check_says_what_it_saw() -> None:
    registry = a_registry()
    entry = registry.register(spec(), START)
    registry.checked(entry.instance.id, "HTTP 503", START + 2)
    assert short(one(registry, START + 3)) == (False, "the checks of it fail: HTTP 503", wall(START + 2), None)


def test_what_would_keep_it_out_besides_is_said_too() -> None:
    registry = a_registry()
    entry = registry.register(spec(checks={"tcp": True}), START)
    registry.last_checks.append(lambda id: {"tcp": CheckResult(START + 1, "HTTP 503")})
    registry.checked(entry.instance.id, "HTTP 503", START + 1)
    registry.drain(entry.instance.id, True, "a test", START + 2)
    registry.maintain(Scope("web"), Window("a new disk", wall(START + 600)), START + 3)
    besides = "draining besides; its checks failed besides: HTTP 503"
    assert one(registry, START + 4).why == f"it is in maintenance, somebody asked for it: a new disk; {besides}"
    lapsed = "its lease ran out: no heartbeat for 10 s; in maintenance besides: a new disk"
    assert one(registry, START + TTL).why == f"{lapsed}; {besides}"


def test_a_suspect_is_served_until_the_brake_lets_go() -> None:
    registry = braked()
    entries = crowd(registry, 10)
    for entry in entries[4:]:
        registry.renew(entry.instance.id, START + TTL - 1)
    registry.advance(START + TTL, ALL)
    suspect, healthy = explained(registry, START + TTL)[0], explained(registry, START + TTL)[9]
    assert suspect.served
    assert "the brake holds it, behind the healthy ones" in suspect.why
    assert (suspect.since, suspect.until) == (wall(START + TTL), wall(START + TTL + 20))
    assert healthy.why == "its lease runs"


@pytest.mark.parametrize("hold", [0.0, 30.0])
def test_what_this_process_alone_believes_is_said_without_an_end_and_the_actor_only_to_whoever_may_know(
    hold: float,
) -> None:
    registry = a_registry()
    entry = registry.register(spec(hold=hold), START)
    entry.through = NodeStatus("other")
    entry.through.silent = True
    suspect = one(registry, START + 1)
    assert (suspect.served, suspect.since, suspect.until) == (True, None, None)
    assert "may beat at another node" in suspect.why
    assert suspect.next == "it is judged when that node is heard again, or is gone for good"
    entry.override = Override(Status.DRAINING, "asked for by alice; etcd could not be told of that", beats=False)
    out = one(registry, START + 1)
    assert (out.served, "alice" in out.why, "taken out at this node" in out.why) == (False, False, True)
    assert "alice" in explained(registry, START + 1, sees_names=True)[0].why


def test_a_flapping_one_is_served_only_where_nothing_better_is_left() -> None:
    registry = a_registry(damping=Damping(changes=2, window=60.0))
    entry = registry.register(spec(ttl=3600), START)
    for time in (101.0, 102.0, 103.0, 104.0):
        registry.checked(entry.instance.id, None if entry.instance.failing else "HTTP 503", time)
    alone = one(registry, 105.0)
    assert (alone.served, alone.since, alone.until) == (True, wall(104.0), wall(164.0))
    assert alone.why.endswith("nothing better is left")
    registry.register(spec(port=81), 105.0)
    beside = one(registry, 106.0)
    assert not beside.served
    assert beside.why.endswith("others are")


def test_after_a_start_it_is_what_it_is_since_the_start() -> None:
    registry = a_registry()
    before = Instance("id", WALL, spec(), draining_since=WALL + 5)
    registry.load(Snapshot(7, (before, Instance("id-2", WALL, spec(port=81)))), START, wall(START))
    draining, healthy = explained(registry, START + 1)
    assert draining.since == WALL + 5
    assert healthy.since == wall(START)


def test_a_node_that_joins_others_does_not_take_that_for_the_instant_at_which_they_became_what_they_are() -> None:
    registry = a_registry()
    own = Finding(Health.FAILING, "db", WALL + 7)
    failing = Instance("id", WALL, spec(), own=own).with_status(Status.FAILING)
    maintained = Instance("id-2", WALL, spec(port=81)).with_status(Status.MAINTENANCE)
    registry.load(
        Snapshot(7, (failing, maintained, Instance("id-3", WALL, spec(port=82)))), START, wall(START), goes_on=True
    )
    assert [each.since for each in explained(registry, START + 1)] == [WALL + 7, None, None]


_entries = st.lists(st.tuples(st.sampled_from(Status), st.booleans()), max_size=6)


@given(_entries)
def test_it_says_of_each_what_the_answers_decide(states: list[tuple[Status, bool]]) -> None:
    service = Service("web")
    for port, (status, alive) in enumerate(states, 1):
        entry = an_entry(port)
        entry.instance = entry.instance.with_status(status)
        entry.lease = Lease(Term(TTL), START if alive else START - TTL)
        service.entries["10.0.0.1", port] = entry
    entries = list(service.entries.values())
    found = accounts(a_registry(), service, entries, START)
    in_answers: list[Entry] = served(entries, START)
    assert [each.served for each in found] == [entry in in_answers for entry in entries]
    assert all(each.why for each in found)


def test_a_state_that_was_replayed_is_explained_with_what_is_known_of_it() -> None:
    instance = an_entry().instance.with_status(Status.HEALTHY)
    assert told(instance, Status.HEALTHY, True) == ("its lease runs", True)


# -- heartbeats


@pytest.mark.parametrize(
    ("grace", "beats", "at", "every", "missed"),
    [
        (0.0, [], 1.0, TTL / 3, 0),
        (0.0, [], 4.0, TTL / 3, 0),  # late by less than a quarter
        (0.0, [], 4.5, TTL / 3, 1),
        (0.0, [], 9.0, TTL / 3, 2),
        (0.0, [2.0, 4.0], 6.0, 2.0, 0),
        (0.0, [2.0, 4.0], 9.0, 2.0, 2),
        (2.0, [], 1.0, TTL / 3, 0),
    ],
)
def test_when_the_next_heartbeat_is_due_and_how_many_are_missing(
    grace: float, beats: list[float], at: float, every: float, missed: int
) -> None:
    registry = a_registry()
    registry.adopt(registry.settings._replace(etcd_flush_seconds=grace / 2))
    entry = registry.register(spec(), START)
    for beat in beats:
        registry.renew(entry.instance.id, START + beat)
    found = one(registry, START + at)
    last = wall(START + (beats[-1] if beats else 0.0))
    assert found.beats is not None
    assert (found.beats.last, found.beats.missed) == (last, missed)
    assert [found.beats.every, found.beats.due] == pytest.approx([every, last + every])
    assert found.last_heartbeat == last, "whatever the grace of the lease"
    assert found.why == ("its lease runs; heartbeats are missing" if missed else "its lease runs")


def test_a_check_with_a_shorter_deadline_than_the_grace_has_beats_and_the_lease_is_told_by_its_own_length() -> None:
    registry = a_registry()
    registry.adopt(registry.settings._replace(etcd_flush_seconds=1.0))
    registry.register(spec(ttl=8, checks=[{"ttl": 1, "status": "passing"}]), START, wall(START))
    found = one(registry, START + 1)
    assert found.beats is not None
    assert found.beats.every == pytest.approx(1 / 3)
    assert one(registry, START + 10).why.startswith("its lease ran out: no heartbeat for 10 s")
    registry.adopt(registry.settings._replace(etcd_flush_seconds=1.5))
    found = one(registry, START + 1)
    assert found.beats is not None
    assert found.beats.every > 0, "the grace has grown to what the check's deadline is"


def test_refused_heartbeats_are_told_with_the_names_to_those_alone_who_may_know() -> None:
    registry = a_registry()
    entry = registry.register(spec(), START)
    why = Why("the token ci expired at 04:12:00", "its token expired")
    for second in range(3):
        registry.refused.note(
            entry.instance.spec.key, entry, Caller("10.0.0.1"), why, START + second, wall(START + second)
        )
    everybody, owner = explained(registry, START + 3)[0], explained(registry, START + 3, sees_names=True)[0]
    told = "its lease runs; its heartbeats are refused since 22:13:20Z, 3 times"
    assert (everybody.why, owner.why) == (f"{told}: its token expired", f"{told}: the token ci expired at 04:12:00")
    assert everybody.next == "without a heartbeat that is taken it leaves the answers"
    later = one(registry, START + TTL)
    assert later.why.endswith(
        "no heartbeat for 10 s; its heartbeats are refused since 22:13:20Z, 3 times: its token expired"
    )


# -- checks


def test_what_the_last_check_came_to_is_told_with_its_time() -> None:
    registry = a_registry()
    registry.register(spec(checks={"tcp": True}), START)
    registry.last_checks.append(lambda id: {"tcp": CheckResult(START + 2, "HTTP 503")})
    found = one(registry, START + 3)
    assert found.check == CheckResult(wall(START + 2), "HTTP 503")
    assert found.why == "its lease runs; its last check failed: HTTP 503"


# -- of many, and of none


def test_of_a_service_of_which_none_is_served_the_one_that_left_last_is_told() -> None:
    registry = a_registry()
    entries = crowd(registry, 3)
    registry.drain(entries[0].instance.id, True, "a test", START + 5)
    registry.renew(entries[2].instance.id, START + 4)
    registry.walls = lambda: wall
    service = registry.service("web")
    assert service is not None
    ran_out = "its lease ran out: no heartbeat for 10 s"
    last = why_none(registry, service, entries, START + 20)
    assert last == f" (3 unhealthy), the last since 22:13:34Z: {ran_out}"
    key, why = entries[1].instance.spec.key, Why("", "its token expired")
    registry.refused.note(key, entries[1], Caller("10.0.0.1"), why, START + 12, wall(START + 12))
    refused = why_none(registry, service, entries, START + 20)
    assert refused.endswith(
        "since 22:13:30Z: " + ran_out + "; its heartbeats are refused since 22:13:32Z, once: its token expired"
    )


def test_of_suspects_one_whose_heartbeats_are_refused_is_told_and_that_first() -> None:
    registry = braked()
    entries = crowd(registry, 3)
    registry.advance(START + TTL + 1, ALL)
    registry.walls = lambda: wall
    assert {entry.status for entry in entries} == {Status.SUSPECT}
    why = Why("", "its token expired")
    registry.refused.note(
        entries[0].instance.spec.key, entries[0], Caller("10.0.0.1"), why, START + 12, wall(START + 12)
    )
    assert not_healthy(registry, "web", entries, START + 20).startswith(
        "web: 3 of 3 answers are suspect since 22:13:31Z: its heartbeats are refused since 22:13:32Z, once: its token expired; it fell "
    )
