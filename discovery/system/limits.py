"""How many files the operating system lets this process open, and the share of them that each kind of connection may have: no kind takes
another's, whatever it is sent.
"""

from __future__ import annotations

import resource
from typing import NamedTuple

# Of what there may be: from then on it is warned of.
NEARLY_FULL = 0.9
# What all parts together may use: HTTP's largest setting, and OTHERS.
_MOST = 65536
# For all but HTTP: what `shares` says, forwarding 500, files.
OTHERS = 4096


def raise_open_files() -> None:
    """The usual soft limit of 1,024 is for programs that call select(); the hard one is what was granted."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def open_files() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if soft == resource.RLIM_INFINITY else soft


class Shares(NamedTuple):
    """`http`: its connections. `dns`: those of DNS over TCP and TLS, on all addresses together. `handshakes`: of TLS, not ended yet."""

    http: int
    dns: int
    handshakes: int


def shares(files: int) -> Shares:
    """Of so many. HTTP has at least a quarter, where there are few in all."""
    others = min(OTHERS, files - files // 4)
    return Shares(files - others, others // 4, others // 2)
