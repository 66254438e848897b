"""What is kept under a key besides the instances (`core.kinds`), as the state has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Holder(Protocol):
    """Of the values of one kind."""

    @property
    def all(self) -> Mapping[Any, Any]: ...

    def set(self, key: Any, value: Any, offset: float) -> None:
        """`value` None: it is no longer. `offset`: what makes monotonic seconds of epoch seconds."""


class Values(dict[K, V]):
    """In the order in which they were put; beyond `most` the oldest are given up."""

    def __init__(self, most: int | None = None) -> None:
        super().__init__()
        self._most = most

    @property
    def all(self) -> Mapping[K, V]:
        return self

    def set(self, key: K, value: V | None, offset: float) -> None:
        self.pop(key, None)
        if value is not None:
            self[key] = value
            if self._most is not None and len(self) > self._most:
                del self[next(iter(self))]
