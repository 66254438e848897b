"""Who is let in: each request is asked for once, when its head is whole."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from discovery.core.caller import Caller
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Right
from discovery.rest.guard.operators import require_operator

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
