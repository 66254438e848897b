"""For those who run the server, where it has no tokens: this machine alone, and not through a proxy."""

from __future__ import annotations

import ipaddress

from discovery.rest.api.errors import HttpError
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Right

# A proxy on this machine asks from a loopback address for clients that are elsewhere, and says so in one of these.
_FORWARDED = (b"forwarded", b"via", b"x-real-ip")
_FORWARDED_PREFIX = b"x-forwarded-"


def require_operator(request: Request) -> None:
    """HttpError 403."""
    if not _is_loopback(request.address) or _is_forwarded(request):
        text = (
            f"Without tokens {request.path} is for clients on the server's own machine, and not through a proxy; "
            "ask there, or set API_TOKEN or TOKENS_FILE"
        )
        raise HttpError(403, "FORBIDDEN", text, missing=Right.ADMIN.value)


def _is_loopback(address: str) -> bool:
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_loopback


def _is_forwarded(request: Request) -> bool:
    return any(name in _FORWARDED or name.startswith(_FORWARDED_PREFIX) for name in request.headers)
