"""What operators and zone files say: drains, maintenance windows, deregistrations of many, settings, names."""

from __future__ import annotations

from dataclasses import dataclass, replace

from discovery.core.instance import Instance, Key
from discovery.core.kinds import RegistrySettings, SettingsEvent, ZonesEvent
from discovery.core.maintenance import Scope, Window
from discovery.store.errors import NoWindow, TooManyWindows, UnknownService
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
        return Subject(service=self.service)

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
