"""REGISTERS_PER_SECOND: how often one address may register. Heartbeats are never counted, other addresses never affected."""

from __future__ import annotations

import contextlib

import pytest

from discovery.rest.api.errors import HttpError
from discovery.rest.guard import admission
from discovery.rest.guard.admission import BURST_SECONDS, RegisterRate
from tests.rest.harness import USER, assert_error, serving

A, B = "10.0.0.1", "10.0.0.2"


def taken(limit: RegisterRate, address: str, now: float, times: int = 1000) -> int:
    """How many of `times` registrations get through at that instant."""
    count = 0
    for _ in range(times):
        with contextlib.suppress(HttpError):
            limit.take(address, now)
            count += 1
    return count


# -- the bucket


def test_two_seconds_worth_may_come_at_once() -> None:
    assert taken(RegisterRate(10), A, 100.0) == 10 * BURST_SECONDS


def test_then_as_many_as_time_passes() -> None:
    limit = RegisterRate(10)
    taken(limit, A, 100.0)
    assert [taken(limit, A, now) for now in (100.0, 100.05, 100.1, 100.2, 100.7)] == [0, 0, 1, 1, 5]


def test_what_is_not_used_is_not_saved_up() -> None:
    limit = RegisterRate(8)  # exact in binary
    taken(limit, A, 100.0)
    assert taken(limit, A, 100_000.0) == 16


def test_over_a_minute_it_is_the_rate_however_hard_it_is_tried() -> None:
    limit = RegisterRate(10)
    through = sum(taken(limit, A, 100.0 + step / 100, 5) for step in range(6000))
    assert 600 <= through <= 620


def test_another_address_has_its_own() -> None:
    limit = RegisterRate(10)
    taken(limit, A, 100.0)
    assert taken(limit, B, 100.0) == 20
    assert taken(limit, A, 100.0) == 0


def test_who_waits_as_long_as_it_was_told_gets_through() -> None:
    for per_second in (1, 2, 3, 7, 500):
        limit = RegisterRate(per_second)
        taken(limit, A, 100.0, 5000)
        with pytest.raises(HttpError) as caught:
            limit.take(A, 100.0)
        wait = caught.value.facts["retryAfter"]
        assert (caught.value.status, caught.value.code) == (429, "TOO_MANY_REGISTRATIONS")
        assert isinstance(wait, int)
        assert wait >= 1
        limit.take(A, 100.0 + wait)


def test_zero_is_no_limit_and_remembers_nobody() -> None:
    limit = RegisterRate(0)
    assert taken(limit, A, 100.0, 5000) == 5000
    assert not limit._full_at


def test_addresses_are_bounded_and_the_longest_silent_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "MAX_ADDRESSES", 100)
    limit = RegisterRate(10)
    taken(limit, A, 100.0)
    taken(limit, B, 100.0)
    for number in range(1000):
        limit.take(f"10.1.{number // 250}.{number % 250}", 100.0)
        assert taken(limit, A, 100.0, 1) == 0, "it is heard of all the time, so it is not forgotten"
        assert len(limit._full_at) <= 100
    assert taken(limit, B, 100.0) == 20, "forgotten, and allowed again"


# -- over HTTP


async def test_a_register_too_many_is_a_429_that_says_when_and_heartbeats_go_on() -> None:
    async with serving(registers_per_second=5) as api:
        statuses = [(await api.post("/register", USER)).status for _ in range(12)]
        assert statuses == [201] * 10 + [429] * 2
        refused = await api.post("/register", USER)
        assert_error(refused, 429, "127.0.0.1", "REGISTERS_PER_SECOND")
        assert refused.body["code"] == "TOO_MANY_REGISTRATIONS"
        assert refused.headers["Retry-After"] == str(refused.body["retryAfter"]) == "1"
        for _ in range(50):
            assert (await api.post("/heartbeat", USER)).status == 200
            assert (await api.post("/heartbeats", {"instances": [USER]})).body["updated"] == 1
            assert (await api.get("/resolve/user-service")).status == 200
        api.forward(1)
        assert [(await api.post("/register", USER)).status for _ in range(6)] == [201] * 5 + [429]


async def test_a_heartbeat_that_carries_a_registration_counts_only_when_it_is_one() -> None:
    async with serving(registers_per_second=1) as api:
        for _ in range(20):
            assert (await api.put("/instances", USER)).status in (200, 201)
            assert (await api.post("/heartbeat", USER | {"register": True})).status == 200
        assert (await api.put("/instances", USER | {"weight": 7})).status == 200, "the second of two"
        assert (await api.put("/instances", USER | {"weight": 8})).status == 429
        assert (await api.post("/heartbeat", USER | {"port": 3002, "register": True})).status == 429
        assert (await api.put("/instances", USER | {"weight": 7})).status == 200


async def test_without_a_rate_there_is_none() -> None:
    async with serving() as api:
        assert {(await api.post("/register", USER)).status for _ in range(100)} == {201}
