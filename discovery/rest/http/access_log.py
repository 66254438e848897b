"""The request log: one line a request. Heartbeats and resolves, which never end, at debug level."""

from __future__ import annotations

import logging

from discovery.core.log_fields import fields
from discovery.rest.api.requests import Request

_DEBUG_ROUTES = ("/heartbeat", "/resolve/", "/health", "/ready")

logger = logging.getLogger("discovery.requests")


def log(request: Request, address: str, seconds: float) -> None:
    """The path as it was sent, percent-encoded: no line break or escape sequence of a stranger's gets here. Without the query: people put
    secrets there.
    """
    if not logger.isEnabledFor(logging.INFO):
        return
    level = logging.DEBUG if request.path.startswith(_DEBUG_ROUTES) else logging.INFO
    if logger.isEnabledFor(level):
        logger.log(
            level, "%s %s -> %d, %.1f ms, from %s", request.method or "-", request.path or "-", request.status, seconds * 1000, address,
            extra=fields(
                "request.answered", method=request.method, path=request.path, status=request.status, seconds=round(seconds, 6),
                client=address, actor=request.caller.name,
            ),
        )  # fmt: skip
