"""One Chromium for all stories of this folder in a worker; what a page may never do fails its story at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stories.dashboard.chromium import chromium
from tests.stories.dashboard.visits import Tabs, Visits


@pytest.fixture(scope="package")
def tabs() -> Iterator[Tabs]:
    """Its driver's event loop is this thread's until it ends: no asyncio test may live in this folder."""
    with chromium() as browser:
        yield Tabs(browser)


@pytest.fixture
def visit(request: pytest.FixtureRequest, tabs: Tabs) -> Iterator[Visits]:
    if "server" in request.fixturenames:
        request.getfixturevalue("server")  # started first, so that it ends after the pages, which ask it every second
    visits = Visits(tabs)
    yield visits
    visits.close()
    assert not visits.faults.found, "\n".join(visits.faults.found)
