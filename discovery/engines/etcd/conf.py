"""What all nodes must agree on, as it stands in etcd: the first node writes its own settings there, the others adopt them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from discovery.core import exact_json

# Raised by the version that first writes a kind of event or a status that older ones do not know: they end rather than guess.
FORMAT = 1
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Conf(NamedTuple):
    """`cluster`: of these keys, for ever; a node that knew another refuses to start. `ttl`, `flush`, `hold`: seconds. `offset`: what is
    added to etcd's revision to have the registry's index, so that it never goes back. `moved`: the addresses of who takes the writes
    instead (`discovery migrate`); empty: these nodes do. `more`: what a newer version has besides, which stays.
    """

    cluster: str
    ttl: float
    flush: float
    hold: float
    max_instances_per_service: int
    max_services: int
    max_instances: int
    offset: int
    format: int = FORMAT
    moved: tuple[str, ...] = ()
    more: Mapping[str, Any] = _NOTHING

    @property
    def grace(self) -> float:
        """Seconds that a heartbeat may be under way: heard just after a batch, and the next one may be late."""
        return 2 * self.flush

    def dumps(self) -> bytes:
        mine = self._asdict()
        del mine["more"]
        return exact_json.dumps({**self.more, **mine})

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
    """ValueError."""
    found = exact_json.loads(octets)
    try:
        given = {name: found[name] for name in Conf._fields if name in found or name not in Conf._field_defaults}
        given["moved"] = tuple(map(str, found.get("moved", ())))
        given["more"] = {name: value for name, value in found.items() if name not in Conf._fields} or _NOTHING
        return Conf(**given)
    except KeyError as error:
        raise ValueError(f"it has no {error}") from None
    except (TypeError, AttributeError):
        raise ValueError("it is no object of settings") from None
