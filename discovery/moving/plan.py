"""What an import would do, from what the source has and what is registered here. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from discovery.moving.found import MARK, Found, Json, Key

_LABEL = re.compile("(?![-_])[A-Za-z0-9_-]{1,63}(?<!-)")
# Instances of a service with an import in it, and of one whose instances all registered here, where FACE_MAX_INSTANCES and
# MAX_INSTANCES_PER_SERVICE are not set.
_MOST, _USUAL = 1000, 10
# Of each sort of note.
_SHOWN = 5
# From so many on, of which more than half are gone at once, the source is not believed.
_FEW = 3


@dataclass(frozen=True)
class Here:
    """What is registered: `owned`: the import's, ids by key. `others`: keys of all that somebody else keeps alive, or imports."""

    owned: Mapping[Key, str]
    others: frozenset[Key]

    @classmethod
    def of(cls, instances: Iterable[Mapping[str, Any]], name: str) -> Here:
        """Of instances as the registry lists them. An import may bring what has fallen silent here, and what another brought and renews no
        longer.
        """
        owned, others = {}, set[Key]()
        for each in instances:
            key = Key.of(each)
            if each.get("importedFrom") == name:
                owned[key] = str(each["id"])
            elif each.get("status") not in ("unhealthy", "suspect" if "importedFrom" in each else None):
                others.add(key)
        return cls(owned, frozenset(others))


@dataclass(frozen=True)
class Plan:
    """`put`: bodies, by key: what is `new` and what is renewed. `left`: likewise, those that others keep here. `remove`: ids by key.
    `unsure`: how many are gone at once, where that is not believed: they stay, and are not renewed.
    """

    put: Mapping[Key, Json]
    new: frozenset[Key]
    left: Mapping[Key, Json]
    remove: Mapping[Key, str]
    unsure: int
    notes: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        """For people."""
        services = len({key.name for key in self.put})
        yield f"{len(self.put)} instances of {services} services: {len(self.new)} to copy, {len(self.put) - len(self.new)} copied before"
        if self.left:
            yield f"{len(self.left)} register or beat here themselves, or are another import's, and are left as they are"
        if self.remove:
            yield f"{len(self.remove)} copied before are gone there, and are removed"
        if self.unsure:
            yield f"{self.unsure} copied before are gone there all at once: they are not removed, but renewed no longer"
        yield from self.notes


def plan(found: Found, here: Here, is_meant: Callable[[str], bool]) -> Plan:
    """`is_meant`: a service, by its folded name."""
    wanted = {
        key: body for key, body in found.bodies.items() if is_meant(key.name) and MARK not in body.get("metadata", {})
    }
    left = {key: wanted[key] for key in here.others & wanted.keys()}
    put = {key: body for key, body in wanted.items() if key not in left}
    gone = {key: id for key, id in here.owned.items() if key not in wanted and is_meant(key.name)}
    is_unsure = is_doubtful(len(gone), len(here.owned))
    return Plan(
        put, frozenset(put.keys() - here.owned.keys()), left, {} if is_unsure else gone, len(gone) if is_unsure else 0,
        tuple(_notes(found, put, here)),
    )  # fmt: skip


def is_doubtful(gone: int, known: int) -> bool:
    """Whoever has lost so many at once was rather started again, or cut off."""
    return gone >= _FEW and 2 * gone > known


def _notes(found: Found, put: Mapping[Key, Json], here: Here) -> Iterator[str]:
    yield from _few(found.notes)
    names = sorted({body["name"] for body in put.values() if not _LABEL.fullmatch(body["name"])})
    yield from _few([f"{name!r} is no DNS label: it is found over HTTP alone" for name in names])
    services = {key.name for key in put}
    counts = Counter(key.name for key in {*put, *here.others} if key.name in services).most_common()
    most = [
        f"{name} would have {count:,} instances: FACE_MAX_INSTANCES has to allow that"
        for name, count in counts
        if count > _MOST
    ]
    yield from _few(most)
    many = [
        f"{name} would have {count} instances: MAX_INSTANCES_PER_SERVICE has to allow that before the last of them moves"
        for name, count in counts
        if _USUAL < count <= _MOST
    ]
    yield from _few(many)
    local = [
        f"{key} is a loopback address, of another host there than here"
        for key in put
        if key.ip in ("::1", "localhost") or key.ip.startswith("127.")
    ]
    yield from _few(local)
    portless = [f"{key} has no port: DNS has its address alone" for key in put if key.port is None]
    yield from _few(portless)


def _few(notes: list[str]) -> Iterator[str]:
    yield from notes[:_SHOWN]
    if len(notes) > _SHOWN:
        yield f"… and {len(notes) - _SHOWN} more like that"
