"""A write but for heartbeats, as a value: what HTTP (and any plugin) hands to the engine, and the engine decides and applies.

`decide` reads the transaction and adds events to it, or raises the registry's error; it changes nothing else. It gives each thing its
id and its times, keeps the limits, and asks whether the caller may. The writes themselves: `registration`, `operations`, `expiry`. Each
engine in its own way makes the events the truth.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Generic, TypeVar

from discovery.core.instance import Instance, Key
from discovery.core.maintenance import Scope
from discovery.store.errors import UnknownInstance
from discovery.store.rules import forget_drain
from discovery.store.service import Entry
from discovery.store.transaction import Transaction

T_co = TypeVar("T_co", covariant=True)


# Whom a write names, as far as the write knows (text: an id): for a line about one that was refused.
Subject = Key | Scope | str | None


class Write(ABC, Generic[T_co]):
    """`action`: its name in commits and in the audit log. `lasts`: whether the answer waits until it is safe; what is observed rather
    than asked for (a check, a heartbeat, time) is not worth the wait. `says_goodbye`:
    whoever asks takes an instance out of the answers; while the engine is away that holds for this process's.
    """

    @property
    @abstractmethod
    def action(self) -> str: ...

    lasts = True
    says_goodbye = False

    @property
    def subject(self) -> Subject:
        return None

    @abstractmethod
    def decide(self, txn: Transaction) -> T_co:
        """Raises what is wrong with it; Forbidden."""


@dataclass(frozen=True)
class InstanceWrite(Write[T_co]):
    """About one instance, by key or id."""

    which: Key | str

    @property
    def subject(self) -> Subject:
        return self.which


@dataclass(frozen=True)
class ScopeWrite(Write[T_co]):
    """About an instance or a whole service."""

    scope: Scope

    @property
    def subject(self) -> Subject:
        return self.scope


def named_entry(txn: Transaction, which: Key | str) -> Entry:
    """The entry that a caller names and may change. A name that may not be changed is not told from one that does not exist."""
    if isinstance(which, Key):
        txn.authorize(which.service)
        return txn.at(which)
    entry = txn.at(which)
    txn.authorize(entry.instance.spec.key.service)
    return entry


def named_or_absent(txn: Transaction, which: Key | str, reason: str) -> Entry | Instance:
    """As `named_entry`; of one that is not registered, and whose drain was remembered: that is forgotten, and it is as it was last."""
    try:
        return named_entry(txn, which)
    except UnknownInstance:
        if isinstance(which, Key) and (drained := forget_drain(txn, which, reason)) is not None:
            return drained.instance(which)
        raise
