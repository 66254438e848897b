"""What operators, zone files and plugins say: drains, maintenance windows, deregistrations of many, settings, names, tokens, documents."""

from __future__ import annotations

from dataclasses import dataclass, replace

from discovery.core.instance import Instance, Key
from discovery.core.kinds import (
    Document,
    DocumentEvent,
    DocumentKey,
    RegistrySettings,
    Revocation,
    SettingsEvent,
    TokenEvent,
    ZonesEvent,
)
from discovery.core.maintenance import Scope, Window
from discovery.core.name import plain_text
from discovery.core.remembered import Change, packed
from discovery.store.errors import (
    NotRevoked,
    NoWindow,
    TooManyDocuments,
    TooManyRevoked,
    TooManyWindows,
    UnknownService,
)
from discovery.store.registrants import deregister
from discovery.store.rules import catch_up, override_status, set_window, settle
from discovery.store.transaction import Transaction
from discovery.store.values import MAX_WINDOWS, MAX_WINDOWS_OF_TOKENS, MAX_WINDOWS_PER_TOKEN
from discovery.store.write import InstanceWrite, ScopeWrite, Subject, Write, named_entry, named_or_absent

# Instances of one write. In etcd each takes up to three operations (its own key, its id's, its service's version) of the 107 there are.
MAX_DEREGISTERED = 32


@dataclass(frozen=True)
class Drain(InstanceWrite[Instance]):
    """Leaves the instance out of answers from now on, or (`draining` False) no longer. One that drains already keeps its time.

    UnknownInstance; one whose drain is remembered counts as known when that ends.
    """

    draining: bool
    reason: str

    @property
    def action(self) -> str:
        return "drain" if self.draining else "undrain"

    @property
    def says_goodbye(self) -> bool:  # type: ignore[override]  # read alone
        return self.draining

    def decide(self, txn: Transaction) -> Instance:
        entry = named_entry(txn, self.which) if self.draining else named_or_absent(txn, self.which, self.reason)
        if isinstance(entry, Instance):
            return entry
        if entry.instance.draining == self.draining:
            return entry.instance
        after = catch_up(txn, entry)._replace(draining_since=txn.wall if self.draining else None)
        return override_status(txn, entry, after, self.reason)


@dataclass(frozen=True)
class Maintain(ScopeWrite[bool]):
    """Opens a maintenance window, in place of one of the same scope. Whether all whom it is for are out of answers now: else
    `Settle` follows.

    UnknownService or UnknownInstance when there is nothing of the kind now; TooManyWindows.
    """

    window: Window
    action = "maintain"

    def decide(self, txn: Transaction) -> bool:
        txn.authorize(_owner_of(self.scope))
        txn.affected(self.scope, known=True)
        window = replace(self.window, by="" if txn.by.grants.admin else txn.by.name)
        known = txn.window_at(self.scope)
        if known is None or known.by != window.by:
            _room_for_window(txn, window.by, known is None)
        reason = f"maintenance: {window.reason}"
        set_window(txn, self.scope, window, reason)
        return settle(txn, self.scope, reason)


@dataclass(frozen=True)
class EndMaintenance(ScopeWrite[bool]):
    """NoWindow. As `Maintain`."""

    reason: str
    action = "end-maintenance"

    def decide(self, txn: Transaction) -> bool:
        scope = self.scope
        txn.authorize(_owner_of(scope))
        if txn.window_at(scope) is None:
            raise NoWindow(str(scope))
        set_window(txn, scope, None, self.reason)
        return settle(txn, scope, self.reason)


@dataclass(frozen=True)
class Settle(ScopeWrite[bool]):
    """More of those that a window is for, where they were too many for its own commit. Whether that is all."""

    action = "settle"

    def decide(self, txn: Transaction) -> bool:
        txn.authorize(_owner_of(self.scope))
        left = txn.unsettled(self.scope)
        return left is None or settle(txn, self.scope, left.reason)


def _owner_of(scope: Scope) -> str | None:
    """A whole service is taken out by an admin only."""
    return None if scope.ip is None else scope.service


def _room_for_window(txn: Transaction, by: str, new: bool) -> None:
    """`new` False: it takes the place of somebody else's."""
    owners = [window.by for window in txn.windows.values()]
    if new and len(owners) >= MAX_WINDOWS:
        raise TooManyWindows(MAX_WINDOWS)
    if by and owners.count(by) >= MAX_WINDOWS_PER_TOKEN:
        raise TooManyWindows(MAX_WINDOWS_PER_TOKEN, f" of the token {by}")
    if by and len(owners) - owners.count("") >= MAX_WINDOWS_OF_TOKENS:
        raise TooManyWindows(MAX_WINDOWS_OF_TOKENS, " of tokens without the right 'admin'")


@dataclass(frozen=True)
class DeregisterMany(Write[list[Instance]]):
    """At most MAX_DEREGISTERED of them, `service`'s alone or (None, which takes an admin) whosever. Those that are gone are passed over.

    The result is those that were removed. UnknownService when there is nothing of a service to remove.
    """

    keys: tuple[Key, ...]
    reason: str
    service: str | None = None

    @property
    def action(self) -> str:
        return "clear" if self.service is None else "deregister-service"

    @property
    def subject(self) -> Subject:
        return None if self.service is None else Scope(self.service)

    def decide(self, txn: Transaction) -> list[Instance]:
        assert len(self.keys) <= MAX_DEREGISTERED
        txn.authorize(self.service)
        if self.service is not None and not self.keys:
            raise UnknownService(self.service)
        known = map(txn.find, self.keys)
        return [deregister(txn, entry, self.reason) for entry in known if entry is not None]


@dataclass(frozen=True)
class ChangeSettings(Write[None]):
    """These settings hold from now on, where others did."""

    settings: RegistrySettings
    action = "change-settings"
    lasts = False

    def decide(self, txn: Transaction) -> None:
        txn.authorize(None)
        if txn.settings != self.settings:
            txn.add(SettingsEvent(txn.settings, self.settings, txn.settings.changed_to(self.settings)))


@dataclass(frozen=True)
class ReloadZones(Write[None]):
    """Other zone files are served: what they say is visible from outside, so the index moves."""

    reason: str
    action = "reload-zones"
    lasts = False

    def decide(self, txn: Transaction) -> None:
        txn.authorize(None)
        txn.add(ZonesEvent(self.reason))


# -- tokens that are revoked on every node, whatever their files say: who holds tokens asks `State.revoked` at each request

# As many as two files of tokens have. GET /admin/tokens lists them all, 5 µs each.
MAX_REVOKED = 2_000


@dataclass(frozen=True)
class RevokeToken(Write[Revocation]):
    """`sha256`: 32 octets, of its secret. One that is revoked already stays as it is. TooManyRevoked, unless the token of one has expired
    by itself: the oldest of those makes room.
    """

    sha256: bytes
    name: str
    expires: float | None
    reason: str
    action = "revoke-token"

    def decide(self, txn: Transaction) -> Revocation:
        txn.authorize(None)
        if (found := txn.value(TokenEvent, self.sha256)) is not None:
            return found
        if len(txn.all(TokenEvent)) >= MAX_REVOKED:
            txn.add(_oldest_expired(txn))
        revoked = Revocation(self.name, txn.wall, str(txn.by), self.expires)
        txn.add(TokenEvent(self.sha256, None, revoked, self.reason))
        return revoked


@dataclass(frozen=True)
class RestoreToken(Write[Revocation]):
    """Forgets that it was revoked: who has it in a file takes it again. NotRevoked."""

    sha256: bytes
    reason: str
    action = "restore-token"

    def decide(self, txn: Transaction) -> Revocation:
        txn.authorize(None)
        found = txn.value(TokenEvent, self.sha256)
        if found is None:
            raise NotRevoked(self.sha256.hex())
        txn.add(TokenEvent(self.sha256, found, None, self.reason))
        return found


def _oldest_expired(txn: Transaction) -> TokenEvent:
    over = [each for each in txn.all(TokenEvent).items() if each[1].expires is not None and each[1].expires <= txn.wall]
    if not over:
        raise TooManyRevoked(MAX_REVOKED)
    sha256, revoked = min(over, key=lambda each: each[1].at)
    return TokenEvent(sha256, revoked, None, "it has expired by itself, and room is needed")


# -- what plugins remember besides instances: documents of their own

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
