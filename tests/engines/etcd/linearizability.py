"""Whether a history of concurrent calls could have come from one service that does one thing after another: Wing and Gong's search, with
Lowe's memory of what was tried (J. M. Wing, C. Gong: Testing and verifying concurrent objects, 1993; G. Lowe: Testing for
linearizability, 2017). No checker of others could be installed (Porcupine is Go, Knossos Clojure; neither is on PyPI, npm or Debian).

Each call takes effect at one moment between its start and its end. One whose outcome is not known may do so at any time after its start,
or never.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

# What is registered of a service, by address.
State = frozenset[str]
# Calls that are tried in one search: a history that needs more is too long for this.
MAX_STEPS = 2_000_000


class Call(NamedTuple):
    """`action`: register, deregister, read. `outcome`: ok, full, unknown; None when nobody knows; of a read what it found, sorted and
    joined by commas. `end` is infinite then. Seconds.
    """

    start: float
    end: float
    action: str
    key: str
    outcome: str | None


Step = Callable[[State, Call], State | None]


def service_of(limit: int) -> Step:
    """The state after a call that takes effect in this state; None when its outcome cannot be."""

    def step(state: State, call: Call) -> State | None:
        known = call.key in state
        match call.action, call.outcome:
            case "register", "ok" | None:
                return state | {call.key} if known or len(state) < limit else None
            case "register", "full":
                return state if not known and len(state) >= limit else None
            case "deregister", "ok" | None:
                return state - {call.key} if known else None
            case "deregister", "unknown":
                return None if known else state
            case "read", found:
                return state if found == ",".join(sorted(state)) else None
        raise ValueError(f"no such call: {call}")

    return step


class _Entry:
    """A start or an end in the list of those that are not yet explained. `other`: the end of a start; None of one that has none."""

    __slots__ = ("call", "next", "number", "other", "previous")

    def __init__(self, call: Call | None, number: int) -> None:
        self.call = call  # None: an end
        self.number = number
        self.other: _Entry | None = None
        self.next: _Entry | None = None
        self.previous: _Entry | None = None


def is_linearizable(history: Sequence[Call], step: Step, state: State = frozenset()) -> bool:
    """OverflowError when that would take too long to say."""
    head = _listed(history)
    left = sum(call.end < math.inf for call in history)
    done, seen, tried = 0, set[tuple[int, State]](), 0
    path: list[tuple[_Entry, State]] = []
    entry = head.next
    while left:
        if entry is not None and entry.call is not None:
            tried += 1
            if tried > MAX_STEPS:
                raise OverflowError(f"{len(history)} calls: more than {MAX_STEPS} steps")
            after = step(state, entry.call)
            key = (done | 1 << entry.number, after or frozenset())
            if after is not None and key not in seen:
                seen.add(key)
                path.append((entry, state))
                state, done = after, key[0]
                left -= entry.other is not None
                _lift(entry)
                entry = head.next
            else:
                entry = entry.next
        elif path:  # an end: the call before it has to take effect earlier, so the last choice was wrong
            wrong, state = path.pop()
            done &= ~(1 << wrong.number)
            left += wrong.other is not None
            _put_back(wrong)
            entry = wrong.next
        else:
            return False
    return True


def _listed(history: Sequence[Call]) -> _Entry:
    marks: list[tuple[float, int, _Entry]] = []
    for number, call in enumerate(history):
        start = _Entry(call, number)
        marks.append((call.start, 0, start))  # a start at the moment of an end is before it: the two may overlap
        if call.end < math.inf:
            start.other = _Entry(None, number)
            marks.append((call.end, 1, start.other))
    head = last = _Entry(None, -1)
    for _, _, entry in sorted(marks, key=lambda mark: mark[:2]):
        last.next, entry.previous = entry, last
        last = entry
    return head


def _lift(entry: _Entry) -> None:
    for each in (entry, entry.other):
        if each is not None:
            assert each.previous is not None
            each.previous.next = each.next
            if each.next is not None:
                each.next.previous = each.previous


def _put_back(entry: _Entry) -> None:
    for each in (entry.other, entry):
        if each is not None:
            assert each.previous is not None
            each.previous.next = each
            if each.next is not None:
                each.next.previous = each
