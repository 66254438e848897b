"""What an instance says of its own health: out of answers while it fails, its lease renewed all the same."""

from __future__ import annotations

import pytest

from discovery.core.event import Kind
from discovery.core.health import Finding, Health
from discovery.core.status import Status
from discovery.store import change_log
from discovery.store.registration import Report, Upsert
from discovery.store.service import Entry
from tests.driven import DrivenRegistry
from tests.store.making import START, TTL, WALL, Log, a_registry, crowd, ports, spec, status_of

KEY = spec(port=2).key
FAILS = Finding(Health.FAILING, "the pool is empty")
WARNS = Finding(Health.WARNING, "the disk is 90 % full")
PASSES = Finding(Health.PASSING)


def of_three() -> tuple[DrivenRegistry, Log]:
    registry = a_registry()
    crowd(registry, 3)
    return registry, Log.of(registry)


def says(registry: DrivenRegistry, own: Finding, now: float = START) -> None:
    registry.carry_out(Report(KEY, own), now, WALL + now - START)


def test_one_that_says_it_fails_leaves_the_answers_at_once_and_its_lease_is_renewed() -> None:
    registry, log = of_three()
    says(registry, FAILS, START + 4)
    entry = registry.at(KEY)
    assert (ports(registry, START + 4), status_of(entry)) == ([1, 3], Status.FAILING)
    assert entry.lease.expires_at == START + 4 + TTL
    assert entry.instance.own == FAILS._replace(since=WALL + 4)
    assert [(each.kind, each.reason) for each in log.changes] == [
        (Kind.FAILING, "it says of itself: the pool is empty")
    ]


def test_a_heartbeat_without_a_word_leaves_it_as_it_was() -> None:
    registry, log = of_three()
    says(registry, FAILS)
    registry.renew(KEY, START + 1)
    registry.carry_out(Upsert(spec(port=2)), START + 2, WALL + 2)
    assert status_of(registry.at(KEY)) is Status.FAILING
    assert log.kinds() == [Kind.FAILING]


@pytest.mark.parametrize("own", [FAILS, WARNS])
def test_the_same_health_again_is_no_event_and_keeps_its_since(own: Finding) -> None:
    registry, log = of_three()
    says(registry, own)
    index = registry.index
    says(registry, own._replace(output="other words"), START + 3)
    assert (registry.index, len(log.changes), registry.at(KEY).instance.own.since) == (index, 1, WALL)
    assert registry.at(KEY).lease.renewed_at == START + 3


def test_one_that_warns_is_served_with_a_small_share() -> None:
    registry, log = of_three()
    says(registry, WARNS)
    instance = registry.at(KEY).instance
    assert (ports(registry, START), instance.status, instance.weight) == ([1, 2, 3], Status.HEALTHY, 1)
    assert (registry.liveness.warning, log.kinds()) == (1, [Kind.UPDATED])
    says(registry, PASSES)
    assert (registry.at(KEY).instance.weight, registry.liveness.warning) == (100, 0)
    says(registry, WARNS)
    registry.deregister(KEY, "asked", START)
    assert registry.liveness.warning == 0


def test_a_failing_check_outweighs_a_passing_word_and_a_failing_word_a_passing_check() -> None:
    registry, _ = of_three()
    registry.checked(registry.at(KEY).instance.id, "HTTP 503", START)
    says(registry, PASSES)
    assert status_of(registry.at(KEY)) is Status.FAILING
    says(registry, FAILS)
    registry.checked(registry.at(KEY).instance.id, None, START)
    assert status_of(registry.at(KEY)) is Status.FAILING
    says(registry, PASSES)
    assert status_of(registry.at(KEY)) is Status.HEALTHY


def test_a_drain_stands_above_it_and_leaves_it_failing_when_it_ends() -> None:
    registry, _ = of_three()
    says(registry, FAILS)
    registry.drain(KEY, True, "asked", START)
    assert status_of(registry.at(KEY)) is Status.DRAINING
    registry.drain(KEY, False, "asked", START)
    assert status_of(registry.at(KEY)) is Status.FAILING


def test_who_registers_again_begins_anew_unless_it_says_otherwise() -> None:
    registry, _ = of_three()
    says(registry, FAILS)
    registry.register(spec(port=2), START + 1)
    assert status_of(registry.at(KEY)) is Status.HEALTHY


def test_after_a_restart_it_fails_since_then() -> None:
    registry, _ = of_three()
    says(registry, FAILS, START + 1)
    snapshot = registry.snapshot(START + 2, WALL + 2)
    again = a_registry()
    again.load(snapshot, START + 60, WALL + 60)
    entry = again.at(KEY)
    assert (ports(again, START + 60), status_of(entry), entry.since) == ([1, 3], Status.FAILING, WALL + 1)


def test_words_that_change_with_each_heartbeat_are_shown_and_logged_once_in_five_minutes(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO", "discovery.registry")
    registry = a_registry(max_instances=10)
    one, two, three = (registry.register(spec(port=port), START) for port in (1, 2, 3))
    caplog.clear()

    def logged(entry: Entry, output: str, at: float) -> int:
        before = len(caplog.records)
        registry.outputs.note(entry, Finding(output=output), at)
        assert entry.own.output == output
        return len(caplog.records) - before

    assert [logged(one, f"{at} % full", START + at) for at in range(0, 601, 10)].count(1) == 3
    assert caplog.messages[0].startswith("web 10.0.0.1:1 says of itself: 0 % full [id ")
    assert (logged(two, "0 % full", START + 600), logged(two, "0 % full", START + 1000)) == (1, 0), "nothing new"
    registry.outputs.note(two, None, START + 2000)
    assert two.own.output == "0 % full"
    monkeypatch.setattr(change_log, "MAX_INSTANCES", 2)
    assert [logged(entry, "full", START + 2000) for entry in (one, two, three)] == [1, 1, 0]
