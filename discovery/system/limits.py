"""How many files the operating system lets this process open. Every connection and forwarded query is one."""

from __future__ import annotations

import sys

# What all parts together may use: HTTP's largest setting, and OTHERS.
_MOST = 65536
# For all but HTTP: DNS over TCP and over TLS 512 each, forwarding 500, handshakes 2,048, files.
OTHERS = 4096


def raise_open_files() -> None:
    """The usual soft limit of 1,024 is for programs that call select(); the hard one is what was granted."""
    if sys.platform != "win32":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def open_files() -> int:
    if sys.platform == "win32":
        return _MOST
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if soft == resource.RLIM_INFINITY else soft


def room_for_connections(files: int) -> int:
    """Of so many open files: what HTTP's connections may have. At least a quarter, where there are few in all."""
    return max(files - OTHERS, files // 4)
