"""What the results of an instance's checks come to: one that differs proves nothing, so many in a row do. Pure."""

from __future__ import annotations

from discovery.core.check import Check


class Verdict:
    """`failing`: why, None while it passes, as everyone does at first, unless another node has found otherwise."""

    __slots__ = ("_against", "failing")

    def __init__(self, failing: str | None = None) -> None:
        self.failing = failing
        self._against = 0  # results in a row that speak against the verdict

    def note(self, failure: str | None, check: Check) -> None:
        """One more result: why it failed, None when it passed. The failure that settles it is the reason from then on."""
        if (failure is None) == (self.failing is None):
            self._against = 0
            return
        self._against += 1
        if self._against >= (check.failures if self.failing is None else check.successes):
            self._against = 0
            self.failing = failure
