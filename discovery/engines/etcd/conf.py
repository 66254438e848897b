"""What all nodes must agree on, as it stands in etcd: the first node writes its own settings there, the others adopt them."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from discovery.core import exact_json


class Conf(NamedTuple):
    """`cluster`: of these keys, for ever; a node that knew another refuses to start. `ttl`, `flush`, `hold`: seconds. `offset`: what is
    added to etcd's revision to have the registry's index, so that it never goes back.
    """

    cluster: str
    ttl: float
    flush: float
    hold: float
    max_instances_per_service: int
    max_services: int
    max_instances: int
    offset: int

    @property
    def grace(self) -> float:
        """Seconds that a heartbeat may be under way: heard just after a batch, and the next one may be late."""
        return 2 * self.flush

    def dumps(self) -> bytes:
        return exact_json.dumps(self._asdict())

    def differing(self, other: Conf) -> dict[str, tuple[Any, Any]]:
        """The settings that are not the same: mine, the other's. Cluster and offset are none."""
        mine, theirs = self._asdict(), other._asdict()
        return {name: (mine[name], theirs[name]) for name in mine if name in SETTINGS and mine[name] != theirs[name]}


# Those that `discovery cluster set` may change, by the name of the environment's variable.
SETTINGS = {
    "ttl": "HEARTBEAT_TIMEOUT_SECONDS",
    "flush": "ETCD_FLUSH_SECONDS",
    "hold": "ETCD_HOLD_SECONDS",
    "max_instances_per_service": "MAX_INSTANCES_PER_SERVICE",
    "max_services": "MAX_SERVICES",
    "max_instances": "MAX_INSTANCES",
}


def new_cluster() -> str:
    return os.urandom(8).hex()


def loads(octets: bytes) -> Conf:
    """What a newer version has besides is passed over. ValueError."""
    found = exact_json.loads(octets)
    try:
        return Conf(**{name: found[name] for name in Conf._fields})
    except (KeyError, TypeError) as error:
        raise ValueError(f"it is no configuration: {error!r}") from None
