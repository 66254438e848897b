"""An order drawn by priority and weight, as RFC 2782 has it for SRV; DNS answers and /resolve share it."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

# RFC 2782's "very small chance" of a weight of 0 beside others.
_ALMOST_NEVER = 0.01


def draw(ranks: Sequence[tuple[int, int]], random: Random) -> list[int]:
    """Indices of `ranks`, (priority, weight), in a drawn order: lower priorities first, within one without replacement in proportion to
    the weights.

    Sorting by Exp(1) / weight does what RFC 2782's running sums do (Efraimidis and Spirakis 2006).
    """

    def key(index: int) -> tuple[int, float]:
        priority, weight = ranks[index]
        return priority, random.expovariate(weight or _ALMOST_NEVER)

    return sorted(range(len(ranks)), key=key)
