"""Datagrams on real sockets, one at a time and in batches: whole, in order, to the right client, from the address that was asked."""

from __future__ import annotations

import contextlib
import ctypes
import socket
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from discovery.system import datagrams as module
from discovery.system.datagrams import MOST, ROOM, Batches, Datagrams, datagrams

LIMIT = 30.0
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="recvmmsg is Linux's")


@pytest.fixture(name="make", params=[Datagrams, pytest.param(Batches, marks=LINUX)])
def _make(request: pytest.FixtureRequest) -> Callable[[socket.socket], Datagrams]:
    make: Callable[[socket.socket], Datagrams] = request.param
    return make


@contextlib.contextmanager
def bound(host: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.bind((host, 0))
        yield sock


@contextlib.contextmanager
def client(server: socket.socket, asked: str) -> Iterator[socket.socket]:
    """Connected: what comes from another address is not for it."""
    with socket.socket(server.family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(LIMIT)
        sock.connect((asked, server.getsockname()[1]))
        yield sock


def received(waiting: Datagrams, count: int) -> list[tuple[bytes, str]]:
    """`count` of them, each answered with itself turned round."""
    got: list[tuple[bytes, str]] = []
    while len(got) < count:
        batch = waiting.receive()
        assert batch, f"{len(got)} of {count}"
        for slot, (packet, _) in enumerate(batch):
            waiting.reply(slot, packet[::-1])
        waiting.flush()
        got += batch
    return got


ADDRESSES = [
    ("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("0.0.0.0", "127.0.0.1"), ("0.0.0.0", "127.1.2.3"), ("::", "::1")
]  # fmt: skip


@pytest.mark.parametrize(("host", "asked"), ADDRESSES)
def test_each_gets_its_reply_from_the_address_that_it_asked(
    make: Callable[[socket.socket], Datagrams], host: str, asked: str
) -> None:
    with bound(host) as server, client(server, asked) as one, client(server, asked) as other:
        waiting = make(server)
        assert waiting.receive() == []
        sent = [b"%d" % number + b"x" * number for number in range(3 * MOST + 1)]
        for number, packet in enumerate(sent):
            (one, other)[number % 2].send(packet)
        got = received(waiting, len(sent))
        assert [packet for packet, _ in got] == sent
        assert {ip for _, ip in got} == {one.getsockname()[0]}
        for number, packet in enumerate(sent):
            assert (one, other)[number % 2].recv(ROOM) == packet[::-1]
        assert waiting.receive() == []


@pytest.mark.parametrize(("host", "asked"), ADDRESSES)
def test_a_reply_may_be_sent_when_others_have_come(
    make: Callable[[socket.socket], Datagrams], host: str, asked: str
) -> None:
    with bound(host) as server, client(server, asked) as one, client(server, asked) as other:
        waiting = make(server)
        one.send(b"first")
        assert len(waiting.receive()) == 1
        later = waiting.sender(0)
        other.send(b"second")
        received(waiting, 1)
        later(b"l" * 2 * ROOM)
        assert (one.recv(65535), other.recv(65535)) == (b"l" * 2 * ROOM, b"dnoces")


@pytest.mark.parametrize("silent", [{0}, {MOST - 1}, {1, 2, 5}, set(range(MOST)), set(range(0, MOST, 2))])
def test_some_of_a_batch_get_no_reply(make: Callable[[socket.socket], Datagrams], silent: set[int]) -> None:
    with bound("127.0.0.1") as server, client(server, "127.0.0.1") as one:
        waiting = make(server)
        for number in range(MOST + 1):
            one.send(bytes([number]))
        answered: list[int] = []
        while batch := waiting.receive():
            for slot, (packet, _) in enumerate(batch):
                if packet[0] not in silent:
                    waiting.reply(slot, packet)
            waiting.flush()
            answered += [packet[0] for packet, _ in batch if packet[0] not in silent]
        assert [one.recv(1)[0] for _ in answered] == answered == sorted({*range(MOST + 1)} - silent)


def test_an_empty_one_is_one_and_a_longer_one_is_cut(make: Callable[[socket.socket], Datagrams]) -> None:
    """What was long before leaves nothing in what is short after it."""
    with bound("127.0.0.1") as server, client(server, "127.0.0.1") as one:
        waiting = make(server)
        for round in ([b"y" * (ROOM + 1)] * 4, [b"", b"z", b"zz", b""]):
            for packet in round:
                one.send(packet)
            assert [packet for packet, _ in received(waiting, 4)] == [packet[:ROOM] for packet in round]


@LINUX
def test_one_that_cannot_be_sent_takes_no_other_with_it() -> None:
    with bound("127.0.0.1") as server, client(server, "127.0.0.1") as one:
        waiting = Batches(server)
        for number in range(3):
            one.send(bytes([number]))
        batch = waiting.receive()
        for slot, (packet, _) in enumerate(batch):
            waiting.reply(slot, packet)
        port = slice(module._NAME + 2, module._NAME + 4)
        waiting._names[port] = bytes(2)  # to port 0 nothing can be sent
        waiting.flush()
        assert [one.recv(1) for _ in range(2)] == [b"\0", b"\2"]


@pytest.mark.parametrize("refused", [None, "recvmmsg", "sendmmsg"])
def test_what_the_system_does_not_allow_is_not_used(refused: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    class Libc(ctypes.CDLL):
        def __getattr__(self, name: str) -> Any:
            if name == refused:
                return ctypes.CFUNCTYPE(ctypes.c_int)(lambda *_: -1)
            return super().__getattr__(name)

    monkeypatch.setattr(ctypes, "CDLL", Libc)
    with bound("127.0.0.1") as server:
        assert isinstance(datagrams(server), Batches) == (sys.platform == "linux" and refused is None)
