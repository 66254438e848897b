"""The brake asks before it believes: which suspect is asked next, what its port's answer makes of it, and when answers are a firewall's.

While the brake holds an instance whose lease has run out, its own address and port are asked by a TCP connection (`plugins/brake` makes
it). Refused by a RST: the process is gone, and the instance is unhealthy. Accepted: it may live unheard, and is the first of the suspects.
Everything else proves nothing. Pure; `now` is monotonic seconds, `wall` epoch seconds.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from discovery.core.maintenance import Scope
from discovery.core.network import Networks, is_off_limits
from discovery.core.status import TRUSTED, Probed, Status
from discovery.store.brake import OF_ALL_PERCENT
from discovery.store.rules import miss_reports
from discovery.store.service import Entry
from discovery.store.transaction import Transaction
from discovery.store.write import Subject, Write

# Seconds from one ask of an instance to its next.
AGAIN = 5.0
# Seconds beyond a lease for which it has to have beaten: who registers another's port to have it asked keeps it alive for that first.
BEATEN = 10.0
# Silent instances and their hosts, from which on refusals may be a firewall's; a fifth of all, as for the brake, are needed besides.
MIN_SILENT = 20
MIN_HOSTS = 3
# Of the answers of two rounds.
_FIREWALL_SHARE = 0.9
_ANSWERS_SECONDS = 2 * AGAIN
# Of a service in one go: what they answer is one commit, after which its answers are made anew.
TOGETHER = 4
# Whom `next` looks at in one call, 1 µs each.
_AT_ONCE = 100


def may_be_asked(entry: Entry, now: float, wall: float, networks: Networks, is_alone: bool) -> bool:
    """`networks`: none for all of them. `is_alone`: see `is_off_limits`."""
    instance, lease = entry.instance, entry.lease
    ip = instance.spec.ip
    if not instance.spec.port or "tcp" not in instance.spec.protocols or not instance.vouched:
        return False
    if wall - (now - lease.renewed_at) - instance.registered_at < lease.ttl + BEATEN:
        return False
    return not is_off_limits(ip, instance.registrant.address, is_alone) and (not networks or ip in networks)


class AskQueue:
    """Whose turn it is: whoever was not asked yet comes before all repeats, the first few of each service before more of any; of one
    service in the order in which their leases ran out.
    """

    def __init__(self) -> None:
        self._waiting: list[
            tuple[float, int, str, str | None]
        ] = []  # a heap: due at, number, id, service; None: asked before
        self._ready: list[tuple[bool, float, str, int, int, str]] = []  # a heap: asked before, its turn, …, number, id
        self._numbers: dict[str, int] = {}  # by id; what has another number in a heap was dropped
        self._places: Counter[str] = Counter()  # by service: how many were ready for their first ask
        self._number = 0

    def __len__(self) -> int:
        return len(self._numbers)

    def put(self, id: str, at: float, service: str | None) -> None:
        """`service`: of one that was not asked yet; None: it was."""
        self._number += 1
        self._numbers[id] = self._number
        heappush(self._waiting, (at, self._number, id, service))

    def drop(self, id: str) -> None:
        if self._numbers.pop(id, None) is not None and not self._numbers:
            self._waiting.clear()
            self._ready.clear()
            self._places.clear()

    def next(self, now: float) -> str | None:
        """Who is no longer in the queue then; None when it is nobody's turn, or not yet known whose."""
        for _ in range(_AT_ONCE):
            if not self._waiting or self._waiting[0][0] > now:
                break
            at, number, id, service = heappop(self._waiting)
            if self._numbers.get(id) != number:
                continue
            if service is None:
                heappush(self._ready, (True, at, "", 0, number, id))
            else:
                place = self._places[service]
                heappush(self._ready, (False, place // TOGETHER, service, place, number, id))
                self._places[service] += 1
        for _ in range(min(_AT_ONCE, len(self._ready))):
            *_, number, id = heappop(self._ready)
            if self._numbers.get(id) == number:
                self.drop(id)
                return id
        if not self._ready:
            self._places.clear()
        return None

    @property
    def next_at(self) -> float:
        """When `next` has somebody, or earlier; infinity when nobody waits."""
        if self._ready:
            return -math.inf
        return self._waiting[0][0] if self._waiting else math.inf


class Answers:
    """What was answered lately, by anybody."""

    def __init__(self) -> None:
        self._latest: deque[tuple[float, bool]] = deque()
        self._refused = 0

    def note(self, now: float, refused: bool) -> None:
        self._latest.append((now, refused))
        self._refused += refused
        while self._latest[0][0] <= now - _ANSWERS_SECONDS:
            self._refused -= self._latest.popleft()[1]

    def all_refuse(self) -> bool:
        """Or nearly all."""
        return self._refused >= _FIREWALL_SHARE * len(self._latest)


class Silence:
    """A count of those who fall silent, in all services, on how many hosts: from half of a lease without a beat on, until one later."""

    def __init__(self) -> None:
        self.silent = self.instances = 0
        self._hosts: set[str] = set()

    def count(self, entries: Iterable[Entry], now: float) -> None:
        for entry in entries:
            self.instances += 1
            if _is_silent(entry, now):
                self.silent += 1
                if len(self._hosts) < MIN_HOSTS:
                    self._hosts.add(entry.instance.spec.ip)

    def is_wide(self) -> bool:
        """So many that a firewall that refuses for all of them is likelier than so many processes that ended."""
        share = self.silent * 100 >= OF_ALL_PERCENT * self.instances
        return share and self.silent >= MIN_SILENT and len(self._hosts) >= MIN_HOSTS


def _is_silent(entry: Entry, now: float) -> bool:
    lease, status = entry.lease, entry.instance.status
    if status is Status.UNHEALTHY:
        return lease.expires_at > now - lease.ttl
    return status in _HEARD and not entry.through.silent and (lease.overdue(now) or not lease.alive(now))


_HEARD = (*TRUSTED, Status.SUSPECT)


@dataclass(frozen=True)
class Probe(Write[None]):
    """What the ports of a service's suspects have answered, by id; None: nothing that says something. Who beat meanwhile, or is gone, is
    passed over.
    """

    service: str
    answers: Sequence[tuple[str, Probed | None]]
    action = "probe"
    lasts = False

    @property
    def subject(self) -> Subject:
        return Scope(self.service)

    def decide(self, txn: Transaction) -> None:
        txn.authorize(None)
        for id, answer in self.answers:
            entry = txn.find(id)
            if entry is None or not is_to_be_asked(entry, txn.now):
                continue
            if answer is Probed.REFUSED and entry.beats_end > txn.now:  # it is registered, and its reports are missing
                miss_reports(txn, entry)
            else:
                # The reason is everybody's to read, and what a port said is not.
                silence = f"no heartbeat for {txn.now - entry.lease.renewed_at:.1f} s"
                status = Status.UNHEALTHY if answer is Probed.REFUSED else Status.SUSPECT
                txn.change(entry, entry.instance._replace(probed=answer), status, silence)


def is_to_be_asked(entry: Entry, now: float) -> bool:
    """The brake holds it, and its silence is nobody's who was not heard."""
    return entry.instance.status is Status.SUSPECT and entry.over(now)
