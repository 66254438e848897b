"""What services say of themselves: they register, beat after a silence, deregister."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from discovery.core.address import place_text
from discovery.core.caller import NOBODY, SERVER
from discovery.core.check import TTL, Check
from discovery.core.check_states import is_unreported, kept
from discovery.core.errors import InvalidField
from discovery.core.health import WELL, Finding, Health
from discovery.core.instance import Instance, Registration, vouches
from discovery.core.name import fold
from discovery.core.remembered import Change, changed
from discovery.core.status import SILENT, Status
from discovery.store.errors import (
    CheckIsMade,
    Deregistered,
    IdTaken,
    NameReserved,
    ServiceFull,
    TakenOver,
    UnknownCheck,
)
from discovery.store.registrants import NATIVE, deregister, joined, states_of
from discovery.store.rules import catch_up, expire, forget_drain, living, override_status, revive
from discovery.store.service import Entry, Service
from discovery.store.transaction import Transaction
from discovery.store.write import InstanceWrite, Subject, Write, named_entry, named_or_absent


@dataclass(frozen=True)
class Register(Write[Instance]):
    """Adds the instance, or renews and updates the one at the same key, which keeps its id and registered_at.

    An id that the client chose counts when the instance is added, and is not part of the stored `spec`. `replace`: another instance of
    the service that has this id makes way, in the same commit: it is the same process, which has come back at another address. `own`:
    what it says of its health, without `since`; None: it begins anew, as healthy. `attachments`: what plugins remember of it from now on,
    by their names; those that are not named keep theirs.
    NameReserved; InvalidField of a host name that may be an alias of ours; IdTaken; RegistryFull; ServiceFull when the
    service is at its limit and all its instances are alive. Of one that is
    imported: TakenOver. Forbidden, unless an admin asks, of such a one and with a `hold`.
    """

    spec: Registration
    replace: bool = False
    own: Finding | None = None
    attachments: Mapping[str, Change] | None = None
    action = "register"
    unsaid: ClassVar[Finding | None] = WELL  # what it means to say nothing of its health; None: that stays as it is

    @property
    def subject(self) -> Subject:
        return self.spec.key

    def decide(self, txn: Transaction) -> Instance:
        spec = self.spec
        folded = fold(spec.name)
        origin, attachments = spec.imported_from, self.attachments or {}
        txn.authorize(None if spec.hold or origin is not None else folded)
        service = txn.service(folded)
        entry = None if service is None else service.entries.get(spec.place)
        own_id = spec.id
        shown = spec.name if service is None else service.name  # as first registered
        if own_id is not None or shown != spec.name:
            spec = replace(spec, name=shown, id=None)
        if entry is None:
            return self._add(txn, spec, folded, own_id, service)
        known = catch_up(txn, entry)
        owner = known.spec.imported_from
        if origin not in (None, owner) and known.status not in ((Status.UNHEALTHY,) if owner is None else SILENT):
            raise TakenOver(spec.key, owner)
        if spec.lease is not None and known.spec.lease is None and not (origin or attachments or known.attachments):
            txn.refuse_permanent()
        name = next(iter(attachments), NATIVE) if origin is None else None
        after = joined(txn, known, name, spec, attachments)
        # Two registrants that take turns are no change each time; who asks for another check is the one that it is made for.
        by, first = txn.by.known, known.registrant
        if by == first or (
            after.spec.checks == known.spec.checks and first != NOBODY and vouches(first, spec) >= vouches(by, spec)
        ):
            by = first
        own = said(txn, known, self.own or self.unsaid)
        reason = "registered again" if own == known.own else own.reason
        return revive(txn, entry, after._replace(registrant=by, own=own), reason)

    def _add(
        self, txn: Transaction, spec: Registration, folded: str, own_id: str | None, service: Service | None
    ) -> Instance:
        if service is None and (why := txn.reserved(folded)) is not None:
            raise NameReserved(spec.name, why)
        if spec.is_host_name and (why := txn.why_no_host(spec.ip)) is not None:
            raise InvalidField("ip", why)
        replaced = None if own_id is None else txn.claim(own_id)
        if own_id is not None and replaced is not None:
            same_service = txn.service_of(replaced) is service
            if not (self.replace and same_service):
                raise IdTaken(own_id, same_service)
        attachments = changed((), self.attachments) if self.attachments else ()
        is_foreign = bool(attachments) or spec.imported_from is not None
        if spec.lease is not None and not is_foreign:
            txn.refuse_permanent()
        limit, setting = (0, "") if service is None else txn.limit_of(service, is_foreign)
        full = service is not None and len(service.entries) >= limit
        if not full and (error := txn.is_full(new_service=service is None)) is not None:
            raise error
        if replaced is not None:
            catch_up(txn, replaced)
            deregister(txn, replaced, f"made way for {place_text(spec.ip, spec.port)}, which has its id")
        elif service is not None and full:
            _make_room(txn, service, limit, setting)  # one goes for one that comes
        drained = forget_drain(txn, spec.key, "it is registered again, and drains")
        since = None if drained is None else drained.since
        own = said(txn, None, self.own)
        id, by, checks = own_id or txn.new_id(), txn.by.known, states_of(txn, spec.checks, None)
        instance = Instance(id, txn.wall, spec, since, checks=checks, registrant=by, own=own, attachments=attachments)
        status = living(txn.windows, instance)
        if status is not Status.HEALTHY:
            instance = instance.with_status(status)
        txn.register(instance, folded, "new instance")
        return instance


class Upsert(Register):
    """A heartbeat that carries the whole registration: as Register, but Deregistered where that was too short ago. Where it says nothing
    of its health, that stays as it is.
    """

    action = "upsert"
    unsaid = None

    def decide(self, txn: Transaction) -> Instance:
        key = self.spec.key
        left = txn.buried(key)
        if left > 0 and txn.find(key) is None:
            txn.authorize(key.service)
            raise Deregistered(key, left)
        return super().decide(txn)


def said(txn: Transaction, known: Instance | None, own: Finding | None) -> Finding:
    """What an instance says of its health from now on. The same again changes nothing: its output is shown, and is no event."""
    before = WELL if known is None else known.own
    return before if own is None or own.health is before.health else own._replace(since=txn.wall)


def _make_room(txn: Transaction, service: Service, limit: int, setting: str) -> None:
    """At the limit the instance that has been unhealthy longest makes way, then a suspect whose lease is over."""
    now = txn.now
    lapsed = [
        entry
        for entry in service.entries.values()
        if entry.lease.beats_end_since(-math.inf) <= now  # whose reports alone are missing is registered all the same
        and (entry.over(now) or entry.status in SILENT)
    ]
    if not lapsed:
        raise ServiceFull(service.name, limit, setting)
    oldest = min(lapsed, key=lambda entry: (entry.suspect(now), entry.lease.expires_at))
    catch_up(txn, oldest)
    expire(txn, oldest, "made way for a new instance at the service's limit")


@dataclass(frozen=True)
class Revive(InstanceWrite[Entry]):
    """The heartbeat of one that is unhealthy or suspect, or whose lease has just run out. UnknownInstance."""

    action = "heartbeat"
    lasts = False

    def decide(self, txn: Transaction) -> Entry:
        entry = named_entry(txn, self.which)
        revive(txn, entry, catch_up(txn, entry), "heartbeat received")
        return entry


@dataclass(frozen=True)
class Report(InstanceWrite[Entry]):
    """A heartbeat that says another health than before, without `since`. UnknownInstance."""

    own: Finding
    action = "report"
    lasts = False

    @property
    def says_goodbye(self) -> bool:  # type: ignore[override]  # read alone
        return self.own.health is Health.FAILING

    def decide(self, txn: Transaction) -> Entry:
        entry = named_entry(txn, self.which)
        known = catch_up(txn, entry)
        own = said(txn, known, self.own)
        revive(txn, entry, known._replace(own=own), own.reason)
        return entry


@dataclass(frozen=True)
class ReportCheck(InstanceWrite[Entry]):
    """What one of its checks says, without `since`: a `ttl` check's by the instance, which is a heartbeat too, the others' by the server.

    UnknownInstance, UnknownCheck, CheckIsMade. The same again is no event, and its output is shown all the same.
    """

    check: str
    finding: Finding
    action = "check"
    lasts = False

    def decide(self, txn: Transaction) -> Entry:
        entry = named_entry(txn, self.which)
        known = txn.current(entry)
        check = next((each for each in known.spec.checks if each.id == self.check), None)
        if check is None:
            raise UnknownCheck(known, self.check)
        if check.kind != TTL and txn.by is not SERVER:
            raise CheckIsMade(known, check)
        known = catch_up(txn, entry)
        output = kept(self.finding.output, known.spec.checks)
        before, found = known.said_by(check), self.finding._replace(output=output)
        after = known
        if found.health is not before.health or is_unreported(check, before):
            since = before.since if found.health is before.health else txn.wall
            after = known._replace(checks={**known.checks, check.id: found._replace(since=since)})
        reason = _reason(known, check, found)
        if check.kind == TTL:
            revive(txn, entry, after, reason, check.id)
            txn.beats += ((entry, check.id),)
        elif after is not known:  # else it is no reason to stop believing in a suspect
            override_status(txn, entry, after, reason)
        if after is known:
            txn.afterwards(entry.note_output, check.id, found.output)
        return entry


def _reason(instance: Instance, check: Check, found: Finding) -> str:
    if check.is_plain and len(instance.spec.checks) == 1:
        return found.output or "its checks pass again"
    return f"its check {check.label} {_VERBS[found.health]}" + (f": {found.output}" if found.output else "")


_VERBS = {Health.PASSING: "passes", Health.WARNING: "warns", Health.FAILING: "fails"}


@dataclass(frozen=True)
class Deregister(InstanceWrite[Instance]):
    """UnknownInstance. One whose drain is remembered counts as known: it is forgotten. `imported_from`: only while it is imported from
    there; else TakenOver.
    """

    reason: str
    imported_from: str | None = None
    action = "deregister"
    says_goodbye = True

    def decide(self, txn: Transaction) -> Instance:
        entry = named_or_absent(txn, self.which, self.reason)
        if isinstance(entry, Instance):
            return entry
        origin = entry.instance.spec.imported_from
        if self.imported_from not in (None, origin):
            raise TakenOver(entry.instance.spec.key, origin)
        return deregister(txn, entry, self.reason, is_final=self.imported_from is None)
