"""A line for each heartbeat and registration that was refused: who, and why. Of one client prefix a line in EVERY seconds; the rest is
counted, and the count is told when they are over, whether the client comes again or not.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from discovery.core.address import client_prefix
from discovery.core.errors import DiscoveryError
from discovery.core.log_fields import fields
from discovery.rest.api.requests import Request
from discovery.rest.guard.refused_heartbeats import HeartbeatNotes, json_of

_log = logging.getLogger("discovery.refusals")

# Seconds between two lines about one client prefix: a fleet with a wrong token must not fill the disk.
EVERY = 10.0
# Client prefixes remembered, 1 KB each. Beyond, the counts of the oldest are told together.
MAX_CLIENTS = 4096
# Lines a second about all of them, 10 µs each: whoever holds a large network has as many prefixes as it likes.
MAX_LINES = 100
# Characters of what was wrong: it may quote what was sent.
_MAX_WHY = 300


@dataclass(slots=True)
class _Client:
    """`since`: its last line; what was held back from then on, and the last of that."""

    since: float
    held_back: int = 0
    last: str = ""


class Refusals:
    """`clock`: monotonic seconds. `call_later(seconds, callback)`: the event loop's. `heartbeats`: are told of those.

    `wrong_token(request, status)`: is told of each 401 and 403 that is no heartbeat of an instance from its own address.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], object],
        heartbeats: HeartbeatNotes,
    ) -> None:
        self._clock = clock
        self._call_later = call_later
        self._heartbeats = heartbeats
        self.wrong_token: Callable[[Request, int], None] = lambda request, status: None
        self._clients: dict[str, _Client] = {}  # by prefix, the longest since its line first
        self._others = 0  # held back of clients that are not remembered
        self._scheduled = False
        self._second = clock()
        self._lines = 0  # since then

    def note(self, request: Request, status: int, why: Exception) -> None:
        """The request was answered with an error; those that say nothing about the client (5xx) are no business of this."""
        if not self._heartbeats.note(request, status, why) and status in (401, 403):
            self.wrong_token(request, status)
        if (400 <= status < 500 or status == 507) and request.route.kind.tells_refused:
            self._note(request, 1, str(why)[:_MAX_WHY], f"{status}, ", status=status)

    def note_items(self, request: Request, count: int, refused: Sequence[tuple[Any, DiscoveryError]]) -> None:
        """So many of a batch were refused; some of them as they were sent, the first among them."""
        self._note(request, count, str(refused[0][1])[:_MAX_WHY], f"{count} in one request, the first: ")
        self._heartbeats.note_items(request, refused)

    def close(self) -> None:
        """What was held back is told now."""
        self._tell(float("inf"))

    def _note(self, request: Request, count: int, why: str, how: str, **more: object) -> None:
        now, address = self._clock(), request.address
        prefix = client_prefix(address)
        client = self._clients.get(prefix)
        if client is None:
            client = self._clients[prefix] = _Client(now)
            if len(self._clients) > MAX_CLIENTS:
                self._others += self._clients.pop(next(iter(self._clients))).held_back
            self._schedule(now)
            if self._may_write(now):
                name = request.caller.name
                who = f"{address} ({name})" if name else address
                _log.warning(
                    "refused %s %s from %s: %s%s", request.method, request.path, who, how, why,
                    extra=fields(
                        "request.refused", client=address, actor=name, method=request.method, path=request.path, count=count,
                        reason=why, **more, **_named(request.body),
                    ),
                )  # fmt: skip
                return
        client.held_back += count
        client.last = f"{request.method} {request.path} from {address}: {how}{why}"

    def _may_write(self, now: float) -> bool:
        if now - self._second >= 1:
            self._second, self._lines = now, 0
        self._lines += 1
        return self._lines <= MAX_LINES

    def _schedule(self, now: float) -> None:
        """A second apart at the least: each turn tells of many."""
        if not self._scheduled and self._clients:
            self._scheduled = True
            first = next(iter(self._clients.values()))
            self._call_later(max(1.0, first.since + EVERY - now), self._due)

    def _due(self) -> None:
        self._scheduled = False
        now = self._clock()
        self._tell(now)
        self._schedule(now)

    def _tell(self, until: float) -> None:
        now = self._clock()
        while self._clients:
            prefix, client = next(iter(self._clients.items()))
            if client.since + EVERY > until:
                break
            del self._clients[prefix]
            if not client.held_back:
                continue
            if not self._may_write(now):
                self._others += client.held_back
                continue
            seconds = now - client.since
            _log.warning(
                "refused %d more of %s in the last %.0f s, the last %s", client.held_back, prefix, seconds, client.last,
                extra=fields("refusals.held_back", client=prefix, count=client.held_back, seconds=seconds, reason=client.last),
            )  # fmt: skip
            if until == now:
                self._clients[prefix] = _Client(now)
        if self._others:
            others, self._others = self._others, 0
            _log.warning(
                "refused %d more of other clients: there are too many for a line each",
                others,
                extra=fields("refusals.held_back", count=others),
            )


def _named(body: bytes) -> dict[str, object]:
    """Which instance the request was about, as it was sent; the body may be anything."""
    sent = json_of(body)
    names = {"service": sent.get("name"), "ip": sent.get("ip"), "port": sent.get("port"), "id": sent.get("id")}
    return {name: value for name, value in names.items() if isinstance(value, str | int)}
