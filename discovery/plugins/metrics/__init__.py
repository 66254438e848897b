"""GET /metrics: the numbers of all rooms, for Prometheus. README.md beside this file has the list.

Who counts keeps plain numbers (`core.metric`); here they are read, given to prometheus-client, and sent: one metric after the other, with
the event loop free in between.
"""

from __future__ import annotations

import asyncio
import platform
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from time import monotonic
from types import ModuleType

from discovery import __version__
from discovery.core.metric import Histogram, Metric, histogram
from discovery.plugins import Plugin, Seams
from discovery.plugins.metrics.table import Expirations, metrics_of_registry, metrics_per_service
from discovery.rest.api.answers import Answer
from discovery.rest.api.example import Example
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Kind, Right, Route
from discovery.rest.api.server.server import HEADING
from discovery.store.engine import Engine
from discovery.store.registry import Registry
from discovery.system.env import EnvSettings

TICK = 0.1
# Seconds. Timers of the loop count in whole milliseconds.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class LoopLag:
    """How late the event loop is: a timer that should go off every 0.1 s notes how late it was."""

    def __init__(self) -> None:
        self._late = Histogram(_SECONDS)
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self.metric = histogram("discovery_event_loop_lag_seconds", "How late a timer is.", self._late)

    def start(self) -> None:
        self._due = monotonic() + TICK
        self._timer = asyncio.get_running_loop().call_later(TICK, self._tick)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        self._late.observe(max(0.0, monotonic() - self._due))
        self.start()


_EXAMPLE = """\
# HELP discovery_instances Instances.
# TYPE discovery_instances gauge
discovery_instances{status="healthy"} 2.0
"""


class Metrics(Plugin):
    """`clock`: monotonic seconds, the registry's."""

    def __init__(self, registry: Registry, clock: Callable[[], float], per_service: bool) -> None:
        self._registry = registry
        self._clock = clock
        self._per_service = per_service
        self._metrics: Sequence[Metric] = ()
        self._expirations = Expirations()
        self._lag = LoopLag()
        self._page: ModuleType | None = None

    def install(self, seams: Seams) -> None:
        self._metrics = seams.metrics
        seams.dns_traffic.wanted = seams.http_traffic.wanted = True
        seams.followers.append(self._expirations.follow_commit)
        seams.routes.append(
            Route(
                "GET", "/metrics", self.show, Right.READ, Kind.QUESTION, "Counters for Prometheus", HEADING,
                media="text/plain", examples=(Example(text=_EXAMPLE),), kept=self._format,
            )
        )  # fmt: skip
        seams.metrics.extend(
            [
                *metrics_of_registry(self._registry, self._clock, time.time, seams.http_traffic),
                *(metrics_per_service(self._registry, self._clock) if self._per_service else ()),
                self._expirations.metric,
                self._lag.metric,
                Metric("gauge", "discovery_build_info", "Which program this is.", _build, ("version", "python")),
            ]
        )

    async def open(self, engine: Engine) -> None:
        self._lag.start()

    async def close(self) -> None:
        self._lag.stop()

    async def show(self, request: Request) -> Answer:
        if self._page is None:
            # 20 ms for prometheus-client: no start waits for that, and no turn of the loop.
            self._page = await asyncio.to_thread(import_module, "discovery.plugins.metrics.page")
        text, content_type = await self._page.page(self._metrics, request.header(b"accept") or "")
        return Answer(200, text, {"Cache-Control": "no-store"}, media=content_type)

    def _format(self, request: Request) -> str | None:
        """The content type; before the first page, what it is chosen by."""
        accept = request.header(b"accept") or ""
        found: str = accept if self._page is None else self._page.content_type(accept)
        return found if "?" not in request.target else None


def _build() -> dict[tuple[str, ...], float]:
    return {(__version__, platform.python_version()): 1}


class MetricsSettings(EnvSettings):
    metrics_per_service: bool = False
    """true: /metrics shows some numbers of each service, too, of the first 1,000 by name."""


def make(registry: Registry, clock: Callable[[], float]) -> Metrics:
    return Metrics(registry, clock, MetricsSettings.read().metrics_per_service)
