"""Whose turn it is: so many at a time, the others in the order in which they came."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class Lane(Generic[T]):
    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: OrderedDict[T, None] = OrderedDict()
        self._in_hand = 0

    def enter(self, item: T) -> None:
        self._waiting[item] = None

    def next(self) -> T | None:
        """Who may go now, and has to `leave`; None when nobody waits, or all places are taken."""
        if not self._waiting or self._in_hand >= self._most:
            return None
        self._in_hand += 1
        return self._waiting.popitem(last=False)[0]

    def leave(self) -> None:
        self._in_hand -= 1

    def drop(self, item: T) -> None:
        """It waits no longer, if it did."""
        self._waiting.pop(item, None)
