"""What must be true of several nodes whatever breaks, checked over all that was asked and answered meanwhile. Pure: times are seconds of
one clock, the test's.

1. Nobody healthy is missing from any answer of any node, at any instant.
2. Nobody dead is served longer than promised, and nobody who said goodbye.
3. Every acknowledged write is kept, and all nodes agree on it, and on the index, at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple


class Answer(NamedTuple):
    """Of one node about one service: whom it gave (their addresses), and whether it was marked as old."""

    node: str
    asked: float
    answered: float
    service: str
    served: frozenset[str]
    stale: bool
    how: str  # "http" or "dns"


@dataclass
class Life:
    """Of one instance, as its client has it. `known`: its registration was acknowledged then. `beats`: its last sign of life, that a node
    took (200) or noted (503), and `at` which. `silent`: it gave none after that. `goodbye`: its deregistration was acknowledged then.
    `unsure`: one was neither acknowledged nor surely refused, or the machine kept its beats from the nodes for a whole lease.
    """

    service: str
    ip: str
    known: float
    beats: float
    at: str
    silent: bool = False
    goodbye: float | None = None
    unsure: bool = False


class Interval(NamedTuple):
    """A node could not hear etcd (or did not run), from one moment to another."""

    node: str
    since: float
    until: float

    def overlaps(self, since: float, until: float) -> bool:
        return self.since <= until and since <= self.until


@dataclass(frozen=True)
class Promise:
    """Seconds. `lease`: from the last heartbeat, two flushes included. `visible`: from an acknowledgement until every node that hears etcd
    answers by it. `slack`: of a busy machine, and what etcd takes there. `held`: how long a silent node's key lasts.
    """

    lease: float
    visible: float = 3.0
    slack: float = 5.0
    held: float = 30.0

    def after(self, pauses: float) -> Promise:
        """On a machine whose processes stood still for so many seconds."""
        return replace(self, visible=self.visible + pauses, slack=self.slack + pauses)


@dataclass
class History:
    promise: Promise
    answers: list[Answer] = field(default_factory=list)
    lives: list[Life] = field(default_factory=list)
    cut: list[Interval] = field(default_factory=list)  # nodes that could not hear etcd
    ended: list[Interval] = field(default_factory=list)  # when the end of each node's silence is due to the others


def wrong(history: History) -> list[str]:
    """What was not as promised, one line each, the first thing that happened first."""
    by_service: dict[str, list[Life]] = {}
    for life in history.lives:
        by_service.setdefault(life.service, []).append(life)
    found: dict[str, None] = {}
    fresh: dict[str, float] = {}  # by node, when it was asked last whose answer was not old
    for answer in sorted(history.answers, key=lambda answer: answer.asked):
        behind = _behind(answer, history)
        known = (
            behind if not answer.stale else min(fresh.get(answer.node, 0.0), float("inf") if behind is None else behind)
        )
        for life in by_service.get(answer.service, ()):
            if (text := _wrong(answer, life, history, behind, known)) is not None:
                found[text] = None
        if not answer.stale:
            fresh[answer.node] = answer.asked
    return list(found)


def _wrong(answer: Answer, life: Life, history: History, behind: float | None, known: float | None) -> str | None:
    """`behind`: since when the node could not hear etcd; `known`: whom it must know has come before that. None: it could, and everybody."""
    promise, is_served = history.promise, life.ip in answer.served
    who = f"{life.service} {life.ip} at {answer.node} over {answer.how}"
    if not is_served:
        is_alive = life.goodbye is None and not life.unsure and answer.answered <= life.beats
        is_old_enough = life.known + promise.visible <= answer.asked
        is_known_there = known is None or life.known + promise.visible < known
        return f"missing, though healthy: {who}" if is_alive and is_old_enough and is_known_there else None
    if behind is not None:
        return None  # it says that it is old, and drops nobody
    if life.goodbye is not None and answer.asked > life.goodbye + promise.visible:
        return f"served after its goodbye: {who}"
    if life.silent and answer.asked > _served_until(life, answer.node, history):
        return f"served {answer.asked - life.beats:.1f} s after its last heartbeat: {who}"
    return None


def _behind(answer: Answer, history: History) -> float | None:
    """Since when the node could not hear etcd as it answered; None: it could."""
    slack = history.promise.slack
    for cut in history.cut:
        if cut.node == answer.node and cut.since <= answer.answered and answer.asked <= cut.until + slack:
            return cut.since
    return None


def _served_until(life: Life, node: str, history: History) -> float:
    """A lease and two flushes after its last heartbeat; while the node that took it is silent to the others, from the end of that; at a
    node that could not hear etcd, from the moment at which it does again.
    """
    promise = history.promise
    until = life.beats + promise.lease
    ended = [each for each in history.ended if each.node == life.at] + [
        each for each in history.cut if each.node == node
    ]
    for silence in sorted(ended, key=lambda each: each.since):
        if silence.overlaps(life.beats, until):
            until = max(until, silence.until + promise.lease)
    return until + promise.slack


def wrong_at_the_end(
    lives: Iterable[Life], tables: Mapping[str, frozenset[str]], indexes: Mapping[str, int], serials: Sequence[int]
) -> list[str]:
    """All faults are over and everybody has settled. `tables`: by node, the address of every instance that it lists; `indexes`: by node."""
    found = []
    for life in lives:
        for node, table in tables.items():
            if life.unsure:
                continue
            if life.goodbye is None and not life.silent and life.ip not in table:
                found.append(f"acknowledged and lost: {life.service} {life.ip} at {node}")
            if life.goodbye is not None and life.ip in table:
                found.append(f"deregistered and there again: {life.service} {life.ip} at {node}")
    if len(set(tables.values())) > 1:
        everywhere, anywhere = frozenset.intersection(*tables.values()), frozenset.union(*tables.values())
        found.append(f"the nodes differ in {sorted(anywhere - everywhere)}")
    if len(set(indexes.values())) > 1:
        found.append(f"the nodes' indexes differ: {dict(indexes)}")
    if len(set(serials)) > 1:
        found.append(f"the nodes' SOA serials differ: {list(serials)}")
    return found
