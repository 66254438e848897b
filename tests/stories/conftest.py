"""A server for the stories that need no settings of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stories.process import Discovery, running


@pytest.fixture
def server() -> Iterator[Discovery]:
    with running() as discovery:
        yield discovery
