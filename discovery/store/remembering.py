"""What plugins remember besides instances: documents of their own."""

from __future__ import annotations

from dataclasses import dataclass

from discovery.core.kinds import Document, DocumentEvent, DocumentKey
from discovery.core.name import plain_text
from discovery.core.remembered import Change, packed
from discovery.store.errors import TooManyDocuments
from discovery.store.transaction import Transaction
from discovery.store.write import Write

# 80 MiB at the most, on every node.
MAX_DOCUMENTS = 10_000
# Octets of a document's key: other registries' ids are shorter.
MAX_KEY = 1024


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
