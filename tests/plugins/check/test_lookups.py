"""Checks of host names: asked once a probe, and what is connected to is what was looked at."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from discovery.core.caller import Caller
from discovery.core.event import Kind
from discovery.plugins.check.probe import CannotProbe
from discovery.plugins.check.targets import MAX_LOOKUPS, Lookups
from tests.plugins.check.servers import quick, serving, watching
from tests.waiting import until

NAME = "Db.example.com"
HERE = Caller("127.0.0.1")
Resolve = Callable[..., list[Any]]


@pytest.fixture
def resolves(monkeypatch: pytest.MonkeyPatch) -> Callable[[Resolve], None]:
    """What the resolver says of every name."""
    return lambda answer: monkeypatch.setattr(socket, "getaddrinfo", answer)


def infos(*addresses: str) -> list[Any]:
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses]


async def test_a_name_is_asked_once_a_probe_and_what_was_looked_at_is_what_is_asked(
    resolves: Callable[[Resolve], None],
) -> None:
    """The second answer is where a name leads that was made for it; those of several addresses that may not be asked are passed over."""
    asked: list[str] = []

    def answer(name: str, *_: Any, **__: Any) -> list[Any]:
        asked.append(name)
        return infos("169.254.169.254", "127.0.0.1") if len(asked) % 2 else infos("169.254.169.254")

    resolves(answer)
    async with serving() as fake, watching() as house:
        await house.register(fake.port, quick(failures=100), ip=NAME, by=HERE)
        await until(lambda: len(fake.requests) >= 5)
        assert len(asked) in (2 * len(fake.requests) - 1, 2 * len(fake.requests), 2 * len(fake.requests) + 1)
        assert f"Host: {NAME}:{fake.port}\r\n".encode() in fake.requests[0]
        assert set(asked) == {NAME}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (infos("10.0.0.7"), "Db.example.com is 10.0.0.7, which is not the address that registered it, and not in CHECK_NETWORKS"),
        (infos("169.254.169.254"), "Db.example.com is 169.254.169.254, which is link-local"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "Db.example.com has no address"),
    ],
)  # fmt: skip
async def test_one_that_leads_nowhere_or_where_nobody_is_asked_fails_and_says_so(
    resolves: Callable[[Resolve], None], answer: list[Any] | OSError, said: str
) -> None:
    def resolve(*_: Any, **__: Any) -> list[Any]:
        if isinstance(answer, OSError):
            raise answer
        return answer

    resolves(resolve)
    async with watching() as house:
        await house.register(80, quick(failures=1), ip=NAME, by=HERE)
        await until(lambda: house.log.kinds()[-1] is Kind.FAILING)
        assert said in house.log.changes[-1].reason


async def test_a_resolver_that_cannot_tell_counts_against_nobody(resolves: Callable[[Resolve], None]) -> None:
    asked = 0

    def fails(*_: Any, **__: Any) -> list[Any]:
        nonlocal asked
        asked += 1
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    resolves(fails)
    async with watching() as house:
        await house.register(80, quick(failures=1), ip=NAME, by=HERE)
        await until(lambda: asked >= 5)
        assert house.log.kinds() == [Kind.REGISTERED]


async def test_a_resolver_that_hangs_holds_so_many_threads_and_no_more(resolves: Callable[[Resolve], None]) -> None:
    lookups, answers, asked = Lookups(), threading.Event(), 0

    def hangs(*_: Any, **__: Any) -> list[Any]:
        nonlocal asked
        asked += 1
        answers.wait()
        return infos("127.0.0.1")

    resolves(hangs)
    many = await asyncio.gather(
        *(lookups.addresses(NAME, 0.05) for _ in range(3 * MAX_LOOKUPS)), return_exceptions=True
    )
    assert all(isinstance(each, CannotProbe) for each in many)
    assert asked == MAX_LOOKUPS
    answers.set()
    assert await lookups.addresses(NAME, 60.0) == ["127.0.0.1"], "and gives them back"
