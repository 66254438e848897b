"""Bound sockets for both faces, with errors that say which setting to change."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Sequence

from discovery.core.address import authority
from discovery.core.errors import DiscoveryError, reason_of
from discovery.system.holder import holder

STREAM, DATAGRAM = socket.SOCK_STREAM, socket.SOCK_DGRAM

# Port 0 is one free number for all addresses and both protocols. What is free for one may be taken for the next.
_TRIES_FOR_A_FREE_PORT = 50
# Connections that the kernel holds until they are accepted. asyncio calls listen() again, with 100 unless it is told this.
BACKLOG = 1024
# As systems have it unless they are told otherwise; Linux by net.ipv4.ip_unprivileged_port_start.
FIRST_UNPRIVILEGED = 1024


class BindError(DiscoveryError):
    """`who`: the process that has the address, where that can be seen."""

    def __init__(self, ip: str, port: int, settings: str, error: OSError, who: str | None = None) -> None:
        reason = reason_of(error)
        reason = f"{reason} by {who}" if who else reason
        super().__init__(f"Cannot listen on {authority(ip, port)}: {reason}; {_way_out(error.errno, port, settings)}")


def _way_out(number: int | None, port: int, settings: str) -> str:
    if number == errno.EADDRNOTAVAIL:
        return f"this host has no such address; change {settings}"
    if number in (errno.EACCES, errno.EPERM) and port < FIRST_UNPRIVILEGED:
        return (
            f"ports below {FIRST_UNPRIVILEGED} are for root: run it by the systemd unit (`discovery unit`), which may have them, or let "
            f"everybody have them (`sysctl net.ipv4.ip_unprivileged_port_start={port}`), or change {settings}"
        )
    return f"change {settings}, or stop what uses it"


def bind(ips: Sequence[str], port: int, kinds: Sequence[socket.SocketKind], settings: str) -> list[socket.socket]:
    """A socket for each address and kind, addresses first; all on one port. `settings` names the settings in the error."""
    tries = 1 if port else _TRIES_FOR_A_FREE_PORT
    for last in [False] * (tries - 1) + [True]:
        bound: list[socket.socket] = []
        try:
            for ip in ips:
                for kind in kinds:
                    bound.append(_bind(ip, port or (bound[0].getsockname()[1] if bound else 0), kind))
        except OSError as error:
            for sock in bound:
                sock.close()
            if last:
                who = holder(ip, port, kind) if error.errno == errno.EADDRINUSE else None
                raise BindError(ip, port, settings, error, who) from None
        else:
            return bound
    raise AssertionError("unreachable")


def authority_of(sock: socket.socket) -> str:
    return authority(*sock.getsockname()[:2])


def _bind(ip: str, port: int, kind: socket.SocketKind) -> socket.socket:
    version6 = ipaddress.ip_address(ip).version == 6
    sock = socket.socket(socket.AF_INET6 if version6 else socket.AF_INET, kind)
    try:
        sock.setblocking(False)
        if version6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((ip, port))
        if kind == STREAM:
            sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock
