"""Which instance a refused heartbeat was about, and why it was refused, for `store.refused`: what its account says of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import orjson

from discovery.core.caller import Caller
from discovery.core.errors import DiscoveryError, Forbidden
from discovery.core.instance import Key
from discovery.rest.api.errors import described
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Kind
from discovery.store.refused import Why
from discovery.store.registry import Registry

# Octets of a body that is read again for the names in it.
MAX_BODY = 4096
# Characters of what was wrong: it may quote what was sent.
_MAX_WHY = 160


class HeartbeatNotes:
    """`clock`: the registry's; `wall`: epoch seconds."""

    def __init__(self, registry: Registry, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        self._registry = registry
        self._clock = clock
        self._wall = wall

    def note(self, request: Request, status: int, error: Exception) -> bool:
        """Whether the request was a heartbeat of an instance that may be believed: see `RefusedHeartbeats`."""
        if request.route.kind is not Kind.HEARTBEAT or not 400 <= status < 500:
            return False
        sent = json_of(request.body)
        items = sent.get("instances", [sent])
        noted = [self.note_item(request, each, error) for each in items] if isinstance(items, list) else ()
        return any(noted)

    def note_items(self, request: Request, refused: Iterable[tuple[Any, DiscoveryError]]) -> None:
        """Some of a batch, as they were sent."""
        for item, error in refused:
            self.note_item(request, item, error)

    def note_item(self, request: Request, item: Any, error: Exception) -> bool:
        if (key := self._key_of(item)) is None:
            return False
        # Whoever was refused at the door has not shown who he is, and a token without the right is no better than none.
        is_known = request.refusal is None and not isinstance(error, Forbidden)
        by = request.caller if is_known else Caller(request.address)
        entry = self._registry.find(key)
        return self._registry.refused.note(key, entry, by, why_of(error), self._clock(), self._wall())

    def _key_of(self, item: Any) -> Key | None:
        try:
            if "id" in item and "name" not in item:
                entry = self._registry.find(str(item["id"]))
                return None if entry is None else entry.instance.spec.key
            return Key.of(item["name"], item["ip"], item["port"])
        except (TypeError, KeyError, DiscoveryError):
            return None


def json_of(body: bytes) -> dict[str, Any]:
    """A body may be anything: of what is no object, or large, nothing."""
    try:
        sent = orjson.loads(body) if 0 < len(body) <= MAX_BODY else None
    except ValueError:
        return {}
    return sent if isinstance(sent, dict) else {}


def why_of(error: Exception) -> Why:
    """Of `The token ci expired; ask for a new one`: the token ci expired."""
    said = str(error).partition(";")[0][:_MAX_WHY]
    text = said[:1].lower() + said[1:]
    failure = described(error)
    answer = "it is answered 500" if failure is None else f"it is answered {failure.status} {failure.code}"
    return Why(text, getattr(error, "plain", answer))
