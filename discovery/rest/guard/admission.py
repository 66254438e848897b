"""Who is let in: each request is asked for once, when its head is whole. Without tokens, those who run the server are the clients of this
machine that do not come through a proxy.

X-Forwarded-For of a trusted proxy says by whom it was asked; each proxy adds an address on the right. Whoever is not trusted may send any
such header: nothing believes it. Of registrations each client prefix has a bucket of tokens; heartbeats are never counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from discovery.core.address import client_prefix
from discovery.core.caller import Caller
from discovery.core.network import Networks, ip_of
from discovery.rest.api.errors import HttpError
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Right

# A proxy on this machine asks from a loopback address for clients that are elsewhere, and says so in one of these.
_FORWARDED = (b"forwarded", b"via", b"x-real-ip")
_FORWARDED_PREFIX = b"x-forwarded-"

# Who a request comes from; it has its address and its route. A DiscoveryError when there is no way in.
Admit = Callable[[Request], Caller]


def anyone(request: Request) -> Caller:
    """Where a plugin asks for rights."""
    return _at(request.address)


def without_tokens(request: Request) -> Caller:
    """Anyone, but for what only those who run the server may ask."""
    if request.route.right is Right.ADMIN:
        require_operator(request)
    return _at(request.address)


@lru_cache(maxsize=4096)  # a client asks again and again
def _at(address: str) -> Caller:
    return Caller(address)


def require_operator(request: Request) -> None:
    """HttpError 403."""
    ip = ip_of(request.address)
    if ip is None or not ip.is_loopback or _is_forwarded(request):
        text = (
            f"Without tokens {request.path} is for clients on the server's own machine, and not through a proxy; "
            "ask there, or set API_TOKEN or TOKENS_FILE"
        )
        raise HttpError("FORBIDDEN", text, missing=Right.ADMIN.value)


def _is_forwarded(request: Request) -> bool:
    return any(name in _FORWARDED or name.startswith(_FORWARDED_PREFIX) for name in request.headers)


# -- who the caller is behind proxies

# `10.0.0.7:50124` and `[2001:db8::7]:50124`, as some proxies write it.
_WITH_PORT = re.compile(r"\[([^\]]*)\](?::\d+)?|([0-9.]+):\d+")


def caller_of(request: Request, peer: str, trusted: Networks) -> str:
    """The rightmost address that is no trusted proxy's; `peer`'s where that one is not trusted. What is no address ends the search."""
    found = peer
    forwarded = (request.header(b"x-forwarded-for") or "").split(",")
    while found in trusted and forwarded:
        text = forwarded.pop().strip()
        match = _WITH_PORT.fullmatch(text)
        ip = ip_of(text if match is None else match[1] or match[2])
        if ip is None:
            break
        found = str(ip)
    return found


# -- how often one client prefix (`core.address`) may register

# Seconds of the rate that may come at once: a host that starts all it has.
BURST_SECONDS = 2.0
# Client prefixes that are remembered, 200 octets each. The longest silent is forgotten first, and starts anew with a full bucket.
MAX_ADDRESSES = 65536


class RegisterRate:
    """`per_second` 0 is no limit. Monotonic seconds."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._full_at: dict[str, float] = {}  # when the bucket of an address will be full, in the order of use

    def take(self, address: str, now: float) -> None:
        """HttpError 429 with Retry-After."""
        if not self._per_second:
            return
        address = client_prefix(address)
        full_at = max(now, self._full_at.pop(address, now)) + 1 / self._per_second
        over = full_at - now - BURST_SECONDS
        if over <= 0:
            self._full_at[address] = full_at
            if len(self._full_at) > MAX_ADDRESSES:
                del self._full_at[next(iter(self._full_at))]
            return
        self._full_at[address] = full_at - 1 / self._per_second
        text = f"More than {self._per_second} registrations a second come from {address}; wait a moment (REGISTERS_PER_SECOND)"
        raise HttpError("TOO_MANY_REGISTRATIONS", text, retryAfter=max(1, round(over)))
