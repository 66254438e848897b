"""What all nodes must agree on, where it stands in etcd: the first node writes its own settings there, the others adopt them. It is
changed by compare-and-swap, and all nodes adopt a change at its revision.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from discovery.core import exact_json
from discovery.core.checked import text
from discovery.core.codec import OfShape
from discovery.core.kinds import RegistrySettings
from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.messages import EtcdError, put, unchanged_since

# Raised by the version that first writes a kind of event or a status that older ones do not know: they end rather than guess.
FORMAT = 1
# How far the index jumps when etcd has gone back: other nodes may have seen a little more than the one that notices first.
AHEAD = 10_000
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Conf(NamedTuple):
    """`cluster`: of these keys, for ever; a node that knew another refuses to start. `settings`: what `discovery cluster set` may change.
    `offset`: what is added to etcd's revision to have the registry's index, so that it never goes back. `moved`: the addresses of who takes
    the writes instead (`discovery migrate`); empty: these nodes do. `more`: what a newer version has besides, which stays.
    """

    cluster: str
    settings: RegistrySettings
    offset: int
    format: int = FORMAT
    moved: tuple[str, ...] = ()
    more: Mapping[str, Any] = _NOTHING
    hold: float = 60.0  # seconds; of older versions, which do not start without it: to go with FORMAT 2

    def dumps(self) -> bytes:
        mine = self._asdict()
        del mine["more"], mine["settings"]
        settings = {name: getattr(self.settings, field) for name, field in SETTINGS.items()}
        return exact_json.dumps({**self.more, **mine, **settings})


# The settings by their names here; those of the environment are the fields' in capitals.
SETTINGS = {
    {"heartbeat_timeout_seconds": "ttl", "etcd_flush_seconds": "flush"}.get(field, field): field
    for field in RegistrySettings._fields
}
_LEAST = {"ttl": 1, "flush": 0.1, **dict.fromkeys(SETTINGS.keys() - {"ttl", "flush"}, 1), "offset": 0, "format": 0}


def _check(found: Mapping[str, Any]) -> None:
    """ValueError: somebody has edited it by hand, and no node could live with it."""
    for name, least in _LEAST.items():
        value = found.get(name, FORMAT) if name == "format" else found[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < 1e12:
            raise ValueError(f"its {name} is {value!r}, no number from {least} on")
        if name not in ("ttl", "flush") and type(value) is not int:
            raise ValueError(f"its {name} is {value!r}, no whole number")
    if not isinstance(found["cluster"], str):
        raise ValueError(f"its cluster is {found['cluster']!r}, no text")


def new_cluster() -> str:
    return os.urandom(8).hex()


def loads(octets: bytes) -> Conf:
    """ValueError."""
    with OfShape("object of settings"):
        found = exact_json.loads(octets)
        _check(found)
        given = {name: found[name] for name in Conf._fields if name in found}
        given["settings"] = RegistrySettings(**{field: found[name] for name, field in SETTINGS.items()})
        given["moved"] = tuple(map(text, list[object]() + found.get("moved", [])))
        known = {*Conf._fields, *SETTINGS}
        given["more"] = {name: value for name, value in found.items() if name not in known} or _NOTHING
        return Conf(**given)


class Shared(NamedTuple):
    """`version`: the revision that wrote it. `revision`: etcd's, when it was read or written."""

    conf: Conf
    version: int
    revision: int


class ConfUnreadable(EtcdError):
    """What stands there is no configuration. `version`, `revision`: as of `Shared`."""

    def __init__(self, key: bytes, error: ValueError, version: int, revision: int) -> None:
        super().__init__(f"its key {key.decode()} is not a registry's: {error}")
        self.version, self.revision = version, revision


async def read(etcd: Etcd, key: bytes) -> Shared:
    """EtcdError when there is none; ConfUnreadable."""
    found = await find(etcd, key)
    if found is None:
        raise EtcdError("the configuration of the registry is not in etcd")
    return found


async def find(etcd: Etcd, key: bytes) -> Shared | None:
    """None where there is none. ConfUnreadable."""
    answer = await etcd.range(key)
    if not answer.found:
        return None
    [found] = answer.found
    try:
        return Shared(loads(found.octets), found.mod_revision, answer.revision)
    except ValueError as error:
        raise ConfUnreadable(key, error, found.mod_revision, answer.revision) from None


async def change(etcd: Etcd, key: bytes, changed: Callable[[Shared], Conf]) -> Shared:
    """What stands there afterwards. `changed` is asked again when somebody else was faster; nothing is written where nothing differs."""
    while True:
        found = await read(etcd, key)
        wanted = changed(found)
        if wanted == found.conf:
            return found
        outcome = await etcd.txn([unchanged_since(key, found.version)], [put(key, wanted.dumps())])
        if outcome.succeeded:
            return Shared(wanted, outcome.revision, outcome.revision)
