"""A write on its way: who waits for it, what was decided, and what is known of its size and its service."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, NamedTuple

from discovery.core.caller import Caller
from discovery.core.event import Event
from discovery.engines.etcd.layout import NO_SERVICE, Decision
from discovery.engines.etcd.messages import Json
from discovery.store.errors import EngineAway
from discovery.store.transaction import Transaction
from discovery.store.write import Write


@dataclass(eq=False, slots=True)
class Waiting:
    """A write and whoever waits for it. `fresh`: the mirror has all that had happened when etcd was asked for its sake. `conflicts`: how
    often it was decided in vain.
    """

    write: Write[Any]
    by: Caller
    done: asyncio.Future[Any]
    fresh: bool = False
    conflicts: int = 0


class Prepared(NamedTuple):
    """A decision on its way into etcd. `compared`: the keys of what it has read or changes; `operations`: by the key that each changes."""

    waiting: Waiting
    result: Any
    txn: Transaction
    decision: Decision
    compared: set[bytes]
    operations: dict[bytes, Json]


def break_off(waiting: Waiting, error: BaseException) -> None:
    """A defect, or the end of this node, is why there is no answer."""
    if not waiting.done.done():
        waiting.done.set_exception(error if isinstance(error, Exception) else EngineAway("this node ends"))


def service_of(event: Event) -> str:
    return event.service or NO_SERVICE
