"""Keys in etcd that this node cannot read: somebody wrote them by hand, or a newer version did. Each is counted and
warned of; what was read last holds until the key is repaired or deleted, and nobody registers at its address or its id meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from discovery.core import exact_json
from discovery.core.errors import DiscoveryError
from discovery.core.event import Commit, Event, InstanceEvent
from discovery.core.instance import Key
from discovery.store.errors import EngineAway


class KeyUnreadable(EngineAway):
    def __init__(self, key: bytes, reason: str) -> None:
        text = f"the key {shown(key)} in etcd cannot be read ({reason})"
        DiscoveryError.__init__(
            self, f"Nobody can register here now, for {text}; whoever runs etcd repairs or deletes it"
        )
        self.reason = text


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
