"""What browsers are made to send without their users' wish, turned away: requests of foreign pages (CSRF) and of pages whose name was
pointed at this server after they were loaded (DNS rebinding).

A page's request says where it comes from (`Origin`, which no page can forge, and `Sec-Fetch-Site`), and by which name it was sent
(`Host`). Other clients send neither of the former, and are asked for the Host only while this server listens on loopback alone, where
browsers of the same machine are all that a stranger can use.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from discovery.rest.api.errors import HttpError

_SAFE = (hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS)
_FETCH_SITE = "Sec-Fetch-Site"
# Over plain HTTP a browser sends neither with a GET of a page to itself, but this it does, and no page can change it.
_BROWSER = "Mozilla/"
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::[0-9]{1,5})?")

IsHost = Callable[[str], bool]


def hosts(own: Collection[str], zones: Collection[str]) -> IsHost:
    """Whether a Host header in lower case, port and all, means this server: an address, a name without a dot (nobody can own one on
    the internet), one of `own`, or one in `zones`.
    """
    names = frozenset(name.lower() for name in own)
    ends = tuple(f".{zone.lower()}" for zone in (*zones, "localhost"))
    names |= {zone.lower() for zone in zones}

    def is_host(host: str) -> bool:
        match = _HOST.fullmatch(host)
        name = (match[1] or match[2]).removesuffix(".") if match else ""
        return bool(name) and ("." not in name or name in names or name.endswith(ends) or _is_address(name))

    return is_host


def middleware(origins: Collection[str], is_host: IsHost, only_local: bool) -> Middleware:
    """`origins`: pages that are let in. `only_local`: every client is asked for its Host."""
    allowed = frozenset(origins)

    @web.middleware
    async def checked(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin, host = request.headers.get(hdrs.ORIGIN), request.headers.get(hdrs.HOST, "").lower()
        agent = request.headers.get(hdrs.USER_AGENT, "")
        from_page = origin is not None or _FETCH_SITE in request.headers or agent.startswith(_BROWSER)
        if (from_page or only_local) and not is_host(host):
            text = f"This server is not called {host!r:.100}; use its address, or add the name to ALLOWED_HOSTS"
            raise HttpError(421, "UNKNOWN_HOST", text)
        if origin is not None and request.method not in _SAFE and origin not in allowed and not _is_same(origin, host):
            raise HttpError(
                403,
                "FOREIGN_ORIGIN",
                f"Pages of {origin!r:.100} may not use this API; ALLOWED_ORIGINS lists those that may",
            )
        return await handler(request)

    return checked


def _is_same(origin: str, host: str) -> bool:
    return origin.lower() in (f"http://{host}", f"https://{host}")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
