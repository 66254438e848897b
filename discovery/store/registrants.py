"""Who has registered an instance: this registry's own API (NATIVE), and plugins that speak others', each by the name of its attachment.
Each takes back its own part alone, and with the last one the instance goes. Who deregisters by the native API means all of it.

Of one that is alone nothing is noted besides. Of several the attachment `registrants` has what each said of what they share: its lease,
and which checks are its own. The lease is the longest of theirs; tags, metadata and the rest are those that were said last. What an import
left in the attachments of others are words, and no registration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from discovery.core.check import MAX_CHECKS, Check
from discovery.core.check_states import States, begun
from discovery.core.errors import InvalidField
from discovery.core.event import Kind
from discovery.core.health import WELL, Finding
from discovery.core.instance import NO_STATES, Instance, Registration
from discovery.core.remembered import Change, changed
from discovery.store.rules import catch_up, override_status
from discovery.store.service import Entry
from discovery.store.transaction import Transaction
from discovery.store.values import MAX_BURIED

NATIVE = "native"
_ATTACHMENT = "registrants"


class Terms(NamedTuple):
    """What one of several said: fields of its `Registration`, and the ids of its checks."""

    lease: str | None
    ttl: float | None
    keep: float
    hold: float
    checks: tuple[str, ...]

    @classmethod
    def of(cls, spec: Registration) -> Terms:
        return cls(spec.lease, spec.ttl, spec.keep, spec.hold, tuple(check.id for check in spec.checks))

    def applied(self, spec: Registration) -> Registration:
        return replace(spec, lease=self.lease, ttl=self.ttl, keep=self.keep, hold=self.hold)


def registrants(instance: Instance) -> dict[str, Terms]:
    """By their names, in the order in which they came. Nobody has registered what is imported."""
    if instance.spec.imported_from is not None:
        return {}
    if (found := instance.attachment(_ATTACHMENT)) is not None:
        return {name: Terms(*each[: len(Terms._fields)]) for name, each in found.items()}  # newer versions may say more
    return dict.fromkeys([name for name, _ in instance.attachments] or [NATIVE], Terms.of(instance.spec))


def native_ttl(instance: Instance, usual: float) -> float | None:
    """Within how many seconds the native API expects a beat of one that others keep besides; None: it does not. `usual`: of who asked for
    no ttl of its own.
    """
    terms = registrants(instance).get(NATIVE) if instance.attachments else None
    return None if terms is None or terms.lease is not None else terms.ttl or usual


def is_said(instance: Instance, spec: Registration) -> bool:
    """That the native API registers this again would change nothing."""
    known = instance.spec
    if instance.attachments:
        if (own := registrants(instance).get(NATIVE)) is None:
            return False
        known = own.applied(replace(known, checks=tuple(check for check in known.checks if check.id in own.checks)))
    return spec == known


def joined(
    txn: Transaction, known: Instance, name: str | None, spec: Registration, attachments: Mapping[str, Change]
) -> Instance:
    """`known` as `name` registers it from now on (None: an import, which is alone); the checks of `spec` are its own. InvalidField."""
    if name is None or not (known.attachments or attachments):
        before = known.attachments if known.spec.imported_from is not None else ()
        return known._replace(
            spec=spec,
            attachments=changed(before, attachments) if attachments else before,
            checks=states_of(txn, spec.checks, known),
        )
    there = registrants(known)
    own = set(there[name].checks) if name in there else set[str]()
    if taken := {check.id for check in spec.checks} & ({check.id for check in known.spec.checks} - own):
        known, there = _apart(known, there, taken)
    rest = tuple(check for check in known.spec.checks if there and check.id not in own)
    return _shared(txn, known, there | {name: Terms.of(spec)}, replace(spec, checks=(*rest, *spec.checks)), attachments)


def _apart(known: Instance, terms: dict[str, Terms], taken: set[str]) -> tuple[Instance, dict[str, Terms]]:
    """Its checks of these ids are called after their groups, too: another one has a check of that id."""
    ids = {check.id: f"{check.group} {check.id}" for check in known.spec.checks if check.id in taken}
    checks = tuple(replace(check, id=ids.get(check.id, check.id)) for check in known.spec.checks)
    states = {ids.get(id, id): state for id, state in known.checks.items()}
    terms = {name: each._replace(checks=tuple(ids.get(id, id) for id in each.checks)) for name, each in terms.items()}
    return known._replace(spec=replace(known.spec, checks=checks), checks=states), terms


def leave(txn: Transaction, entry: Entry, name: str, reason: str, is_final: bool = True) -> bool:
    """One of them takes its part back; whether any is left. `is_final`: as of `deregister`. What was said of its health begins anew."""
    known = catch_up(txn, entry)
    there = registrants(known)
    own = there.pop(name, None)
    if not there:
        deregister(txn, entry, reason, is_final)
    else:
        checks = tuple(check for check in known.spec.checks if own is None or check.id not in own.checks)
        after = _shared(txn, known, there, replace(known.spec, checks=checks), {name: None})
        if own is not None and known.own.health is not WELL.health:
            after = after._replace(own=Finding(since=txn.wall))
        override_status(txn, entry, after, reason)
    return bool(there)


def deregister(txn: Transaction, entry: Entry, reason: str, is_final: bool = True) -> Instance:
    """For all of them. `is_final` False: a heartbeat with the whole registration brings it back at once."""
    buried_until = txn.wall + min(txn.ttl_of(entry.instance.spec), MAX_BURIED) if is_final else None
    return txn.remove(Kind.DEREGISTERED, entry, reason, buried_until)


def _shared(
    txn: Transaction, known: Instance, terms: dict[str, Terms], spec: Registration, attachments: Mapping[str, Change]
) -> Instance:
    spec = max([each.applied(spec) for each in terms.values()], key=txn.ttl_of)
    attached = changed(known.attachments, {**attachments, _ATTACHMENT: None})
    if len(terms) > 1 or terms.keys() != {name for name, _ in attached or ((NATIVE, b""),)}:
        attached = changed(attached, {_ATTACHMENT: {name: list(each) for name, each in terms.items()}})
    return known._replace(spec=spec, attachments=attached, checks=states_of(txn, spec.checks, known))


def states_of(txn: Transaction, checks: tuple[Check, ...], known: Instance | None) -> States:
    """What they say from now on: of those that it had already, what they said. InvalidField."""
    if len(checks) > MAX_CHECKS:
        raise InvalidField("checks", f"are {len(checks)} with those it has already, at most {MAX_CHECKS} are kept")
    if known is not None and (checks is known.spec.checks or checks == known.spec.checks):
        return known.checks
    had = () if known is None else known.spec.checks
    states = {}
    for check in checks:
        found = known.checks.get(check.id) if known is not None and check in had else begun(check, txn.wall)
        if found is not None:
            states[check.id] = found
    return states or NO_STATES
