"""What came from etcd and cannot be taken over. Each is counted and warned of.

Keys that this node cannot read: somebody wrote them by hand, or a newer version did; what was read last holds until the key is repaired or
deleted, and nobody registers at its address or its id meanwhile. Commits that do not fit what this node has: a defect here, or an older
version gave one id to two services; nothing of such a commit is applied, until its services were read again from etcd.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from discovery.core import exact_json
from discovery.core.errors import DiscoveryError
from discovery.core.event import Commit, Event, InstanceEvent
from discovery.core.instance import Key
from discovery.engines.etcd.messages import EtcdAway, EtcdError
from discovery.store.errors import EngineAway
from discovery.store.fits import DoesNotFit


class KeyUnreadable(EngineAway):
    def __init__(self, key: bytes, reason: str) -> None:
        text = f"the key {shown(key)} in etcd cannot be read ({reason})"
        super().__init__(text, f"Nobody can register here now, for {text}; whoever runs etcd repairs or deletes it")


class Unreadable(NamedTuple):
    """`id`, `address`: of an instance, as far as they can be told; empty and None: of none."""

    reason: str
    id: str = ""
    address: Key | None = None

    @classmethod
    def of(cls, parts: Sequence[str], value: bytes, error: Exception) -> Unreadable:
        if parts[0] != "i" or len(parts) != 3:
            return cls(str(error))
        address = None
        with contextlib.suppress(ValueError, KeyError, TypeError):
            found = exact_json.loads(value)
            address = Key.of(parts[1], found["ip"], found["port"])
        return cls(str(error), parts[2], address)

    def is_hurt_by(self, event: Event) -> bool:
        """Whether it registers something new at that address, or other contents under that id."""
        if not isinstance(event, InstanceEvent) or event.after is None:
            return False
        if event.before is None and event.after.spec.key == self.address:
            return True
        return event.after.id == self.id and (event.before is None or event.before.spec != event.after.spec)


class UnreadableKeys:
    """Those that cannot be read now. `times`: values that could not be, since the start."""

    def __init__(self) -> None:
        self.times = 0
        self._keys: dict[bytes, Unreadable] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def note(self, key: bytes, found: Unreadable) -> None:
        self.times += 1
        self._keys[key] = found

    def note_all(self, found: Mapping[bytes, Unreadable]) -> None:
        for key, each in found.items():
            self.note(key, each)

    def forget(self, key: bytes) -> None:
        """It was read, or is gone."""
        self._keys.pop(key, None)

    def keep(self, keys: Collection[bytes]) -> None:
        """All others were read, or are gone."""
        self._keys = {key: found for key, found in self._keys.items() if key in keys}

    def refusal(self, commit: Commit) -> DiscoveryError | None:
        """Why it must not be: it registers something at the address or the id of such a key."""
        for key, found in self._keys.items():
            if any(map(found.is_hurt_by, commit.events)):
                return KeyUnreadable(key, found.reason)
        return None

    def warnings(self) -> Mapping[str, str]:
        return {
            shown(
                key
            ): f"the key {shown(key)} in etcd cannot be read ({found.reason}), and what was read last holds; repair or delete it"
            for key, found in self._keys.items()
        }


def shown(key: bytes) -> str:
    return key.decode("utf-8", "replace")


# -- commits that do not fit

# Seconds until a service is read again that could not be or that does not fit even then: twice as many each time, up to the second.
_AGAIN_SECONDS, _MOST_SECONDS = 0.5, 60.0

_log = logging.getLogger("discovery.etcd")


class Misfits:
    """`times`: how many there were, since the start."""

    def __init__(self) -> None:
        self.times = 0
        self._why: dict[str, str] = {}  # by service
        self._any = asyncio.Event()

    def note(self, error: DoesNotFit) -> None:
        self.times += 1
        self._any.set()
        for service in error.services:
            if self._why.get(service) != str(error):
                self._why[service] = str(error)
                _log.error(
                    "a commit about the service %(service)s does not fit what this node has, and nothing of it is applied: %(reason)s; the "
                    "service is read from etcd again",
                    {"event": "etcd.misfit", "service": service, "reason": str(error)},
                )

    async def mend(self, read_anew: Callable[[str], Awaitable[None]]) -> None:
        """For ever. `read_anew`: a service; it calls `forget` when all fits."""
        pause = _AGAIN_SECONDS
        while True:
            await self._any.wait()
            for service in list(self._why):
                with contextlib.suppress(EtcdAway, EtcdError, TimeoutError):
                    await read_anew(service)
            pause = min(2 * pause, _MOST_SECONDS) if self._why else _AGAIN_SECONDS
            await asyncio.sleep(pause)

    def forget(self, service: str) -> None:
        self._why.pop(service, None)
        if not self._why:
            self._any.clear()

    def clear(self) -> None:
        """Everything was read again."""
        self._why.clear()
        self._any.clear()

    def warnings(self) -> Mapping[str, str]:
        return {
            service: f"what came from etcd about the service {service} does not fit what this node has ({why}): it is read again"
            for service, why in self._why.items()
        }
