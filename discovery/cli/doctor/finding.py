"""What a check found: fine, worth knowing, or in the way."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(NamedTuple):
    """`text`: what was found, and where it is not fine what to do about it."""

    state: State
    text: str


def ok(text: str) -> Finding:
    return Finding(State.OK, text)


def warning(text: str) -> Finding:
    return Finding(State.WARNING, text)


def problem(text: str) -> Finding:
    return Finding(State.PROBLEM, text)
