"""Open files: what is granted, and what connections may have of it."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from discovery.system import limits


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    assert limits.open_files() == 256
    limits.raise_open_files()
    assert limits.open_files() == min(hard, 65536)


@pytest.mark.parametrize(("files", "http"), [(65536, 61440), (8192, 4096), (4096, 1024), (1024, 256)])
def test_connections_leave_room_for_the_others(files: int, http: int) -> None:
    shares = limits.shares(files)
    assert shares.http == http
    assert sum(shares) < files
    assert min(shares) > 100
