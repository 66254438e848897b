"""OpenTelemetry: a span for each HTTP request, sent to a collector. README.md beside this file.

A span is made when the request has come to its end, so that no handler knows of it and the short way of heartbeats stays open.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from discovery.plugins import Plugin, Seams
from discovery.plugins.traces.settings import TracesSettings
from discovery.plugins.traces.spans import described
from discovery.rest.api.requests import Request
from discovery.rest.http.traffic import Traffic
from discovery.store.registry import Registry
from discovery.system.env import SettingsError

if TYPE_CHECKING:  # the packages may not be installed
    from discovery.plugins.traces.export import Export


class Traces(Plugin):
    """`wall`: nanoseconds since the epoch."""

    def __init__(self, export: Export, wall: Callable[[], int] = time.time_ns) -> None:
        self._export = export
        self._wall = wall
        self._traffic = Traffic()
        self._spans = 0

    def install(self, seams: Seams) -> None:
        self._traffic = seams.http_traffic
        self._traffic.wanted = True
        self._traffic.watch(self.see)

    def see(self, request: Request, address: str, seconds: float) -> None:
        """A request that has come to its end, after so many seconds."""
        end = self._wall()
        span = described(request, address, request.route.template, self._traffic.scheme, self._traffic.methods)
        self._spans += self._export.send(span, request, end - int(seconds * 1e9), end)

    async def close(self) -> None:
        await self._export.close()

    def stats(self) -> Mapping[str, Any]:
        return {"traces": {"spans": self._spans}}


def make(registry: Registry, clock: Callable[[], float]) -> Traces | None:
    settings = TracesSettings.read()
    if not settings.enabled:
        return None
    try:
        from discovery.plugins.traces.export import Export
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"OTEL_EXPORTER_OTLP_ENDPOINT: traces take packages that are not installed ({error.name}): "
            "pip install 'discovery-server[otel]', or set OTEL_SDK_DISABLED=true"
        ) from None
    return Traces(Export(settings))
