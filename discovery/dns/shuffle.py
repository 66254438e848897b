"""The order of instances in a reply, drawn anew each time: lower SRV priorities first, within one by weight (RFC 2782).

Sorting by Exp(1) / weight draws without replacement in proportion to the weights (Efraimidis and Spirakis 2006), which is
what the RFC's running sums do. A weight of 0 gets the RFC's very small chance.
"""

from __future__ import annotations

from random import Random

from discovery.store.service import Entry

_ALMOST_NEVER = 0.01


def shuffled(entries: list[Entry], random: Random) -> list[Entry]:
    ranks = {(entry.instance.spec.priority, entry.instance.spec.weight) for entry in entries}
    if len(ranks) > 1:
        return sorted(entries, key=lambda entry: _draw(entry, random))
    result = entries[:]
    random.shuffle(result)
    return result


def _draw(entry: Entry, random: Random) -> tuple[int, float]:
    spec = entry.instance.spec
    return spec.priority, random.expovariate(spec.weight or _ALMOST_NEVER)
