"""A write that says what plugins remember of an instance and nothing else: for tests, as the plugins' own say more besides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from discovery.core.instance import Instance
from discovery.core.remembered import Change, changed
from discovery.store.rules import catch_up
from discovery.store.transaction import Transaction
from discovery.store.write import InstanceWrite, named_entry


@dataclass(frozen=True)
class Attach(InstanceWrite[Instance]):
    """What plugins remember of an instance from now on, as `Register.attachments`; no sign of life. UnknownInstance, InvalidField."""

    attachments: Mapping[str, Change]
    reason: str
    action = "attach"

    def decide(self, txn: Transaction) -> Instance:
        entry = named_entry(txn, self.which)
        known = catch_up(txn, entry)
        after = known._replace(attachments=changed(known.attachments, self.attachments))
        return txn.change(entry, after, after.status, self.reason)
