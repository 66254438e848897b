"""Numbers for whoever watches the server: a Metric says what a number is and where to read it, a Histogram keeps durations and sizes.

Who counts keeps plain numbers and hands them over when they are read; how they are shown is others' work.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal, NamedTuple


class Histogram:
    """`counts[i]`: values up to `bounds[i]` and above the bound before; the last is for those above all."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


# By the values of the labels, in the order of the metric's.
Readings = Mapping[tuple[str, ...], "float | Histogram"]


class Metric(NamedTuple):
    """`name` without a counter's `_total`. `read`: at once and cheaply, or in several turns of the event loop."""

    kind: Literal["counter", "gauge", "histogram"]
    name: str
    help: str
    read: Callable[[], Readings | Awaitable[Readings]]
    labels: tuple[str, ...] = ()


def gauge(name: str, help: str, read: Callable[[], float]) -> Metric:
    """Without labels."""
    return Metric("gauge", name, help, lambda: {(): read()})


def counter(name: str, help: str, read: Callable[[], float]) -> Metric:
    """Without labels."""
    return Metric("counter", name, help, lambda: {(): read()})


def histogram(name: str, help: str, of: Histogram) -> Metric:
    """Without labels."""
    return Metric("histogram", name, help, lambda: {(): of})
