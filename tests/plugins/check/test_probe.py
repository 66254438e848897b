"""One probe of real servers, on both event loops: what passes, what fails and why, what goes out, and when the connection ends."""

from __future__ import annotations

import asyncio
import resource
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

import pytest
import uvloop

from discovery.core.check import Check
from discovery.plugins.check.probe import MAX_ANSWER, CannotProbe, probe
from tests.plugins.check.servers import LIMIT, OK, Fake, Script, serving, silent_port
from tests.waiting import until

PATIENT = Check(kind="http", id="http", path="/health", timeout=LIMIT)
TCP = Check(kind="tcp", id="tcp", timeout=LIMIT)
Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=[asyncio.SelectorEventLoop, uvloop.Loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    def run(test: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(test)

    return run


def answered(status: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()


INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (OK, None),
        (answered("201 Created"), None),
        (answered("204 No Content"), None),
        (answered("299 Fine"), None),
        (b"HTTP/1.0 200 OK\r\n\r\nok", None),
        (b"HTTP/1.1 200\r\n\r\n", None),  # without the blank that RFC 9112 wants before an empty reason
        (INTERIM * 2 + OK, None),
        (INTERIM, "no HTTP status in its answer"),
        (INTERIM + answered("503 Busy"), "answered 503"),
        (answered("199 Odd"), "no HTTP status in its answer"),
        (answered("300 Multiple Choices"), "answered 300"),
        (answered("304 Not Modified"), "answered 304"),
        (answered("404 Not Found"), "answered 404"),
        (answered("500 Internal Server Error"), "answered 500"),
        (b"", "closed the connection without an answer"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "no HTTP status in its answer"),
        (b"HTTP/1.1 2", "no HTTP status in its answer"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "no HTTP status in its answer"),
        (b"HTTP/1.1 +20 OK\r\n\r\n", "no HTTP status in its answer"),
        (b"HTTP/2 200\r\n\r\n", "no HTTP status in its answer"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "no HTTP status in its answer"),  # a TLS alert
        (b"\r\nHTTP/1.1 200 OK\r\n\r\n", "no HTTP status in its answer"),
    ],
    ids=repr,
)
def test_what_passes_and_why_others_fail(run: Run, answer: bytes, failure: str | None) -> None:
    async def test() -> None:
        async with serving(answer) as fake:
            assert await probe("127.0.0.1", fake.port, PATIENT) == failure
            assert fake.accepted == 1

    run(test())


@pytest.mark.parametrize(("ip", "host"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")])
def test_the_request_is_a_plain_get_of_the_path_from_the_instance(
    run: Run, monkeypatch: pytest.MonkeyPatch, ip: str, host: str
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    async def test() -> None:
        async with serving(ip=ip) as fake:
            assert (
                await probe(ip, fake.port, Check(kind="http", id="http", path="/a/b?c=%20&d=1", timeout=LIMIT)) is None
            )
            [first, *headers] = fake.requests[0].decode().removesuffix("\r\n\r\n").split("\r\n")
            assert first == "GET /a/b?c=%20&d=1 HTTP/1.1"
            assert {f"Host: {host}:{fake.port}", "User-Agent: discovery-check", "Connection: close"} <= set(headers)
            assert not any("encoding" in header.lower() for header in headers), "nothing is offered to be unpacked"

    run(test())


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect"])
def test_a_redirect_is_a_failure_and_its_target_is_never_contacted(run: Run, status: str) -> None:
    async def test() -> None:
        async with serving() as target, serving() as fake:
            fake.answer = f"HTTP/1.1 {status}\r\nLocation: http://127.0.0.1:{target.port}/\r\n\r\n".encode()
            assert await probe("127.0.0.1", fake.port, PATIENT) == f"answered {status[:3]}"
            assert (len(fake.requests), target.accepted) == (1, 0)

    run(test())


def interims(size: int) -> bytes:
    """An interim answer of so many octets."""
    start, end = b"HTTP/1.1 103 Early Hints\r\nLink: ", b"\r\n\r\n"
    return start + b"x" * (size - len(start) - len(end)) + end


@pytest.mark.parametrize(("beyond", "failure"), [(0, None), (1, "no HTTP status in its answer")])
def test_nothing_behind_4_kib_is_read(run: Run, beyond: int, failure: str | None) -> None:
    """The status line's last octet that counts is the 4,096th, or the one after it."""
    line = b"HTTP/1.1 200 "

    async def test() -> None:
        async with serving(interims(MAX_ANSWER - len(line) + beyond) + line + b"OK\r\n\r\n") as fake:
            assert await probe("127.0.0.1", fake.port, PATIENT) == failure

    assert MAX_ANSWER == 4096
    run(test())


@pytest.mark.parametrize(
    ("head", "failure"), [(b"HTTP/1.1 200 OK\r\n\r\n", None), (b"x", "no HTTP status in its answer")]
)
def test_an_endless_answer_is_cut_and_the_connection_closed(run: Run, head: bytes, failure: str | None) -> None:
    ends: list[str] = []

    async def endless(writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(head)
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
                await asyncio.sleep(0)
        except ConnectionError as error:
            ends.append(type(error).__name__)

    async def test() -> None:
        async with serving(endless) as fake:
            assert await probe("127.0.0.1", fake.port, PATIENT) == failure, "not the timeout: the 4 KiB"
            await until(lambda: ends)

    run(test())


async def _for_ever(writer: asyncio.StreamWriter) -> None:
    """Until the other side has gone."""
    while not writer.transport.is_closing():
        await asyncio.sleep(0.01)
        writer.write(b"")


async def _trickle(writer: asyncio.StreamWriter) -> None:
    for octet in OK * 100:
        writer.write(bytes([octet]))
        await writer.drain()
        await asyncio.sleep(0.05)


async def _leaves_it_open(writer: asyncio.StreamWriter) -> None:
    writer.write(OK)
    await _for_ever(writer)


@asynccontextmanager
async def hanging(script: Script) -> AsyncIterator[Fake]:
    """As `serving`; its connections are cut in the end."""
    writers: list[asyncio.StreamWriter] = []

    async def hang(writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await script(writer)

    async with serving(hang) as fake:
        yield fake
        for writer in writers:
            writer.transport.abort()


@pytest.mark.parametrize(
    ("script", "failure"),
    [
        (_for_ever, "no answer within 0.3 s"),
        (_trickle, "no answer within 0.3 s"),
        (_leaves_it_open, None),  # it ignores `Connection: close`, but its status was there in time
    ],
)
def test_the_timeout_is_for_the_whole_of_it(run: Run, script: Script, failure: str | None) -> None:
    async def test() -> None:
        async with hanging(script) as fake:
            started, timeout = time.monotonic(), 3.0 if failure is None else 0.3
            check = Check(kind="http", id="http", path="/", timeout=timeout)
            assert await probe("127.0.0.1", fake.port, check) == failure
            assert 0.25 < time.monotonic() - started < LIMIT / 2

    run(test())


@pytest.mark.parametrize("check", [PATIENT, TCP], ids=["http", "tcp"])
def test_where_nobody_listens_it_is_refused(run: Run, check: Check) -> None:
    async def test() -> None:
        sock, port = silent_port()
        with sock:
            assert await probe("127.0.0.1", port, check) == "connection refused"

    run(test())


def test_a_reset_is_told(run: Run) -> None:
    async def reset(writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async def test() -> None:
        async with serving(reset) as fake:
            assert await probe("127.0.0.1", fake.port, PATIENT) == "connection reset by peer"

    run(test())


def test_tcp_passes_when_a_connection_opens_and_says_nothing_on_it(run: Run) -> None:
    async def test() -> None:
        async with serving() as fake:
            assert await probe("127.0.0.1", fake.port, TCP) is None
            await until(lambda: fake.accepted == 1 and fake.open == 0)
            assert fake.requests == []

    run(test())


async def test_no_name_is_ever_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name may point elsewhere by the time that it is connected to (DNS rebinding): all that is ever asked is an address."""

    async def looked_up(*args: object, **more: object) -> list[object]:
        raise AssertionError(args)

    async with serving() as fake:
        monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", looked_up)
        monkeypatch.setattr(socket, "getaddrinfo", looked_up)
        assert await probe("127.0.0.1", fake.port, PATIENT) is None


def test_a_socket_that_is_connected_to_itself_is_nobody(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the kernel may do with a port of this host where nobody listens; here it is made to, by the choice of our own port."""

    class Bound(socket.socket):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self.bind(("127.0.0.1", port))

    sock, port = silent_port()
    sock.close()

    async def test() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(socket, "socket", Bound)
            assert await probe("127.0.0.1", port, TCP) == "connection refused"

    run(test())


def test_without_files_left_it_is_no_fault_of_the_instance(run: Run) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def test() -> None:
        async with serving() as fake:
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
            try:
                with pytest.raises(CannotProbe, match="too many open files"):
                    await probe("127.0.0.1", fake.port, PATIENT)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            assert fake.accepted == 0
            assert await probe("127.0.0.1", fake.port, PATIENT) is None

    run(test())


def test_a_probe_that_is_cancelled_closes_its_connection(run: Run) -> None:
    async def test() -> None:
        async with hanging(_for_ever) as fake:
            task = asyncio.create_task(probe("127.0.0.1", fake.port, PATIENT))
            await until(lambda: fake.requests)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    run(test())


def test_where_this_process_stood_still_while_it_probed_nothing_is_said_of_the_other(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer came in time, and was not read; one that was read counts."""
    monkeypatch.setattr(import_module("discovery.plugins.check.probe"), "LATE", 0.2)
    hurried = Check(kind="http", id="http", path="/", timeout=0.1)

    async def answers_and_stays(writer: asyncio.StreamWriter) -> None:
        writer.write(answered("503 Busy"))
        for _ in range(20):
            await asyncio.sleep(0)
        time.sleep(0.5)  # noqa: ASYNC251 - nothing else of this loop is run meanwhile
        await asyncio.sleep(0.5)

    async def test() -> None:
        async with serving() as fake:
            asyncio.get_running_loop().call_soon(time.sleep, 0.5)
            with pytest.raises(CannotProbe, match="stood still"):
                await probe("127.0.0.1", fake.port, hurried)
        async with serving(answers_and_stays) as fake:
            assert await probe("127.0.0.1", fake.port, hurried) == "answered 503"

    run(test())
