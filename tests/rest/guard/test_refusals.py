"""The log of what was refused: who and why, a line now and then for each client prefix, and a count of what was held back, always."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from discovery.cli.logs import fields_of
from discovery.core.caller import Caller
from discovery.rest.api.errors import HttpError
from discovery.rest.api.requests import Request
from discovery.rest.guard.refusals import EVERY, MAX_CLIENTS, MAX_LINES, Refusals
from discovery.store.errors import UnknownInstance
from tests.rest.harness import USER, serving
from tests.routes import asked
from tests.store.making import a_registry

WHY = HttpError("INSTANCE_UNKNOWN", "No instance 10.0.0.1 port 80 of service a is registered")


def beat(address: str) -> Request:
    return asked("POST", "/heartbeat", address)


class Loop:
    """The time, and what is due at some."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        self.due.append((self.now + seconds, callback))

    def forward(self, seconds: float) -> None:
        until = self.now + seconds
        while self.due and min(self.due)[0] <= until:
            self.due.sort(key=lambda one: one[0])
            self.now, callback = self.due.pop(0)
            callback()
        self.now = until


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def refusals(loop: Loop) -> Refusals:
    return Refusals(a_registry(), loop.time, loop.time, loop.call_later)


def records(caplog: pytest.LogCaptureFixture) -> list[Any]:
    assert all(record.levelno == logging.WARNING for record in caplog.records)
    return [record for record in caplog.records if record.name == "discovery.refusals"]


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in records(caplog)]


def counted(caplog: pytest.LogCaptureFixture) -> int:
    """Refusals that the log accounts for."""
    return sum(fields_of(record)["count"] for record in records(caplog))


def test_a_line_says_who_and_why(caplog: pytest.LogCaptureFixture, refusals: Refusals) -> None:
    refusals.note(beat("10.0.0.1"), 404, WHY)
    [line] = lines(caplog)
    assert line == f"refused POST /heartbeat from 10.0.0.1: 404, {WHY}"


def test_a_spelling_of_the_path_hides_nothing(caplog: pytest.LogCaptureFixture, refusals: Refusals) -> None:
    refusals.note(asked("POST", "/%68eartbeat", "10.0.0.9"), 404, WHY)
    [line] = lines(caplog)
    assert line.startswith("refused POST /%68eartbeat from 10.0.0.9: 404")


def test_its_fields_say_who_why_and_about_what(caplog: pytest.LogCaptureFixture, refusals: Refusals) -> None:
    request = beat("10.0.0.1")
    request.caller = Caller("10.0.0.1", "ci")
    request.body = b'{"name": "a", "ip": "10.9.9.9", "port": 80, "id": ["no scalar"]}'
    refusals.note(request, 404, WHY)
    [record] = records(caplog)
    assert fields_of(record) == {
        "event": "request.refused", "client": "10.0.0.1", "actor": "ci", "method": "POST", "path": "/heartbeat", "status": 404,
        "count": 1, "reason": str(WHY), "service": "a", "ip": "10.9.9.9", "port": 80,
    }  # fmt: skip
    assert "10.0.0.1 (ci)" in record.getMessage()


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"\xff", b'{"name": {}}', b'{"name": "' + b"a" * 5000 + b'"}'])
def test_a_body_of_any_kind_is_no_trouble(caplog: pytest.LogCaptureFixture, refusals: Refusals, body: bytes) -> None:
    request = asked("POST", "/register")
    request.body = body
    refusals.note(request, 400, HttpError("BROKEN", "x" * 1000))
    [record] = records(caplog)
    assert "service" not in fields_of(record)
    assert len(record.getMessage()) < 400


def test_more_of_a_prefix_are_counted_and_told_though_the_client_never_comes_again(
    caplog: pytest.LogCaptureFixture, loop: Loop, refusals: Refusals
) -> None:
    for number in range(1000):
        refusals.note(beat(f"2001:db8::{number:x}"), 404, WHY)
        loop.forward(0.001)
    refusals.note(beat("10.0.0.1"), 404, WHY)
    assert len(lines(caplog)) == 2
    loop.forward(EVERY)
    [line] = lines(caplog)[2:]
    assert line.startswith(
        "refused 999 more of 2001:db8::/56 in the last 10 s, the last POST /heartbeat from 2001:db8::3e7: 404,"
    )
    assert counted(caplog) == 1001
    loop.forward(10 * EVERY)
    assert len(lines(caplog)) == 3
    assert not loop.due, "nothing is left to tell, and no timer runs"


def test_one_that_never_stops_has_a_line_each_ten_seconds(
    caplog: pytest.LogCaptureFixture, loop: Loop, refusals: Refusals
) -> None:
    for _ in range(600):
        refusals.note(beat("10.0.0.1"), 404, WHY)
        loop.forward(0.1)
    loop.forward(EVERY)
    assert 6 <= len(lines(caplog)) <= 8
    assert counted(caplog) == 600


def test_what_is_held_back_at_the_end_is_told(caplog: pytest.LogCaptureFixture, refusals: Refusals) -> None:
    for _ in range(5):
        refusals.note(beat("10.0.0.1"), 404, WHY)
    refusals.close()
    assert counted(caplog) == 5


def test_what_is_remembered_and_written_is_bounded_and_every_refusal_counts(
    caplog: pytest.LogCaptureFixture, loop: Loop, refusals: Refusals
) -> None:
    clients = MAX_CLIENTS + 1000
    for number in range(2 * clients):
        refusals.note(beat(f"10.1.{number % clients // 256}.{number % 256}"), 404, WHY)
    assert len(refusals._clients) == MAX_CLIENTS
    assert len(lines(caplog)) == MAX_LINES
    for _ in range(100):
        before = len(lines(caplog))
        loop.forward(1.0)
        assert len(lines(caplog)) - before <= 2 * MAX_LINES + 2, "of two turns"
    assert counted(caplog) == 2 * clients
    assert not refusals._clients


def test_a_batch_is_a_line_and_each_of_its_items_counts(
    caplog: pytest.LogCaptureFixture, loop: Loop, refusals: Refusals
) -> None:
    batch = asked("POST", "/heartbeats")
    batch.caller = Caller("10.0.0.1")
    for _ in range(2):
        refusals.note_items(batch, 17, [({}, UnknownInstance("x"))])
    loop.forward(EVERY)
    first, second = lines(caplog)
    assert first == "refused POST /heartbeats from 10.0.0.1: 17 in one request, the first: No instance x is registered"
    assert second.startswith("refused 17 more of 10.0.0.1")
    assert counted(caplog) == 34


@pytest.mark.parametrize(
    ("request_", "status"),
    [(asked("GET", "/resolve/a"), 404), (asked("POST", "/heartbeat"), 503), (asked("DELETE", "/instances"), 404)],
)
def test_other_refusals_are_no_business_of_it(
    caplog: pytest.LogCaptureFixture, refusals: Refusals, request_: Request, status: int
) -> None:
    refusals.note(request_, status, WHY)
    assert lines(caplog) == []


def admit(request: Request) -> Caller:
    if request.header(b"authorization") == "Bearer bad":
        raise HttpError("UNAUTHORIZED", "The token is not known here")
    return Caller(request.address)


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "said"),
    [
        ("POST", "/heartbeat", USER | {"port": 4}, {}, "404, No instance"),
        ("POST", "/heartbeat", USER, {"Authorization": "Bearer bad"}, "401, The token is not known"),
        ("POST", "/heartbeat", USER, {"Origin": "http://evil.example"}, "403, Pages of"),
        ("POST", "/register", USER | {"port": 0}, {}, "400, port:"),
        ("POST", "/heartbeats", {"instances": 1}, {}, "400, instances:"),
        ("PUT", "/instances", {}, {}, "400, name:"),
        (
            "POST",
            "/heartbeats",
            {"instances": [USER | {"port": 4}, {}, USER]},
            {},
            "3 in one request, the first: No instance",
        ),
        ("POST", "/registrations", {"instances": [USER, {}]}, {}, "1 in one request, the first: name"),
    ],
)
async def test_each_way_to_be_refused_is_told_at_once(
    caplog: pytest.LogCaptureFixture, method: str, path: str, body: Any, headers: dict[str, str], said: str
) -> None:
    async with serving(admit=admit) as api:
        reply = await api.request(method, path, body, headers)
        assert reply.status in (200, 400, 401, 403, 404)
    [line] = lines(caplog)
    assert line.startswith(f"refused {method} {path} from 127.0.0.1: {said}"), line


async def test_one_registration_too_many_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(registers_per_second=1) as api:
        statuses = [(await api.request("POST", "/register", USER)).status for _ in range(3)]
        assert statuses == [201, 201, 429]
    [line] = lines(caplog)
    assert "429, More than 1 registrations a second" in line
