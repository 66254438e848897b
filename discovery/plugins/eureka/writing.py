"""What Eureka's clients do to an instance, as writes: each is decided on all that it reads, and is one commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from discovery.core import metadata as metadata_text
from discovery.core.instance import Instance, Key
from discovery.core.remembered import changed
from discovery.plugins.eureka.ids import records_of
from discovery.plugins.eureka.record import NAME, UP, Record, Records, Sent, is_out, own_health
from discovery.store.operations import Drain
from discovery.store.registrants import deregister, leave, registrants
from discovery.store.registration import Register, said
from discovery.store.rules import catch_up, override_status
from discovery.store.transaction import Transaction
from discovery.store.write import InstanceWrite, Subject, Write, named_entry

# Ids at one address: workers of one host that have no port of their own. Of more the oldest makes way, so that a process that
# crashes and comes back with another id each time fills nothing.
MAX_IDS = 8
# In a record: its status was overridden here, and not where an import has it from.
_HERE = "here"
# Statuses of its own that an override to UP does not change.
_NOT_READY = ("DOWN", "STARTING")


def overridden(record: Record) -> Record:
    """Of a record what was said here, and not by whoever it is of."""
    return {name: record[name] for name in ("overriddenStatus", "updated", _HERE)} if _HERE in record else {}


@dataclass(frozen=True)
class Announce(Write[Instance]):
    """Registers an instance with its id in Eureka, beside those that have its address already. An id that was at another address moves, in
    the same commit. What it was overridden to be stays. Errors: as of Register.
    """

    sent: Sent
    moved_from: Key | None
    action = "register"

    @property
    def subject(self) -> Subject:
        return self.sent.spec.key

    def decide(self, txn: Transaction) -> Instance:
        sent = self.sent
        txn.authorize(sent.spec.key.service)
        entry = txn.find(sent.spec.key)
        before = None if entry is None else txn.current(entry)
        records = records_of(before)
        was_out = bool(records) and is_out(records)
        known = records.pop(sent.id, None) or self._left_behind(txn)
        if before is not None and NAME not in registrants(before):
            records = {}  # they are an import's words: from now on each comes itself
        records[sent.id] = self._record(int(txn.wall * 1000), known or {})
        while len(records) > MAX_IDS:
            del records[min(records, key=lambda id: records[id]["registered"])]
        instance = Register(sent.spec, own=own_health(records), attachments={NAME: records}).decide(txn)
        if entry is None or is_out(records) == was_out:
            return instance
        after = instance._replace(draining_since=None if was_out else txn.wall)
        return override_status(txn, entry, after, "registered with the status of an operator")

    def _record(self, now: int, known: Record) -> Record:
        record = dict(self.sent.record)
        record |= {"registered": now, "dirty": now if self.sent.dirty is None else self.sent.dirty}
        if (override := known.get("overriddenStatus", self.sent.override)) is not None:
            record["overriddenStatus"] = override
        if "up" in known or record.get("status", UP) == UP:
            record["up"] = known.get("up", now)
        return record

    def _left_behind(self, txn: Transaction) -> Record | None:
        """Its record where it was; it is there no longer."""
        key = self.moved_from
        if key is None or key == self.sent.spec.key or (entry := txn.find(key)) is None:
            return None
        record = records_of(txn.current(entry)).get(self.sent.id)
        if record is not None:
            Cancel(key, self.sent.id, "it is registered at another address").decide(txn)
        return record


@dataclass(frozen=True)
class Cancel(InstanceWrite[None]):
    """An id goes, and the instance with the last of them. UnknownInstance."""

    id: str
    reason: str
    action = "deregister"
    says_goodbye = True

    def decide(self, txn: Transaction) -> None:
        entry = named_entry(txn, self.which)
        records = records_of(txn.current(entry))
        is_there = records.pop(self.id, None) is not None
        if records:
            _restate(txn, self.which, records, self.reason, draining=True if is_out(records) else None)
        elif is_there:
            leave(txn, entry, NAME, self.reason)
        else:  # it came by another API, and is called by its id there
            deregister(txn, entry, self.reason)


@dataclass(frozen=True)
class Forget(InstanceWrite[None]):
    """Ids whose own leases are over, where others at the same address live. UnknownInstance."""

    ids: tuple[str, ...]
    action = "expire"
    lasts = False

    def decide(self, txn: Transaction) -> None:
        records = records_of(txn.current(named_entry(txn, self.which)))
        left = {id: record for id, record in records.items() if id not in self.ids}
        if left and len(left) < len(records):
            reason = f"no renewal by {len(self.ids)} of the ids at its address"
            _restate(txn, self.which, left, reason, draining=True if is_out(left) else None)


@dataclass(frozen=True)
class Override(InstanceWrite[None]):
    """What somebody else says that it is from now on; None: what it says of itself. All but UP takes it out of the answers.
    UnknownInstance.
    """

    id: str
    status: str | None
    reason: str

    @property
    def action(self) -> str:
        return "undrain" if self.status in (None, UP) else "drain"

    def decide(self, txn: Transaction) -> None:
        records, now = records_of(txn.current(named_entry(txn, self.which))), int(txn.wall * 1000)
        record = records.get(self.id)
        if record is None:  # it came by another API
            Drain(self.which, self.status not in (None, UP), self.reason).decide(txn)
            return
        before = record.pop("overriddenStatus", None)
        record.pop(_HERE, None)
        if before is None and self.status is None:
            return
        record["updated"] = max(now, record["registered"] + 1)
        if self.status is not None:
            record |= {"overriddenStatus": self.status, _HERE: True}
        if self.status == UP and record.get("status", UP) not in _NOT_READY:
            record.pop("status", None)
        _restate(txn, self.which, records, self.reason, draining=is_out(records))


@dataclass(frozen=True)
class AddMetadata(InstanceWrite[None]):
    """Beside what it has. No sign of life. UnknownInstance; InvalidField, when it is too much."""

    added: Mapping[str, str]
    reason: str
    action = "attach"

    def decide(self, txn: Transaction) -> None:
        entry = named_entry(txn, self.which)
        known = catch_up(txn, entry)
        packed = metadata_text.pack(metadata_text.unpack(known.spec.metadata) | dict(self.added))
        after = known._replace(spec=replace(known.spec, metadata=packed))
        txn.change(entry, after, after.status, self.reason)


def _restate(txn: Transaction, which: Key | str, records: Records, reason: str, draining: bool | None) -> None:
    """The records from now on, with the health that follows from them. `draining` None: as it is."""
    entry = named_entry(txn, which)
    known = catch_up(txn, entry)
    own = said(txn, known, own_health(records))
    after = known._replace(attachments=changed(known.attachments, {NAME: records}), own=own)
    if draining is not None and draining != known.draining:
        after = after._replace(draining_since=txn.wall if draining else None)
    override_status(txn, entry, after, reason)
