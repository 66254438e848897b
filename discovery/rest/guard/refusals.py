"""A line for each heartbeat and registration that was refused: who, and why. Of one client prefix a line in EVERY seconds; the rest is
counted, and the count is told when they are over, whether the client comes again or not. And for the account of an instance, which one a
refused heartbeat was about.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from discovery.core.address import client_prefix
from discovery.core.caller import Caller
from discovery.core.errors import DiscoveryError, Forbidden
from discovery.core.instance import Key
from discovery.rest.api.errors import failure_of
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Kind
from discovery.store.refused import Why
from discovery.store.registry import Registry

_log = logging.getLogger("discovery.refusals")

# Seconds between two lines about one client prefix: a fleet with a wrong token must not fill the disk.
EVERY = 10.0
# Client prefixes remembered, 1 KB each. Beyond, the counts of the oldest are told together.
MAX_CLIENTS = 4096
# Lines a second about all of them, 10 µs each: whoever holds a large network has as many prefixes as it likes.
MAX_LINES = 100
# Characters of what was wrong, in a line and in the account of an instance: it may quote what was sent.
_MAX_WHY = 300
_MAX_REASON = 160
# Octets of a body that is read again for the names in it.
_MAX_BODY = 4096


@dataclass(slots=True)
class _Client:
    """`since`: its last line; what was held back from then on, and the last of that."""

    since: float
    held_back: int = 0
    last: str = ""


class Refusals:
    """`clock`: monotonic seconds, the registry's; `wall`: epoch seconds. `call_later(seconds, callback)`: the event loop's.

    `wrong_token(request, status)`: is told of each 401 and 403 that is no heartbeat of an instance from its own address.
    """

    def __init__(
        self,
        registry: Registry,
        clock: Callable[[], float],
        wall: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._wall = wall
        self._call_later = call_later
        self.wrong_token: Callable[[Request, int], None] = lambda request, status: None
        self._clients: dict[str, _Client] = {}  # by prefix, the longest since its line first
        self._others = 0  # held back of clients that are not remembered
        self._scheduled = False
        self._second = clock()
        self._lines = 0  # since then

    def note(self, request: Request, status: int, why: Exception) -> None:
        """The request was answered with an error; those that say nothing about the client (5xx) are no business of this."""
        if not self._note_heartbeat(request, status, why) and status in (401, 403):
            self.wrong_token(request, status)
        if (400 <= status < 500 or status == 507) and request.route.kind.tells_refused:
            self._note(request, 1, str(why)[:_MAX_WHY], f"{status}, ", status=status)

    def note_items(self, request: Request, count: int, refused: Sequence[tuple[Any, DiscoveryError]]) -> None:
        """So many of a batch were refused; some of them as they were sent, the first among them."""
        self._note(request, count, str(refused[0][1])[:_MAX_WHY], f"{count} in one request, the first: ")
        for item, error in refused:
            self._note_item(request, item, error)

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
                    "refused %(method)s %(path)s from %(_who)s: %(_how)s%(reason)s",
                    {
                        "event": "request.refused", "client": address, "actor": name, "method": request.method, "path": request.path,
                        "count": count, "reason": why, **more, **_named(request.body), "_who": who, "_how": how,
                    },
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
                "refused %(count)d more of %(client)s in the last %(seconds).0f s, the last %(reason)s",
                {
                    "event": "refusals.held_back",
                    "client": prefix,
                    "count": client.held_back,
                    "seconds": seconds,
                    "reason": client.last,
                },
            )
            if until == now:
                self._clients[prefix] = _Client(now)
        if self._others:
            others, self._others = self._others, 0
            _log.warning(
                "refused %(count)d more of other clients: there are too many for a line each",
                {"event": "refusals.held_back", "count": others},
            )

    # -- of which instance it was, for its account (`store.refused`)

    def _note_heartbeat(self, request: Request, status: int, error: Exception) -> bool:
        """Whether the request was a heartbeat of an instance that may be believed: see `RefusedHeartbeats`."""
        if request.route.kind is not Kind.HEARTBEAT or not 400 <= status < 500:
            return False
        sent = _json_of(request.body)
        items = sent.get("instances", [sent])
        noted = [self._note_item(request, each, error) for each in items] if isinstance(items, list) else ()
        return any(noted)

    def _note_item(self, request: Request, item: Any, error: Exception) -> bool:
        if (key := self._key_of(item)) is None:
            return False
        # Whoever was refused at the door has not shown who he is, and a token without the right is no better than none.
        is_known = request.refusal is None and not isinstance(error, Forbidden)
        by = request.caller if is_known else Caller(request.address)
        entry = self._registry.find(key)
        return self._registry.refused.note(key, entry, by, _why_of(error), self._clock(), self._wall())

    def _key_of(self, item: Any) -> Key | None:
        try:
            if "id" in item and "name" not in item:
                entry = self._registry.find(str(item["id"]))
                return None if entry is None else entry.instance.spec.key
            return Key.of(item["name"], item["ip"], item["port"])
        except (TypeError, KeyError, DiscoveryError):
            return None


def _named(body: bytes) -> dict[str, object]:
    """Which instance the request was about, as it was sent; the body may be anything."""
    sent = _json_of(body)
    names = {"service": sent.get("name"), "ip": sent.get("ip"), "port": sent.get("port"), "id": sent.get("id")}
    return {name: value for name, value in names.items() if isinstance(value, str | int)}


def _json_of(body: bytes) -> dict[str, Any]:
    """A body may be anything: of what is no object, or large, nothing."""
    try:
        sent = orjson.loads(body) if 0 < len(body) <= _MAX_BODY else None
    except ValueError:
        return {}
    return sent if isinstance(sent, dict) else {}


def _why_of(error: Exception) -> Why:
    """Of `The token ci expired; ask for a new one`: the token ci expired."""
    said = str(error).partition(";")[0][:_MAX_REASON]
    text = said[:1].lower() + said[1:]
    failure = failure_of(error)
    answer = "it is answered 500" if failure is None else f"it is answered {failure.status} {failure.code}"
    return Why(text, getattr(error, "plain", answer))
