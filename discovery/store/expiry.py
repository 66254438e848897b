"""What the passing of time brings about: leases run out, windows end, the brake lets go, the silent are removed."""

from __future__ import annotations

from dataclasses import dataclass

from discovery.core.status import Status
from discovery.store.rules import (
    ask_brake,
    expire,
    hold_more,
    lapse,
    living,
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
        state, now = txn.state, txn.now
        if state.half_held:
            name = next(iter(state.half_held))
            service = state.service(name)
            if service is None or hold_more(txn, service):
                del state.half_held[name]
            return True
        for scope, left in state.unsettled.items():
            if left.since <= now:
                settle(txn, scope, left.reason)
                return True
        if (over := state.window_over(now)) is not None:
            reason = "the maintenance window is over"
            set_window(txn, over, None, reason)
            settle(txn, over, reason)
            return True
        entry = state.liveness.due(now)
        if entry is None:
            return False
        self._decide(txn, entry)
        return True

    def _decide(self, txn: Transaction, entry: Entry) -> None:
        state, now, instance = txn.state, txn.now, entry.instance
        if instance.status is Status.UNHEALTHY:
            expire(txn, entry, f"no heartbeat for {now - entry.lease.renewed_at:.1f} s")
        elif instance.status is Status.SUSPECT:
            again = ask_brake(txn, entry, state.service_of(entry))
            if again is not None:
                state.liveness.ask_again(entry, again)
        elif entry.lease.alive(now):
            window = state.liveness.damping.window
            txn.change(entry, instance, living(txn, instance), f"quiet for {window:g} s")
        else:
            lapse(txn, entry)
