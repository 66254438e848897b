"""Drain: out of answers at once, alive as before, until it is undone; and what active checks say, which works alike."""

from __future__ import annotations

import pytest

from discovery.core.event import Kind
from discovery.core.status import Status
from tests.driven import DrivenRegistry
from tests.store.making import START, WALL, Log, a_registry, crowd, ports, spec, status_of

KEY = spec(port=2).key


def of_three() -> tuple[DrivenRegistry, Log]:
    registry = a_registry()
    crowd(registry, 3)
    return registry, Log.of(registry)


@pytest.mark.parametrize("by_id", [False, True])
def test_one_that_drains_is_in_no_answer_from_that_moment_on(by_id: bool) -> None:
    registry, log = of_three()
    entry = registry.drain(registry.at(KEY).instance.id if by_id else KEY, True, "asked for by 10.9.9.9", START)
    assert (entry.status, entry.instance.draining) == (Status.DRAINING, True)
    assert ports(registry, START) == [1, 3]
    assert [(change.kind, change.reason) for change in log.changes] == [(Kind.DRAINING, "asked for by 10.9.9.9")]
    assert log.changes[0].instance.draining


def test_one_whose_checks_fail_is_out_until_they_pass() -> None:
    registry, log = of_three()
    id = registry.at(KEY).instance.id
    registry.checked(id, "HTTP 503", START)
    assert ports(registry, START) == [1, 3]
    assert (registry.at(KEY).status, registry.at(KEY).instance.failing) == (Status.FAILING, "HTTP 503")
    registry.renew(KEY, START + 1)
    registry.register(registry.at(KEY).instance.spec, START + 2, WALL)
    assert status_of(registry.at(KEY)) is Status.FAILING
    registry.checked(id, None, START + 3)
    assert ports(registry, START + 3) == [1, 2, 3]
    assert [(change.kind, change.reason) for change in log.changes] == [
        (Kind.FAILING, "HTTP 503"),
        (Kind.HEALTHY, "its checks pass again"),
    ]


def test_another_check_begins_with_a_clean_slate() -> None:
    registry, _ = of_three()
    registry.checked(registry.at(KEY).instance.id, "HTTP 503", START)
    registry.register(spec(port=2, checks={"http": "/"}), START + 1, WALL)
    assert (registry.at(KEY).status, registry.at(KEY).instance.failing) == (Status.HEALTHY, None)
