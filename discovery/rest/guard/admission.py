"""Who is let in: each request is asked for once, when its head is whole. Without tokens, those who run the server are the clients of this
machine that do not come through a proxy.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from discovery.core.caller import Caller
from discovery.core.network import ip_of
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
        raise HttpError(403, "FORBIDDEN", text, missing=Right.ADMIN.value)


def _is_forwarded(request: Request) -> bool:
    return any(name in _FORWARDED or name.startswith(_FORWARDED_PREFIX) for name in request.headers)
