"""For those who run the server: a token with the right `admin`; without tokens this machine alone, and not through a proxy.

The handler asks, as the door (`admission`) may be open to everybody.
"""

from __future__ import annotations

import ipaddress

from discovery.core.errors import Forbidden
from discovery.rest.api.errors import HttpError
from discovery.rest.api.requests import Request

# A proxy on this machine asks from a loopback address for clients that are elsewhere, and says so in one of these.
_FORWARDED = (b"forwarded", b"via", b"x-real-ip")
_FORWARDED_PREFIX = b"x-forwarded-"


def require_operator(request: Request, has_tokens: bool) -> None:
    """Forbidden, or HttpError 403."""
    caller = request.caller
    if caller.grants.admin:
        return
    if has_tokens:
        raise Forbidden(caller.name, "admin")
    if not _is_loopback(caller.address) or _is_forwarded(request):
        text = (
            f"Without tokens {request.path} is for clients on the server's own machine, and not through a proxy; "
            "ask there, or set API_TOKEN or TOKENS_FILE"
        )
        raise HttpError(403, "FORBIDDEN", text, missing="admin")


def _is_loopback(address: str) -> bool:
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_loopback


def _is_forwarded(request: Request) -> bool:
    return any(name in _FORWARDED or name.startswith(_FORWARDED_PREFIX) for name in request.headers)
