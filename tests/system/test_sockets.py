"""Bound sockets: one port for all, errors that name the setting, nothing left open."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from discovery.core.address import authority
from discovery.system.holder import holder
from discovery.system.sockets import DATAGRAM, STREAM, BindError, authority_of, bind


@pytest.fixture
def taken() -> Iterator[int]:
    """A TCP port of 127.0.0.1 that is in use."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        yield sock.getsockname()[1]


def open_files() -> int:
    return len(os.listdir("/dev/fd"))


def test_port_0_is_one_free_port_for_every_address_and_protocol() -> None:
    socks = bind(["127.0.0.1", "::1"], 0, [DATAGRAM, STREAM], "PORT")
    with ExitStack() as stack:
        for sock in socks:
            stack.enter_context(sock)
        named = [(sock.getsockname()[0], sock.type) for sock in socks]
        assert named == [("127.0.0.1", DATAGRAM), ("127.0.0.1", STREAM), ("::1", DATAGRAM), ("::1", STREAM)]
        [port] = {sock.getsockname()[1] for sock in socks}
        assert port > 0
        assert not any(sock.getblocking() for sock in socks)
        with socket.create_connection(("127.0.0.1", port), timeout=60):
            pass


def test_ipv6_does_not_take_the_port_of_ipv4() -> None:
    [first] = bind(["0.0.0.0"], 0, [STREAM], "PORT")
    with first:
        [second] = bind(["::"], first.getsockname()[1], [STREAM], "PORT")
        second.close()


@pytest.mark.parametrize("kinds", [[STREAM], [DATAGRAM, STREAM]])
def test_a_port_in_use_is_an_error_that_names_address_and_setting(taken: int, kinds: list[socket.SocketKind]) -> None:
    before = open_files()
    with pytest.raises(BindError) as caught:
        bind(["::1", "127.0.0.1"], taken, kinds, "DNS_HOST or DNS_PORT")
    assert f"127.0.0.1:{taken}" in str(caught.value)
    assert "DNS_HOST or DNS_PORT" in str(caught.value)
    assert open_files() == before


@pytest.mark.parametrize(
    ("number", "port", "said"),
    [
        (errno.EACCES, 53, "sysctl net.ipv4.ip_unprivileged_port_start=53"),
        (errno.EACCES, 8600, "change DNS_PORT, or stop what uses it"),
        (errno.EADDRNOTAVAIL, 8600, "this host has no such address; change DNS_PORT"),
    ],
)
def test_the_error_says_what_to_do(number: int, port: int, said: str) -> None:
    assert said in str(BindError("127.0.0.1", port, "DNS_PORT", OSError(number, os.strerror(number))))


@pytest.mark.skipif(not os.path.exists("/proc/net/tcp"), reason="needs /proc")
@pytest.mark.parametrize("ip", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize("kind", [STREAM, DATAGRAM])
def test_who_has_the_address_is_named(kind: socket.SocketKind, ip: str) -> None:
    with socket.socket(type=kind) as sock:
        sock.bind(("127.0.0.1", 0))
        if kind == STREAM:
            sock.listen()
        port = sock.getsockname()[1]
        with pytest.raises(BindError, match=rf"in use by pid {os.getpid()} \(.+\); change PORT"):
            bind([ip], port, [kind], "PORT")


def test_who_has_an_ipv6_address_is_named() -> None:
    [sock] = bind(["::1"], 0, [STREAM], "PORT")
    with sock:
        assert (holder("::1", sock.getsockname()[1], STREAM) or "").startswith(f"pid {os.getpid()} (")
    assert holder("::1", 1, STREAM) is None


def test_an_address_of_another_machine_is_an_error_that_names_it() -> None:
    with pytest.raises(BindError, match=r"192\.0\.2\.1.*HOST or PORT"):
        bind(["192.0.2.1"], 0, [STREAM], "HOST or PORT")


def test_authorities_are_written_as_in_a_url() -> None:
    assert authority("127.0.0.1", 80) == "127.0.0.1:80"
    assert authority("::1", 80) == "[::1]:80"
    [sock] = bind(["::1"], 0, [STREAM], "PORT")
    with sock:
        assert authority_of(sock) == f"[::1]:{sock.getsockname()[1]}"
