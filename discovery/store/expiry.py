"""What the passing of time brings about: leases run out, windows end, the brake lets go, the silent are removed."""

from __future__ import annotations

from dataclasses import dataclass

from discovery.core.status import Status
from discovery.store.registrants import deregister, leave, registrants
from discovery.store.rules import (
    ask_brake,
    expire,
    given_up,
    hold_more,
    lapse,
    living,
    miss_reports,
    set_window,
    settle,
)
from discovery.store.service import Entry
from discovery.store.transaction import Transaction
from discovery.store.write import Write


@dataclass(frozen=True)
class Expire(Write[bool]):
    """The next thing that time alone has brought about: one decision. Whether there was any.

    Of the node that leads alone. A mass of lapses is not one decision: the brake judges each with what the ones before have come to.
    """

    action = "expire"
    lasts = False

    def decide(self, txn: Transaction) -> bool:
        if (name := txn.half_held_service()) is not None:
            service = txn.service(name)
            if service is None or hold_more(txn, service):
                txn.note_held(name)
            return True
        if (scope := txn.overdue_scope()) is not None and (left := txn.unsettled(scope)) is not None:
            settle(txn, scope, left.reason)
            return True
        if (over := txn.window_over()) is not None:
            reason = "the maintenance window is over"
            set_window(txn, over, None, reason)
            settle(txn, over, reason)
            return True
        entry = txn.due()
        if entry is None:
            return False
        self._decide(txn, entry)
        return True

    def _decide(self, txn: Transaction, entry: Entry) -> None:
        now, instance = txn.now, entry.instance
        if instance.status is not Status.SUSPECT and entry.lease.critical_at <= now:
            check, reason = given_up(txn, instance)
            there = registrants(instance).items()
            whose = next((name for name, terms in there if check.id in terms.checks), None)
            if whose is not None:
                leave(txn, entry, whose, reason, is_final=False)
            else:  # an older version, which knows of no registrants, has changed its checks
                deregister(txn, entry, reason, is_final=False)
        elif instance.status is Status.UNHEALTHY:
            expire(txn, entry, f"no heartbeat for {now - entry.lease.renewed_at:.1f} s")
        elif instance.status is Status.SUSPECT:
            again = ask_brake(txn, entry, txn.service_of(entry))
            if again is not None:
                txn.afterwards(txn.liveness.ask_again, entry, again)
        elif entry.missing(now) and not entry.over(now):
            miss_reports(txn, entry)
        elif entry.lease.alive(now):
            txn.change(entry, instance, living(txn.windows, instance), f"quiet for {txn.liveness.damping.window:g} s")
        else:
            lapse(txn, entry)
