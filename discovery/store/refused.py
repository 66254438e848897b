"""Heartbeats that were refused lately, by instance: since when, how often, and why. What a service's account says of them. Pure; `now` is
monotonic seconds, `wall` epoch seconds.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from shlex import quote
from typing import NamedTuple

from discovery.core.address import client_prefix
from discovery.core.caller import Caller
from discovery.core.instance import Key
from discovery.core.moment import to_the_second
from discovery.store.service import Entry

# Seconds after the last one for which they are remembered.
KEPT_SECONDS = 900.0
# Instances that are remembered, 500 octets each, and of those at one client prefix. Of all, the one refused longest ago makes way; a client
# that has its share waits until some of it has faded.
MAX_KEPT = 4096
MAX_OF_CLIENT = 512


class Why(NamedTuple):
    """`text`: for who may know the names of tokens and clients; `plain`: for everybody. Each the end of a sentence."""

    text: str
    plain: str


class Refused(NamedTuple):
    """`since`: the first, epoch seconds; `last`: monotonic. `why`: of the last one. `prefix`: of its client."""

    since: float
    last: float
    times: int
    why: Why
    prefix: str


class RefusedHeartbeats:
    def __init__(self) -> None:
        self._kept: dict[Key, Refused] = {}  # that refused longest ago first
        self._of_service: defaultdict[str, dict[Key, Refused]] = defaultdict(dict)  # the same
        self._of_client: Counter[str] = Counter()

    def __bool__(self) -> bool:
        return bool(self._kept)

    def note(self, key: Key, entry: Entry | None, by: Caller, why: Why, now: float, wall: float) -> bool:
        """A heartbeat of `key` was refused; `entry`: what is registered there. False where it proves nothing, for a stranger could have
        sent it: not from an address of the instance, and of one that is not registered without a token either.
        """
        if not (_is_own(entry, by.address) if entry is not None else by.name or by.address == key.ip):
            return False
        self._forget(now)
        before = self._kept.get(key)
        if before is not None and _is_over(before, entry, now):
            self._drop(key)
            before = None
        prefix = client_prefix(by.address)
        if before is None:
            if self._of_client[prefix] >= MAX_OF_CLIENT:
                return True
            before = Refused(wall, now, 0, why, prefix)
            self._of_client[prefix] += 1
            if len(self._kept) >= MAX_KEPT:
                self._drop(next(iter(self._kept)))
        for kept in (self._kept, self._of_service[key.service]):
            kept.pop(key, None)
            kept[key] = before._replace(last=now, times=before.times + 1, why=why)
        return True

    def of(self, key: Key, entry: Entry | None, now: float) -> Refused | None:
        """None: none was lately, or heartbeats have been taken since."""
        found = self._kept.get(key)
        return None if found is None or _is_over(found, entry, now) else found

    def of_service(self, service: str, now: float) -> dict[Key, Refused]:
        """Those of it that were refused lately, registered or not. `service`: its folded name."""
        found = self._of_service.get(service)
        return {key: each for key, each in found.items() if not _has_faded(each, now)} if found else {}

    def warnings(self, find: Callable[[Key], Entry | None], now: float) -> Mapping[str, str]:
        """By service, of those that are not over; one try to register is no beating yet. `find`: what is registered there."""
        found = defaultdict[str, list[Refused]](list)
        for key, each in self._kept.items():
            entry = find(key)
            if not _has_faded(each, now) and not _is_over(each, entry, now) and (entry is not None or each.times > 1):
                found[key.service].append(each)
        return {service: _text(service, each) for service, each in found.items()}

    def _forget(self, now: float) -> None:
        while self._kept and _has_faded(self._kept[key := next(iter(self._kept))], now):
            self._drop(key)

    def _drop(self, key: Key) -> None:
        prefix = self._kept.pop(key).prefix
        of_service = self._of_service[key.service]
        del of_service[key]
        if not of_service:
            del self._of_service[key.service]
        self._of_client[prefix] -= 1
        if not self._of_client[prefix]:
            del self._of_client[prefix]


def _text(service: str, refused: Sequence[Refused]) -> str:
    times, since = sum(each.times for each in refused), to_the_second(min(each.since for each in refused))
    which = "an instance" if len(refused) == 1 else f"{len(refused)} instances"
    count = "once" if times == 1 else f"{times} times"
    return (
        f"heartbeats of {which} of {service} are refused since {since}, {count}: {refused[-1].why.plain}; without one that is taken "
        f"they are in no answer. `discovery explain {quote(service)}` says of each why"
    )


def _is_own(entry: Entry, address: str) -> bool:
    return address in (entry.instance.spec.ip, entry.instance.registrant.address, entry.beaten_from)


def _has_faded(refused: Refused, now: float) -> bool:
    return refused.last <= now - KEPT_SECONDS


def _is_over(refused: Refused, entry: Entry | None, now: float) -> bool:
    """For a lease's length none was refused, and others were taken."""
    if entry is None:
        return _has_faded(refused, now)
    return refused.last < entry.lease.renewed_at and refused.last <= now - entry.lease.ttl
