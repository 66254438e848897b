"""The whole state at one index, as values: what a start loads, and what a follower that has missed too much begins from again."""

from __future__ import annotations

from typing import NamedTuple

from discovery.core.event import Drained
from discovery.core.instance import Instance, Key
from discovery.core.maintenance import Scope, Window
from discovery.core.revocation import Revocation


class Snapshot(NamedTuple):
    """Instances in the order of registration. Their `status`, `ttl` and `failing` are decided when it is loaded.

    `tombstones`: until when (epoch seconds) no heartbeat brings the key back. `drains`: those that are remembered, oldest first.
    `revoked`: tokens by the SHA-256 of their secrets, oldest first.
    """

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody asks
    instances: tuple[Instance, ...] = ()
    windows: tuple[tuple[Scope, Window], ...] = ()
    tombstones: tuple[tuple[Key, float], ...] = ()
    drains: tuple[tuple[Key, Drained], ...] = ()
    revoked: tuple[tuple[bytes, Revocation], ...] = ()
