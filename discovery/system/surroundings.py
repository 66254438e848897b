"""What of this host is warned of: its wall clock was set, files run out, a variable is nearly one of our settings."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from difflib import SequenceMatcher

from discovery.core.moment import to_the_second
from discovery.core.warning import Concern, each, one, warning
from discovery.system.limits import NEARLY_FULL, open_files

# Seconds: what counts as a step (NTP slews less than a millisecond in a second), and for how long it is told.
_STEP, _TOLD = 1.0, 3600.0
# Of 1: how alike names are of which one is a slip of the other. DNS_POTR and DNS_PORT are 0.875 alike.
_ALIKE = 0.85


def _running() -> float:
    """Seconds that go on while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class ClockSteps:
    """`running`: monotonic seconds; `wall`: epoch seconds."""

    def __init__(self, running: Callable[[], float] = _running, wall: Callable[[], float] = time.time) -> None:
        self._running = running
        self._wall = wall
        self._offset = wall() - running()
        self._stepped_at = float("-inf")
        self._text: str | None = None

    def warning(self) -> str | None:
        """To be asked about once a second."""
        running, wall = self._running(), self._wall()
        step, self._offset = wall - running - self._offset, wall - running
        if abs(step) >= _STEP:
            self._stepped_at = running
            self._text = (
                f"the clock was set {'forward' if step > 0 else 'back'} by {abs(step):.0f} s, to {to_the_second(wall)}: times from "
                "before are off by that, and ends of tokens and maintenance windows came sooner or later; is chrony or ntpd in order?"
            )
        return self._text if running < self._stepped_at + _TOLD else None


def _files_full() -> str | None:
    """The kernel gives the lowest number that is free."""
    most = open_files()
    try:
        used = os.open(os.devnull, os.O_RDONLY)
        os.close(used)
    except OSError as error:
        return f"no file and no connection can be opened: {error.strerror}; raise LimitNOFILE (`ulimit -n`), or find who holds so many"
    if used < NEARLY_FULL * most:
        return None
    return f"{used} of {most} files are open; raise LimitNOFILE (`ulimit -n`), or find who holds so many connections (`ss -tn`)"


def slips(given: Iterable[str], known: Collection[str]) -> Mapping[str, str]:
    """Names that are nearly a setting's, with the setting: they are ignored, and nobody would tell."""
    found = {}
    for name in given:
        if name in known or name != name.upper():
            continue
        near = next((each for each in known if _is_slip(name, each)), None)
        if near is not None:
            found[name] = near
    return found


def _is_slip(name: str, known: str) -> bool:
    if abs(len(name) - len(known)) > 2 or name[0] != known[0]:  # most are told apart by that
        return False
    return sorted(name) == sorted(known) or SequenceMatcher(None, name, known).ratio() >= _ALIKE


def slip_text(where: str, name: str, near: str) -> str:
    return f"{where} has {name}, which is no setting; did you mean {near}?"


def concerns(unknown: Mapping[str, str]) -> list[Concern]:
    """`unknown`: `slips` of the environment and `.env`."""
    return [
        warning("clock_stepped", one(ClockSteps().warning)),
        warning("files_full", one(_files_full)),
        warning(
            "unknown_setting", lambda: each(slip_text("the environment", name, near) for name, near in unknown.items())
        ),
    ]
