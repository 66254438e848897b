"""Everybody who follows hears every commit, in order, whatever another does."""

from __future__ import annotations

import pytest

from discovery.core.event import Commit
from tests.store.making import START, Log, a_registry, spec


def test_one_that_fails_keeps_no_other_from_what_has_happened(caplog: pytest.LogCaptureFixture) -> None:
    registry = a_registry()

    def fails(commit: Commit) -> None:
        raise RuntimeError("a defect")

    registry.followers.append(fails)
    log = Log.of(registry)
    entry = registry.register(spec(), START)
    assert [change.instance for change in log.changes] == [entry.instance]
    assert "a follower failed at commit 1" in caplog.text
    assert "a defect" in caplog.text
