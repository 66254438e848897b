"""For those who run the server, where it has no tokens: this machine alone, and not through a proxy."""

from __future__ import annotations

from discovery.core.network import ip_of
from discovery.rest.api.errors import HttpError
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Right

# A proxy on this machine asks from a loopback address for clients that are elsewhere, and says so in one of these.
_FORWARDED = (b"forwarded", b"via", b"x-real-ip")
_FORWARDED_PREFIX = b"x-forwarded-"


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
