"""A write but for heartbeats, as a value: what HTTP (and any plugin) hands to the engine, and the engine decides and applies.

`decide` reads the transaction and adds events to it, or raises the registry's error and has changed nothing. It gives each thing its
id and its times, keeps the limits, and asks whether the caller may. The writes themselves: `registration`, `operations`, `expiry`.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, TypeVar

from discovery.core.instance import Key
from discovery.store.service import Entry
from discovery.store.transaction import Transaction

T_co = TypeVar("T_co", covariant=True)


class Subject(NamedTuple):
    """Whom a write names, as far as the write knows: for a line about one that was refused."""

    service: str | None = None
    ip: str | None = None
    port: int | None = None
    id: str | None = None

    @classmethod
    def of(cls, which: Key | str) -> Subject:
        return cls(id=which) if isinstance(which, str) else cls(*which)


class Write(Protocol[T_co]):
    @property
    def action(self) -> str: ...

    # Whether the answer waits until it is safe. What is observed rather than asked for (a check, a heartbeat) is not worth the wait.
    @property
    def lasts(self) -> bool: ...

    @property
    def subject(self) -> Subject: ...

    def decide(self, txn: Transaction) -> T_co:
        """Raises what is wrong with it; Forbidden."""


def named_entry(txn: Transaction, which: Key | str) -> Entry:
    """The entry that a caller names and may change. A name that may not be changed is not told from one that does not exist."""
    if isinstance(which, Key):
        txn.authorize(which.service)
        return txn.state.at(which)
    entry = txn.state.at(which)
    txn.authorize(entry.instance.spec.key.service)
    return entry
