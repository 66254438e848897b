"""What a span says of a request: OpenTelemetry's semantic conventions for HTTP servers, the stable ones.

Without `url.query`: people put secrets there.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from discovery.rest.api.requests import Request
from discovery.rest.api.route import OTHER

# Characters of what a client says of itself.
_MAX_TEXT = 256


class Span(NamedTuple):
    """`failed`: the server's fault, a 5xx; what clients do wrong is no error of the server's span."""

    name: str
    attributes: dict[str, str | int]
    failed: bool


def described(request: Request, address: str, route: str, scheme: str, methods: Collection[str]) -> Span:
    """`route`: `/resolve/{name}` and the like, or OTHER. `methods`: of all routes. Status 0: there is no answer, the client left."""
    method, status = request.method, request.status
    known = method if method in methods else "_OTHER"
    attributes: dict[str, str | int] = {
        "http.request.method": known,
        "url.path": request.path[:_MAX_TEXT],
        "url.scheme": scheme,
        "network.protocol.version": request.version,
        "client.address": address,
    }
    name = "HTTP" if known == "_OTHER" else known
    if known == "_OTHER":
        attributes["http.request.method_original"] = method[:_MAX_TEXT]
    if route != OTHER:
        attributes["http.route"] = route
        name = f"{name} {route}"
    if status:
        attributes["http.response.status_code"] = status
    if status >= 500:
        attributes["error.type"] = str(status)
    agent = request.header(b"user-agent")
    if agent:
        attributes["user_agent.original"] = agent.encode("utf-8", "replace").decode()[:_MAX_TEXT]
    return Span(name, attributes, status >= 500)
