"""The request log: one line a request, at the level of its route's kind: what is asked over and over is at debug level."""

from __future__ import annotations

import logging

from discovery.rest.api.requests import Request

logger = logging.getLogger("discovery.requests")
# For lines that somebody asked for, whatever the log's level is.
watched = logging.getLogger("discovery.requests.watched")
watched.setLevel(logging.INFO)


def log(request: Request, address: str, seconds: float) -> None:
    level = request.route.kind.level
    if logger.isEnabledFor(level):
        write(logger, level, request, address, seconds)


def is_logged(request: Request) -> bool:
    """Whether `log` writes a line about it."""
    return logger.isEnabledFor(request.route.kind.level)


def write(logger: logging.Logger, level: int, request: Request, address: str, seconds: float) -> None:
    """The path as it was sent, percent-encoded: no line break or escape sequence of a stranger's gets here. Without the query: people put
    secrets there. Status 0: the client left before its answer.
    """
    logger.log(
        level, "%(_method)s %(_path)s -> %(_status)s, %(_ms).1f ms, from %(client)s",
        {
            "event": "request.answered", "method": request.method, "path": request.path, "status": request.status,
            "seconds": round(seconds, 6), "client": address, "actor": request.caller.name, "_method": request.method or "-",
            "_path": request.path or "-", "_status": request.status or "no answer", "_ms": seconds * 1000,
        },
    )  # fmt: skip
