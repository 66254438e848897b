"""What the registry's model draws from (few names and addresses, so that they meet) and what it keeps of an instance."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

from discovery.core.instance import Registration
from tests.store.making import spec

LEASE_TTL = 4.0
MAX_INSTANCES = 3

EIGHTHS = st.integers(0, 400).map(lambda number: number / 8)
NAMES = st.sampled_from(["web", "Web", "WEB", "a/PI", "A/pi", "fixed", "FIXED"])
IPS = st.sampled_from(["10.0.0.1", "2001:db8::1", "db.example", "DB.Example."])
PORTS = st.sampled_from([80, None])
OWN_IDS = st.sampled_from([None, None, None, "mine", "yours"])
SPECS = st.builds(
    lambda name, ip, port, version, ttl, own: spec(name, ip, port, metadata={"v": version}, ttl=ttl, id=own),
    NAMES, IPS, PORTS, st.integers(0, 1), st.sampled_from([None, None, 1, 1.5, 2.5, 10]), OWN_IDS,
)  # fmt: skip
# Steps of time: none, a grain, about an interval or a lease, far beyond everything.
STEPS = st.sampled_from([0.0, 0.125, 0.5, 1.0, 1.5, 2.5, 4.0, 5.0, 7.5, 60.0])


@dataclass
class Row:
    """What the model knows of an instance. `lapsed`: the registry has said that it is unhealthy."""

    id: str
    registered_at: float
    spec: Registration
    renewed_at: float
    lapsed: bool = False

    @property
    def ends(self) -> float:
        return self.renewed_at + (LEASE_TTL if self.spec.ttl is None else self.spec.ttl)
