"""A line for each heartbeat and registration that was refused: who, and why. Of one client prefix only a few; the rest is counted."""

from __future__ import annotations

import logging

from discovery.core.address import client_prefix
from discovery.rest.api.requests import Request

_log = logging.getLogger("discovery.refusals")

# Seconds between two lines about one client prefix: a fleet with a wrong token must not fill the disk.
EVERY = 10.0
# Client prefixes remembered; those whose last line is the oldest are forgotten, with their count.
MAX_PREFIXES = 4096

_STATUSES = (400, 401, 403, 404)
_ROUTES = frozenset(
    [("PUT", "/instances"), *(("POST", f"/{end}") for end in ("register", "registrations", "heartbeat", "heartbeats"))]
)


class Refusals:
    """Monotonic seconds."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[float, int]] = {}  # when a line was written, and how many were held back since

    def note(self, request: Request, address: str, status: int, why: Exception, now: float) -> None:
        if status not in _STATUSES or (request.method, request.path) not in _ROUTES:
            return
        prefix = client_prefix(address)
        written, held_back = self._last.get(prefix, (now - EVERY, 0))
        if now - written < EVERY:
            self._last[prefix] = (written, held_back + 1)
            return
        self._last.pop(prefix, None)
        self._last[prefix] = (now, 0)
        if len(self._last) > MAX_PREFIXES:
            del self._last[next(iter(self._last))]
        more = f"; {held_back} more of {prefix} since the last line" if held_back else ""
        who = f"{address} ({request.caller.name})" if request.caller.name else address
        _log.warning("refused %s %s from %s: %d, %s%s", request.method, request.path, who, status, str(why), more)
