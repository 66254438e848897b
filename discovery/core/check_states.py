"""What checks say, and what that and an instance's own word come to: its health. In a group of checks the worst counts, among groups the
best. Its own word and the checks without a group are one group.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from discovery.core.check import TTL, Check
from discovery.core.health import WELL, Finding, Health

# Characters of all that the checks of an instance say.
MAX_OUTPUTS = 16 * 1024

NOT_YET = "nothing was reported yet"
# By check id. One that is not there passes, and has always done.
States = Mapping[str, Finding]
_SEVERITY = {Health.PASSING: 0, Health.WARNING: 1, Health.FAILING: 2}
_BY_SEVERITY = tuple(_SEVERITY)


def overall(own: Health, checks: Iterable[Check], states: States) -> Health:
    """What an instance's own word and its checks come to. A word that all is well speaks against nobody."""
    worst: dict[str, int] = {} if own is Health.PASSING else {"": _SEVERITY[own]}
    for check in checks:
        severity = _SEVERITY[states.get(check.id, WELL).health]
        worst[check.group] = max(severity, worst.get(check.group, 0))
    return _BY_SEVERITY[min(worst.values(), default=0)]


def failing_since(own: Finding, checks: Iterable[Check], states: States) -> float:
    """Of one that fails: from when on each group had something that does, epoch seconds."""
    since: dict[str, float] = {} if own.health is not Health.FAILING else {"": own.since}
    for check in checks:
        if (found := states.get(check.id, WELL)).health is Health.FAILING:
            since[check.group] = min(found.since, since.get(check.group, found.since))
    return max(since.values(), default=0.0)


def begun(check: Check, wall: float) -> Finding | None:
    """What a new one says until it is made; None: that it passes, which needs no word."""
    if check.status is Health.PASSING:
        return None
    return Finding(check.status, NOT_YET if check.kind == TTL else "it was not made yet", wall)


def not_reported(check: Check) -> str:
    return f"nothing was reported for {check.ttl:g} s"


def kept(output: str, checks: Sequence[Check]) -> str:
    """As much of what one of them says as is kept: four may say all that there may be, 16 a quarter of it."""
    return output[: MAX_OUTPUTS // len(checks)]


def is_unreported(check: Check, found: Finding) -> bool:
    """It says so because nobody said anything."""
    return check.kind == TTL and found.output in (NOT_YET, not_reported(check))


def with_missing(checks: Iterable[Check], states: States, missing: Mapping[str, float]) -> dict[str, Finding]:
    """With those failing whose reports are `missing`: since when, by id, epoch seconds."""
    found = {
        check.id: Finding(Health.FAILING, not_reported(check), missing[check.id])
        for check in checks
        if check.id in missing
    }
    return {**states, **found}


def failed(checks: Sequence[Check], why: str | None) -> States:
    """As older versions said it: why the one check of an instance fails; None: it does not."""
    return {checks[0].id: Finding(Health.FAILING, why)} if checks and why is not None else {}


def states_dumped(states: States) -> dict[str, Any]:
    return {id: finding.dumps() for id, finding in states.items()}


def states_loaded(found: Mapping[str, Any]) -> States:
    """ValueError, KeyError, TypeError."""
    return {str(id): Finding.loads(each) for id, each in found.items()}
