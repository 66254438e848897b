"""The request log: a line a request, heartbeats and resolves at debug, and no stranger's control characters in it."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.rest.harness import LIMIT, USER, Api

LOGGER = "discovery.requests"
QUIET = [
    ("POST", "/heartbeat"),
    ("GET", "/resolve/user-service"),
    ("GET", "/resolve/nobody"),
    ("GET", "/stats"),
    ("GET", "/services"),
]
LOUD = [
    ("POST", "/register"), ("GET", "/maintenance"), ("DELETE", "/services/nobody"), ("GET", "/nothing"), ("GET", "/ui"),
    ("POST", "/admin/clear"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """From the start: aiohttp asks for a connection, not for a request, whether there is a log."""
    caplog.set_level(logging.DEBUG, LOGGER)


async def written(caplog: pytest.LogCaptureFixture, count: int) -> list[tuple[int, str]]:
    """A line is written just after its answer has gone out."""
    async with asyncio.timeout(LIMIT):
        while len(lines(caplog)) < count:  # noqa: ASYNC110 - a log has no event to wait for
            await asyncio.sleep(0)
    return lines(caplog)


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [(record.levelno, record.getMessage()) for record in caplog.records if record.name == LOGGER]


@pytest.mark.parametrize(
    ("method", "path", "level"),
    [(*one, logging.DEBUG) for one in QUIET] + [(*one, logging.INFO) for one in LOUD],
)
async def test_a_line_a_request_at_its_level(
    api: Api, caplog: pytest.LogCaptureFixture, method: str, path: str, level: int
) -> None:
    await api.register()
    await written(caplog, 1)
    caplog.clear()
    reply = await api.request(method, path, USER if method == "POST" else None)
    [(at, text)] = await written(caplog, 1)
    assert at == level
    assert all(part in text for part in (method, path, str(reply.status), "127.0.0.1"))


async def test_at_info_the_endless_ones_are_not_written(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    for method, path in QUIET:
        await api.request(method, path, USER if method == "POST" else None)
    await api.get("/maintenance")
    [(_, text)] = await written(caplog, 1)
    assert "/maintenance" in text


async def test_what_is_no_http_is_written_too(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    await api.raw(b"hello\r\n\r\n")
    [(_, text)] = lines(caplog)
    assert "400" in text


@pytest.mark.parametrize(
    "target",
    [
        b"/x%0d%0aGET%20/forged", b"/x?a=%0aforged", b"/x%1b[2Jforged", b"/x%00forged", b"/x\x1b[2Jforged",
        b"/x\x0bforged", b"/x\xc2\x85forged", b"/x%e2%80%a8forged", b"/services/a%0Aforged",
    ],
)  # fmt: skip
async def test_a_stranger_cannot_write_lines_or_move_the_cursor(
    api: Api, caplog: pytest.LogCaptureFixture, target: bytes
) -> None:
    await api.raw(b"DELETE " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert lines(caplog)
    for _, text in lines(caplog):
        assert text.isprintable(), text
