"""The request log: one line a request. What never ends is at debug level: heartbeats, resolves, polls of numbers; and a page's files."""

from __future__ import annotations

import logging

from discovery.core.log_fields import fields
from discovery.rest.api.requests import Request

_DEBUG_ROUTES = ("/heartbeat", "/resolve/", "/health", "/ready", "/stats", "/ui/", "/docs/")

logger = logging.getLogger("discovery.requests")
# For lines that somebody asked for, whatever the log's level is.
watched = logging.getLogger("discovery.requests.watched")
watched.setLevel(logging.INFO)


def log(request: Request, address: str, seconds: float) -> None:
    level = level_of(request.path)
    if logger.isEnabledFor(level):
        write(logger, level, request, address, seconds)


def is_logged(request: Request) -> bool:
    """Whether `log` writes a line about it."""
    return logger.isEnabledFor(level_of(request.path))


def level_of(path: str) -> int:
    """At which a request for this path, or for paths of this route, is logged."""
    return logging.DEBUG if path.startswith(_DEBUG_ROUTES) else logging.INFO


def write(logger: logging.Logger, level: int, request: Request, address: str, seconds: float) -> None:
    """The path as it was sent, percent-encoded: no line break or escape sequence of a stranger's gets here. Without the query: people put
    secrets there. Status 0: the client left before its answer.
    """
    logger.log(
        level, "%s %s -> %s, %.1f ms, from %s", request.method or "-", request.path or "-", request.status or "no answer",
        seconds * 1000, address,
        extra=fields(
            "request.answered", method=request.method, path=request.path, status=request.status, seconds=round(seconds, 6),
            client=address, actor=request.caller.name,
        ),
    )  # fmt: skip
