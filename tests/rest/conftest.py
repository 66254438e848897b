"""What every test of the HTTP side has."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from blockbuster import BlockBuster, blockbuster_ctx

from tests.rest.harness import Api, serving


@pytest.fixture(autouse=True)
def blockbuster() -> Iterator[BlockBuster]:
    """A call that blocks the event loop fails the test."""
    with blockbuster_ctx() as detector:
        # A traceback that is logged shows source lines, which Python reads once from disk; it happens for bugs only.
        for function in detector.functions.values():
            function.can_block_in("linecache.py", {"updatecache", "lazycache"})
            function.can_block_in("/traceback.py", {"_extract_from_extended_frame_gen", "format_exception"})
        yield detector


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with serving() as served:
        yield served
