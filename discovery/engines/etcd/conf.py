"""What all nodes must agree on, as it stands in etcd: the first node writes its own settings there, the others adopt them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from discovery.core import exact_json
from discovery.core.checked import text
from discovery.core.kinds import RegistrySettings

# Raised by the version that first writes a kind of event or a status that older ones do not know: they end rather than guess.
FORMAT = 1
# How far the index jumps when etcd has gone back: other nodes may have seen a little more than the one that notices first.
AHEAD = 10_000
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Conf(NamedTuple):
    """`cluster`: of these keys, for ever; a node that knew another refuses to start. `ttl`, `flush`: seconds. `offset`: what is
    added to etcd's revision to have the registry's index, so that it never goes back. `moved`: the addresses of who takes the writes
    instead (`discovery migrate`); empty: these nodes do. `more`: what a newer version has besides, which stays.
    """

    cluster: str
    ttl: float
    flush: float
    max_instances_per_service: int
    max_services: int
    max_instances: int
    offset: int
    format: int = FORMAT
    moved: tuple[str, ...] = ()
    more: Mapping[str, Any] = _NOTHING
    hold: float = 60.0  # seconds; of older versions, which do not start without it: to go with FORMAT 2

    @property
    def settings(self) -> RegistrySettings:
        """What of it is the registry's."""
        return RegistrySettings(**{variable.lower(): getattr(self, name) for name, variable in SETTINGS.items()})

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
    "max_instances_per_service": "MAX_INSTANCES_PER_SERVICE",
    "max_services": "MAX_SERVICES",
    "max_instances": "MAX_INSTANCES",
}


# What each may be at least; all of these are numbers.
_LEAST = {"ttl": 1, "flush": 0.1, "max_instances_per_service": 1, "max_services": 1, "max_instances": 1, "offset": 0}
_WHOLE = ("max_instances_per_service", "max_services", "max_instances", "offset", "format")


def _checked(conf: Conf) -> Conf:
    """ValueError: somebody has edited it by hand, and no node could live with it."""
    for name, least in _LEAST.items():
        value = getattr(conf, name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < 1e12:
            raise ValueError(f"its {name} is {value!r}, no number from {least} on")
    for name in _WHOLE:
        if type(getattr(conf, name)) is not int:
            raise ValueError(f"its {name} is {getattr(conf, name)!r}, no whole number")
    if not isinstance(conf.cluster, str):
        raise ValueError(f"its cluster is {conf.cluster!r}, no text")
    return conf


def new_cluster() -> str:
    return os.urandom(8).hex()


def loads(octets: bytes) -> Conf:
    """ValueError."""
    found = exact_json.loads(octets)
    try:
        given = {name: found[name] for name in Conf._fields if name in found or name not in Conf._field_defaults}
        given["moved"] = tuple(map(text, list[object]() + found.get("moved", [])))
        given["more"] = {name: value for name, value in found.items() if name not in Conf._fields} or _NOTHING
        return _checked(Conf(**given))
    except KeyError as error:
        raise ValueError(f"it has no {error}") from None
    except (TypeError, AttributeError):
        raise ValueError("it is no object of settings") from None
