"""The write path beside another checkout of the project, in one run and in rounds that alternate; the other must have a .venv.

python -m tests.benchmarks.write_path [--beside CHECKOUT] [--rounds N] [registry|memory|http|loop …]
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from tests.benchmarks import report
from tests.benchmarks.isolation import enter
from tests.benchmarks.rivals import CLIENT_CORE
from tests.benchmarks.write_path import loop, memory, over_http
from tests.benchmarks.write_path.checkout import Checkout, beside, ours

T = TypeVar("T")

# Of the time before.
TARGETS = {"register new": 1.0, "heartbeat": 1.2, "lapse": 2.2, "lapse that the brake holds": 2.2}
OVER_HTTP = 1.05
MEMORY_KIB = 1.3
REGISTRATIONS, IN_BATCHES = 5_000, 20_000
HELD_MS = 10


def main() -> None:
    parts: dict[str, Callable[[Sequence[Checkout], int], None]] = {
        "registry": _registry, "memory": _memory, "http": _http, "loop": _loop
    }  # fmt: skip
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--beside", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("parts", nargs="*", default=list(parts), metavar="PART")
    given = parser.parse_args()
    enter()
    os.sched_setaffinity(0, {int(CLIENT_CORE)})
    report.machine()
    checkouts = [ours()] if given.beside is None else [ours(), beside(given.beside.resolve())]
    for part in given.parts:
        parts[part](checkouts, given.rounds)


def _registry(checkouts: Sequence[Checkout], rounds: int) -> None:
    """CPU time of one operation."""
    found = _alternating(checkouts, rounds, lambda checkout: checkout.measure("registry"))
    for title in found[0][0]:
        figures = [statistics.median(each[title] for each in of_one) for of_one in found]
        _ratio(f"registry: {title}", figures, TARGETS.get(title))


def _memory(checkouts: Sequence[Checkout], rounds: int) -> None:
    for checkout in checkouts:
        for contents, octets in memory.octets(checkout)._asdict().items():
            title, note = f"memory of an instance, log of {contents}, {checkout.title}", f"{octets:,.0f} octets"
            report.at_most(title, octets / 1024, MEMORY_KIB, "KiB", note)


def _http(checkouts: Sequence[Checkout], rounds: int) -> None:
    found = _alternating(checkouts, rounds, over_http.heartbeats)
    costs = [_median(of_one) for of_one in found]
    _ratio("HTTP: heartbeat", [cost.cpu for cost in costs], OVER_HTTP, f"{costs[0].a_second:,.0f}/s")
    for checkout, of_one in zip(checkouts, _alternating(checkouts, rounds, over_http.registrations), strict=True):
        _at_least(f"HTTP: registrations with the journal, {checkout.title}", _median(of_one), REGISTRATIONS)
    for connections in (1, 4):
        measure = partial(over_http.batches, connections=connections)
        cost = _median(_alternating(checkouts[:1], rounds, measure)[0])
        _at_least(f"HTTP: instances in batches, {connections} connections", cost, IN_BATCHES)


def _loop(checkouts: Sequence[Checkout], rounds: int) -> None:
    this, *others = checkouts
    runs = {
        "with the journal": partial(loop.measure, this, journal=True, brake=False, batches=True),
        "with the journal, the brake on": partial(loop.measure, this, journal=True, brake=True, batches=True),
    }
    for other in others:
        runs[f"{other.title}, in memory"] = partial(loop.measure, other, journal=False, brake=False, batches=False)
    for title, run in runs.items():
        print(f"\nthe loop is held, {title}: the longest gap; CPU time in one", flush=True)
        for held in run():
            report.at_most(f"  {held.title}", held.gap, HELD_MS, "ms", f"CPU {held.cpu:.2f} ms")


def _alternating(checkouts: Sequence[Checkout], rounds: int, measure: Callable[[Checkout], T]) -> list[list[T]]:
    """What each checkout gave in all rounds."""
    found: list[list[T]] = [[] for _ in checkouts]
    for _ in range(rounds):
        for of_one, checkout in zip(found, checkouts, strict=True):
            of_one.append(measure(checkout))
    return found


def _median(costs: Sequence[over_http.Cost]) -> over_http.Cost:
    return over_http.Cost(
        statistics.median(cost.a_second for cost in costs), statistics.median(cost.cpu for cost in costs)
    )


def _ratio(title: str, microseconds: Sequence[float], target: float | None, note: str = "") -> None:
    """Of ours to the one before, where there is one."""
    note = " ".join([*(f"{each:.2f}" for each in microseconds), f"µs of CPU {note}"])
    if len(microseconds) == 1:
        report.fact(title, microseconds[0], "µs", note)
    elif target is None:
        report.fact(title, microseconds[0] / microseconds[1], "×", note)
    else:
        report.at_most(title, microseconds[0] / microseconds[1], target, "×", note)


def _at_least(title: str, cost: over_http.Cost, target: float) -> None:
    report.at_least(title, cost.a_second, target, "a second", f"{cost.cpu:.1f} µs of CPU each")


if __name__ == "__main__":
    main()
