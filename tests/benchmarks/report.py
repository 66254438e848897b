"""The rows that the benchmarks print: what was measured, the figure, the target, and whether it is met."""

from __future__ import annotations

import os
from collections.abc import Sequence


def machine() -> None:
    """How busy the machine was when the measuring began: figures of a busy one are worth less."""
    load = ", ".join(f"{average:.2f}" for average in os.getloadavg())
    print(f"{os.cpu_count()} cores, load averages {load}\n", flush=True)


def at_most(title: str, figure: float, target: float, unit: str = "", note: str = "") -> None:
    _row(title, figure, "≤", target, figure <= target, unit, note)


def at_least(title: str, figure: float, target: float, unit: str = "", note: str = "") -> None:
    _row(title, figure, "≥", target, figure >= target, unit, note)


def fact(title: str, figure: float, unit: str = "", note: str = "") -> None:
    """A figure without a target, that others are to be read by."""
    print(f"{title:58} {_number(figure):>11} {unit:9} {'':16} {note}".rstrip(), flush=True)


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many per cent do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-len(ordered) * percent // 100) - 1)]


def _row(title: str, figure: float, sign: str, target: float, met: bool, unit: str, note: str) -> None:
    target_text = f"{sign} {_number(target)}"
    verdict = "ok" if met else "short"
    print(f"{title:58} {_number(figure):>11} {unit:9} {target_text:10} {verdict:5} {note}".rstrip(), flush=True)


def _number(figure: float) -> str:
    return f"{figure:,.0f}" if abs(figure) >= 1000 or figure == int(figure) else f"{figure:.3g}"
