"""Several checks of an instance: what they come to by groups, when a report is missing, and what follows from that."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from discovery.core.caller import NOBODY, SERVER
from discovery.core.event import Kind
from discovery.core.health import Finding, Health
from discovery.core.remembered import changed
from discovery.core.status import Probed, Status
from discovery.store.errors import CheckIsMade, ServiceFull, UnknownCheck
from discovery.store.probing import Probe
from discovery.store.registration import ReportCheck
from discovery.store.service import Entry
from tests.driven import DrivenRegistry
from tests.store.making import START, WALL, Log, a_registry, braked, crowd, ports, spec, words

PASSING, WARNING, FAILING = Health
KEY = spec().key


def wall(now: float) -> float:
    return now - START + WALL


def report(
    registry: DrivenRegistry, now: float, check: str = "ttl", health: Health = PASSING, output: str = "", key: Any = KEY
) -> Entry:
    """As a client does: what says nothing new is a heartbeat with it."""
    entry = registry.at(key)
    if entry.says(check, health, now):
        assert registry.beat(entry, now, check)
        entry.note_output(check, output)
        return entry
    return registry.do(ReportCheck(key, check, Finding(health, output)), now, wall(now))


def said(entry: Entry, now: float) -> Finding:
    return entry.as_seen(now, wall).checks["ttl"]


def probed(registry: DrivenRegistry, now: float, check: str, health: Health = FAILING) -> None:
    write = ReportCheck(KEY, check, Finding(health, "answered 503" if health is FAILING else ""))
    registry.carry_out(write, now, wall(now), SERVER)


def one(*checks: dict[str, Any], **fields: Any) -> tuple[DrivenRegistry, Entry, Log]:
    registry = a_registry()
    log = Log.of(registry)
    entry = registry.register(spec(checks=list(checks), **fields), START, WALL)
    return registry, entry, log


def test_a_ttl_check_fails_until_its_first_report_and_again_from_the_instant_at_which_the_next_is_missing() -> None:
    registry, entry, log = one({"ttl": 4}, ttl=60)
    assert entry.status_at(START) is Status.FAILING
    report(registry, START + 1)
    assert (entry.status_at(START + 1), entry.lease.left(START + 2)) == (Status.HEALTHY, 3)
    report(registry, START + 4)
    assert entry.healthy(START + 7.999)
    assert entry.status_at(START + 8) is Status.FAILING
    assert ports(registry, START + 8) == []
    assert (registry.next_deadline() or 0.0) <= START + 8
    registry.advance(START + 9, wall=wall(START + 9))
    assert log.changes[-1].reason == "its check ttl fails: nothing was reported for 4 s"
    assert entry.instance.checks["ttl"].since == wall(START + 8)
    report(registry, START + 10)
    assert [change.kind for change in log.changes] == [Kind.REGISTERED, Kind.HEALTHY, Kind.FAILING, Kind.HEALTHY]
    assert entry.since == wall(START + 10)


def test_a_report_that_changes_nothing_is_no_event_and_its_output_is_shown() -> None:
    registry, entry, log = one({"ttl": 4}, ttl=60)
    report(registry, START, output="12 connections")
    log.take()
    for second in range(20):
        report(registry, START + second, output=f"{second} connections")
    assert log.changes == []
    assert said(entry, START + 19).output == "19 connections"
    assert said(entry, START + 30) == Finding(FAILING, "nothing was reported for 4 s", wall(START + 23))
    report(registry, START + 20, health=WARNING, output="full")
    assert [change.kind for change in log.take()] == [Kind.UPDATED]
    assert entry.instance.weight == entry.instance.spec.warning_weight
    assert said(entry, START + 21).output == "full"


def test_a_report_is_a_heartbeat() -> None:
    registry, entry, _ = one({"ttl": 60})
    for second in range(0, 50, 5):
        report(registry, START + second)
    assert entry.healthy(START + 54.9)
    assert entry.status_at(START + 55) is Status.UNHEALTHY


T, F = {"ttl": 5, "status": "passing"}, {"ttl": 5}
GROUPS = [
    ([T], [], Status.HEALTHY),
    ([T], ["a"], Status.FAILING),
    ([T, {"http": "/"}], [], Status.HEALTHY),
    ([T | {"group": "x"}, F | {"id": "b", "group": "y"}], [], Status.HEALTHY),
    ([F | {"group": "x"}, F | {"id": "b", "group": "y"}], [], Status.FAILING),
    ([T | {"group": "x"}, F | {"id": "b", "group": "x"}], [], Status.FAILING),
    ([T, F | {"id": "b", "group": "y"}], [], Status.HEALTHY),
    ([F, T | {"id": "b", "group": "y"}], [], Status.HEALTHY),
]


@pytest.mark.parametrize(("checks", "own", "status"), GROUPS)
def test_in_a_group_the_worst_counts_and_among_groups_the_best(
    checks: list[dict[str, Any]], own: list[str], status: Status
) -> None:
    registry, entry, _ = one(*checks)
    if own:
        entry.instance = entry.instance._replace(own=Finding(FAILING, "full"))
        assert entry.instance.fails
    else:
        assert entry.status_at(START) is status
    assert (FAILING if status is Status.FAILING else PASSING) is entry.instance.health
    assert registry.liveness.warning == 0
    counted = Counter(entry.instance.said_by(check).health for check in entry.instance.spec.checks)
    assert registry.liveness.checks == {health: counted[health] for health in Health}


def test_a_missing_report_takes_nobody_out_whose_other_group_passes_and_is_told_all_the_same() -> None:
    registry, entry, log = one(T | {"group": "x"}, {"tcp": True, "group": "y"}, ttl=60)
    log.take()
    assert entry.healthy(START + 30)
    registry.advance(START + 30, wall=wall(START + 30))
    assert [(change.kind, change.instance.checks["ttl"].health) for change in log.take()] == [(Kind.UPDATED, FAILING)]
    probed(registry, START + 31, "tcp")
    assert entry.status_at(START + 31) is Status.FAILING


def test_drain_and_maintenance_stand_above() -> None:
    registry, entry, _ = one(T, ttl=60)
    registry.drain(KEY, True, "asked", START + 1)
    assert entry.status_at(START + 6) is Status.DRAINING
    registry.advance(START + 6, wall=wall(START + 6))
    registry.drain(KEY, False, "done", START + 7)
    assert entry.status is Status.FAILING


def test_one_that_fails_for_too_long_is_deregistered_with_its_reason() -> None:
    registry, entry, log = one(T | {"criticalAfter": 60, "name": "db pool"}, lease="none")
    assert registry.advance(START + 64.9, wall=wall(START + 64.9))
    assert entry.status_at(START + 64.9) is Status.FAILING
    assert (registry.next_deadline() or 0.0) <= START + 65
    registry.advance(START + 65, wall=wall(START + 65))
    assert registry.find(KEY) is None
    assert log.changes[-1].kind is Kind.DEREGISTERED
    assert log.changes[-1].reason == "its check db pool has failed for 60 s: nothing was reported for 5 s"
    registry.upsert(spec(), START + 65.5)  # whoever comes again is welcome


def test_one_that_fails_for_too_long_goes_though_its_check_is_none_of_its_registrants() -> None:
    """An older version beside this one keeps the attachments, and changes the checks."""
    registry, entry, _ = one(T | {"criticalAfter": 60}, lease="none")
    terms = [None, None, 0.0, 0.0, ["another"]]
    attached = changed((), {"consul": 1, "registrants": {"native": terms, "consul": terms}})
    entry.instance = entry.instance._replace(attachments=attached)
    registry.advance(START + 65, 10, wall=wall(START + 65))
    assert registry.find(KEY) is None


def test_who_has_several_groups_is_deregistered_when_a_check_of_each_has_failed_for_too_long() -> None:
    registry, _, _ = one(
        T | {"group": "x", "criticalAfter": 60}, T | {"id": "b", "group": "y", "criticalAfter": 60}, lease="none"
    )
    for second in range(0, 100, 4):
        report(registry, START + second, "b")
        registry.advance(START + second, wall=wall(START + second))
    assert registry.find(KEY) is not None
    registry.advance(START + 101, wall=wall(START + 101))
    registry.advance(START + 160.9, wall=wall(START + 160.9))
    assert registry.find(KEY) is not None
    registry.advance(START + 161, wall=wall(START + 161))
    assert registry.find(KEY) is None


def test_the_time_of_a_failure_counts_over_a_restart_and_what_passed_has_a_full_deadline_again() -> None:
    _, entry, _ = one(F | {"criticalAfter": 60}, T | {"id": "b", "group": "b"}, lease="none")
    again = a_registry()
    [found] = again.restore(entry.instance, now=START + 20, wall=wall(START + 20))
    assert found.instance.checks == entry.instance.checks
    assert found.healthy(START + 24.9)
    assert found.status_at(START + 25) is Status.FAILING
    again.advance(START + 59, wall=wall(START + 59))
    assert again.find(KEY) is not None
    again.advance(START + 60, wall=wall(START + 60))
    assert again.find(KEY) is None


def test_registering_again_keeps_what_the_same_checks_said() -> None:
    registry, entry, _ = one({"ttl": 5}, {"ttl": 5, "id": "b"}, ttl=60)
    report(registry, START)
    report(registry, START, "b", WARNING)
    registry.register(spec(ttl=60, checks=[{"ttl": 5}, {"ttl": 6, "id": "b"}]), START + 1, WALL)
    assert entry.instance.checks["ttl"].health is PASSING
    assert entry.instance.checks["b"].health is FAILING
    registry.register(spec(ttl=60), START + 2, WALL)
    assert (entry.status, dict(entry.instance.checks)) == (Status.HEALTHY, {})
    assert entry.healthy(START + 20)


def test_nobody_makes_way_at_the_limit_because_reports_alone_are_missing() -> None:
    registry = a_registry(max_instances=1)
    entry = registry.register(spec(checks=[T], lease="none"), START, WALL)
    with pytest.raises(ServiceFull):
        registry.register(spec(port=2), START + 6, wall(START + 6))
    assert registry.find(KEY) is entry


def test_only_a_ttl_check_that_there_is_can_be_reported() -> None:
    registry, _, _ = one({"tcp": True})
    with pytest.raises(UnknownCheck, match=r"'ttl'.*it has tcp"):
        report(registry, START)
    with pytest.raises(CheckIsMade, match="made by the registry"):
        registry.carry_out(ReportCheck(KEY, "tcp", Finding()), START, WALL, NOBODY)


# -- the brake


def crowd_with_ttl_checks(count: int = 20) -> DrivenRegistry:
    registry = braked(others=0)
    for entry in crowd(registry, count, lease="none", checks=[T]):
        assert entry.healthy(START)
    return registry


def test_missing_reports_count_in_the_brake_as_missing_heartbeats_do() -> None:
    registry = crowd_with_ttl_checks()
    for port in range(1, 11):
        report(registry, START + 4, key=spec(port=port).key)
    registry.advance(START + 5, wall=wall(START + 5))
    assert words(registry) == " ".join(["healthy"] * 10 + ["suspect"] * 10)
    beaten = report(registry, START + 5.5, key=spec(port=20).key)
    assert beaten.status_at(START + 6) is Status.HEALTHY
    suspect = registry.renew(spec(port=19).key, START + 6)
    assert suspect.status_at(START + 6) is Status.SUSPECT, "it beats, and what it should report is missing"
    for second in range(6, 60):
        for port in (*range(1, 11), 20):
            report(registry, START + second, key=spec(port=port).key)
        registry.advance(START + second, wall=wall(START + second))
    assert words(registry) == " ".join(["healthy"] * 10 + ["failing"] * 9 + ["healthy"])


def test_one_whose_port_refuses_while_its_reports_are_missing_fails_and_stays_registered() -> None:
    registry = crowd_with_ttl_checks()
    registry.advance(START + 5, wall=wall(START + 5))
    asked = spec(port=3).key
    registry.do(Probe("web", ((registry.at(asked).instance.id, Probed.REFUSED),)), START + 6, wall(START + 6))
    entry = registry.at(asked)
    assert (entry.status, entry.instance.failing) == (Status.FAILING, "ttl: nothing was reported for 5 s")
    registry.advance(START + 60, wall=wall(START + 60))
    assert registry.find(asked) is entry


def test_a_few_missing_reports_are_no_matter_for_the_brake_and_those_that_lapsed_before_it_engages_come_back_as_suspects() -> (
    None
):
    registry = crowd_with_ttl_checks()
    for port in range(3, 21):
        report(registry, START + 4, key=spec(port=port).key)
    registry.advance(START + 5, wall=wall(START + 5))
    assert words(registry).split()[:3] == ["failing", "failing", "healthy"]
    registry.advance(START + 9, wall=wall(START + 9))
    assert set(words(registry).split()) == {"suspect"}
