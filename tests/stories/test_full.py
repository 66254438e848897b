"""What is full is warned of, with what to do: connections, what waits for clients that do not read, open files, the socket of DNS."""

from __future__ import annotations

import contextlib
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import pytest

from tests.stories.process import Discovery, running, until
from tests.stories.surfaces import listed

MOST = 24  # connections


@pytest.fixture(scope="module")
def server() -> Iterator[Discovery]:
    limits: dict[str, Any] = {
        "HTTP_MAX_CONNECTIONS": MOST,
        "HTTP_BUFFERS_MB": 1,
        "MAX_INSTANCES_PER_SERVICE": 100,
        "LOG_FORMAT": "json",
    }
    with running(HEARTBEAT_TIMEOUT_SECONDS=600, **limits) as server:
        yield server


@contextlib.contextmanager
def all_connections(server: Discovery) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for _ in range(MOST - 1):
            stack.enter_context(closing(socket.create_connection(("127.0.0.1", server.port))))
        yield


@contextlib.contextmanager
def who_do_not_read(server: Discovery) -> Iterator[None]:
    large = [
        {"name": "large", "ip": "10.0.0.1", "port": port, "metadata": {"x": "y" * 16_000}} for port in range(1, 101)
    ]
    assert server.request("POST", "/registrations", {"instances": large}).body["registered"] == 100
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            sock = stack.enter_context(closing(socket.socket()))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            sock.connect(("127.0.0.1", server.port))
            sock.sendall(b"GET /services/large HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3)
        yield


@contextlib.contextmanager
def no_files(server: Discovery) -> Iterator[None]:
    """No more than are open, and the few that a request takes."""
    pid = server.process.pid
    highest = max(int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir())
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 3, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


@contextlib.contextmanager
def more_queries_than_it_reads(server: Discovery) -> Iterator[None]:
    server.process.send_signal(signal.SIGSTOP)
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        for _ in range(2000):
            sock.sendto(b"\0" * 64, ("127.0.0.1", server.dns_port))
    server.process.send_signal(signal.SIGCONT)
    yield


Fault = Callable[[Discovery], AbstractContextManager[None]]


@pytest.mark.parametrize(
    ("code", "fault", "said", "until_it_ends"),
    [
        (
            "connections_full",
            all_connections,
            f"of {MOST} HTTP connections are taken: who holds so many",
            True,
        ),
        ("files_full", no_files, "files are open; raise LimitNOFILE", True),
        ("buffers_full", who_do_not_read, "HTTP_BUFFERS_MB", False),
        ("queries_shed", more_queries_than_it_reads, "datagrams to DNS got no reply lately", False),
    ],
)
def test_what_is_full_is_warned_of_while_it_is(
    server: Discovery, code: str, fault: Fault, said: str, until_it_ends: bool
) -> None:
    assert listed(server, code) is None
    with fault(server):
        until(lambda: said in str(listed(server, code)))
    if until_it_ends:  # the others are told for five minutes, since nobody sees the moment itself
        until(lambda: listed(server, code) is None)
    until(lambda: [line for line in server.log if f'"{code}"' in line and "warning.began" in line])
