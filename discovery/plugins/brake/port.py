"""One port is asked: whether a TCP connection is accepted, or refused by a RST.

A firewall that rejects by ICMP looks the same to connect(): ECONNREFUSED. With IP_RECVERR the kernel keeps each ICMP error in the socket's
error queue, in SYN_SENT too since Linux 5.8; a RST leaves the queue empty. Where the kernel cannot tell them apart, nothing is a refusal.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import sys
from ipaddress import ip_address

from discovery.core.status import Probed
from discovery.system.connecting import connect, stream_socket

# Seconds for a connection: a packet is sent again after one.
TIMEOUT = 1.0
# And then to read what has come while this process was not run, which a loop may do after its timers.
_LOOK = 0.01

# linux/in.h, linux/in6.h; the socket module has neither.
_RECVERR = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}


def tells_icmp(system: str, release: str) -> bool:
    """Whether a kernel of that release keeps an ICMP error of a connection that is being opened."""
    numbers = re.match(r"(\d+)\.(\d+)", release)
    return system == "linux" and numbers is not None and (int(numbers[1]), int(numbers[2])) >= (5, 8)


TELLS_ICMP = tells_icmp(sys.platform, os.uname().release if hasattr(os, "uname") else "")


async def ask(ip: str, port: int) -> Probed | None:
    """None: no answer that says something of the process, or nobody could be asked."""
    if is_own(ip):
        return None
    try:
        with stream_socket(ip) as sock:
            if TELLS_ICMP:
                sock.setsockopt(*_RECVERR[sock.family], 1)
            connecting = asyncio.ensure_future(connect(sock, ip, port))
            try:
                for seconds in (TIMEOUT, _LOOK):
                    if (await asyncio.wait([connecting], timeout=seconds))[0]:
                        connecting.result()
                        return Probed.ACCEPTED
            except ConnectionRefusedError:
                return Probed.REFUSED if TELLS_ICMP and _no_icmp(sock) else None
            finally:
                connecting.cancel()
                await asyncio.gather(connecting, return_exceptions=True)
            return None
    except OSError:
        return None


def _no_icmp(sock: socket.socket) -> bool:
    try:
        sock.recvmsg(1, 512, socket.MSG_ERRQUEUE)
    except BlockingIOError:
        return True
    return False


def is_own(ip: str) -> bool:
    """Whether this host has the address, and it is not a loopback one: another process may stand there."""
    if ip_address(ip).is_loopback:
        return False
    with socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect((ip, 9))  # sends nothing
        except OSError:
            return False
        return str(sock.getsockname()[0]) == ip
