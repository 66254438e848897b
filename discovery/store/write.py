"""A write but for heartbeats, as a value: what HTTP (and any plugin) hands to the engine, and the engine decides and applies.

`decide` reads the transaction and adds events to it, or raises the registry's error: the table is as it was (what it may note down are
estimates: when to ask again, when nothing was amiss). It gives each thing its
id and its times, keeps the limits, and asks whether the caller may. The writes themselves: `registration`, `operations`, `expiry`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from discovery.core.instance import Key
from discovery.core.maintenance import Scope
from discovery.store.service import Entry
from discovery.store.transaction import Transaction

T_co = TypeVar("T_co", covariant=True)


class Subject(NamedTuple):
    """Whom a write names, as far as the write knows: for a line about one that was refused."""

    service: str | None = None
    ip: str | None = None
    port: int | None = None
    id: str | None = None


class Write(ABC, Generic[T_co]):
    """`action`: its name in commits and in the audit log. `lasts`: whether the answer waits until it is safe; what is observed rather
    than asked for (a check, a heartbeat, time) is not worth the wait.
    """

    @property
    @abstractmethod
    def action(self) -> str: ...

    lasts = True

    @property
    def subject(self) -> Subject:
        return Subject()

    @abstractmethod
    def decide(self, txn: Transaction) -> T_co:
        """Raises what is wrong with it; Forbidden."""


@dataclass(frozen=True)
class InstanceWrite(Write[T_co]):
    """About one instance, by key or id."""

    which: Key | str

    @property
    def subject(self) -> Subject:
        return Subject(id=self.which) if isinstance(self.which, str) else Subject(*self.which)


@dataclass(frozen=True)
class ScopeWrite(Write[T_co]):
    """About an instance or a whole service."""

    scope: Scope

    @property
    def subject(self) -> Subject:
        return Subject(*self.scope)


def named_entry(txn: Transaction, which: Key | str) -> Entry:
    """The entry that a caller names and may change. A name that may not be changed is not told from one that does not exist."""
    if isinstance(which, Key):
        txn.authorize(which.service)
        return txn.state.at(which)
    entry = txn.state.at(which)
    txn.authorize(entry.instance.spec.key.service)
    return entry
