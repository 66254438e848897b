"""The long pause goes on beside the other stories of this folder, from the first of them on."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.stories.liveness.pausing import Paused, pause


@pytest.fixture(scope="session", autouse=True)
def paused(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Future[Paused] | None]:
    """What comes of it; None when no story asks for it."""
    if not any("test_pause" in item.nodeid for item in request.session.items):
        yield None
        return
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(pause, tmp_path_factory.mktemp("paused") / "data")
