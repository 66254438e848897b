"""The configuration where it stands in etcd: read, and changed by compare-and-swap. All nodes adopt it at the revision of the change."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from discovery.engines.etcd import conf as configuration
from discovery.engines.etcd.conf import Conf
from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.messages import EtcdError, put, unchanged_since


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
        return Shared(configuration.loads(found.value), found.mod_revision, answer.revision)
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
