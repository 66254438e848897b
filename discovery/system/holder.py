"""Who holds an address that is in use: the process, as /proc tells it. Nothing where there is no /proc, or it is another user's."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import struct
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

_PROC = Path("/proc")
_LISTENING = "0A"  # a TCP socket's state; UDP sockets have no such
_SOCKET = re.compile(r"socket:\[([0-9]+)\]")
# Processes that are looked at: more than a host runs that anybody waits for.
_MAX_PROCESSES = 32768


def holder(ip: str, port: int, kind: socket.SocketKind) -> str | None:
    """`pid 4711 (python3)`, or None where that cannot be seen."""
    protocol = "tcp" if kind == socket.SOCK_STREAM else "udp"
    inodes = {inode for table in (protocol, f"{protocol}6") for inode in _inodes(table, ip, port)}
    pid = _pid_with(inodes) if inodes else None
    if pid is None:
        return None
    try:
        return f"pid {pid} ({(_PROC / str(pid) / 'comm').read_text(errors='replace').strip()})"
    except OSError:
        return f"pid {pid}"


def _inodes(table: str, ip: str, port: int) -> Iterator[str]:
    """Of the sockets that stand in the way of `ip`: bound to it or to the wildcard; or to anything, where it is the wildcard."""
    wanted = ip_address(ip)
    with contextlib.suppress(OSError), (_PROC / "net" / table).open() as lines:
        next(lines, None)  # the headings
        for line in lines:
            fields = line.split()
            address, _, number = fields[1].partition(":")
            bound = ip_address(_address(address))
            listens = table.startswith("udp") or fields[3] == _LISTENING
            if (
                int(number, 16) == port
                and listens
                and (bound == wanted or bound.is_unspecified or wanted.is_unspecified)
            ):
                yield fields[9]


def _address(text: str) -> bytes:
    """proc(5): 32-bit words in the host's order, as hexadecimal digits."""
    words = [int(text[at : at + 8], 16) for at in range(0, len(text), 8)]
    return struct.pack(f"={len(words)}I", *words)


def _pid_with(inodes: set[str]) -> int | None:
    with contextlib.suppress(OSError):
        for pid in [name for name in os.listdir(_PROC) if name.isdigit()][:_MAX_PROCESSES]:
            with contextlib.suppress(OSError):  # it ended, or is somebody else's
                folder = _PROC / pid / "fd"
                if any(_inode(folder / name) in inodes for name in os.listdir(folder)):
                    return int(pid)
    return None


def _inode(descriptor: Path) -> str | None:
    """None for what is no socket, or is closed by now."""
    with contextlib.suppress(OSError):
        if match := _SOCKET.fullmatch(os.readlink(descriptor)):
            return match[1]
    return None
