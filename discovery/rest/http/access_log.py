"""The request log: one line a request. Heartbeats and resolves, which never end, at debug level."""

from __future__ import annotations

import logging

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

_DEBUG_ROUTES = ("/heartbeat", "/resolve/", "/health", "/ready")

logger = logging.getLogger("discovery.requests")


class AccessLogger(AbstractAccessLogger):
    @property
    def enabled(self) -> bool:
        return self.logger.isEnabledFor(logging.INFO)

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        # Percent-encoded: no line break or escape sequence of a stranger's gets here. Without the query: people put secrets there.
        path = request.rel_url.raw_path
        level = logging.DEBUG if path.startswith(_DEBUG_ROUTES) else logging.INFO
        if self.logger.isEnabledFor(level):
            self.logger.log(
                level, "%s %s -> %d, %.1f ms, from %s",
                request.method, path, response.status, time * 1000, request.remote,
            )  # fmt: skip
