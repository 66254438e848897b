"""A server that stood still for longer than leases last (`pausing`), and what must not have come of it."""

from __future__ import annotations

import re

import pytest

from tests.stories.liveness.pausing import EACH, PAUSE, SERVICES, SILENT_LEASE, Paused, pause


@pytest.fixture(scope="module")
def after(tmp_path_factory: pytest.TempPathFactory) -> Paused:
    """What came of one pause, for all claims."""
    return pause(tmp_path_factory.mktemp("paused") / "data")


def test_no_client_is_dropped_or_marked_and_every_answer_is_200(after: Paused) -> None:
    statuses = {beat.status for beat in after.beats}
    assert statuses <= {200, None}, "answered well, or not at all while it stood still"
    for beat in after.beats:
        assert beat.status is None or beat.id == after.registered[beat.client].id
    first = {beat.client: beat for beat in reversed(after.beats) if beat.sent > after.over and beat.status}
    assert len(first) == SERVICES * EACH
    crowds = {name: service for name, service in after.services.items() if name.startswith("crowd-")}
    ids = {one["id"] for service in crowds.values() for one in service["instances"]}
    assert ids == {beat.id for beat in after.registered.values()}
    assert {service["healthyCount"] for service in crowds.values()} == {EACH}
    assert after.stats["instancesByStatus"]["suspect"] == 0
    assert after.stats["servicesHeldByTheBrake"] == []
    assert not [line for line in after.log if re.search(r"(unhealthy|expired|suspect|healthy) crowd-", line)]
    unanswered = sum(beat.status is None for beat in after.beats)
    print(
        f"{len(first)} clients, {after.over - after.stopped:.1f} s stopped: 0 dropped; "
        f"{len(after.beats)} beats, {unanswered} without an answer"
    )


def test_dns_has_all_of_them(after: Paused) -> None:
    assert after.addresses == [EACH] * SERVICES


def test_one_that_never_beats_is_gone_a_lease_after_the_pause(after: Paused) -> None:
    """Its lease ran when the pause began, so it has a whole one, and no more."""
    print(f"gone {after.silent_after:.2f} s after the pause; its lease has {SILENT_LEASE} s")
    assert SILENT_LEASE - 0.1 < after.silent_after < SILENT_LEASE + PAUSE
    assert any("unhealthy silent" in line for line in after.log)


def test_the_log_tells_of_the_pause(after: Paused) -> None:
    found = re.findall(r"stood still for ([\d.]+) s", "\n".join(after.log))
    print(f"stood still for {found} s")
    assert PAUSE - 1 < max(map(float, found)) < 2 * PAUSE, (
        "on a busy machine it may do so for a second now and then, too"
    )


def test_nothing_fails(after: Paused) -> None:
    assert "Traceback" not in "\n".join(after.log)
