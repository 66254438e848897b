"""How much is tried of what has no end (hypothesis, flipped bits, cut files): all of it with --all, as CI does; else a fifth.

The profiles are hypothesis's own, so that its tests that name no number follow them; conftest.py loads one.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

_ALL = 100
# As hypothesis's own profile for CI has it: how fast the machine is is not what is tested.
_ANYWHERE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("all", _ANYWHERE, max_examples=_ALL)
settings.register_profile("plain", _ANYWHERE, max_examples=_ALL // 5)


def examples(count: int) -> int:
    """Of so many, those of this run."""
    return -(-count * settings().max_examples // _ALL)
