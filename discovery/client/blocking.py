"""The Resolver for programs without asyncio. (Service has its plain face itself: `with`, `start`, `stop`.)"""

from __future__ import annotations

from typing import Self, Unpack

from discovery.client import background, resolver
from discovery.client.access import Access
from discovery.client.choosing import Strategy
from discovery.client.instance import Instance


class Resolver:
    """As `discovery.client.Resolver`, for any thread.

    >>> from discovery.client import Service
    >>> with Service("billing", port=3003), Resolver(strategy="round_robin") as found:
    ...     found.pick("billing").address
    '127.0.0.1:3003'
    """

    def __init__(self, *, strategy: Strategy = "weighted", **access: Unpack[Access]) -> None:
        self._resolver = resolver.Resolver(strategy=strategy, **access)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        background.run(self._resolver.close())

    def instances(self, name: str) -> tuple[Instance, ...]:
        return background.run(self._resolver.instances(name))

    def pick(self, name: str, strategy: Strategy | None = None) -> Instance:
        return background.run(self._resolver.pick(name, strategy))

    def failed(self, instance: Instance) -> None:
        self._resolver.failed(instance)
