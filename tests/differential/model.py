"""What the registry promises, said once more and as simply as can be. Nothing of `discovery` is imported here.

A dict of rows in the order of registration; time is what the driver says. What is not promised to the instant (when an instance that
fell silent leaves the table) the driver looks up and tells the model with `removed`, which checks that it was neither early nor late.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LEASE, INTERVAL = 10.0, 5.0  # seconds
MOST = 10  # instances of a service

Key = tuple[str, str, int]  # folded service, ip, port
Scope = tuple[str, str | None, int | None]


@dataclass
class Row:
    """`sent`: the latest registration, as in HTTP's body."""

    id: str
    sent: Mapping[str, Any]
    beat: float
    drained: bool = False
    failing: bool = False

    @property
    def ends(self) -> float:
        ttl: float = self.sent.get("ttl", LEASE)
        return self.beat + ttl

    def get(self, name: str) -> Any:
        return self.sent.get(name, _DEFAULTS.get(name))


_DEFAULTS: Mapping[str, Any] = {
    "protocol": "tcp", "weight": 100, "priority": 10, "tags": [], "ports": {}, "metadata": {},
}  # fmt: skip


@dataclass
class Model:
    """`fixed`: the A records of the zone file of `svc.local`, by label. `spoilt`: keys that expired while they were drained."""

    now: float
    rows: dict[Key, Row] = field(default_factory=dict)
    windows: dict[Scope, float] = field(default_factory=dict)  # to when they end
    fixed: dict[str, str] = field(default_factory=dict)
    spoilt: set[Key] = field(default_factory=set)

    # -- reading

    def services(self) -> list[str]:
        return list(dict.fromkeys(service for service, _, _ in self.rows))

    def of(self, service: str) -> dict[Key, Row]:
        return {key: row for key, row in self.rows.items() if key[0] == service}

    def alive(self, row: Row) -> bool:
        return self.now < row.ends

    def status(self, key: Key) -> str:
        row = self.rows[key]
        if not self.alive(row):
            return "unhealthy"
        if key in self.windows or (key[0], None, None) in self.windows:
            return "maintenance"
        if row.drained:
            return "draining"
        return "failing" if row.failing else "healthy"

    def served(self, keys: Mapping[Key, Row]) -> dict[Key, Row]:
        return {key: row for key, row in keys.items() if self.status(key) == "healthy"}

    # -- writing; each returns the HTTP status

    def register(self, sent: Mapping[str, Any]) -> int:
        """What HTTP gives as id is set by `came`. A full service makes room for the new one by one that fell silent."""
        key = key_of(sent)
        if key in self.rows:
            row = self.rows[key]
            row.sent, row.beat = sent, self.now
            return 201
        peers = self.of(key[0])
        if key[0] in self.fixed and not peers:
            return 409
        if len(peers) >= MOST:
            silent = [other for other, row in peers.items() if not self.alive(row)]
            if not silent:
                return 409
            self._forget(min(silent, key=lambda other: self.rows[other].ends))
        self.rows[key] = Row("", sent, self.now)
        return 201

    def came(self, sent: Mapping[str, Any], id: str) -> None:
        """The id that the registry gave: a new one, or the one that the instance has."""
        row = self.rows[key_of(sent)]
        taken = {each.id for each in self.rows.values() if each is not row}
        assert id not in taken
        assert row.id in ("", id), "an instance keeps its id"
        row.id = id

    def beats(self, key: Key) -> int:
        if key not in self.rows:
            return 404
        self.rows[key].beat = self.now
        return 200

    def drain(self, key: Key, drained: bool) -> int:
        if key not in self.rows:
            return 404
        self.rows[key].drained = drained
        return 200

    def maintain(self, scope: Scope, until: float) -> int:
        known = self.of(scope[0]) if scope[1] is None else {key for key in self.rows if key == scope}
        if not known:
            return 404
        self.windows[scope] = until
        return 200

    def end_maintenance(self, scope: Scope) -> int:
        return 404 if self.windows.pop(scope, None) is None else 200

    def deregister(self, key: Key) -> int:
        if key not in self.rows:
            return 404
        del self.rows[key]
        return 200

    def deregister_service(self, service: str) -> int:
        keys = self.of(service)
        for key in keys:
            del self.rows[key]
        return 200 if keys else 404

    # -- time

    def reaped(self) -> None:
        """The registry has been told the time: windows that are over are gone."""
        self.windows = {scope: until for scope, until in self.windows.items() if self.now < until}

    def removed(self, key: Key, is_gone: bool) -> None:
        """Whether the registry, told the time, still lists an instance that fell silent: for one cleanup interval at least, two at most."""
        ends = self.rows[key].ends
        assert not is_gone or self.now >= ends + INTERVAL, "too early"
        assert is_gone or self.now < ends + 2 * INTERVAL, "too late"
        if is_gone:
            self._forget(key)

    def _forget(self, key: Key) -> None:
        if self.rows.pop(key).drained:
            self.spoilt.add(key)


def key_of(sent: Mapping[str, Any]) -> Key:
    return sent["name"].lower(), sent["ip"], sent["port"]
