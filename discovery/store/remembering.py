"""What plugins remember: of an instance, and as documents of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from discovery.core.instance import Instance
from discovery.core.kinds import Document, DocumentEvent, DocumentKey
from discovery.core.name import plain_text
from discovery.core.remembered import Change, changed, packed
from discovery.store.errors import TooManyDocuments
from discovery.store.rules import catch_up
from discovery.store.transaction import Transaction
from discovery.store.write import InstanceWrite, Write, named_entry

# 80 MiB at the most, on every node.
MAX_DOCUMENTS = 10_000
# Octets of a document's key: other registries' ids are shorter.
MAX_KEY = 1024


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


@dataclass(frozen=True)
class PutDocument(Write[Document | None]):
    """What a plugin remembers under a key from now on: `value`, or what that makes of the value there is; None: nothing.

    `owner`: the folded name of the service to which it belongs from now on; None: to an admin. It takes a right to both, the one that it
    had and the one that it gets. TooManyDocuments, InvalidField.
    """

    plugin: str
    key: str
    value: Change
    owner: str | None = None
    reason: str = "remembered"
    action = "document"

    def decide(self, txn: Transaction) -> Document | None:
        key = DocumentKey(self.plugin, plain_text(self.key, "key", MAX_KEY))
        known = txn.value(DocumentEvent, key)
        for owner in {self.owner} if known is None else {known.owner, self.owner}:
            txn.authorize(owner)
        value = self.value(None if known is None else known.value) if callable(self.value) else self.value
        after = None if value is None else Document(packed(value), self.owner)
        if known is None and after is not None and len(txn.all(DocumentEvent)) >= MAX_DOCUMENTS:
            raise TooManyDocuments(MAX_DOCUMENTS)
        if after != known:
            txn.add(DocumentEvent(key, known, after, self.reason))
        return after
