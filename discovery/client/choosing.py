"""Which of several instances is taken. Pure: time and chance are parameters."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Literal, get_args

from discovery.client.instance import HEALTHY, Instance

Strategy = Literal["random", "weighted", "round_robin", "latest"]
STRATEGIES: tuple[str, ...] = get_args(Strategy)

# Two failures within so many seconds, and an instance rests for as many: one alone may be anybody's.
REST_SECONDS = 30.0
# Instances whose failures are remembered; beyond, the oldest are forgotten.
MAX_REMEMBERED = 4096


class Choice:
    """Picks for one service.

    `latest`: the one that was heard of last. `weighted`: by chance, by weight. `round_robin`: one after the other.
    """

    def __init__(self, chance: random.Random | None = None) -> None:
        self._chance = chance or random.Random()
        self._turn = 0

    def pick(self, instances: Sequence[Instance], strategy: str) -> Instance:
        """`instances`: at least one, those heard of last first. ValueError for a strategy that there is not."""
        candidates = preferred(instances)
        if strategy == "latest":
            return candidates[0]
        if strategy == "round_robin":
            self._turn += 1
            return sorted(candidates, key=lambda each: (each.ip, each.port or 0))[self._turn % len(candidates)]
        if strategy == "random":
            return self._chance.choice(candidates)
        if strategy == "weighted":
            weights = [each.weight for each in candidates]
            return self._chance.choices(candidates, weights if any(weights) else None)[0]
        raise ValueError(f"{strategy!r} is no strategy; there are {', '.join(STRATEGIES)}")


def preferred(instances: Iterable[Instance]) -> list[Instance]:
    """Those with the best rank: the healthy before suspects, then the near ones, then the lowest priority."""
    ranked = [(each.status != HEALTHY, each.behind, each.priority, each) for each in instances]
    best = min(rank[:3] for rank in ranked)
    return [each for *rank, each in ranked if tuple(rank) == best]


class Resting:
    """Who failed twice in REST_SECONDS, and is passed over for as long."""

    def __init__(self) -> None:
        self._failed_at: dict[str, float] = {}  # by address: the last failure that did not lead to a rest
        self._until: dict[str, float] = {}

    def failed(self, address: str, now: float) -> None:
        before = self._failed_at.pop(address, None)
        if before is not None and now - before <= REST_SECONDS:
            _remember(self._until, address, now + REST_SECONDS)
        else:
            _remember(self._failed_at, address, now)

    def rests(self, address: str, now: float) -> bool:
        until = self._until.get(address)
        if until is None or now < until:
            return until is not None
        del self._until[address]
        return False

    def awake(self, instances: Sequence[Instance], now: float) -> Sequence[Instance]:
        """All of them where all rest: one that may fail is better than none."""
        return [each for each in instances if not self.rests(each.address, now)] or instances


def _remember(where: dict[str, float], address: str, at: float) -> None:
    where.pop(address, None)
    where[address] = at
    if len(where) > MAX_REMEMBERED:
        del where[next(iter(where))]
