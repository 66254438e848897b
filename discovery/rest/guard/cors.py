"""CORS (the Fetch standard's protocol) for a fixed list of origins, compared exactly. Never a wildcard."""

from __future__ import annotations

from collections.abc import Collection

from discovery.rest.api.answers import INDEX, STALE, Answer
from discovery.rest.api.requests import Request

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
