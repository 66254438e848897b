"""What a check found: fine, worth knowing, or in the way."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import NamedTuple


class State(StrEnum):
    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(NamedTuple):
    """`text`: what was found, and where it is not fine what to do about it."""

    state: State
    text: str


ok = partial(Finding, State.OK)
warning = partial(Finding, State.WARNING)
problem = partial(Finding, State.PROBLEM)
