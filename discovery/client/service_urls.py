"""URLs that name a service instead of a host: `http://user-service.svc.local/…`. What the transports have in common."""

from __future__ import annotations

DOMAIN = "svc.local"
# Instances that are tried for one request, one after the other, while none takes a connection: nothing was sent, so nothing is repeated.
MAX_TRIES = 3


def service_of(host: str | None, domain: str = DOMAIN) -> str | None:
    """The service that a URL's host names; None: it is a host like any other.

    >>> service_of("User-Service.svc.local."), service_of("www.example.org"), service_of("svc.local")
    ('user-service', None, None)
    """
    name, found, rest = (host or "").lower().rstrip(".").partition(".")
    return name if found and rest == domain and name else None
