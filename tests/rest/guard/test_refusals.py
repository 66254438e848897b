"""The log of what was refused: who and why, a line now and then for each client prefix, with a count of what was held back."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from discovery.core.caller import Caller
from discovery.rest.api.errors import HttpError
from discovery.rest.api.requests import Request
from discovery.rest.guard.refusals import EVERY, MAX_PREFIXES, Refusals
from tests.rest.harness import USER
from tests.rest.strict import serving_strictly

WHY = HttpError(404, "INSTANCE_UNKNOWN", "No instance 10.0.0.1 port 80 of service a is registered")
BEAT = Request("POST", "/heartbeat")


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    assert all(record.levelno == logging.WARNING for record in caplog.records)
    return [record.getMessage() for record in caplog.records if record.name == "discovery.refusals"]


def test_a_line_says_who_and_why(caplog: pytest.LogCaptureFixture) -> None:
    Refusals().note(BEAT, "10.0.0.1", 404, WHY, 0.0)
    [line] = lines(caplog)
    assert line == f"refused POST /heartbeat from 10.0.0.1: 404, {WHY}"


def test_more_of_a_prefix_are_counted_and_told_later(caplog: pytest.LogCaptureFixture) -> None:
    refusals = Refusals()
    for number in range(1000):
        refusals.note(BEAT, f"2001:db8::{number:x}", 404, WHY, number / 1000)
    refusals.note(BEAT, "10.0.0.1", 404, WHY, 1.0)
    assert len(lines(caplog)) == 2
    refusals.note(BEAT, "2001:db8::1", 404, WHY, EVERY)
    assert "; 999 more of 2001:db8::/56" in lines(caplog)[2]
    refusals.note(BEAT, "2001:db8::1", 404, WHY, 3 * EVERY)
    assert "more" not in lines(caplog)[3]


def test_what_is_remembered_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    refusals = Refusals()
    for number in range(MAX_PREFIXES + 100):
        refusals.note(BEAT, f"10.1.{number // 256}.{number % 256}", 404, WHY, 0.0)
    assert len(refusals._last) == MAX_PREFIXES


@pytest.mark.parametrize(
    ("request_", "status"),
    [(Request("GET", "/resolve/a"), 404), (Request("POST", "/heartbeat"), 503), (Request("DELETE", "/instances"), 404)],
)
def test_other_refusals_are_no_business_of_it(caplog: pytest.LogCaptureFixture, request_: Request, status: int) -> None:
    Refusals().note(request_, "10.0.0.1", status, WHY, 0.0)
    assert lines(caplog) == []


def admit(method: str, path: str, authorization: str | None, address: str) -> Caller:
    if authorization == "Bearer bad":
        raise HttpError(401, "UNAUTHORIZED", "The token is not known here")
    return Caller(address)


@pytest.mark.parametrize("lane", [True, False])
@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "said"),
    [
        ("POST", "/heartbeat", USER | {"port": 4}, {}, "404, No instance"),
        ("POST", "/heartbeat", USER, {"Authorization": "Bearer bad"}, "401, The token is not known"),
        ("POST", "/heartbeat", USER, {"Origin": "http://evil.example"}, "403, Pages of"),
        ("POST", "/register", USER | {"port": 0}, {}, "400, port:"),
        ("POST", "/heartbeats", {"instances": 1}, {}, "400, instances:"),
        ("PUT", "/instances", {}, {}, "400, name:"),
    ],
)
async def test_each_way_to_be_refused_is_told_at_once(
    caplog: pytest.LogCaptureFixture, lane: bool, method: str, path: str, body: Any, headers: dict[str, str], said: str
) -> None:
    async with serving_strictly(admit=admit, lane=lane) as api:
        reply = await api.request(method, path, body, headers)
        assert reply.status in (400, 401, 403, 404)
    [line] = lines(caplog)
    assert line.startswith(f"refused {method} {path} from 127.0.0.1: {said}"), line
