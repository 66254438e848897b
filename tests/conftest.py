"""What runs alone: tests that load the machine, or measure how long something takes. All others run side by side, several at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

ALONE = (
    "engines/etcd/test_chaos.py",
    "engines/etcd/test_silence.py",
    "stories/attack",
    "stories/test_freshness.py",
    "plugins/journal/test_speed.py",
    "rest/http/test_slow_clients.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        path = item.path.relative_to(here).as_posix() if item.path.is_relative_to(here) else ""
        if path.startswith(ALONE):
            item.add_marker(pytest.mark.alone)
