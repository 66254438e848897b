"""What browsers are made to send without their users' wish, turned away: requests of foreign pages (CSRF) and of pages whose name was
pointed at this server after they were loaded (DNS rebinding).

A page's request says where it comes from (`Origin`, which no page can forge, and `Sec-Fetch-Site`), and by which name it was sent
(`Host`). Other clients send neither of the former, and are asked for the Host only while this server listens on loopback alone, where
browsers of the same machine are all that a stranger can use. Every browser sends a Host, so a request without one is nobody's page.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection
from functools import lru_cache

from discovery.rest.api.answers import INDEX, STALE, Answer
from discovery.rest.api.errors import HttpError
from discovery.rest.api.requests import Request

_SAFE = ("GET", "HEAD", "OPTIONS")
# Over plain HTTP a browser sends neither with a GET of a page to itself, but this it does, and no page can change it.
_BROWSER = b"Mozilla/"
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::[0-9]{1,5})?")

# A Host header as it was sent, port and all.
IsHost = Callable[[bytes], bool]


def hosts(own: Collection[str], is_fixed: Callable[[str], bool]) -> IsHost:
    """Whether a Host header means this server: an address, a name without a dot (nobody can own one on
    the internet), one of `own`, or one that `is_fixed`: whose address is decided by whoever runs this server.

    Not every name in our zones: whoever registers a service decides where its name points.
    """
    names = frozenset(name.lower() for name in own)

    @lru_cache(1024)
    def name_in(host: bytes) -> tuple[str, bool]:
        """The name in it, and whether it is ours whatever zone files say."""
        match = _HOST.fullmatch(host.strip().lower().decode("latin-1"))
        name = (match[1] or match[2]).removesuffix(".") if match else ""
        fixed = "." not in name or name in names or name.endswith(".localhost") or _is_address(name)
        return name, bool(name) and fixed

    def is_host(host: bytes) -> bool:
        name, ours = name_in(host)
        return ours or (bool(name) and is_fixed(name))

    return is_host


class Browsers:
    """`origins`: pages that are let in. `only_local`: every client is asked for its Host."""

    def __init__(self, origins: Collection[str], is_host: IsHost, only_local: bool) -> None:
        self._allowed = frozenset(origins)
        self._is_host = is_host
        self._only_local = only_local

    def check(self, request: Request) -> None:
        """HttpError 421 or 403."""
        headers = request.headers
        if b"host" in headers and (self._only_local or _is_from_page(headers)) and not self._is_host(headers[b"host"]):
            host = request.header(b"host")
            text = f"This server is not called {host!r:.100}; use its address, or add the name to ALLOWED_HOSTS"
            raise HttpError("UNKNOWN_HOST", text)
        if b"origin" in headers and request.method not in _SAFE:
            self._check_origin(request)

    def _check_origin(self, request: Request) -> None:
        origin, host = request.header(b"origin") or "", (request.header(b"host") or "").lower()
        if origin not in self._allowed and origin.lower() not in (f"http://{host}", f"https://{host}"):
            text = f"Pages of {origin!r:.100} may not use this API; ALLOWED_ORIGINS lists those that may"
            raise HttpError("FOREIGN_ORIGIN", text)


def _is_from_page(headers: dict[bytes, bytes]) -> bool:
    return b"origin" in headers or b"sec-fetch-site" in headers or headers.get(b"user-agent", b"").startswith(_BROWSER)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


# -- CORS (the Fetch standard's protocol) for a fixed list of origins, compared exactly. Never a wildcard.

_PREFLIGHT = {
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-None-Match, Last-Event-ID",
    "Access-Control-Max-Age": "600",  # seconds; Chromium keeps a preflight for two hours at most, Safari for ten minutes
}


class Cors:
    """`credentials`: whether their pages may send cookies, passwords and client certificates that the browser keeps (a token in a header
    is none of these). Only where the operator named the origins: anything may run at localhost:3000 of somebody's machine.
    """

    def __init__(self, origins: Collection[str], credentials: bool) -> None:
        also = {"Access-Control-Expose-Headers": f"Location, ETag, {INDEX}, {STALE}"}
        if credentials:
            also["Access-Control-Allow-Credentials"] = "true"
        self._granted = {origin.encode(): {"Access-Control-Allow-Origin": origin, **also} for origin in origins}

    def granted(self, request: Request) -> dict[str, str]:
        """The headers for this request's page. `Vary: Origin` is on every answer, since caches may keep any."""
        origin = request.headers.get(b"origin")
        return {} if origin is None else self._granted.get(origin, {})


def preflight(request: Request, methods: Collection[str]) -> Answer | None:
    """None when it is none. `methods`: of all routes."""
    if request.method != "OPTIONS" or b"access-control-request-method" not in request.headers:
        return None
    return Answer(204, b"", {"Access-Control-Allow-Methods": ", ".join(methods), **_PREFLIGHT})
